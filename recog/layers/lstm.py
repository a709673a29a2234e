"""LSTM layers over padded batches: exact for every sequence, without packing.

A forward LSTM never sees the padding that follows a sequence. A backward LSTM would see it first; so each
sequence is reversed within its own length, run forward, and reversed again. The numbers are those of a packed
batch, and on a CPU it is several times faster (benchmarks/blstm.py): torch then runs one dense kernel per direction,
and the two directions run at once, each in a thread of its own, instead of sharing each of their small products.
"""

from __future__ import annotations

import functools
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Callable

import torch
from torch import Tensor, nn


def reversal(n: Tensor, frames: int) -> Tensor:
    """Row numbers that reverse the first n[b] frames of each sequence in [T * B, D]; the padding stays. [T * B]."""
    t = torch.arange(frames, device=n.device)[:, None]
    return (torch.where(t < n, n - 1 - t, t) * len(n) + torch.arange(len(n), device=n.device)).flatten()


class _Reverse(torch.autograd.Function):
    """Its own inverse, so the gradient is reversed in the same way: rows are copied, never added up."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, rows: Tensor) -> Tensor:
        ctx.save_for_backward(rows)
        return x.flatten(0, 1).index_select(0, rows).view_as(x)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        return grad.flatten(0, 1).index_select(0, *ctx.saved_tensors).view_as(grad), None


def reverse_within(x: Tensor, n: Tensor) -> Tensor:
    """Reverses the first n[b] frames of each x[b]; the padding stays where it is. x [T, B, D], n [B]."""
    return _Reverse.apply(x, reversal(n, x.shape[0]))


def mask(n: Tensor, frames: int) -> Tensor:
    """True where a frame is real. [T, B, 1]."""
    return (torch.arange(frames, device=n.device)[:, None] < n)[:, :, None]


class LstmLayer(nn.Module):
    """One LSTM layer in one or both directions. x [T, B, D] to [T, B, units * directions]."""

    def __init__(self, input_size: int, units: int, bidirectional: bool = True):
        super().__init__()
        self.output_size = units * (2 if bidirectional else 1)
        self.forwards = nn.LSTM(input_size, units)
        self.backwards = nn.LSTM(input_size, units) if bidirectional else None
        for lstm in filter(None, (self.forwards, self.backwards)):
            lstm.bias_ih_l0.data[units:2 * units] += FORGET_BIAS

    def forward(self, x: Tensor, n: Tensor) -> Tensor:
        if self.backwards is None:
            return self.forwards(x)[0]
        directions = (lambda x: self.forwards(x)[0],
                      lambda x: reverse_within(self.backwards(reverse_within(x, n))[0], n))
        if x.is_cuda or torch.get_num_threads() == 1:
            return torch.cat([direction(x) for direction in directions], dim=2)
        if torch.is_grad_enabled():
            return _AtOnce.apply(x, directions, *self.parameters())
        return torch.cat(_in_two_threads(torch.no_grad()(_call), directions, (x, x)), dim=2)

    def step(self, x: Tensor, state: Any = None) -> tuple[Tensor, Any]:
        """Some frames of sequences that go on, and the state after them; None begins. One direction only."""
        assert self.backwards is None
        return self.forwards(x, state)


class _AtOnce(torch.autograd.Function):
    """Two functions of x side by side, and their gradients too: the first has the first half of the weights.

    The graph of each is freed as its gradients are taken: there is one backward, as training needs.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, directions: tuple[Callable[[Tensor], Tensor], ...], *weights: Tensor) -> Tensor:
        half = len(weights) // 2
        ctx.xs = [x.detach().requires_grad_(ctx.needs_input_grad[0]) for _ in directions]
        ctx.weights = weights[:half], weights[half:]
        ctx.found = _in_two_threads(torch.enable_grad()(_call), directions, ctx.xs)
        return torch.cat([h.detach() for h in ctx.found], dim=2)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        one, two = _in_two_threads(_gradients, ctx.found, ctx.xs, ctx.weights, grad.chunk(2, dim=2))
        return one[0] + two[0] if ctx.needs_input_grad[0] else None, None, *one[1:], *two[1:]


def _gradients(found: Tensor, x: Tensor, weights: tuple[Tensor, ...], grad: Tensor) -> list[Tensor | None]:
    """For x and each weight; None for what needs none."""
    given = x, *weights
    gradients = iter(torch.autograd.grad(found, [t for t in given if t.requires_grad], grad))
    return [next(gradients) if t.requires_grad else None for t in given]


def _call(direction: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    return direction(x)


def _in_two_threads(call: Callable, *arguments: Any) -> list:
    """[call(a0, b0, ...), call(a1, b1, ...)], each with half of torch's threads."""
    return list(_pool(torch.get_num_threads() // 2).map(call, *arguments))


@functools.lru_cache(maxsize=1)
def _pool(threads: int) -> ThreadPoolExecutor:
    """Two workers. torch takes the newest setting of any thread for those to come: hence the last line."""
    before, ready = torch.get_num_threads(), threading.Barrier(2)

    def start(_: int) -> None:
        torch.set_num_threads(threads)
        ready.wait()

    pool = ThreadPoolExecutor(2, "lstm")
    list(pool.map(start, range(2)))
    torch.set_num_threads(before)
    return pool


os.register_at_fork(after_in_child=_pool.cache_clear)      # a forked process has no threads but one

FORGET_BIAS = 1.0    # the gate starts open, so that early gradients reach back in time
