"""Products of a few rows with large weights, compiled, each sum in the same order however many rows there are.

A library's product of matrices is as fast, but a row's last digits depend on how many others it stands among. Here the sums of a few rows and
columns are kept in registers while all inputs are gone through: no compiler makes that of loops, so the inner loop is written in its own language.
"""

from __future__ import annotations

from typing import Any, Callable

import numpy as np
from llvmlite import binding, ir
from numba import njit, types
from numba.core import cgutils
from numba.extending import intrinsic

from .cell import options

WIDTH = 64                                    # columns that lie together


def packed(weights: np.ndarray) -> np.ndarray:
    """[D, N] to [N / WIDTH, D, WIDTH], where the columns that a tile needs follow one another. Zeros fill the last."""
    return np.ascontiguousarray(filled(weights).reshape(len(weights), -1, WIDTH).transpose(1, 0, 2))


def filled(values: np.ndarray) -> np.ndarray:
    """[..., N], and zeros up to a multiple of WIDTH."""
    return np.pad(values, [(0, 0)] * (values.ndim - 1) + [(0, -values.shape[-1] % WIDTH)])


def _tile(rows: int, vectors: int, lanes: int) -> Callable[..., None]:
    """Makes tile(x, row, weights, block, column, bias, z): z[row:row + rows], vectors x lanes columns of a block from `column` on.

    Arrays as of `product`. Each sum is a chain of fused products: bias, then the inputs in their order.
    """
    vector = ir.VectorType(ir.FloatType(), lanes)

    @intrinsic
    def tile(typing: Any, x: Any, row: Any, weights: Any, block: Any, column: Any, bias: Any, z: Any) -> Any:
        if any(each.layout != "C" or each.dtype != types.float32 for each in (x, weights, bias, z)):
            return None                                               # numba says that the function does not fit

        def code(context: Any, builder: ir.IRBuilder, signature: Any, given: Any) -> ir.Value:
            arrays = [context.make_array(kind)(context, builder, value) if isinstance(kind, types.Array) else None
                      for kind, value in zip(signature.args, given)]
            row, block, column = given[1], given[3], given[4]
            depth, width = (cgutils.unpack_tuple(builder, arrays[i].shape, 2)[1] for i in (0, 6))
            fma = cgutils.get_or_insert_function(builder.module, ir.FunctionType(vector, [vector] * 3), f"llvm.fma.v{lanes}f32")
            number = lambda value: ir.Constant(row.type, value)
            at = lambda base, *parts: builder.gep(base, [_sum(builder, parts)])
            wide = lambda pointer: builder.bitcast(pointer, vector.as_pointer())
            read = lambda pointer: builder.load(wide(pointer), align=4)
            begins = [builder.add(column, number(v * lanes)) for v in range(vectors)]                 # within the block
            places = [builder.add(builder.mul(block, number(WIDTH)), begin) for begin in begins]      # in bias and z
            lines = [at(arrays[0].data, builder.mul(builder.add(row, number(r)), depth)) for r in range(rows)]
            from_here = at(arrays[2].data, builder.mul(builder.mul(block, depth), number(WIDTH)))
            sums = [[cgutils.alloca_once_value(builder, read(at(arrays[5].data, place))) for place in places] for _ in range(rows)]
            with cgutils.for_range(builder, depth) as loop:
                values = [read(at(from_here, builder.mul(loop.index, number(WIDTH)), begin)) for begin in begins]
                for line, of in zip(lines, sums):
                    factor = _spread(builder, builder.load(at(line, loop.index)), vector)
                    for value, total in zip(values, of):
                        builder.store(builder.call(fma, [factor, value, builder.load(total)]), total)
            for r, of in enumerate(sums):
                for place, total in zip(places, of):
                    builder.store(builder.load(total), wide(at(arrays[6].data, builder.mul(builder.add(row, number(r)), width), place)), align=4)
            return context.get_dummy_value()

        return types.void(x, row, weights, block, column, bias, z), code

    return tile


def _sum(builder: ir.IRBuilder, parts: tuple[ir.Value, ...]) -> ir.Value:
    return parts[0] if len(parts) == 1 else builder.add(parts[0], _sum(builder, parts[1:]))


def _spread(builder: ir.IRBuilder, value: ir.Value, vector: ir.VectorType) -> ir.Value:
    """A vector of one value."""
    none, zero = ir.Constant(vector, ir.Undefined), ir.IntType(32)
    return builder.shuffle_vector(builder.insert_element(none, value, zero(0)), none, ir.Constant(ir.VectorType(zero, vector.count), [0] * vector.count))


LANES = 16 if binding.get_host_cpu_features().get("avx512f") else 8            # floats of a register; two registers where they are shorter
VECTORS = 4 if LANES == 16 else 2                                              # so that four rows' sums fit into the registers there are
TOGETHER, ACROSS = 4, LANES * VECTORS
_four, _one = _tile(TOGETHER, VECTORS, LANES), _tile(1, VECTORS, LANES)


@njit(**options)
def product(x, weights, bias, z):
    """z[b] = bias + x[b] @ weights. x [B, D], weights [N / WIDTH, D, WIDTH] (`packed`), bias [N], z [B, N], N a multiple of WIDTH."""
    whole = len(x) - len(x) % TOGETHER
    for block in range(len(weights)):
        for column in range(0, WIDTH, ACROSS):
            for row in range(0, whole, TOGETHER):
                _four(x, row, weights, block, column, bias, z)
            for row in range(whole, len(x)):
                _one(x, row, weights, block, column, bias, z)
