"""Ink as the way from point to point."""

from __future__ import annotations

from typing import Sequence

import numpy as np

from .normalize import Strokes


def offsets(strokes: Strokes, place: bool) -> np.ndarray:
    """[N, 3] dx, dy and 1 at the last point of a stroke, else 0; with `place` [N, 4], also y. The first point is moved to from the baseline
    below the left end."""
    points = np.concatenate(strokes)[:, :2]
    left = np.array([[points[:, 0].min(), 0.0]])
    ends = np.zeros((len(points), 1))
    ends[np.cumsum([len(s) for s in strokes]) - 1] = 1.0
    columns = [np.diff(points, axis=0, prepend=left), ends] + ([points[:, 1:]] if place else [])
    return np.concatenate(columns, axis=1).astype(np.float32)


def joined(parts: Sequence[np.ndarray], gaps: Sequence[float]) -> np.ndarray:
    """Offsets with `place` [N, 4], one part after the other, each begun its gap to the right of the ink of the one before it, at its own height.
    The first is moved to as in `offsets`."""
    done = [part.copy() for part in parts]
    right, height = 0.0, 0.0             # of the end of what is before: how far it is to the right end of that, and y
    for number, (part, gap) in enumerate(zip(done, gaps)):
        x = np.cumsum(np.concatenate([[0.0], part[1:, 0]]))
        part[0, :2] = (right + gap if number else -x.min()), part[0, 3] - height
        right, height = x.max() - x[-1], part[-1, 3]
    return np.concatenate(done)
