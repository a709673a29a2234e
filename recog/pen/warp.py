"""Other hands for the same words: ink changed as people's writing differs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .normalize import Strokes, moved


@dataclass(frozen=True)
class InkWarpConfig:
    """Each is drawn for a line from 0 to this bound, either way. Lengths are in heights of small letters."""

    width: float = 0.25                  # share by which letters are wider or narrower
    height: float = 0.15                 # share by which they are higher or lower
    shear: float = 0.35                  # tangent by which they lean
    turn: float = 0.05                   # tangent by which the line rises or falls
    wave: float = 0.12                   # deviation of a smooth shift of every place on the line, across and along
    wavelength: float = 2.0              # over which that shift changes
    tremble: float = 0.015               # deviation of each point
    stroke: float = 0.05                 # deviation of each stroke
    step: float = 0.15                   # share by which points are nearer or further apart
    drop: float = 0.05                   # chance of each point inside a stroke to be left out

    def __post_init__(self):
        if min(getattr(self, name) for name in self.__dataclass_fields__) < 0 or self.wavelength <= 0:
            raise ValueError("no bound may be negative, and wavelength must be above 0")
        if max(self.width, self.height, self.step, self.drop) >= 1:
            raise ValueError("width, height, step and drop must be below 1")


def warped(strokes: Strokes, config: InkWarpConfig, rng: np.random.Generator) -> Strokes:
    """A changed copy of a normalized line (baseline 0, corpus line -1)."""
    scale = 1 + rng.uniform(-1, 1, 2) * (config.width, config.height)
    lean, turn = rng.uniform(-1, 1, 2) * (config.shear, config.turn)
    strokes = moved(strokes, np.array([[scale[0], -lean], [turn, scale[1]]]))
    left, right = min(s[:, 0].min() for s in strokes), max(s[:, 0].max() for s in strokes)
    knots = np.arange(left - config.wavelength, right + 2 * config.wavelength, config.wavelength)
    shifts = rng.standard_normal((2, len(knots))) * config.wave
    new = []
    for s in strokes:
        kept = rng.random(len(s)) >= config.drop
        kept[[0, -1]] = True
        s = s[kept]
        s[:, :2] += np.column_stack([_between(s[:, 0], knots, each) for each in shifts])
        s[:, :2] += rng.standard_normal(2) * config.stroke + rng.standard_normal((len(s), 2)) * config.tremble
        new.append(s)
    return new


def _between(x: np.ndarray, knots: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Values at places between even knots, without corners (cosine)."""
    at = (x - knots[0]) / (knots[1] - knots[0])
    low = np.clip(at.astype(int), 0, len(knots) - 2)
    part = (1 - np.cos(np.pi * (at - low))) / 2
    return values[low] * (1 - part) + values[low + 1] * part
