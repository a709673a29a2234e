"""Posteriors of a transducer's lattice: the compiled kernel on a CPU, anti-diagonals of the whole batch on a GPU."""

from __future__ import annotations

from typing import Sequence

import torch
from torch import Tensor


def posteriors(blank: Sequence[Tensor], label: Sequence[Tensor], wanted: bool) -> tuple[Tensor, Sequence[Tensor], Sequence[Tensor]]:
    """Log-probability of each utterance's labels, float64 [B], and the probability of each way out of each node.

    blank, label: per utterance [T, U + 1], log-probabilities of writing nothing and of writing the next label. On a
    CPU the posteriors take their place, in the same tensors. Without `wanted`, what is returned of them means nothing.
    """
    if blank[0].is_cuda:
        return diagonals(blank, label)
    from ..kernels.transducer import posteriors as compiled      # numba: slow to import

    totals = [compiled(stays.numpy(), writes.numpy(), wanted) for stays, writes in zip(blank, label)]
    return torch.tensor(totals, dtype=torch.float64), blank, label


def diagonals(blank: Sequence[Tensor], label: Sequence[Tensor]) -> tuple[Tensor, list[Tensor], list[Tensor]]:
    """As `posteriors`, in plain torch: all nodes with the same t + u at once, all utterances at once. In float64.

    Where the lattice has T = 3 and U = 2, diagonal d holds (t, u) = (d, 0), (d - 1, 1), (d - 2, 2).
    """
    device = blank[0].device
    frames, nodes = (torch.tensor([rows.shape[i] for rows in blank], device=device) for i in (0, 1))
    T, N = int(frames.max()), int(nodes.max())
    u = torch.arange(N, device=device)
    t = torch.arange(T + N, device=device)[:, None] - u                                     # [D, N]
    real = (t >= 0) & (t < frames[:, None, None]) & (u < nodes[:, None, None])              # [B, D, N]
    stays, writes = (_skewed(each, T, N, t).where(real, -torch.inf) for each in (blank, label))
    writes = writes.where(u < nodes[:, None, None] - 1, -torch.inf)
    last = frames - 1 + nodes - 1                                                           # the diagonal of the last node
    alpha = torch.full_like(stays, -torch.inf)
    alpha[:, 0, 0] = 0.0
    for d in range(1, T + N - 1):
        alpha[:, d] = torch.logaddexp(alpha[:, d - 1] + stays[:, d - 1], _later(alpha[:, d - 1] + writes[:, d - 1]))
    b = torch.arange(len(frames), device=device)
    total = alpha[b, last, nodes - 1] + stays[b, last, nodes - 1]
    beta = torch.full_like(stays, -torch.inf)
    beta[b, last + 1, nodes - 1] = 0.0                                                      # after the last blank
    for d in range(T + N - 2, -1, -1):
        onwards = torch.logaddexp(stays[:, d] + beta[:, d + 1], writes[:, d] + _earlier(beta[:, d + 1]))
        beta[:, d] = torch.logaddexp(beta[:, d], onwards)
    reached = alpha[:, :-1] - total[:, None, None]
    found = [(reached + stays[:, :-1] + beta[:, 1:]).exp(), (reached + writes[:, :-1] + _earlier(beta[:, 1:])).exp()]
    rows = torch.arange(T, device=device)[:, None] + u                                      # the diagonal of each (t, u)
    unskewed = [each.gather(1, rows.expand(len(frames), T, N)) for each in found]
    stays, writes = ([each[i, :size[0], :size[1]].to(blank[0].dtype) for i, size in enumerate(rows.shape for rows in blank)]
                     for each in unskewed)
    return total, stays, writes


def _skewed(each: Sequence[Tensor], T: int, N: int, t: Tensor) -> Tensor:
    """[B, D, N] with entry (d, u) from row t = d - u; anything where there is no such row."""
    padded = torch.zeros(len(each), T, N, dtype=torch.float64, device=each[0].device)
    for whole, rows in zip(padded, each):
        whole[:rows.shape[0], :rows.shape[1]] = rows
    return padded.gather(1, t.clamp(0, T - 1).expand(len(each), *t.shape))


def _later(x: Tensor) -> Tensor:
    """What came from u - 1. [B, N]."""
    return torch.nn.functional.pad(x[..., :-1], (1, 0), value=-torch.inf)


def _earlier(x: Tensor) -> Tensor:
    """What lies at u + 1."""
    return torch.nn.functional.pad(x[..., 1:], (0, 1), value=-torch.inf)
