"""LSTM over images: two forget gates, peepholes, all four directions (Graves, Fernandez & Schmidhuber 2007; Graves & Schmidhuber 2009).

At each position, after its neighbours one step before along each axis d (h_d, c_d; zeros beyond the image), cell = "standard":

    i   = sigmoid(W_i x + sum U_id h_d + p_i sum c_d + b_i)           d: over the axes; the peepholes p are diagonal
    f_d = sigmoid(W_fd x + sum U_fde h_e + p_fd c_d + b_fd)           one forget gate for each axis
    g   = tanh(W_g x + sum U_gd h_d + b_g)
    c   = sum f_d c_d + i g
    o   = sigmoid(W_o x + sum U_od h_d + p_o c + b_o)
    h   = o tanh(c)

Forget gates that add up to more than 1 let c grow exponentially with the way from the corner, and training leads there: |c| is held to
2^24, so that it stays a number. cell = "stable" (the LSTM cell made stable:
Leifert, Strauss, Gruening, Wustlich & Labahn 2016, "Cells in multidimensional recurrent neural networks"; with these gates also
Voigtlaender, Doetsch & Ney 2016) forgets a weighted mean, as in 1-D, so that |c| at most counts the steps on the way:

    l_d = softmax over d of (W_ld x + sum U_lde h_e + p_ld (c_d - c_last) + b_ld), where the last axis has 0; in 2-D a sigmoid
    m   = sum l_d c_d
    c   = f m + i g,        i and f: as above, with peepholes that see m

The peepholes of l are ours: they see the only thing that makes a difference to m. Gates stand in the order i, f_1 ... f_N, g, o; stable:
i, f, l_1 ... l_(N-1), g, o. `plain` is all this in torch, for any number of axes: it defines what the compiled kernels must give.
"""

from __future__ import annotations

import itertools
import math
from typing import Any, Iterator

import torch
from torch import Tensor, nn

from ..kernels.bounds import LARGEST_CELL

CELLS = ("standard", "stable")
SPREAD = 0.1                             # of the first weights
FORGET_BIAS = -1.0                       # standard cells begin with forget gates that add up to less than 1: with 0, most new networks
                                         # reach infinity within 400 columns


class MdLstm(nn.Module):
    """x [B, *sizes, D] and true sizes [B, axes] to [B, *sizes, directions * units], zeros in the padding; directions = 2 ** axes.

    For images x is [B, H, W, D] and n [B, 2] heights and widths. Features stand last, so that the input's product is one for all positions
    and layers before and after need no transposed copies. Direction k goes against axis a where bit axes - 1 - a of k is set: 0 down and to
    the right, 1 down and to the left, 2 up and to the right, 3 up and to the left. Each has weights of its own.
    """

    def __init__(self, input_size: int, units: int, cell: str = "standard", axes: int = 2):
        super().__init__()
        if cell not in CELLS:
            raise ValueError(f"cell must be one of {', '.join(CELLS)}, not {cell!r}")
        self.units, self.cell, self.axes = units, cell, axes
        directions, gates = 2 ** axes, 3 + axes
        self.weight_ih = nn.Parameter(torch.empty(directions, gates * units, input_size))
        self.weight_hh = nn.Parameter(torch.empty(directions, gates * units, axes * units))        # columns: of each axis
        self.bias = nn.Parameter(torch.empty(directions, gates * units))
        self.peepholes = nn.Parameter(torch.empty(directions, gates - 1, units))                   # of the gates without g
        for weight in self.parameters():
            nn.init.normal_(weight, std=SPREAD)
        if cell == "standard" and axes > 1:
            with torch.no_grad():
                self.bias[:, units:(1 + axes) * units] += FORGET_BIAS

    @property
    def output_size(self) -> int:
        return len(self.bias) * self.units

    def forward(self, x: Tensor, n: Tensor) -> Tensor:
        given = x, self.weight_ih, self.weight_hh, self.bias, self.peepholes
        if x.dtype == torch.float64 or x.device.type not in ("cpu", "cuda") or self.axes != 2 or not x.numel():
            return plain(*given, n, self.cell)
        with torch.autocast(x.device.type, enabled=False):                     # the cells add up: that needs all the digits
            return _Recurrence.apply(*(each.float() for each in given), n, self.cell == "stable")


