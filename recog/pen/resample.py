"""Points at even distances along each stroke, or at even times."""

from __future__ import annotations

import numpy as np

SOME, MANY = 1000, 10                    # new points of a stroke: at most so many, and for each old one so many; writing has fewer


def resampled(strokes: list[np.ndarray], step: float, by: str = "length") -> list[np.ndarray]:
    """Strokes with a point every `step` (a length; or seconds, by = "time"), the first and last point of each kept. All columns are interpolated.

    Of what is no writing, such as a ruler's line of a thousand letters' length, there are fewer points.

    Without times, a stroke is resampled by time as if 100 points took a second.
    """
    new = []
    for s in strokes:
        at = _along(s, by)
        count = int(min(max(1, round(at[-1] / step)), SOME + MANY * len(s)))
        wanted = np.linspace(0.0, at[-1], count + 1) if at[-1] > 0 else np.zeros(1)
        index = np.interp(wanted, at, np.arange(len(s)))
        low = np.minimum(index.astype(int), max(len(s) - 2, 0))
        part = (index - low)[:, None]
        new.append(s[low] * (1 - part) + s[np.minimum(low + 1, len(s) - 1)] * part)
    return new


def _along(stroke: np.ndarray, by: str) -> np.ndarray:
    """How far each point is from the first one."""
    if by == "time":
        times = stroke[:, 2] if np.isfinite(stroke[:, 2]).all() else np.arange(len(stroke)) / 100
        return times - times[0]
    return np.concatenate([[0.0], np.cumsum(np.hypot(*np.diff(stroke[:, :2], axis=0).T))])
