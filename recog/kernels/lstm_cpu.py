"""The recurrence of a peephole LSTM on a CPU, float32: a product of torch's and one compiled function for each step.

The gradients of the weights are left to the caller, who takes them from those of all steps in one product. Gates stand in
torch's order: i, f, g, o.
"""

from __future__ import annotations

import numpy as np
import torch
from numba import njit
from torch import Tensor

from ..threads import at_once, shares
from .cell import ONE, ZERO, cell, options, tanh

FEW = 6                                 # batches up to this size go without torch's products
LEAST = 12                              # sequences for each thread


@njit(**options)
def forward_step(t, begin, end, gates, peepholes, cells, h):
    """Step t of the sequences from `begin` to `end`: fills cells[t + 1] and h[t + 1].

    gates [T, B, 4H]: gates[t] holds what the gates are given, peepholes apart, and afterwards their activations;
    peepholes [3, H]: from the cell to i, f and o; cells, h [T + 1, B, H]: from the state before the first step on.
    """
    H = cells.shape[2]
    for b in range(begin, end):
        z = gates[t, b]
        cell(z[:H], z[H:2 * H], z[2 * H:3 * H], z[3 * H:], peepholes[0], peepholes[1], peepholes[2],
                     cells[t, b], cells[t + 1, b], h[t + 1, b])


@njit(**options)
def _backward_row(i_, f_, g_, o_, p_i, p_f, p_o, c_before, c_, dh_above, dh_after, dc_, di_, df_, dg_, do_, clip):
    for k in range(len(c_)):
        i, f, g, o, m = i_[k], f_[k], g_[k], o_[k], tanh(c_[k])
        dh = dh_above[k] + dh_after[k]
        do = clipped(dh * m * o * (ONE - o), clip)
        dc = dc_[k] + dh * o * (ONE - m * m) + do * p_o[k]
        di = clipped(dc * g * i * (ONE - i), clip)
        df = clipped(dc * c_before[k] * f * (ONE - f), clip)
        dg_[k] = clipped(dc * i * (ONE - g * g), clip)
        dc_[k] = dc * f + di * p_i[k] + df * p_f[k]
        di_[k], df_[k], do_[k] = di, df, do


@njit(inline="always", **options)
def clipped(x, clip):
    x = -clip if x < -clip else x
    return clip if x > clip else x


@njit(**options)
def _add(total, x):
    for k in range(len(x)):
        total[k] += x[k]


@njit(**options)
def _add_product(total, x, y):
    for k in range(len(x)):
        total[k] += x[k] * y[k]


@njit(**options)
def backward_step(t, begin, end, gates, peepholes, cells, dh_above, dh_after, dc, clip, dz, dbias, dpeepholes):
    """The gradients of step t of the sequences from `begin` to `end`, and what flows on to the step before.

    gates, peepholes, cells: as `forward_step` left them; dh_above [T, B, H]: from the layer above; dh_after [B, H]: from
    step t + 1; dc [B, H]: the cells' gradient from step t + 1, replaced by that for step t - 1; clip: the largest
    size of a gate's gradient (infinity: any). Fills dz[t] ([T, B, 4H]) and adds to dbias [4H] and dpeepholes [3H], in float64.
    """
    H = cells.shape[2]
    bias, peep = np.zeros(4 * H, np.float32), np.zeros(3 * H, np.float32)       # of this step
    for b in range(begin, end):
        z, d = gates[t, b], dz[t, b]
        _backward_row(z[:H], z[H:2 * H], z[2 * H:3 * H], z[3 * H:], peepholes[0], peepholes[1], peepholes[2],
                      cells[t, b], cells[t + 1, b], dh_above[t, b], dh_after[b], dc[b],
                      d[:H], d[H:2 * H], d[2 * H:3 * H], d[3 * H:], clip)
        _add(bias, d)
        _add_product(peep[:H], d[:H], cells[t, b])
        _add_product(peep[H:2 * H], d[H:2 * H], cells[t, b])
        _add_product(peep[2 * H:], d[3 * H:], cells[t + 1, b])
    _add(dbias, bias)
    _add(dpeepholes, peep)


@njit(**options)
def _add_four(total, w0, w1, w2, w3, x0, x1, x2, x3):
    for k in range(len(total)):
        total[k] += (w0[k] * x0 + w1[k] * x1) + (w2[k] * x2 + w3[k] * x3)


