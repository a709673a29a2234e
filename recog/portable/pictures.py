"""Encoders of pictures as nodes of an ONNX graph; those with LSTM layers over images go through them in a loop over diagonals."""

from __future__ import annotations

import numpy as np
from torch import nn

from ..encoders.conv_mdrnn import ConvMdrnn
from ..encoders.crnn import Crnn
from ..encoders.mdrnn import Mdrnn
from ..kernels.bounds import LARGEST_CELL
from ..layers.mdlstm import MdLstm
from ..layers.pictures import SLOPE, ConvBlock
from .graph import Graph
from .nodes import array, blstm, columns, convolved, cut, linear, width

LAST = np.iinfo(np.int64).min            # where a slice that goes backwards ends, if it leaves nothing out


def crnn(g: Graph, encoder: Crnn, x: str, n: str) -> tuple[str, str]:
    h = _upright(g, x, n, *encoder.shape)
    for block in encoder.blocks:
        h, n = _block(g, block, h, n), g.divided_up(n, block.shape[1])
    return blstm(g, encoder.blstm, columns(g, h, width(encoder.blstm)), n)


def conv_mdrnn(g: Graph, encoder: ConvMdrnn, x: str, n: str) -> tuple[str, str]:
    h = _upright(g, x, n, *encoder.shape)
    for block, level in zip(encoder.blocks, encoder.levels):
        h, n = _block(g, block, h, n), g.divided_up(n, block.shape[1])
        h = _level(g, level, h, n) if isinstance(level, MdLstm) else h
    return g.node("ReduceSum", h, g.integers(1), keepdims=0), n


def mdrnn(g: Graph, encoder: Mdrnn, x: str, n: str) -> tuple[str, str]:
    h = g.node("Unsqueeze", g.node("Transpose", cut(g, x, n, (2,)), perm=[0, 2, 1]), g.integers(3))
    size = 1
    for number, (level, (down, along)) in enumerate(zip(encoder.levels, encoder.shapes)):
        h, n = _blocks(g, h, down, along, size, by_columns=not number), g.divided_up(n, along)
        if number:
            h = g.node("Tanh", linear(g, encoder.between[number - 1], h))
        h, size = _level(g, level, h, n), level.output_size
    return g.node("ReduceSum", h, g.integers(1), keepdims=0), n


def _upright(g: Graph, x: str, n: str, down: int, along: int) -> str:
    h = g.node("Transpose", cut(g, x, n, (2,)), perm=[0, 2, 1])                             # [B, height, T]
    return g.node("Unsqueeze", g.filled_up(g.filled_up(h, 1, 3, down), 2, 3, along), g.integers(3))


def _block(g: Graph, block: ConvBlock, h: str, n: str) -> str:
    """[B, H, W, C]."""
    h = cut(g, convolved(g, block.convolution, g.node("Transpose", h, perm=[0, 3, 1, 2])), n, (1, 2), 3)
    if block.shape != (1, 1):
        h = g.node("MaxPool", h, kernel_shape=list(block.shape), strides=list(block.shape))
    h = g.node("Transpose", h, perm=[0, 2, 3, 1])
    if isinstance(block.norm, nn.LayerNorm):
        h = g.node("LayerNormalization", h, g.constant(array(block.norm.weight)), axis=-1, epsilon=block.norm.eps)
    return g.node("LeakyRelu", h, alpha=SLOPE)


def _blocks(g: Graph, h: str, down: int, along: int, size: int, by_columns: bool) -> str:
    """`blocks` of [B, H, W, D]; of pixels each block by its columns."""
    h = g.filled_up(g.filled_up(h, 1, 4, down), 2, 4, along)
    rows, wide = (g.node("Div", g.length(h, axis), g.integers(by)) for axis, by in ((1, down), (2, along)))
    batch, size = g.length(h, 0), g.integers(size)
    h = g.node("Reshape", h, g.node("Concat", batch, rows, g.integers(down), wide, g.integers(along), size, axis=0))
    h = g.node("Transpose", h, perm=[0, 1, 3, 4, 2, 5] if by_columns else [0, 1, 3, 2, 4, 5])
    return g.node("Reshape", h, g.node("Concat", batch, rows, wide, g.integers(-1), axis=0))


def _turned(g: Graph, x: str, direction: int) -> str:
    """A picture [B, H, W, D] against the axes that the direction goes against."""
    axes = [axis for axis, bit in ((1, 2), (2, 1)) if direction & bit]
    if not axes:
        return x
    return g.node("Slice", x, g.integers(*[-1] * len(axes)), g.integers(*[LAST] * len(axes)), g.integers(*axes), g.integers(*[-1] * len(axes)))


