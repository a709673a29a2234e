"""An LSTM that looks at a text while it writes: layer 1 of the synthesis network (Graves 2013, section 5.1).

At each step t, after the LSTM (equations 3 to 7, with w_{t-1} as a further input):

    (a, b, k)_t = W h_t + bias                        10 Gaussians or so (equation 48)
    alpha = exp a, beta = exp b, kappa_t = kappa_{t-1} + exp k          (equations 49 to 51)
    phi(u) = sum of alpha exp(-beta (kappa - u)^2)    for each character u = 1, 2, ... of the text (equation 46)
    w_t = sum of phi(u) one_hot(c_u)                  (equation 47)

`plain` is this in torch, step by step: it defines what the compiled kernels must give. Layers above look at w_t but never drive it, so
that only this layer goes step by step.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from .peephole import limited

PACE = 0.04                              # characters that a Gaussian moves on at each step, before anything is learned: 25 points a letter


class Text(NamedTuple):
    """What is to be written: unit numbers [B, U], padded with any, and true lengths [B]."""

    units: Tensor
    lengths: Tensor


class WindowState(NamedTuple):
    """After some steps. h, c [B, H]; w [B, V]; kappa [B, K]."""

    h: Tensor
    c: Tensor
    w: Tensor
    kappa: Tensor


class WindowLstm(nn.Module):
    """x [T, B, D] and a text to h [T, B, H], the window w [T, B, V], and the state after the last step."""

    def __init__(self, input_size: int, units: int, symbols: int, gaussians: int = 10, clip: float = 0.0):
        """symbols: V, unit numbers are below it; clip: the largest size of a gate's gradient at each step (0: any)."""
        super().__init__()
        self.units, self.symbols, self.gaussians, self.clip = units, symbols, gaussians, clip
        self.weight_ih = nn.Parameter(torch.empty(4 * units, input_size))      # gates in the order i, f, g, o
        self.weight_hh = nn.Parameter(torch.empty(4 * units, units))
        self.weight_wh = nn.Parameter(torch.empty(4 * units, symbols))
        self.bias = nn.Parameter(torch.empty(4 * units))
        self.peepholes = nn.Parameter(torch.empty(3, units))                   # of i, f, o
        self.weight_window = nn.Parameter(torch.empty(3 * gaussians, units))   # alpha, beta, kappa, before exp
        self.bias_window = nn.Parameter(torch.empty(3 * gaussians))
        for weight in self.parameters():
            nn.init.uniform_(weight, -units ** -0.5, units ** -0.5)
        with torch.no_grad():
            self.bias_window[2 * gaussians:] += torch.tensor(PACE).log()

    def begin(self, batch: int) -> WindowState:
        new = self.bias.new_zeros
        return WindowState(new(batch, self.units), new(batch, self.units), new(batch, self.symbols), new(batch, self.gaussians))

    def forward(self, x: Tensor, text: Text, state: WindowState | None = None, clip: float | None = None) -> tuple[Tensor, Tensor, WindowState]:
        """clip: another than the layer's own."""
        clip = self.clip if clip is None else clip
        state = state or self.begin(x.shape[1])
        given = (x, self.weight_ih, self.weight_hh, self.weight_wh, self.bias, self.peepholes, self.weight_window, self.bias_window)
        if x.dtype == torch.float64 or x.device.type not in ("cpu", "cuda") or not len(x):
            return plain(*given, text, state, clip)
        with torch.autocast(x.device.type, enabled=False):                     # the cells add up, and the window's place: that needs all the digits
            h, w, *after = _Recurrence.apply(*(each.float() for each in (*given, *state)), text, clip)
        return h, w, WindowState(*after)