@njit(**options | {"fastmath": {"contract", "nsz", "arcp", "reassoc"}})         # so that sums become vectors
def _dot_four(w0, w1, w2, w3, x):
    a, b, c, d = ZERO, ZERO, ZERO, ZERO
    for k in range(len(x)):
        a, b, c, d = a + w0[k] * x[k], b + w1[k] * x[k], c + w2[k] * x[k], d + w3[k] * x[k]
    return a, b, c, d


@njit(**options)
def forward_few(gates, weights, peepholes, cells, h):
    """`forward` without calls of torch, for small batches. weights [H, 4H]."""
    B, H = h.shape[1:]
    for t in range(len(gates)):
        for k in range(0, H - 3, 4):
            for b in range(B):
                x = h[t, b]
                _add_four(gates[t, b], weights[k], weights[k + 1], weights[k + 2], weights[k + 3],
                          x[k], x[k + 1], x[k + 2], x[k + 3])
        for k in range(H - H % 4, H):
            for b in range(B):
                _add_four(gates[t, b], weights[k], weights[k], weights[k], weights[k], h[t, b, k], ZERO, ZERO, ZERO)
        forward_step(t, 0, B, gates, peepholes, cells, h)


@njit(**options)
def backward_few(weights, gates, peepholes, cells, dh_above, dh_after, dc, clip, dz, dbias, dpeepholes):
    """`backward` without calls of torch, for small batches. weights [H, 4H]."""
    B, H = dh_after.shape
    for t in range(len(gates) - 1, -1, -1):
        backward_step(t, 0, B, gates, peepholes, cells, dh_above, dh_after, dc, clip, dz, dbias, dpeepholes)
        for k in range(0, H - 3, 4):
            for b in range(B):
                sums = _dot_four(weights[k], weights[k + 1], weights[k + 2], weights[k + 3], dz[t, b])
                dh_after[b, k], dh_after[b, k + 1], dh_after[b, k + 2], dh_after[b, k + 3] = sums
        for k in range(H - H % 4, H):
            for b in range(B):
                dh_after[b, k] = _dot_four(weights[k], weights[k], weights[k], weights[k], dz[t, b])[0]


def forward(gates: Tensor, recurrent: Tensor, peepholes: Tensor, cells: Tensor, h: Tensor) -> None:
    """All steps, in place. gates [T, B, 4H], recurrent [4H, H], peepholes [3, H]; cells, h [T + 1, B, H], row 0 given."""
    weights, arrays = recurrent.t().contiguous(), [x.numpy() for x in (peepholes, cells, h)]
    if gates.shape[1] <= FEW:
        forward_few(gates.numpy(), weights.numpy(), *arrays)
        return

    def steps(begin: int, end: int) -> None:
        given = gates.numpy()
        for t, (z, before) in enumerate(zip(gates[:, begin:end].unbind(), h[:, begin:end].unbind())):
            z.addmm_(before, weights)
            forward_step(t, begin, end, given, *arrays)

    at_once(steps, *shares(gates.shape[1], LEAST))


def backward(gates: Tensor, recurrent: Tensor, peepholes: Tensor, cells: Tensor, dh: Tensor, dc: Tensor, clip: float
             ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """dz [T, B, 4H] and the gradients of bias [4H], peepholes [3, H] and the first h [B, H]; dc becomes the first cells'.

    gates, cells: as `forward` left them; dh [T, B, H]: from the layer above; dc [B, H]: of the cells after the last step.
    """
    dz, dh_after = torch.empty_like(gates), torch.zeros_like(dc)
    arrays = [*(x.numpy() for x in (gates, peepholes, cells, dh, dh_after, dc)), np.float32(clip or np.inf), dz.numpy()]

    def steps(begin: int, end: int) -> tuple[np.ndarray, np.ndarray]:
        sums = np.zeros(gates.shape[2]), np.zeros(peepholes.numel())
        if gates.shape[1] <= FEW:
            backward_few(recurrent.t().contiguous().numpy(), *arrays, *sums)
            return sums
        for t, z in zip(range(len(gates) - 1, -1, -1), reversed(dz[:, begin:end].unbind())):
            backward_step(t, begin, end, *arrays, *sums)
            torch.mm(z, recurrent, out=dh_after[begin:end])
        return sums

    dbias, dpeepholes = (torch.from_numpy(sum(parts)).float() for parts in zip(*at_once(steps, *shares(gates.shape[1], LEAST))))
    return dz, dbias, dpeepholes.view_as(peepholes), dh_after
