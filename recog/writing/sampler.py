"""From a text to the pen's way: lines drawn from a network that writes."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Sequence

import numpy as np
import torch
from torch import Tensor

from ..kernels.product import filled, packed
from ..kernels.writing import ENDED, Lines, Pen, write
from ..layers.mixture import size
from ..models.handwriting import Handwriting

ROOM, PER_LETTER = 300, 90                # points that a line may have at most: so many, and so many for each character


@dataclass(frozen=True)
class Wanted:
    """A line to be written."""

    units: tuple[int, ...]                # of the text; with a prime, of its text and then of the line's
    seed: tuple[int, ...]                 # all that is random follows from it
    bias: float = 0.0                     # 0: as the network draws; more: neater, and more alike
    prime: np.ndarray | None = None       # [P, 3] scaled points that are given, the first at (0, 0): a hand that is to be followed
    most: int | None = None               # points at most, those given among them; None: `room`


@dataclass(frozen=True)
class Written:
    """A line as it was drawn; in row t, what is so when point t has been seen."""

    points: np.ndarray                    # [T, 3]: dx, dy in the ink's units, and 1 at the end of a stroke; the first: where the line begins
    looked: np.ndarray                    # [T, U + 1]: how much each character is looked at; the last: the place after the text
    rows: np.ndarray                      # [T, 6M + 1] of layers/mixture.py, scaled: what is said of point t + 1; [0, 0] if not asked for
    ended: bool                           # whether the window left the text, rather than the room


def pen_of(model: Handwriting) -> Pen:
    """The network's weights for the kernel."""
    def array(tensors: Sequence[Tensor]) -> np.ndarray:
        return torch.cat(tuple(tensors), 1).detach().float().cpu().numpy()

    def stacked(name: str) -> np.ndarray:
        return torch.stack([getattr(layer, name) for layer in model.layers]).detach().float().cpu().numpy()

    first, *upper = model.layers
    units, gaussians = model.config.units, model.config.gaussians
    below = packed(array([first.weight_ih, *([first.weight_wh] if gaussians else []), first.weight_hh]).T)
    above = [packed(array([layer.weight_ih, layer.weight_hh]).T) for layer in upper]
    window = array([first.weight_window, first.bias_window[:, None]]) if gaussians else np.zeros((0, units + 1), np.float32)
    output = array([model.output.weight, model.output.bias[:, None]])
    return Pen(below, np.stack(above) if above else np.zeros((0, *below.shape), np.float32), filled(stacked("bias")), stacked("peepholes"),
               packed(window[:, :-1].T), filled(window[:, -1]), packed(output[:, :-1].T), filled(output[:, -1]), gaussians, model.config.components)


def sample(model: Handwriting, wanted: Sequence[Wanted], rows: bool = False, threads: int = 1) -> list[Written]:
    """Each line as its seed has it, alone or among others. rows: keep what the network said of each next point."""
    pen, scale = pen_of(model), model.scale.cpu().numpy()
    parts = [list(part) for part in np.array_split(np.arange(len(wanted)), min(threads, len(wanted)))] if wanted else []
    with ThreadPoolExecutor(max(1, len(parts)), "writing") as pool:
        found = list(pool.map(lambda part: _written(pen, scale, [wanted[i] for i in part], rows), parts))
    return [line for part in found for line in part]


def _written(pen: Pen, scale: np.ndarray, wanted: Sequence[Wanted], rows: bool) -> list[Written]:
    B, U = len(wanted), max(1, *(len(each.units) for each in wanted))
    primed = np.array([1 if each.prime is None else max(1, len(each.prime)) for each in wanted])
    most = np.maximum([each.most or primed[b] + room(len(each.units)) for b, each in enumerate(wanted)], primed)
    T, said = int(most.max()), size(pen.components)
    units, points = np.zeros((B, U), np.int64), np.zeros((B, T, 3), np.float32)
    uniform, normal = np.zeros((B, T, 2), np.float32), np.zeros((B, T, 2), np.float32)
    for b, each in enumerate(wanted):
        units[b, :len(each.units)] = each.units
        rng = np.random.default_rng(each.seed)
        draws = rng.random((most[b], 2), np.float32), rng.standard_normal((most[b], 2), np.float32)
        uniform[b, :most[b]], normal[b, :most[b]] = draws
        if each.prime is not None:
            points[b, :len(each.prime)] = each.prime
    lines = Lines(units, np.array([len(each.units) for each in wanted]), np.array([each.bias for each in wanted], np.float32),
                  primed, most, uniform, normal, points,
                  np.zeros((B, T, U + 1), np.float32), np.zeros((B, T, said) if rows else (B, 0, 0), np.float32),
                  np.zeros(B, np.int64), np.zeros(B, np.int64))
    write(pen, lines)
    return [Written(points[b, :n] * np.array([*scale, 1], np.float32), lines.looked[b, :n, :len(each.units) + 1], lines.rows[b, :n],
                    bool(lines.state[b] == ENDED)) for b, (each, n) in enumerate(zip(wanted, lines.count))]


def room(letters: int) -> int:
    """Points that a line of so many characters may have."""
    return ROOM + PER_LETTER * letters