def plain(x: Tensor, weight_ih: Tensor, weight_hh: Tensor, weight_wh: Tensor, bias: Tensor, peepholes: Tensor, weight_window: Tensor,
          bias_window: Tensor, text: Text, state: WindowState, clip: float = 0.0) -> tuple[Tensor, Tensor, WindowState]:
    """Any device, any precision, slow."""
    h, c, w, kappa = state
    hs, ws = [], []
    for z in nn.functional.linear(x, weight_ih, bias):
        i, f, g, o = (z + h @ weight_hh.t() + w @ weight_wh.t()).chunk(4, dim=1)
        i, f, g = (limited(part, clip) for part in (i + peepholes[0] * c, f + peepholes[1] * c, g))
        c = f.sigmoid() * c + i.sigmoid() * g.tanh()
        h = limited(o + peepholes[2] * c, clip).sigmoid() * c.tanh()
        alpha, beta, step = nn.functional.linear(h, weight_window, bias_window).exp().chunk(3, dim=1)
        kappa = kappa + step
        w = gathered(phi(alpha, beta, kappa, text), text, weight_wh.shape[1])
        hs.append(h)
        ws.append(w)
    if not hs:
        return x.new_zeros(0, *h.shape), x.new_zeros(0, *w.shape), WindowState(h, c, w, kappa)
    return torch.stack(hs), torch.stack(ws), WindowState(h, c, w, kappa)


def phi(alpha: Tensor, beta: Tensor, kappa: Tensor, text: Text) -> Tensor:
    """How much each character is looked at [B, U], and 0 beyond the text. alpha, beta, kappa [B, K]."""
    u = torch.arange(1, text.units.shape[1] + 1, device=alpha.device, dtype=alpha.dtype)
    looked = (alpha[:, None] * torch.exp(-beta[:, None] * (kappa[:, None] - u[:, None]) ** 2)).sum(2)
    return looked * (u <= text.lengths[:, None])


def gathered(looked: Tensor, text: Text, symbols: int) -> Tensor:
    """The window [B, V] of phi [B, U]: each symbol has what the characters that are it have together."""
    return looked.new_zeros(len(looked), symbols).scatter_add(1, text.units, looked)


def _kernels(device: torch.device) -> Any:
    if device.type == "cuda":
        from ..kernels import window_cuda
        return window_cuda
    from ..kernels import window_cpu
    return window_cpu


class _Recurrence(torch.autograd.Function):
    """`plain`, as large products and a kernel for what must go step by step."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight_ih: Tensor, weight_hh: Tensor, weight_wh: Tensor, bias: Tensor, peepholes: Tensor,
                weight_window: Tensor, bias_window: Tensor, h: Tensor, c: Tensor, w: Tensor, kappa: Tensor, text: Text, clip: float
                ) -> tuple[Tensor, ...]:
        frames, batch = x.shape[:2]
        gates = torch.addmm(bias, x.flatten(0, 1), weight_ih.t()).view(frames, batch, -1)
        weights = [weight.detach().contiguous() for weight in (weight_hh, weight_wh, peepholes, weight_window)]
        said = [part.contiguous() for part in text]
        trace = _kernels(x.device).forward(gates, *weights, bias_window.detach(), *said, (h, c, w, kappa))
        ctx.save_for_backward(x, weight_ih, *weights, *said, *trace)
        ctx.clip = clip
        return trace.h[1:], trace.w[1:], *(part[-1].clone() for part in (trace.h, trace.cells, trace.w, trace.kappa))

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, dh: Tensor, dw: Tensor, dh_last: Tensor, dc: Tensor, dw_last: Tensor, dkappa: Tensor) -> tuple[Tensor | None, ...]:
        from ..kernels.trace import Trace

        x, weight_ih, *given = ctx.saved_tensors
        trace = Trace(*given[6:])
        dh, dw, dc, dkappa = (d.clone(memory_format=torch.contiguous_format) for d in (dh, dw, dc, dkappa))       # the kernels write into them
        dh[-1] += dh_last
        dw[-1] += dw_last
        dz, dp, dbias, dpeepholes, dh0, dw0 = _kernels(x.device).backward(*given[:6], trace, dh, dw, dc, dkappa, ctx.clip)
        flat, flat_p = dz.flatten(0, 1), dp.flatten(0, 1)
        dx = (flat @ weight_ih).view_as(x) if ctx.needs_input_grad[0] else None
        return (dx, flat.t() @ x.flatten(0, 1), flat.t() @ trace.h[:-1].flatten(0, 1), flat.t() @ trace.w[:-1].flatten(0, 1), dbias, dpeepholes,
                flat_p.t() @ trace.h[1:].flatten(0, 1), flat_p.sum(0), dh0, dc, dw0, dkappa, None, None)
