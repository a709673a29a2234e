"""The recurrence of an LSTM over images on a CPU, float32, one diagonal after the other.

The work is divided among threads: a direction and the one against it, of a group of images. Their positions are sorted by diagonals, in
each by rows, then images: gates and cells lie as [features, positions], so that the independent cells of a diagonal are neighbours in
memory and fill the vectors however few units there are, and the products of all positions, and of each diagonal, are matrix products as
they lie.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from ..threads import at_once, shares
from .diagonals import Diagonals
from .mdlstm_steps import backward_all, backward_step, forward_all, forward_step, neighbours

FEW = 12                                 # up to so many units, the products of each diagonal are compiled with it
Part = tuple[tuple[int, ...], int, int]  # a part of the work: its directions, first image, and last


def forward(x: Tensor, n: Tensor, weight_ih: Tensor, weight_hh: Tensor, bias: Tensor, peepholes: Tensor, stable: bool
            ) -> tuple[Tensor, list[Part], list[Tensor]]:
    """h [B, H, W, 4 units], the parts of the work, and gates, cells and h of each. x [B, H, W, D], n [B, 2]; the weights as in MdLstm."""
    units, parts = peepholes.shape[2], _parts(len(x))
    out = x.new_empty(*x.shape[:3], 4 * units)

    def run(begin: int, end: int) -> list[Tensor]:
        kept = []
        for directions, first, last in parts[begin:end]:
            way, of = Diagonals(x, n, directions[0] in (1, 2), first, last), list(directions)
            z = torch.cat([weight_ih[of], bias[of][..., None]], 2).flatten(0, 1) @ way.rows(x).t()
            cells, h = z.new_empty(len(of) * units, z.shape[1]), z.new_empty(len(of) * units, z.shape[1])
            for k, *arrays in zip(directions, *(each.chunk(len(of)) for each in (z, cells, h))):
                _forward(way, k >= 2, weight_hh[k], peepholes[k], stable, *arrays)
                way.put(arrays[-1], out[..., k * units:(k + 1) * units])
            kept += z, cells, h
        return kept

    return out, parts, sum(at_once(run, *shares(len(parts), 1)), [])


def backward(x: Tensor, n: Tensor, weight_ih: Tensor, weight_hh: Tensor, peepholes: Tensor, stable: bool, parts: list[Part],
             kept: list[Tensor], dh: Tensor, wanted: bool) -> tuple[Tensor | None, ...]:
    """The gradients of x (None if not wanted), weight_ih, weight_hh, bias and peepholes. dh [B, H, W, 4 units]."""
    units = peepholes.shape[2]

    def run(begin: int, end: int) -> tuple[Tensor | None, list[Tensor]]:
        dx, totals = torch.zeros_like(x) if wanted else None, [torch.zeros_like(each) for each in (weight_ih, weight_hh, peepholes)]
        totals.insert(2, weight_ih.new_zeros(weight_ih.shape[:2]))                       # of the bias
        for (directions, first, last), z, cells, h in zip(parts[begin:end], *(kept[3 * begin + i:3 * end:3] for i in range(3))):
            way, of = Diagonals(x, n, directions[0] in (1, 2), first, last), list(directions)
            dz = torch.empty_like(z)
            for k, *arrays in zip(directions, *(each.chunk(len(of)) for each in (z, cells, h, dz))):
                above = way.columns(dh[..., k * units:(k + 1) * units])
                for total, found in zip(totals[1::2], _backward(way, k >= 2, weight_hh[k], peepholes[k], stable, above, *arrays)):
                    total[k] += found
            if wanted:
                way.add(weight_ih[of].flatten(0, 1).t() @ dz, dx)
            given = (way.rows(x).t() @ dz.t()).t().unflatten(0, (len(of), -1))
            totals[0][of] += given[..., :-1]
            totals[2][of] += given[..., -1]
        return dx, totals

    runs = at_once(run, *shares(len(parts), 1))
    return sum(dx for dx, _ in runs) if wanted else None, *(sum(each) for each in zip(*(totals for _, totals in runs)))


def _forward(way: Diagonals, against: bool, weight_hh: Tensor, peepholes: Tensor, stable: bool, z: Tensor, cells: Tensor, h: Tensor
             ) -> None:
    """One direction: fills cells and h [units, positions]; z [5 units, positions] is what the gates are given, and becomes theirs."""
    steps, before, h_before = way.steps(against), *_frames(way, len(h), 2)
    arrays = peepholes.numpy(), way.real, cells.numpy(), h.numpy(), before.numpy(), h_before.numpy()
    if len(h) <= FEW:
        forward_all(steps, way.move(against), stable, z.numpy(), weight_hh.numpy(), *arrays)
    else:
        gates, move = z.numpy(), way.move(against)
        for begin, end, slot, *_ in steps.tolist():
            z[:, begin:end].addmm_(weight_hh, h_before[:, slot:slot + end - begin])
            forward_step(begin, end, slot, move, stable, gates, *arrays)


def _backward(way: Diagonals, against: bool, weight_hh: Tensor, peepholes: Tensor, stable: bool, dh: Tensor, z: Tensor, cells: Tensor,
              h: Tensor, dz: Tensor) -> tuple[Tensor, Tensor]:
    """One direction: the gradients of weight_hh and peepholes; fills dz [5 units, positions]. dh [units, positions]."""
    steps, move, frames, dp = way.steps(against), way.move(against), _frames(way, len(h), 4), np.zeros((4, len(h)))
    before, dh_after, dc_after, dc = (frame.numpy() for frame in frames)
    back, arrays = weight_hh.t().contiguous(), (peepholes.numpy(), way.real, cells.numpy(), before, dh.numpy(), dh_after)
    if len(h) <= FEW:
        backward_all(steps, move, stable, z.numpy(), back.numpy(), *arrays, dc_after, dc, dz.numpy(), dp)
    else:
        gates, given = z.numpy(), dz.numpy()
        for begin, end, slot, *previous in steps[::-1].tolist():
            backward_step(begin, end, slot, *previous, move, stable, gates, *arrays, dc_after, dc, given, dp)
            dc_after, dc = dc, dc_after
            torch.mm(back, dz[:, begin:end], out=frames[1][:, slot:slot + end - begin])
    beside = z.new_empty(2 * len(h), h.shape[1])
    neighbours(steps, move, h.numpy(), beside.numpy())
    return dz @ beside.t(), torch.from_numpy(dp).float()


def _frames(way: Diagonals, units: int, count: int) -> list[Tensor]:
    return list(torch.zeros(count, 2 * units, (way.height + 2) * way.batch).unbind())


def _parts(batch: int) -> list[Part]:
    """As many as torch has threads, at least: two directions that share an order, or each alone where there are few images."""
    threads = torch.get_num_threads()
    ways = ((0, 3), (1, 2)) if 2 * batch >= threads else ((0,), (1,), (2,), (3,))
    groups = max(1, min(batch, threads // len(ways)))
    borders = [batch * group // groups for group in range(groups + 1)]
    return [(directions, *part) for directions in ways for part in zip(borders, borders[1:])]