def plain(x: Tensor, weight_ih: Tensor, weight_hh: Tensor, bias: Tensor, peepholes: Tensor, n: Tensor, cell: str = "standard") -> Tensor:
    """Any device, any precision, any number of axes, slow: one diagonal of positions after the other, all directions at once."""
    batch, sizes, axes, units = len(x), x.shape[1:-1], x.dim() - 2, peepholes.shape[2]
    if 0 in x.shape[:-1]:
        return x.new_zeros(*x.shape[:-1], len(bias) * units)
    real = inside(n.to(x.device), sizes)                                       # [B, *sizes]
    flips = [[1 + axis for axis in range(axes) if flipped[axis]] for flipped in itertools.product((False, True), repeat=axes)]
    x = torch.where(real[..., None], x, 0)
    x = torch.stack([x.flip(flip) for flip in flips]).view(len(flips), -1, x.shape[-1])           # K directions: [K, B * P, D]
    real = torch.stack([real.flip(flip) for flip in flips]).view(len(flips), batch, -1, 1)
    given = torch.baddbmm(bias[:, None], x, weight_ih.mT).view(len(flips), batch, -1, bias.shape[1])
    found, order = [], []
    h = c = x.new_zeros(len(flips), batch, 1, units)
    for at, before in diagonals(sizes, x.device):
        hs, cs = h[:, :, before], c[:, :, before]                              # [K, B, cells, axes, units]
        z = given[:, :, at] + (hs.flatten(3).flatten(1, 2) @ weight_hh.mT).view(len(flips), batch, len(at), -1)
        h, c = (torch.where(real[:, :, at], part, 0) for part in cells(z, cs, peepholes[:, None, None], cell))
        found.append(h)
        order.append(at)
        h, c = (nn.functional.pad(part, (0, 0, 0, 1)) for part in (h, c))      # the last stands for what is beyond the image
    laid = torch.cat(found, 2)[:, :, torch.cat(order).argsort()].view(len(flips), batch, *sizes, units)
    return torch.cat([part.flip(flip) for part, flip in zip(laid, flips)], -1)


def cells(z: Tensor, cs: Tensor, p: Tensor, cell: str) -> tuple[Tensor, Tensor]:
    """The equations: h and c [..., units] of what the gates are given [..., gates * units] and the cells before [..., axes, units]."""
    axes = cs.shape[-2]
    i, *f, g, o = z.chunk(3 + axes, dim=-1)
    p_i, *p_f, p_o = p.unbind(-2)
    each = cs.unbind(-2)
    if cell == "stable":
        shares = [l + p_l * (c - each[-1]) for l, p_l, c in zip(f[1:], p_f[1:], each)]
        shares = torch.stack([*shares, torch.zeros_like(i)]).softmax(0)
        mean = (shares * torch.stack(each)).sum(0)
        kept, seen = (f[0] + p_f[0] * mean).sigmoid() * mean, mean
    else:
        kept, seen = sum((f_d + p_d * c).sigmoid() * c for f_d, p_d, c in zip(f, p_f, each)), sum(each)
    c = (kept + (i + p_i * seen).sigmoid() * g.tanh()).clamp(-LARGEST_CELL, LARGEST_CELL)
    return (o + p_o * c).sigmoid() * c.tanh(), c


def inside(n: Tensor, sizes: tuple[int, ...]) -> Tensor:
    """Where there is something [B, *sizes]: n [B, axes]."""
    real = torch.ones(len(n), *sizes, dtype=torch.bool, device=n.device)
    for axis, size in enumerate(sizes):
        along = torch.arange(size, device=n.device) < n[:, axis, None]
        real = real & along.view(len(n), *(size if other == axis else 1 for other in range(len(sizes))))
    return real


def diagonals(sizes: tuple[int, ...], device: torch.device) -> Iterator[tuple[Tensor, Tensor]]:
    """Of each diagonal, its positions [cells], and for each axis which of the diagonal before is the neighbour (-1: none) [cells, axes]."""
    grid = torch.stack(torch.meshgrid(*map(torch.arange, sizes), indexing="ij"), -1).view(-1, len(sizes))
    steps = [math.prod(sizes[axis + 1:]) for axis in range(len(sizes))]
    number, place = grid.sum(1), torch.full((len(grid),), -1)
    for s in range(sum(sizes) - len(sizes) + 1):
        at = (number == s).nonzero()[:, 0]
        before = torch.stack([torch.where(grid[at, axis] > 0, place[(at - step).clamp(min=0)], -1) for axis, step in enumerate(steps)], 1)
        before = torch.where(before < 0, int((number == s - 1).sum()), before)
        place[at] = torch.arange(len(at))
        yield at.to(device), before.to(device)


def _kernels(device: torch.device) -> Any:
    if device.type == "cuda":
        from ..kernels import mdlstm_cuda
        return mdlstm_cuda
    from ..kernels import mdlstm_cpu
    return mdlstm_cpu


class _Recurrence(torch.autograd.Function):
    """`plain` of images, float32."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight_ih: Tensor, weight_hh: Tensor, bias: Tensor, peepholes: Tensor, n: Tensor, stable: bool
                ) -> Tensor:
        weights = [weight.detach().contiguous() for weight in (weight_ih, weight_hh, bias, peepholes)]
        h, ctx.parts, kept = _kernels(x.device).forward(x.detach().contiguous(), n, *weights, stable)
        ctx.save_for_backward(x, n, *weights[:2], weights[3], *kept)
        ctx.stable = stable
        return h

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, dh: Tensor) -> tuple[Tensor | None, ...]:
        x, n, weight_ih, weight_hh, peepholes, *kept = ctx.saved_tensors
        found = _kernels(x.device).backward(x.contiguous(), n, weight_ih, weight_hh, peepholes, ctx.stable, ctx.parts, kept,
                                            dh.contiguous(), ctx.needs_input_grad[0])
        return *found, None, None
