"""LSTM layers over padded batches: exact for every sequence, without packing.

A forward LSTM never sees the padding that follows a sequence. A backward LSTM would see it first; so each
sequence is reversed within its own length, run forward, and reversed again. The numbers are those of a packed
batch, and on a CPU it is several times faster (benchmarks/blstm.py): torch then runs one dense kernel per direction,
and the two directions run at once, each in a thread of its own, instead of sharing each of their small products.
"""

from __future__ import annotations

import math
from typing import Any, Callable

import torch
from torch import Tensor, nn

from ..precision import rounded
from ..threads import at_once
from . import bptt
from .peephole import PeepholeLstm


State = tuple[Tensor, ...]               # h and, but for tanh units, c: [B, units] each


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


class Lstm(nn.LSTM):
    """torch's, in the precision that is asked for; x and h are float32."""

    def forward(self, x: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        with rounded(x.device):
            h, after = super().forward(x, state)
        return (h.to(x.dtype), after) if x.device.type == "cpu" else (h, after)


class TanhRnn(nn.RNN):
    """torch's network of tanh units without memory cells, each with one bias instead of torch's two."""

    def __init__(self, input_size: int, units: int):
        super().__init__(input_size, units)
        del self.bias_hh_l0
        self.register_buffer("bias_hh_l0", torch.zeros(units), persistent=False)
        self._init_flat_weights()


CELLS = ("lstm", "peephole", "tanh")
FORGET_BIAS = 1.0    # the gate starts open, so that early gradients reach back in time


class LstmLayer(nn.Module):
    """One LSTM layer in one or both directions. x [T, B, D] to [T, B, units * directions].

    cell: "lstm", torch's, without peepholes; "peephole", as in Graves' papers, with its gates' gradients clipped to +-clip
    at every step (0: not); "tanh": no LSTM but a plain recurrent layer, for comparison.
    memory_mb: in training, what a pass may keep of its cells and gates, in megabytes; what is not kept is computed again (0: all is kept).
    """

    def __init__(self, input_size: int, units: int, bidirectional: bool = True, cell: str = "lstm", clip: float = 0.0, memory_mb: float = 0.0):
        super().__init__()
        self.units, self.output_size = units, units * (2 if bidirectional else 1)
        self.budget, self.sizes = math.ceil(memory_mb * bptt.MEGABYTE / (2 if bidirectional else 1)), {}
        self.forwards = _cell(cell, input_size, units, clip)
        self.backwards = _cell(cell, input_size, units, clip) if bidirectional else None

    def step(self, x: Tensor, state: State | None = None) -> tuple[Tensor, State | None]:
        """The next frames [T, B, D] of sequences whose earlier ones left `state` (None: there were none).

        Gives h [T, B, units] and the state after them; only for layers that read forwards alone.
        """
        if self.backwards is not None:
            raise ValueError("a layer of both directions needs its whole input at once")
        if not len(x):
            return x.new_zeros(0, x.shape[1], self.output_size), state
        if isinstance(self.forwards, PeepholeLstm):
            return self.forwards(x, state)
        layers = None if state is None else tuple(part[None] for part in state)          # torch wants [layers, B, units]
        h, layers = self.forwards(x, layers[0] if layers and len(layers) == 1 else layers)
        return h, tuple(part[0] for part in (layers if isinstance(layers, tuple) else (layers,)))

    def forward(self, x: Tensor, n: Tensor) -> Tensor:
        if self.backwards is None:
            return self._read(self.forwards, x)
        directions = (lambda x: self._read(self.forwards, x),
                      lambda x: reverse_within(self._read(self.backwards, reverse_within(x, n)), n))
        if x.is_cuda or torch.get_num_threads() == 1:
            return torch.cat([direction(x) for direction in directions], dim=2)
        if torch.is_grad_enabled():
            return _AtOnce.apply(x, directions, *self.parameters())
        return torch.cat(at_once(_call, directions, (x, x)), dim=2)

    def _read(self, rnn: nn.Module, x: Tensor) -> Tensor:
        """One direction; what it keeps for the way back stays within its budget. x [T, B, D] to [T, B, units]."""
        if not self.budget or not torch.is_grad_enabled() or not len(x):
            return rnn(x)[0]
        step, weights = bptt.of_module(rnn)
        layers = () if isinstance(rnn, PeepholeLstm) else (1,)                               # torch wants [layers, B, units]
        state = (x.new_zeros(*layers, x.shape[1], self.units),) * (1 if isinstance(rnn, nn.RNN) else 2)
        kind = x.shape[1:], x.dtype, x.is_contiguous(), torch.backends.mkldnn.matmul.fp32_precision
        if kind not in self.sizes:
            self.sizes[kind] = bptt.measure(step, x, state, weights)
        plan = bptt.plan(self.budget, len(x), self.sizes[kind])
        return bptt.recurrence(step, x, state, weights, plan, random=False)[0] if plan else rnn(x)[0]


def _cell(cell: str, input_size: int, units: int, clip: float) -> nn.Module:
    """One direction of a layer."""
    if cell not in CELLS:
        raise ValueError(f"cell must be one of: {', '.join(CELLS)}")
    if clip and cell != "peephole":
        raise ValueError("clip needs cell 'peephole'")
    if cell == "tanh":
        return TanhRnn(input_size, units)
    rnn = PeepholeLstm(input_size, units, clip) if cell == "peephole" else Lstm(input_size, units)
    (rnn.bias if cell == "peephole" else rnn.bias_ih_l0).data[units:2 * units] += FORGET_BIAS
    return rnn


class _AtOnce(torch.autograd.Function):
    """Two functions of x side by side, and their gradients too: the first has the first half of the weights.

    The graph of each is freed as its gradients are taken: there is one backward, as training needs.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, directions: tuple[Callable[[Tensor], Tensor], ...], *weights: Tensor) -> Tensor:
        half = len(weights) // 2
        ctx.xs = [x.detach().requires_grad_(ctx.needs_input_grad[0]) for _ in directions]
        ctx.weights = weights[:half], weights[half:]
        ctx.found = at_once(torch.enable_grad()(_call), directions, ctx.xs)
        return torch.cat([h.detach() for h in ctx.found], dim=2)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        one, two = at_once(_gradients, ctx.found, ctx.xs, ctx.weights, grad.chunk(2, dim=2))
        return one[0] + two[0] if ctx.needs_input_grad[0] else None, None, *one[1:], *two[1:]


def _gradients(found: Tensor, x: Tensor, weights: tuple[Tensor, ...], grad: Tensor) -> list[Tensor | None]:
    """For x and each weight; None for what needs none."""
    given = x, *weights
    if not found.requires_grad:                              # all weights of this direction are held fast
        return [None] * len(given)
    gradients = iter(torch.autograd.grad(found, [t for t in given if t.requires_grad], grad))
    return [next(gradients) if t.requires_grad else None for t in given]


def _call(direction: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    return direction(x)
