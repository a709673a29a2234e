"""The 25 features of the 2008 system (Liwicki & Bunke 2006; Graves et al. 2009, section 4.2), each a function of the points.

All take points [N, 2] of a line at unit height (x to the right, y downwards; baseline 0, corpus line -1), resampled by length, pen-down
points only, and give one or more columns [N]. The vicinity of a point is itself and REACH points to each side, as far as there are any.
"""

from __future__ import annotations

import numpy as np

REACH = 3
AVERAGED = 10.0                          # width over which x is averaged to be subtracted
SQUARE = 1.0                             # side of one of the nine squares around a point
COLUMN = 0.5                             # how far to each side points count as above or below


def pen_down(lengths: list[int]) -> np.ndarray:
    """0 at the last point of each stroke, after which the pen is lifted, else 1. lengths: points of each stroke."""
    down = np.ones(sum(lengths))
    down[np.cumsum(lengths) - 1] = 0.0
    return down


def hat(points: np.ndarray, hats: list[tuple[float, float]]) -> np.ndarray:
    """1 under a stroke that was written late and taken out, else 0. hats: from where to where each went."""
    found = np.zeros(len(points))
    for left, right in hats:
        found[(points[:, 0] >= left) & (points[:, 0] <= right)] = 1.0
    return found


def speed(points: np.ndarray, seconds: np.ndarray, lengths: list[int]) -> np.ndarray:
    """Heights of small letters a second, at the pen's own pace; 0 where times are not known. Limited to 100."""
    way, time = np.hypot(*np.diff(points, axis=0).T), np.diff(seconds)
    inside = np.ones(len(way), bool)
    inside[np.cumsum(lengths)[:-1] - 1] = False                # from stroke to stroke the pen is in the air
    known = inside & (time > 0)
    pace = np.divide(way, time, out=np.zeros(len(way)), where=known)
    before, after = np.append(0.0, pace), np.append(pace, 0.0)
    count = np.append(0, known) + np.append(known, 0)
    return np.minimum((before + after) / np.maximum(count, 1), 100.0)


def x_filtered(points: np.ndarray) -> np.ndarray:
    """x less its average over all points within AVERAGED / 2 to each side of it: where the pen is in what it writes."""
    x = points[:, 0]
    ordered = np.sort(x)
    sums = np.concatenate([[0.0], np.cumsum(ordered)])
    first, end = np.searchsorted(ordered, x - AVERAGED / 2), np.searchsorted(ordered, x + AVERAGED / 2, side="right")
    return x - (sums[end] - sums[first]) / (end - first)


def y(points: np.ndarray) -> np.ndarray:
    return points[:, 1].copy()


def direction(points: np.ndarray) -> np.ndarray:
    """Cosine and sine [N, 2] of the way from the point before to the point behind."""
    return _unit(_shifted(points, 1) - _shifted(points, -1))


def curvature(points: np.ndarray) -> np.ndarray:
    """Cosine and sine [N, 2] of the angle by which the way turns at the point."""
    (ax, ay), (bx, by) = _unit(points - _shifted(points, -1)).T, _unit(_shifted(points, 1) - points).T
    return np.column_stack([ax * bx + ay * by, ax * by - ay * bx])


def aspect(points: np.ndarray) -> np.ndarray:
    """(height - width) / (height + width) of the vicinity's box."""
    width, height = _box(points).T
    return np.divide(height - width, height + width, out=np.zeros(len(points)), where=height + width > 0)


def vicinity_slope(points: np.ndarray) -> np.ndarray:
    """Cosine and sine [N, 2] of the line from the first to the last point of the vicinity."""
    return _unit(_shifted(points, REACH) - _shifted(points, -REACH))


def curliness(points: np.ndarray) -> np.ndarray:
    """Length of the way through the vicinity, over the longer side of its box, less 2."""
    way = np.append(0.0, np.cumsum(np.hypot(*np.diff(points, axis=0).T)))
    first, last = _ends(len(points))
    side = _box(points).max(1)
    return np.divide(way[last] - way[first], side, out=np.full(len(points), 2.0), where=side > 0) - 2