def _level(g: Graph, level: MdLstm, h: str, n: str) -> str:
    """[B, H, W, D] and widths n to [B, H, W, 4 * units]: all four directions at once, each from the upper left corner of its own picture.

    Rows are shifted against each other, so that a diagonal is a column; beyond the picture h and c are zeros.
    """
    units, gates = level.units, level.weight_ih.shape[1]
    z = g.node("Add", g.node("MatMul", h, g.constant(np.concatenate(array(level.weight_ih).swapaxes(1, 2), 1))),
               g.constant(array(level.bias).ravel()))                                       # [B, H, W, 4 * gates]
    parts = g.several("Split", [z, g.integers(*[gates] * 4)], 4, axis=3)
    real = g.node("Cast", g.node("Unsqueeze", g.real(n, g.length(h, 2)), g.integers(1, 3)), to=1)
    real = g.node("Expand", real, g.node("Concat", g.integers(1), g.length(h, 1), g.integers(1, 1), axis=0))
    sheared = [g.node("Concat", *(g.node("Unsqueeze", _turned(g, each, k), g.integers(0)) for k, each in enumerate(four)), axis=0)
               for four in (parts, [real] * 4)]                                             # [4, B, H, W, ...]
    slices = [g.node("Transpose", _sheared(g, each), perm=[3, 0, 1, 2, 4]) for each in sheared]        # [S, 4, B, H, ...]
    sides = g.node("Concat", g.integers(1), g.length(h, 0), g.length(h, 1), g.integers(1), axis=0)
    start = g.node("Expand", g.constant(np.zeros((4, 1, 1, units))), sides)                 # [4, B, H, units]

    def step(h: str, c: str, z: str, real: str) -> tuple[tuple[str, str], str]:
        h, c = _cells(g, level, h, c, z)
        h, c = (g.node("Mul", each, real) for each in (h, c))
        return (h, c), h

    found = g.node("Transpose", g.scanned([start, start], slices, step), perm=[1, 2, 3, 0, 4])         # [4, B, H, S, units]
    found = _unsheared(g, found)
    each = [g.node("Squeeze", part, g.integers(0)) for part in g.several("Split", [found, g.integers(1, 1, 1, 1)], 4, axis=0)]
    return g.node("Concat", *(_turned(g, part, k) for k, part in enumerate(each)), axis=3)


def _sheared(g: Graph, x: str) -> str:
    """[K, B, H, W, D] to [K, B, H, W + H - 1, D]: row r begins r columns later, with zeros around it."""
    rows, wide = g.length(x, 2), g.length(x, 3)
    x = g.node("Pad", x, g.node("Concat", g.integers(*[0] * 8), rows, g.integers(0), axis=0))
    flat = g.node("Reshape", x, _sides(g, x, g.node("Mul", rows, g.node("Add", wide, rows))))
    flat = g.node("Slice", flat, g.integers(0), g.node("Neg", rows), g.integers(2))
    return g.node("Reshape", flat, _sides(g, x, rows, g.node("Sub", g.node("Add", wide, rows), g.integers(1))))


def _unsheared(g: Graph, x: str) -> str:
    """Back again."""
    rows, wide = g.length(x, 2), g.length(x, 3)
    flat = g.node("Reshape", x, _sides(g, x, g.node("Mul", rows, wide)))
    flat = g.node("Pad", flat, g.node("Concat", g.integers(*[0] * 6), rows, g.integers(0), axis=0))
    whole = g.node("Reshape", flat, _sides(g, x, rows, g.node("Add", wide, g.integers(1))))
    return g.node("Slice", whole, g.integers(0), g.node("Sub", g.node("Add", wide, g.integers(1)), rows), g.integers(3))


def _sides(g: Graph, x: str, *middle: str) -> str:
    """The first two sides of x, others, and its last."""
    return g.node("Concat", g.length(x, 0), g.length(x, 1), *middle, g.length(x, 4), axis=0)


def _cells(g: Graph, level: MdLstm, h: str, c: str, z: str) -> tuple[str, str]:
    """h and c after those of the diagonal before, [4, B, H, units] each; z [4, B, H, gates]: what the gates are given."""
    units = level.units

    def above(x: str) -> str:
        x = g.node("Pad", x, g.integers(0, 0, 1, 0, 0, 0, 0, 0))
        return g.node("Slice", x, g.integers(0), g.integers(-1), g.integers(2))

    def gate(z: str, number: int, seen: str) -> str:
        return g.node("Add", z, g.node("Mul", seen, g.constant(peepholes[:, number])))

    def sigmoid(x: str) -> str:
        return g.node("Sigmoid", x)

    peepholes = array(level.peepholes)[:, :, None, None]           # [4, gates but g, 1, 1, units]
    weight = array(level.weight_hh).swapaxes(1, 2)[:, None]                                 # [4, 1, 2 * units, gates]
    z = g.node("Add", z, g.node("MatMul", g.node("Concat", above(h), h, axis=3), g.constant(weight)))
    i, first, second, new, o = g.several("Split", [z, g.integers(*[units] * 5)], 5, axis=3)
    each = above(c), c
    if level.cell == "stable":
        share = sigmoid(gate(second, 2, g.node("Sub", *each)))
        seen = g.node("Add", each[1], g.node("Mul", share, g.node("Sub", *each)))
        kept = g.node("Mul", sigmoid(gate(first, 1, seen)), seen)
    else:
        seen = g.node("Add", *each)
        kept = g.node("Add", *(g.node("Mul", sigmoid(gate(f, number, part)), part) for number, (f, part) in enumerate(zip((first, second), each), 1)))
    c = g.node("Add", kept, g.node("Mul", sigmoid(gate(i, 0, seen)), g.node("Tanh", new)))
    c = g.node("Clip", c, g.constant(-LARGEST_CELL), g.constant(LARGEST_CELL))
    return g.node("Mul", sigmoid(gate(o, 3, c)), g.node("Tanh", c)), c
