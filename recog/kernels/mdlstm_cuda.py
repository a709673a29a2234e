"""The recurrence of an LSTM over images on a CUDA device, float32, all four directions and all images at once.

The same functions as in mdlstm_cpu.py, and the same numbers. Everything lies sorted by diagonals (diagonals_cuda.py), so that a diagonal is
a slice and no step gathers. With few units one launch does all diagonals: a program for each direction of each image, whose threads wait
for each other between one diagonal and the next. With more, each diagonal is a product of torch's and one launch. The products of all
positions, before and after, are torch's: in all of float32, unless `torch.set_float32_matmul_precision` allows less. TRITON_INTERPRET=1
runs the kernels on a CPU, slowly.

A position's slot is row * B + image. Its neighbours stand in the diagonals before and after its own, in the same slot or B away. What goes
from one launch to the next stands by slots in frames [4, (H + 1) * B, 2 units]: slot y of the first half for or from row y - 1, of the
second for or from row y. A slot that was never written is beyond the image, and zero.
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

from .diagonals_cuda import Diagonals
from .lstm_cuda import _tanh

FEW = 16                                 # up to so many units the product is the kernel's own; reckoned, not yet measured
WARPS = 4
LEAST, MOST = 32 * WARPS, 512            # cells of a program at a time; with fewer, threads would share one, whose gates are replaced
SIZES = ["s", "before", "now", "H", "W", "B"]         # they differ from call to call: nothing is compiled anew for them


@triton.jit
def _advance(s, H, W, B):
    """From a slot's place in diagonal s to its place in the next."""
    return (tl.minimum(H, s + 1) - tl.maximum(s + 2 - W, 0)) * B


@triton.jit
def _is_real(n, k, row, column, image, H, W):
    """Whether it is no padding."""
    row, column = tl.where(k >= 2, H - 1 - row, row), tl.where(k % 2 == 1, W - 1 - column, column)
    return (row < tl.load(n + 2 * image)) & (column < tl.load(n + 2 * image + 1))


@triton.jit
def _load(x, known, STEP: tl.constexpr):
    return tl.load(x, known, 0.0), tl.load(x + STEP, known, 0.0), tl.load(x + 2 * STEP, known, 0.0), tl.load(x + 3 * STEP, known, 0.0)


@triton.jit
def _store(x, known, STEP: tl.constexpr, i, f, e, g, o):
    tl.store(x, i, known)
    tl.store(x + STEP, f, known)
    tl.store(x + 2 * STEP, e, known)
    tl.store(x + 3 * STEP, g, known)
    tl.store(x + 4 * STEP, o, known)


@triton.jit
def _cells(z, weights, peepholes, n, cells, h, frames, row, image, k, s, before, now, H, W, B, UNITS: tl.constexpr, LANES: tl.constexpr,
           STABLE: tl.constexpr, PRODUCT: tl.constexpr):
    """Rows and images [rows, 1] of diagonal s, in which slot 0 has place `now`, and in the diagonal before it has place `before`.

    PRODUCT: adds the weights' product, which is in z otherwise; then what it needs is put into frames.
    """
    unit, slot, column = tl.arange(0, LANES)[None], row * B + image, s - row
    there, known = (row < H) & (column >= 0), unit < UNITS
    own, has_up, has_left = there & known, there & (row > 0), there & (column > 0)
    at, left = (now + slot) * UNITS, (before + slot) * UNITS
    up, gates = left - B * UNITS, z + at * 5 + unit
    i, f, e, g = _load(gates, own, UNITS)
    o = tl.load(gates + 4 * UNITS, own, 0.0)
    if PRODUCT:                                                                 # weights [4, 2 units, 5 units]
        weight = weights + k * 10 * UNITS * UNITS + unit
        x, has = h + up, has_up
        for _ in range(2):
            for j in tl.static_range(UNITS):
                y = tl.load(x + j, has, 0.0)
                w_i, w_f, w_e, w_g = _load(weight + 5 * UNITS * j, known, UNITS)
                w_o = tl.load(weight + 5 * UNITS * j + 4 * UNITS, known, 0.0)
                i, f, e, g, o = i + y * w_i, f + y * w_f, e + y * w_e, g + y * w_g, o + y * w_o
            weight, x, has = weight + 5 * UNITS * UNITS, h + left, has_left
    c_up, c_left = tl.load(cells + up + unit, has_up & known, 0.0), tl.load(cells + left + unit, has_left & known, 0.0)
    p_i, p_f, p_e, p_o = _load(peepholes + k * 4 * UNITS + unit, known, UNITS)
    g = _tanh(g)
    if STABLE:
        apart = c_up - c_left
        e = tl.sigmoid(e + p_e * apart)
        mean = c_left + e * apart
        i, f = tl.sigmoid(i + p_i * mean), tl.sigmoid(f + p_f * mean)
        c = f * mean + i * g
    else:
        i, f, e = tl.sigmoid(i + p_i * (c_up + c_left)), tl.sigmoid(f + p_f * c_up), tl.sigmoid(e + p_e * c_left)
        c = f * c_up + e * c_left + i * g
    o = tl.sigmoid(o + p_o * c)
    real = _is_real(n, k, row, column, image, H, W)
    out, c = tl.where(real, o * _tanh(c), 0.0), tl.where(real, c, 0.0)
    _store(gates, own, UNITS, i, f, e, g, o)
    tl.store(cells + at + unit, c, own)
    tl.store(h + at + unit, out, own)
    if not PRODUCT:
        frame = frames + (k * (H + 1).to(tl.int64) * B + slot) * 2 * UNITS + unit
        tl.store(frame + B * 2 * UNITS, out, own)
        tl.store(frame + UNITS, out, own)