def linearity(points: np.ndarray) -> np.ndarray:
    """Mean squared distance of the vicinity's points to the line from its first to its last."""
    first, last = _ends(len(points))
    start, along = points[first], _unit(points[last] - points[first])
    total, count = np.zeros(len(points)), last - first + 1
    for shift in range(-REACH, REACH + 1):
        at = np.arange(len(points)) + shift
        real = (at >= 0) & (at < len(points))
        dx, dy = (points[np.clip(at, 0, len(points) - 1)] - start).T
        off = np.where((along == 0).all(1), dx ** 2 + dy ** 2, (dx * along[:, 1] - dy * along[:, 0]) ** 2)
        total += np.where(real, off, 0.0)
    return total / count


def ascenders(points: np.ndarray) -> np.ndarray:
    """Number of points above the corpus line within COLUMN to each side."""
    return _beside(points, points[points[:, 1] < -1])


def descenders(points: np.ndarray) -> np.ndarray:
    """Number of points below the baseline within COLUMN to each side."""
    return _beside(points, points[points[:, 1] > 0])


def context_map(points: np.ndarray) -> np.ndarray:
    """Number of points in each of the nine squares of side SQUARE around the point, row by row from above [N, 9]."""
    order = np.argsort(points[:, 0], kind="stable")
    x, found = points[order, 0], np.zeros((len(points), 9))
    first, end = np.searchsorted(x, points[:, 0] - 1.5 * SQUARE), np.searchsorted(x, points[:, 0] + 1.5 * SQUARE, side="right")
    counts = end - first
    centre = np.repeat(np.arange(len(points)), counts)
    other = order[np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts) + np.repeat(first, counts)]
    column, row = np.floor((points[other] - points[centre]) / SQUARE + 1.5).astype(int).T
    inside = (column >= 0) & (column < 3) & (row >= 0) & (row < 3)
    np.add.at(found, (centre[inside], (3 * row + column)[inside]), 1.0)
    return found


def features(strokes: list[np.ndarray], hats: list[tuple[float, float]]) -> np.ndarray:
    """All of them in the order above, float32 [N, 25]. strokes [n, 3] (x, y, seconds), without those that were written late."""
    points, seconds, lengths = np.concatenate(strokes)[:, :2], np.concatenate(strokes)[:, 2], [len(s) for s in strokes]
    return np.column_stack([
        pen_down(lengths), hat(points, hats), speed(points, seconds, lengths), x_filtered(points), y(points), direction(points), curvature(points),
        aspect(points), vicinity_slope(points), curliness(points), linearity(points), ascenders(points), descenders(points),
        context_map(points)]).astype(np.float32)


def _shifted(points: np.ndarray, by: int) -> np.ndarray:
    """The point `by` places on, or the last (first) one."""
    return points[np.clip(np.arange(len(points)) + by, 0, len(points) - 1)]


def _ends(count: int) -> tuple[np.ndarray, np.ndarray]:
    at = np.arange(count)
    return np.maximum(at - REACH, 0), np.minimum(at + REACH, count - 1)


def _box(points: np.ndarray) -> np.ndarray:
    """Width and height of the vicinity [N, 2]."""
    near = np.stack([_shifted(points, shift) for shift in range(-REACH, REACH + 1)])
    return np.ptp(near, axis=0)


def _unit(vectors: np.ndarray) -> np.ndarray:
    """At length 1; nothing stays nothing."""
    length = np.hypot(*vectors.T)[:, None]
    return np.divide(vectors, length, out=np.zeros_like(vectors), where=length > 0)


def _beside(points: np.ndarray, counted: np.ndarray) -> np.ndarray:
    x = np.sort(counted[:, 0])
    return (np.searchsorted(x, points[:, 0] + COLUMN, side="right") - np.searchsorted(x, points[:, 0] - COLUMN)).astype(float)
