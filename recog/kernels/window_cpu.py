"""The recurrence of an LSTM with a window on a text, on a CPU, float32: a few products of torch's and compiled functions for each step.

The gradients of the weights are left to the caller, who takes them from those of all steps in one product each.
"""

from __future__ import annotations

import numpy as np
import torch
from numba import njit
from torch import Tensor

from ..threads import at_once, shares
from .cell import ZERO, options
from .lstm_cpu import LEAST, backward_step, forward_step
from .trace import Trace

TWO = np.float32(2)
LEAST_PHI = np.float32(1e-30)


@njit(**options)
def look(units, length, p, alpha, beta, kappa_before, kappa, phi, w):
    """One sequence, one step: from p [3K] to alpha, beta, kappa [K], how much each of the characters and the place after them is looked at,
    phi [length + 1 or more], and the window w [V]. units [U], of which `length` count. Far beyond the text all of phi is too small for
    float32: then it is the place after the text that is looked at.
    """
    K = len(alpha)
    for k in range(K):
        alpha[k], beta[k] = np.exp(p[k]), np.exp(p[K + k])
        kappa[k] = kappa_before[k] + np.exp(p[2 * K + k])
    w[:] = ZERO
    for u in range(length + 1):
        phi[u] = ZERO
        for k in range(K):
            away = kappa[k] - np.float32(u + 1)
            phi[u] += alpha[k] * np.exp(-beta[k] * away * away)
        if u < length:
            w[units[u]] += phi[u]
    if phi[:length + 1].max() == ZERO and kappa.min() > length:
        phi[length] = LEAST_PHI


@njit(**options)
def look_back(units, length, alpha, beta, kappa_before, kappa, dw, dkappa, dp):
    """One sequence, one step: from dw [V] and dkappa [K] (from the step after) to dp [3K] and dkappa for the step before."""
    K = len(alpha)
    dp[:] = ZERO
    for u in range(length):
        d = dw[units[u]]
        for k in range(K):
            away = kappa[k] - np.float32(u + 1)
            part = d * alpha[k] * np.exp(-beta[k] * away * away)
            dp[k] += part
            dp[K + k] -= part * beta[k] * away * away
            dkappa[k] -= TWO * part * beta[k] * away
    for k in range(K):
        dp[2 * K + k] = dkappa[k] * (kappa[k] - kappa_before[k])


@njit(**options)
def look_step(t, begin, end, units, lengths, p, alpha, beta, kappa, w):
    """Step t of the sequences from `begin` to `end`."""
    phi = np.empty(units.shape[1] + 1, np.float32)
    for b in range(begin, end):
        look(units[b], lengths[b], p[b], alpha[t, b], beta[t, b], kappa[t, b], kappa[t + 1, b], phi, w[t + 1, b])


@njit(**options)
def look_back_step(t, begin, end, units, lengths, alpha, beta, kappa, dw, dkappa, dp):
    for b in range(begin, end):
        look_back(units[b], lengths[b], alpha[t, b], beta[t, b], kappa[t, b], kappa[t + 1, b], dw[b], dkappa[b], dp[t, b])


def forward(gates: Tensor, weight_hh: Tensor, weight_wh: Tensor, peepholes: Tensor, weight_window: Tensor, bias_window: Tensor,
            units: Tensor, lengths: Tensor, state: tuple[Tensor, ...]) -> Trace:
    """All steps. gates [T, B, 4H]: what x gives them, in whose place their activations come; the weights as in WindowLstm."""
    trace, batch = Trace.begun(gates, *state), gates.shape[1]
    to_h, to_w, to_p = weight_hh.t().contiguous(), weight_wh.t().contiguous(), weight_window.t().contiguous()
    gates_, cells, h, w, kappa, alpha, beta = (part.numpy() for part in trace)
    units, lengths, peepholes = units.numpy(), lengths.numpy(), peepholes.numpy()
    p = gates.new_empty(batch, weight_window.shape[0])

    def steps(begin: int, end: int) -> None:
        hs, ws, looks = trace.h[:, begin:end].unbind(), trace.w[:, begin:end].unbind(), p[begin:end]
        for t, z in enumerate(gates[:, begin:end].unbind()):
            z.addmm_(hs[t], to_h).addmm_(ws[t], to_w)
            forward_step(t, begin, end, gates_, peepholes, cells, h)
            torch.addmm(bias_window, hs[t + 1], to_p, out=looks)
            look_step(t, begin, end, units, lengths, p.numpy(), alpha, beta, kappa, w)

    at_once(steps, *shares(batch, LEAST))
    return trace


def backward(weight_hh: Tensor, weight_wh: Tensor, peepholes: Tensor, weight_window: Tensor, units: Tensor, lengths: Tensor, trace: Trace,
             dh: Tensor, dw: Tensor, dc: Tensor, dkappa: Tensor, clip: float) -> tuple[Tensor, ...]:
    """dz [T, B, 4H], dp [T, B, 3K], the gradients of bias [4H] and peepholes [3, H], and those of the first h, w; dc and dkappa
    become the first ones'.

    dh [T, B, H], dw [T, B, V]: from the layers above; dc [B, H], dkappa [B, K]: of the state after the last step.
    """
    dz, dp = torch.empty_like(trace.gates), dh.new_empty(len(dh), dh.shape[1], weight_window.shape[0])
    dh_after, dw_after = torch.zeros_like(dh[0]), torch.zeros_like(dw[0])
    limit, units, lengths = np.float32(clip or np.inf), units.numpy(), lengths.numpy()
    gates, cells, _, _, kappa, alpha, beta = (part.numpy() for part in trace)
    arrays = [x.numpy() for x in (dh, dh_after, dc)]

    def steps(begin: int, end: int) -> tuple[np.ndarray, np.ndarray]:
        sums, of = (np.zeros(dz.shape[2]), np.zeros(peepholes.numel())), slice(begin, end)
        for t in range(len(dh) - 1, -1, -1):
            dw_after[of] += dw[t, of]
            look_back_step(t, begin, end, units, lengths, alpha, beta, kappa, dw_after.numpy(), dkappa.numpy(), dp.numpy())
            dh_after[of].addmm_(dp[t, of], weight_window)
            backward_step(t, begin, end, gates, peepholes.numpy(), cells, *arrays, limit, dz.numpy(), *sums)
            torch.mm(dz[t, of], weight_hh, out=dh_after[of])
            torch.mm(dz[t, of], weight_wh, out=dw_after[of])
        return sums

    dbias, dpeepholes = (torch.from_numpy(sum(parts)).float() for parts in zip(*at_once(steps, *shares(len(dc), LEAST))))
    return dz, dp, dbias, dpeepholes.view_as(peepholes), dh_after, dw_after