@triton.jit
def _gradients(z, weights, peepholes, n, cells, dh, dh_frames, dc_frames, dz, row, image, k, s, before, now, after, H, W, B,
               UNITS: tl.constexpr, LANES: tl.constexpr, STABLE: tl.constexpr, PRODUCT: tl.constexpr):
    """The same backward. PRODUCT: takes that of the weights and of dz in the diagonal after, which is in dh_frames otherwise.

    dc_frames are two, of even and of odd diagonals: one is read while others write into the other.
    """
    unit, slot, column = tl.arange(0, LANES)[None], row * B + image, s - row
    there, known = (row < H) & (column >= 0), unit < UNITS
    own, at, left = there & known, (now + slot) * UNITS, (before + slot) * UNITS
    size, frame = (H + 1).to(tl.int64) * B * 2 * UNITS, slot * 2 * UNITS + unit
    total = tl.load(dh + at + unit, own, 0.0)
    if PRODUCT:                                                                 # weights [4, 5 units, 2 units]
        weight, right = weights + k * 10 * UNITS * UNITS + unit, dz + (after + slot) * 5 * UNITS
        down, has_down, has_right = right + B * 5 * UNITS, there & (row < H - 1), there & (column < W - 1)
        for _ in range(5):                                                      # not all unrolled: that would take long to compile
            for j in tl.static_range(UNITS):
                total += tl.load(down + j, has_down, 0.0) * tl.load(weight + 2 * UNITS * j, known, 0.0)
                total += tl.load(right + j, has_right, 0.0) * tl.load(weight + (2 * j + 1) * UNITS, known, 0.0)
            weight, down, right = weight + 2 * UNITS * UNITS, down + UNITS, right + UNITS
    else:
        given = dh_frames + k * size + frame
        total += tl.load(given + B * 2 * UNITS, own, 0.0) + tl.load(given + UNITS, own, 0.0)
    given = dc_frames + ((s + 1) % 2 * 4 + k) * size + frame
    dc = tl.load(given + B * 2 * UNITS, own, 0.0) + tl.load(given + UNITS, own, 0.0)
    i, f, e, g = _load(z + at * 5 + unit, own, UNITS)
    o, m = tl.load(z + at * 5 + 4 * UNITS + unit, own, 0.0), _tanh(tl.load(cells + at + unit, own, 0.0))
    c_up = tl.load(cells + left - B * UNITS + unit, own & (row > 0), 0.0)
    c_left = tl.load(cells + left + unit, own & (column > 0), 0.0)
    p_i, p_f, p_e, p_o = _load(peepholes + k * 4 * UNITS + unit, known, UNITS)
    do = total * m * o * (1 - o)
    dc += total * o * (1 - m * m) + do * p_o
    di, dg = dc * g * i * (1 - i), dc * i * (1 - g * g)
    if STABLE:
        apart = c_up - c_left
        mean = c_left + e * apart
        df = dc * mean * f * (1 - f)
        dmean = dc * f + di * p_i + df * p_f
        de = dmean * apart * e * (1 - e)
        to_up, to_left = dmean * e + de * p_e, dmean * (1 - e) - de * p_e
    else:
        df, de = dc * c_up * f * (1 - f), dc * c_left * e * (1 - e)
        to_up, to_left = dc * f + di * p_i + df * p_f, dc * e + di * p_i + de * p_e
    real = _is_real(n, k, row, column, image, H, W)
    di, df, de = tl.where(real, di, 0.0), tl.where(real, df, 0.0), tl.where(real, de, 0.0)
    _store(dz + at * 5 + unit, own, UNITS, di, df, de, tl.where(real, dg, 0.0), tl.where(real, do, 0.0))
    given = dc_frames + (s % 2 * 4 + k) * size + frame
    tl.store(given, tl.where(real, to_up, 0.0), own)
    tl.store(given + UNITS, tl.where(real, to_left, 0.0), own)


