"""Ink as cubic Bezier curves (Carbune et al. 2020, "Fast multi-language LSTM-based online handwriting recognition", section 3.1.2).

Each stroke is cut into the fewest curves that stay near its points: fitted by least squares between its ends, and cut where the distance is largest
when that is too far.
"""

from __future__ import annotations

import numpy as np


def features(strokes: list[np.ndarray], tolerance: float, place: bool = False) -> tuple[np.ndarray, np.ndarray]:
    """One row of 10 per curve, float32 [C, 10], with `place` [C, 11]: way from end to end (dx, dy); distance of each control point from its end, over that way's
    length; their angles against it (radians); three coefficients of the time's cubic; 1 where the pen is up;
    `place`: y of the end.

    The way to a stroke from the end of the one before is a straight curve of its own, with the pen up.
    strokes [N, 4]: x, y, seconds, number. Without times, the coefficients are those of an even pace of 100 points a second.
    Also the number of each curve's last point [C].
    """
    rows, ends, before = [], [], None
    for s in strokes:
        if before is not None:
            rows.append(_straight(s[0, :2] - before))
            ends.append(s[:1])
        curves, last = fit(_timed(s), tolerance)
        rows.append(curves)
        ends.append(s[last])
        before = s[-1, :2]
    frames, ends = np.concatenate(rows), np.concatenate(ends)
    return (np.column_stack([frames, ends[:, 1]]) if place else frames).astype(np.float32), ends[:, 3]


def _straight(way: np.ndarray) -> np.ndarray:
    return np.array([[way[0], way[1], 1 / 3, 1 / 3, 0, 0, 0, 0, 0, 1.0]])


def _timed(stroke: np.ndarray) -> np.ndarray:
    seconds = stroke[:, 2] if np.isfinite(stroke[:, 2]).all() else np.arange(len(stroke)) / 100
    return np.column_stack([stroke[:, :2], seconds])


def fit(stroke: np.ndarray, tolerance: float) -> tuple[np.ndarray, np.ndarray]:
    """The curves of a stroke [N, 3], rows as in `features` but the last column 0; and the number of the last point of each [C]."""
    from ..kernels.bezier import fit_curves

    return fit_curves(np.ascontiguousarray(stroke), tolerance)
