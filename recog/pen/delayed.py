"""Strokes that are written late, above what is there: dots and bars. Taken out, they leave a mark on what lies under them, the hat."""

from __future__ import annotations

import numpy as np

from .normalize import Strokes

BACK = 0.2                               # how far left of the furthest point so far such a stroke begins, in heights of small letters
WIDEST = 3.0
ABOVE = -0.6                             # no point of it is lower than this (the baseline is 0, the corpus line -1)


def delayed(strokes: Strokes) -> np.ndarray:
    """Which strokes of a normalized line are: bool [S]."""
    found, furthest = np.zeros(len(strokes), bool), -np.inf
    for number, s in enumerate(strokes):
        x, y = s[:, 0], s[:, 1]
        found[number] = x.min() < furthest - BACK and np.ptp(x) <= WIDEST and y.max() < ABOVE
        furthest = furthest if found[number] else max(furthest, x.max())
    return found


def without_delayed(strokes: Strokes) -> tuple[Strokes, list[tuple[float, float]]]:
    """The other strokes; and from where to where (x) each of these went."""
    late = delayed(strokes)
    hats = [(float(s[:, 0].min()), float(s[:, 0].max())) for s, is_late in zip(strokes, late) if is_late]
    return [s for s, is_late in zip(strokes, late) if not is_late], hats