@triton.jit(do_not_specialize=SIZES)
def _forward_step(z, peepholes, n, cells, h, frames, s, before, now, H, W, B, UNITS: tl.constexpr, LANES: tl.constexpr,
                  ROWS: tl.constexpr, STABLE: tl.constexpr):
    slot = tl.maximum(s - W + 1, 0) * B + (tl.program_id(0) * ROWS + tl.arange(0, ROWS))[:, None]
    k = tl.program_id(1)
    first = k * H.to(tl.int64) * W * B
    _cells(z, z, peepholes, n, cells, h, frames, slot // B, slot % B, k, s, first + before, first + now, H, W, B,
           UNITS, LANES, STABLE, False)


@triton.jit(do_not_specialize=SIZES)
def _backward_step(z, peepholes, n, cells, dh, dh_frames, dc_frames, dz, s, before, now, H, W, B, UNITS: tl.constexpr,
                   LANES: tl.constexpr, ROWS: tl.constexpr, STABLE: tl.constexpr):
    slot = tl.maximum(s - W + 1, 0) * B + (tl.program_id(0) * ROWS + tl.arange(0, ROWS))[:, None]
    k = tl.program_id(1)
    first = k * H.to(tl.int64) * W * B
    _gradients(z, z, peepholes, n, cells, dh, dh_frames, dc_frames, dz, slot // B, slot % B, k, s, first + before, first + now, first, H, W, B,
               UNITS, LANES, STABLE, False)


@triton.jit(do_not_specialize=SIZES)
def _forward_all(z, weights, peepholes, n, cells, h, H, W, B, UNITS: tl.constexpr, LANES: tl.constexpr, ROWS: tl.constexpr,
                 STABLE: tl.constexpr):
    image, k = tl.program_id(0), tl.program_id(1)
    now = k * H.to(tl.int64) * W * B
    before, s = now, 0
    while s < H + W - 1:
        row = tl.maximum(s - W + 1, 0)
        while row < tl.minimum(H, s + 1):
            _cells(z, weights, peepholes, n, cells, h, h, row + tl.arange(0, ROWS)[:, None], image, k, s, before, now, H, W, B,
                   UNITS, LANES, STABLE, True)
            row += ROWS
        tl.debug_barrier()                                                      # what a thread wrote, others read in the next diagonal
        before = now
        now += _advance(s, H, W, B)
        s += 1


@triton.jit(do_not_specialize=SIZES)
def _backward_all(z, weights, peepholes, n, cells, dh, dc_frames, dz, H, W, B, UNITS: tl.constexpr, LANES: tl.constexpr,
                  ROWS: tl.constexpr, STABLE: tl.constexpr):
    image, k, s = tl.program_id(0), tl.program_id(1), H + W - 2
    now = (k + 1) * H.to(tl.int64) * W * B - H * B
    after = now
    while s >= 0:
        before = now - _advance(s - 1, H, W, B)
        row = tl.maximum(s - W + 1, 0)
        while row < tl.minimum(H, s + 1):
            _gradients(z, weights, peepholes, n, cells, dh, dh, dc_frames, dz, row + tl.arange(0, ROWS)[:, None], image, k, s,
                       before, now, after, H, W, B, UNITS, LANES, STABLE, True)
            row += ROWS
        tl.debug_barrier()
        after = now
        now = before
        s -= 1


