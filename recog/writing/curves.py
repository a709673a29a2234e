"""Points of a stroke as a smooth curve, and how wide a pen would draw it."""

from __future__ import annotations

import numpy as np

LIGHTEST, HEAVIEST = 0.6, 1.5                # of the pen's width, where it is quickest and where it rests


def beziers(points: np.ndarray) -> np.ndarray:
    """The two inner control points of the curve to each point from the one before [N - 1, 2, 2]; it goes through all points [N, 2] without
    corners (Catmull & Rom 1974)."""
    padded = np.concatenate([points[:1], points, points[-1:]])
    slopes = (padded[2:] - padded[:-2]) / 6
    return np.stack([points[:-1] + slopes[:-1], points[1:] - slopes[1:]], axis=1)


def finer(points: np.ndarray, parts: int) -> np.ndarray:
    """Points on that curve: the given ones [N, 2], and parts - 1 between each two of them [(N - 1) parts + 1, 2]."""
    if parts == 1 or len(points) < 2:
        return points
    t = np.arange(parts)[:, None] / parts
    inner, ends = beziers(points)[:, None], (points[:-1, None], points[1:, None])
    new = (1 - t) ** 3 * ends[0] + 3 * t * (1 - t) ** 2 * inner[:, :, 0] + 3 * t ** 2 * (1 - t) * inner[:, :, 1] + t ** 3 * ends[1]
    return np.concatenate([new.reshape(-1, 2), points[-1:]])


def widths(points: np.ndarray, seconds: np.ndarray) -> np.ndarray:
    """Of the pen at each point, its usual width being 1 [N]: a quick pen leaves less ink. seconds [N]: when it is there."""
    if len(points) < 3:
        return np.ones(len(points))
    speed = np.hypot(*np.gradient(points, axis=0).T) / np.maximum(np.gradient(seconds), 1e-6)
    speed = np.convolve(np.pad(speed, 2, mode="edge"), np.full(5, 0.2), mode="valid")
    usual = np.median(speed[speed > 0]) if (speed > 0).any() else 1.0
    return LIGHTEST + (HEAVIEST - LIGHTEST) / (1 + (speed / usual) ** 2 * (HEAVIEST - 1) / (1 - LIGHTEST))


def outline(points: np.ndarray, breadth: np.ndarray) -> np.ndarray:
    """A closed line around a stroke of that breadth at each point: there along its left, back along its right [2 N, 2]."""
    ways = np.gradient(points, axis=0)
    lengths = np.hypot(*ways.T)[:, None]
    ways = np.where(lengths > 1e-9, ways / np.maximum(lengths, 1e-9), (1.0, 0.0))
    aside = np.column_stack([-ways[:, 1], ways[:, 0]]) * breadth[:, None] / 2
    return np.concatenate([points + aside, (points - aside)[::-1]])
