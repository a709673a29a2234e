"""Ink as the way from point to point."""

from __future__ import annotations

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