def _settings(units: int, rows: int, stable: bool) -> dict[str, int | bool]:
    """For rows, or any number of them, in a program at a time."""
    lanes = triton.next_power_of_2(units)
    rows = min(max(triton.next_power_of_2(rows), LEAST // lanes), max(MOST // lanes, 1))
    return {"UNITS": units, "LANES": lanes, "ROWS": rows, "STABLE": stable, "num_warps": WARPS}


def _steps(height: int, width: int, batch: int) -> list[tuple[slice, slice, int, int, int]]:
    """Of each diagonal, its places and slots, its number, and what would be the place of slot 0 in the one before and in itself."""
    found, begin, before = [], 0, 0
    for s in range(height + width - 1):
        top, end = max(0, s - width + 1), min(height, s + 1)
        now, stop = begin - top * batch, begin + (end - top) * batch
        found.append((slice(begin, stop), slice(top * batch, end * batch), s, before, now))
        begin, before = stop, now
    return found


def forward(x: Tensor, n: Tensor, weight_ih: Tensor, weight_hh: Tensor, bias: Tensor, peepholes: Tensor, stable: bool
            ) -> tuple[Tensor, None, list[Tensor]]:
    """h [B, H, W, 4 units]; no parts of the work; and what `backward` needs: h, gates [4, P, 5 units] and cells [4, P, units].

    x [B, H, W, D], n [B, 2]; the weights as in MdLstm.
    """
    (batch, height, width), units = x.shape[:3], peepholes.shape[2]
    n = n.to(x.device).contiguous()
    way, weights, sizes = Diagonals(n, height, width), weight_hh.mT.contiguous(), (height, width, batch)
    gates = torch.baddbmm(bias[:, None], way.inputs(x), weight_ih.mT)
    h, cells = (x.new_empty(4, gates.shape[1], units) for _ in range(2))
    with torch.cuda.device_of(x):
        if units <= FEW:
            _forward_all[(batch, 4)](gates, weights, peepholes, n, cells, h, *sizes, **_settings(units, height, stable))
        else:
            frames, settings = x.new_zeros(4, (height + 1) * batch, 2 * units), _settings(units, MOST, stable)
            for places, slots, *step in _steps(*sizes):
                z = gates[:, places]
                z.baddbmm_(frames[:, slots], weights)
                grid = triton.cdiv(z.shape[1], settings["ROWS"]), 4
                _forward_step[grid](gates, peepholes, n, cells, h, frames, *step, *sizes, **settings)
    out = way.laid(h).flatten(3)
    return out, None, [out, gates, cells]


def backward(x: Tensor, n: Tensor, weight_ih: Tensor, weight_hh: Tensor, peepholes: Tensor, stable: bool, parts: None,
             kept: list[Tensor], dh: Tensor, wanted: bool) -> tuple[Tensor | None, Tensor, Tensor, Tensor, Tensor]:
    """The gradients of x (None if not wanted), weight_ih, weight_hh, bias and peepholes. dh [B, H, W, 4 units]."""
    h, gates, cells = kept
    (batch, height, width), units = x.shape[:3], peepholes.shape[2]
    n = n.to(x.device).contiguous()
    way, sizes, dz = Diagonals(n, height, width), (height, width, batch), torch.empty_like(gates)
    given = peepholes, n, cells, way.sorted(dh.unflatten(3, (4, units)))
    frames = x.new_zeros(3, 4, (height + 1) * batch, 2 * units)
    dh_frames, dc_frames = frames[0], frames[1:]
    with torch.cuda.device_of(x):
        if units <= FEW:
            _backward_all[(batch, 4)](gates, weight_hh, *given, dc_frames, dz, *sizes, **_settings(units, height, stable))
        else:
            settings = _settings(units, MOST, stable)
            for places, slots, *step in reversed(_steps(*sizes)):
                z = dz[:, places]
                grid = triton.cdiv(z.shape[1], settings["ROWS"]), 4
                _backward_step[grid](gates, *given, dh_frames, dc_frames, dz, *step, *sizes, **settings)
                torch.bmm(z, weight_hh, out=dh_frames[:, slots])
    dx = way.laid(dz @ weight_ih).sum(3) if wanted else None
    before = way.neighbours(way.sorted(h.unflatten(3, (4, units)))).flatten(2)
    return dx, dz.mT @ way.inputs(x), dz.mT @ before, dz.sum(1), _peephole_gradients(way, gates, cells, dz, stable)


def _peephole_gradients(way: Diagonals, gates: Tensor, cells: Tensor, dz: Tensor, stable: bool) -> Tensor:
    di, df, de, _, do = dz.chunk(5, 2)
    up, left = way.neighbours(cells).unbind(2)
    if stable:
        apart = up - left
        mean = left + gates.chunk(5, 2)[2] * apart
        seen = mean, mean, apart, cells
    else:
        seen = up + left, up, left, cells
    return torch.stack([(d * c).sum(1) for d, c in zip((di, df, de, do), seen)], 1)
