"""What every format must be: finite coordinates of a size that arithmetic bears, and times that do not run backwards."""

from __future__ import annotations

from typing import Any, Iterable

import numpy as np

from ..errors import DataError
from ..types import Ink

FARTHEST = 1e7                           # beyond it a coordinate is a mistake, not a place on paper
LATEST = 1e11                            # seconds; beyond it a time is a mistake, not a date


def ink(strokes: Iterable[Any], where: object) -> Ink:
    """strokes: rows [N, 3] each, x, y and seconds; those without a point are left out. Raises DataError as `stroke` does."""
    checked = (stroke(np.array(rows, np.float64).reshape(-1, 3), number, where) for number, rows in enumerate(strokes, 1))
    return Ink(tuple(each for each in checked if len(each)))


def stroke(rows: np.ndarray, number: int, where: object) -> np.ndarray:
    """rows [N, 3]; a stroke whose times are missing or run backwards gets none at all. Raises DataError for x and y."""
    if not np.isfinite(rows[:, :2]).all():
        raise DataError(f"stroke {number} has a coordinate that is no number", where=where)
    if len(rows) and abs(rows[:, :2]).max() > FARTHEST:
        raise DataError(f"stroke {number} has a point {abs(rows[:, :2]).max():.3g} from the origin", where=where,
                        hint=f"coordinates may go up to {FARTHEST:g}")
    times = rows[:, 2]
    if len(rows) and not ((abs(times) <= LATEST).all() and (times[1:] >= times[:-1]).all()):
        rows = rows.copy()
        rows[:, 2] = np.nan
    return rows


def untimed(rows: np.ndarray) -> bool:
    """Whether a checked stroke's times are unknown: all are, or none."""
    return bool(np.isnan(rows[0, 2]))
