"""The recurrence of an LSTM with a window on a text, on a CUDA device, float32: for each step a few products of torch's and two Triton kernels.

The same functions as in window_cpu.py, and the same numbers. TRITON_INTERPRET=1 runs the kernels on a CPU, slowly.
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

from .lstm_cuda import BLOCK, _backward_step, _forward_step
from .trace import Trace

LETTERS = 32                             # of a text, at a time

# One program for each sequence; KS, VS: K and V rounded up, as Triton's arrays are.


@triton.jit(do_not_specialize_on_alignment=["p", "kappa_before", "kappa_after", "alpha", "beta", "w"])
def _look(units, lengths, p, kappa_before, kappa_after, alpha, beta, w, U, K, V, BLOCKS: tl.constexpr, KS: tl.constexpr,
          VS: tl.constexpr, LETTERS: tl.constexpr):
    b = tl.program_id(0)
    k, v, letters = tl.arange(0, KS), tl.arange(0, VS), tl.arange(0, LETTERS)
    real = k < K
    a = tl.exp(tl.load(p + b * 3 * K + k, real, float("-inf")))
    sharp = tl.exp(tl.load(p + b * 3 * K + K + k, real, 0.0))
    at = tl.load(kappa_before + b * K + k, real, 0.0) + tl.exp(tl.load(p + b * 3 * K + 2 * K + k, real, 0.0))
    tl.store(alpha + b * K + k, a, real)
    tl.store(beta + b * K + k, sharp, real)
    tl.store(kappa_after + b * K + k, at, real)
    found, length = tl.zeros([VS], tl.float32), tl.load(lengths + b)
    for block in range(BLOCKS):
        u = block * LETTERS + letters
        away = at[:, None] - (u[None, :] + 1).to(tl.float32)
        phi = tl.sum(a[:, None] * tl.exp(-sharp[:, None] * away * away), 0)
        phi = tl.where(u < length, phi, 0.0)
        unit = tl.load(units + b * U + u, u < length, -1)
        found += tl.sum(tl.where(unit[None, :] == v[:, None], phi[None, :], 0.0), 1)
    tl.store(w + b * V + v, found, v < V)


@triton.jit(do_not_specialize_on_alignment=["kappa_before", "kappa_after", "alpha", "beta", "dp"])
def _look_back(units, lengths, kappa_before, kappa_after, alpha, beta, dw, dkappa, dp, U, K, V, BLOCKS: tl.constexpr, KS: tl.constexpr,
               LETTERS: tl.constexpr):
    b = tl.program_id(0)
    k, letters = tl.arange(0, KS), tl.arange(0, LETTERS)
    real, length = k < K, tl.load(lengths + b)
    a, sharp = tl.load(alpha + b * K + k, real, 0.0), tl.load(beta + b * K + k, real, 0.0)
    at, before = tl.load(kappa_after + b * K + k, real, 0.0), tl.load(kappa_before + b * K + k, real, 0.0)
    da, dsharp, dat = tl.zeros([KS], tl.float32), tl.zeros([KS], tl.float32), tl.load(dkappa + b * K + k, real, 0.0)
    for block in range(BLOCKS):
        u = block * LETTERS + letters
        unit = tl.load(units + b * U + u, u < length, 0)
        d = tl.load(dw + b * V + unit, u < length, 0.0)
        away = at[:, None] - (u[None, :] + 1).to(tl.float32)
        part = d[None, :] * a[:, None] * tl.exp(-sharp[:, None] * away * away)
        da += tl.sum(part, 1)
        dsharp -= tl.sum(part * sharp[:, None] * away * away, 1)
        dat -= 2 * tl.sum(part * sharp[:, None] * away, 1)
    tl.store(dp + b * 3 * K + k, da, real)
    tl.store(dp + b * 3 * K + K + k, dsharp, real)
    tl.store(dp + b * 3 * K + 2 * K + k, dat * (at - before), real)
    tl.store(dkappa + b * K + k, dat, real)


def forward(gates: Tensor, weight_hh: Tensor, weight_wh: Tensor, peepholes: Tensor, weight_window: Tensor, bias_window: Tensor,
            units: Tensor, lengths: Tensor, state: tuple[Tensor, ...]) -> Trace:
    """All steps. gates [T, B, 4H]: what x gives them, in whose place their activations come; the weights as in WindowLstm."""
    trace, (batch, H), V = Trace.begun(gates, *state), state[0].shape, weight_wh.shape[1]
    K, U, count = trace.kappa.shape[2], units.shape[1], batch * H
    to_h, to_w, to_p = weight_hh.t(), weight_wh.t(), weight_window.t()
    sizes = U, K, V, triton.cdiv(U, LETTERS), triton.next_power_of_2(K), triton.next_power_of_2(V), LETTERS
    steps = list(zip(*(part.unbind() for part in (gates, trace.alpha, trace.beta)),
                     *(each for part in (trace.cells, trace.h, trace.w, trace.kappa) for each in (part.unbind(), part[1:].unbind()))))
    with torch.cuda.device_of(gates):
        for z, alpha, beta, c_before, c, h_before, h, w_before, w, kappa_before, kappa in steps:
            z.addmm_(h_before, to_h).addmm_(w_before, to_w)
            _forward_step[(triton.cdiv(count, BLOCK),)](z, peepholes, c_before, c, h, H, count, BLOCK)
            p = torch.addmm(bias_window, h, to_p)
            _look[(batch,)](units, lengths, p, kappa_before, kappa, alpha, beta, w, *sizes)
    return trace


def backward(weight_hh: Tensor, weight_wh: Tensor, peepholes: Tensor, weight_window: Tensor, units: Tensor, lengths: Tensor, trace: Trace,
             dh: Tensor, dw: Tensor, dc: Tensor, dkappa: Tensor, clip: float) -> tuple[Tensor, ...]:
    """dz [T, B, 4H], dp [T, B, 3K], the gradients of bias [4H] and peepholes [3, H], and those of the first h, w; dc and dkappa
    become the first ones'.

    dh [T, B, H], dw [T, B, V]: from the layers above; dc [B, H], dkappa [B, K]: of the state after the last step.
    """
    (batch, H), (U, K, V) = dc.shape, (units.shape[1], dkappa.shape[1], dw.shape[2])
    dz, dp = torch.empty_like(trace.gates), dh.new_empty(*dh.shape[:2], 3 * K)
    dh_after, dw_after, count = torch.zeros_like(dc), torch.zeros_like(dw[0]), batch * H
    steps = list(zip(*(part.unbind() for part in (trace.gates, dh, dw, dz, dp, trace.alpha, trace.beta)),
                     *(each for part in (trace.cells, trace.kappa) for each in (part.unbind(), part[1:].unbind()))))
    with torch.cuda.device_of(dz):
        for gate, dh_above, dw_above, out, looked, alpha, beta, c_before, c, kappa_before, kappa in reversed(steps):
            dw_after.add_(dw_above)
            _look_back[(batch,)](units, lengths, kappa_before, kappa, alpha, beta, dw_after, dkappa, looked, U, K, V,
                                 triton.cdiv(U, LETTERS), triton.next_power_of_2(K), LETTERS)
            dh_after.addmm_(looked, weight_window)
            _backward_step[(triton.cdiv(count, BLOCK),)](gate, peepholes, c_before, c, dh_above, dh_after, dc, out,
                                                         clip or float("inf"), H, count, BLOCK)
            torch.mm(out, weight_hh, out=dh_after)
            torch.mm(out, weight_wh, out=dw_after)
    di, df, _, do = dz.chunk(4, dim=2)
    dpeepholes = [(d * cells).sum((0, 1)) for d, cells in ((di, trace.cells[:-1]), (df, trace.cells[:-1]), (do, trace.cells[1:]))]
    return dz, dp, dz.sum((0, 1)), torch.stack(dpeepholes), dh_after, dw_after
