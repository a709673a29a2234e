"""LSTM with peepholes (Gers et al. 2002; Graves 2013, equations 3 to 7), in one direction.

    i = sigmoid(W_i x + U_i h' + p_i c' + b_i)        h', c': one step before; the peepholes p are diagonal:
    f = sigmoid(W_f x + U_f h' + p_f c' + b_f)        each gate sees its own cell only, and has one bias
    g = tanh(W_g x + U_g h' + b_g)
    c = f c' + i g
    o = sigmoid(W_o x + U_o h' + p_o c + b_o)         the output gate sees the new cell
    h = o tanh(c)

`plain` is this in torch, step by step: it defines what the compiled kernels must give, and does what they cannot.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

State = tuple[Tensor, Tensor]            # h and c, [B, units] each


class PeepholeLstm(nn.Module):
    """x [T, B, D] and the state before it to h [T, B, units] and the state after it."""

    def __init__(self, input_size: int, units: int, clip: float = 0.0):
        super().__init__()
        self.units, self.clip = units, clip
        self.weight_ih = nn.Parameter(torch.empty(4 * units, input_size))      # gates in the order i, f, g, o
        self.weight_hh = nn.Parameter(torch.empty(4 * units, units))
        self.bias = nn.Parameter(torch.empty(4 * units))
        self.peepholes = nn.Parameter(torch.empty(3, units))                   # of i, f, o
        for weight in self.parameters():
            nn.init.uniform_(weight, -units ** -0.5, units ** -0.5)

    def forward(self, x: Tensor, state: State | None = None, clip: float | None = None) -> tuple[Tensor, State]:
        """clip: another than the layer's own."""
        clip = self.clip if clip is None else clip
        h, c = state or 2 * (x.new_zeros(x.shape[1], self.units),)
        given = x, self.weight_ih, self.weight_hh, self.bias, self.peepholes, h, c
        if x.dtype == torch.float64 or x.device.type not in ("cpu", "cuda") or not len(x):
            return plain(*given, clip)
        with torch.autocast(x.device.type, enabled=False):                     # the cells add up: that needs all the digits
            found, c = _Recurrence.apply(*(each.float() for each in given), clip)
        return found, (found[-1], c)


def plain(x: Tensor, weight_ih: Tensor, weight_hh: Tensor, bias: Tensor, peepholes: Tensor, h: Tensor, c: Tensor,
          clip: float = 0.0) -> tuple[Tensor, State]:
    """Any device, any precision, slow. `clip`: see `_Recurrence`."""
    found = []
    for z in nn.functional.linear(x, weight_ih, bias):
        i, f, g, o = (z + nn.functional.linear(h, weight_hh)).chunk(4, dim=1)
        i, f, g = (limited(part, clip) for part in (i + peepholes[0] * c, f + peepholes[1] * c, g))
        c = f.sigmoid() * c + i.sigmoid() * g.tanh()
        h = limited(o + peepholes[2] * c, clip).sigmoid() * c.tanh()
        found.append(h)
    return torch.stack(found) if found else x.new_zeros(0, *h.shape), (h, c)


def limited(x: Tensor, clip: float) -> Tensor:
    """x, whose gradient will be clipped."""
    if clip and x.requires_grad:
        x.register_hook(lambda gradient: gradient.clamp(-clip, clip))
    return x


def wide_product(x: Tensor, weight: Tensor) -> Tensor:
    """x @ weight, which on a CPU is up to 1.4 times as fast with a number of columns that fills its vectors."""
    columns = weight.shape[1]
    return (x @ nn.functional.pad(weight, (0, -columns % 16)))[:, :columns]


def _kernels(device: torch.device) -> Any:
    if device.type == "cuda":
        from ..kernels import lstm_cuda
        return lstm_cuda
    from ..kernels import lstm_cpu
    return lstm_cpu


class _Recurrence(torch.autograd.Function):
    """`plain` in few large products and a kernel for what must go step by step. Gives h [T, B, H] and the last c [B, H].

    clip > 0: at each step, the gradients at the gates, before their sigmoid and tanh, are clipped to +-clip before they
    flow on to the weights, the layer below and the step before (Graves, arXiv 1308.0850, section 2.1).
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight_ih: Tensor, weight_hh: Tensor, bias: Tensor, peepholes: Tensor, h0: Tensor,
                c0: Tensor, clip: float) -> tuple[Tensor, Tensor]:
        frames, batch, units = *x.shape[:2], weight_hh.shape[1]
        gates = torch.addmm(bias, x.flatten(0, 1), weight_ih.t()).view(frames, batch, 4 * units)
        h, cells = x.new_empty(2, frames + 1, batch, units)
        h[0], cells[0] = h0, c0
        _kernels(x.device).forward(gates, weight_hh.detach().contiguous(), peepholes.detach().contiguous(), cells, h)
        ctx.save_for_backward(x, weight_ih, weight_hh, peepholes, gates, cells, h)
        ctx.clip = clip
        return h[1:], cells[-1]

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, dh: Tensor, dc: Tensor) -> tuple[Tensor | None, ...]:
        x, weight_ih, weight_hh, peepholes, gates, cells, h = ctx.saved_tensors
        dc = dc.clone(memory_format=torch.contiguous_format)                   # the kernel writes into it
        dz, dbias, dpeepholes, dh0 = _kernels(x.device).backward(
            gates, weight_hh.detach().contiguous(), peepholes.detach().contiguous(), cells, dh.contiguous(), dc, ctx.clip)
        flat = dz.flatten(0, 1)
        wanted = ctx.needs_input_grad
        dx = wide_product(flat, weight_ih).unflatten(0, x.shape[:2]) if wanted[0] else None
        dweight_ih = flat.t() @ x.flatten(0, 1) if wanted[1] else None
        dweight_hh = flat.t() @ h[:-1].flatten(0, 1) if wanted[2] else None
        return dx, dweight_ih, dweight_hh, dbias, dpeepholes, dh0, dc, None
