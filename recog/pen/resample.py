"""Points at even distances along each stroke, or at even times."""

from __future__ import annotations

import numpy as np


def resampled(strokes: list[np.ndarray], step: float, by: str = "length") -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Strokes with a point every `step` (a length; or seconds, by = "time"), the last point of each kept; and for each new point,
    between which old ones of the stroke it lies (a number of a point, with a fraction).

    Without times, a stroke is resampled by length as if 100 points took a second.
    """
    new, places = [], []
    for s in strokes:
        at = _along(s, by)
        count = max(1, round(at[-1] / step))
        wanted = np.linspace(0.0, at[-1], count + 1) if at[-1] > 0 else np.zeros(1)
        index = np.interp(wanted, at, np.arange(len(s)))
        low = np.minimum(index.astype(int), max(len(s) - 2, 0))
        part = (index - low)[:, None]
        new.append(s[low] * (1 - part) + s[np.minimum(low + 1, len(s) - 1)] * part)
        places.append(index)
    return new, places


def _along(stroke: np.ndarray, by: str) -> np.ndarray:
    """How far each point is from the first one."""
    if by == "time":
        times = stroke[:, 2] if np.isfinite(stroke[:, 2]).all() else np.arange(len(stroke)) / 100
        return times - times[0]
    return np.concatenate([[0.0], np.cumsum(np.hypot(*np.diff(stroke[:, :2], axis=0).T))])
