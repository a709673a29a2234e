"""The recurrence of a peephole LSTM on a CUDA device, float32: a product of torch's and one Triton kernel for each step.

The same functions as in lstm_cpu.py, and the same numbers. TRITON_INTERPRET=1 runs the kernels on a CPU, slowly.
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

BLOCK = 256                              # cells per program

# What belongs to one step may begin at any address: without `do_not_specialize_on_alignment` each mix of them is compiled anew.


@triton.jit
def _tanh(x):
    s = x * x                            # near 0 by its series, where the fraction below would lose digits
    series = x * (1 - s * (1 / 3 - s * (2 / 15 - s * (17 / 315 - s * (62 / 2835)))))
    e = tl.exp(-2 * tl.abs(x))
    far = (1 - e) / (1 + e)
    return tl.where(s < 0.0625, series, tl.where(x < 0, -far, far))


@triton.jit(do_not_specialize_on_alignment=["gates", "c_before", "c_after", "h_after"])
def _forward_step(gates, peepholes, c_before, c_after, h_after, H, cells, BLOCK: tl.constexpr):
    n = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    real = n < cells
    unit = n % H
    gate = gates + n // H * 4 * H + unit
    c = tl.load(c_before + n, real)
    i = tl.sigmoid(tl.load(gate, real) + tl.load(peepholes + unit, real) * c)
    f = tl.sigmoid(tl.load(gate + H, real) + tl.load(peepholes + H + unit, real) * c)
    g = _tanh(tl.load(gate + 2 * H, real))
    c = f * c + i * g
    o = tl.sigmoid(tl.load(gate + 3 * H, real) + tl.load(peepholes + 2 * H + unit, real) * c)
    tl.store(gate, i, real)
    tl.store(gate + H, f, real)
    tl.store(gate + 2 * H, g, real)
    tl.store(gate + 3 * H, o, real)
    tl.store(c_after + n, c, real)
    tl.store(h_after + n, o * _tanh(c), real)


@triton.jit
def _clipped(x, clip):
    x = tl.where(x < -clip, -clip, x)    # what is not a number stays so
    return tl.where(x > clip, clip, x)


@triton.jit(do_not_specialize_on_alignment=["gates", "c_before", "c_after", "dh_above", "dz"])
def _backward_step(gates, peepholes, c_before, c_after, dh_above, dh_after, dc_after, dz, clip, H, cells, BLOCK: tl.constexpr):
    n = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    real = n < cells
    unit = n % H
    at = n // H * 4 * H + unit
    i, f = tl.load(gates + at, real), tl.load(gates + at + H, real)
    g, o = tl.load(gates + at + 2 * H, real), tl.load(gates + at + 3 * H, real)
    c, m = tl.load(c_before + n, real), _tanh(tl.load(c_after + n, real))
    dh = tl.load(dh_above + n, real) + tl.load(dh_after + n, real)
    do = _clipped(dh * m * o * (1 - o), clip)
    dc = tl.load(dc_after + n, real) + dh * o * (1 - m * m) + do * tl.load(peepholes + 2 * H + unit, real)
    di = _clipped(dc * g * i * (1 - i), clip)
    df = _clipped(dc * c * f * (1 - f), clip)
    tl.store(dz + at, di, real)
    tl.store(dz + at + H, df, real)
    tl.store(dz + at + 2 * H, _clipped(dc * i * (1 - g * g), clip), real)
    tl.store(dz + at + 3 * H, do, real)
    tl.store(dc_after + n, dc * f + di * tl.load(peepholes + unit, real) + df * tl.load(peepholes + H + unit, real), real)


def forward(gates: Tensor, recurrent: Tensor, peepholes: Tensor, cells: Tensor, h: Tensor) -> None:
    """All steps, in place. gates [T, B, 4H], recurrent [4H, H], peepholes [3, H]; cells, h [T + 1, B, H], row 0 given."""
    count, units = cells[0].numel(), cells.shape[2]
    steps, weights = list(zip(gates.unbind(), cells.unbind(), cells[1:].unbind(), h.unbind(), h[1:].unbind())), recurrent.t()
    with torch.cuda.device_of(gates):
        for z, c_before, c_after, h_before, h_after in steps:
            z.addmm_(h_before, weights)
            _forward_step[(triton.cdiv(count, BLOCK),)](z, peepholes, c_before, c_after, h_after, units, count, BLOCK)


def backward(gates: Tensor, recurrent: Tensor, peepholes: Tensor, cells: Tensor, dh: Tensor, dc: Tensor, clip: float
             ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """dz [T, B, 4H] and the gradients of bias [4H], peepholes [3, H] and the first h [B, H]; dc becomes the first cells'.

    gates, cells: as `forward` left them; dh [T, B, H]: from the layer above; dc [B, H]: of the cells after the last step.
    """
    dz, dh_after, count, units = torch.empty_like(gates), torch.zeros_like(dc), dc.numel(), dc.shape[1]
    steps = list(zip(gates.unbind(), cells.unbind(), cells[1:].unbind(), dh.unbind(), dz.unbind()))
    with torch.cuda.device_of(gates):
        for gate, c_before, c_after, dh_above, out in reversed(steps):
            _backward_step[(triton.cdiv(count, BLOCK),)](gate, peepholes, c_before, c_after, dh_above, dh_after, dc, out,
                                                         clip or float("inf"), units, count, BLOCK)
            torch.mm(out, recurrent, out=dh_after)
    di, df, _, do = dz.chunk(4, dim=2)
    dpeepholes = [(d * c).sum((0, 1)) for d, c in ((di, cells[:-1]), (df, cells[:-1]), (do, cells[1:]))]
    return dz, dz.sum((0, 1)), torch.stack(dpeepholes), dh_after
