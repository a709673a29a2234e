"""A line of writing made alike, whoever wrote it: one step, one function. Strokes are [N, 3 or more]: x, y downwards, seconds, and what else
a point carries, which stays with it.

After all steps the baseline is y = 0 and the tops of small letters are at y = -1.
"""

from __future__ import annotations

import numpy as np

from .extrema import turns

Strokes = list[np.ndarray]

STEEPEST = 0.35                      # slope of a line (tangent): beyond it, it is no slip of the hand
LEANING = 1.2                        # tangent of the furthest slant
JUMP = 12.0                          # times the median distance of points: a single point that far from both neighbours is a glitch
GAP = 40.0                           # times that height: no words are that far apart
OUTSIDE = 4.0                        # times the height that most strokes have: strokes further from the middle do not belong to the line


def without_glitches(strokes: Strokes) -> Strokes:
    """Leaves out points that jump away and back, and strokes far above, below or beside the line. Some ink is always left."""
    steps = np.concatenate([np.hypot(*np.diff(s[:, :2], axis=0).T) for s in strokes])
    usual = np.median(steps[steps > 0]) if (steps > 0).any() else 0.0
    kept = []
    for s in strokes:
        if len(s) > 2 and usual > 0:
            there = np.hypot(*np.diff(s[:, :2], axis=0).T)
            far = there > JUMP * usual
            back = np.hypot(*(s[2:, :2] - s[:-2, :2]).T) < 0.5 * np.minimum(there[:-1], there[1:])
            jumped = np.zeros(len(s), bool)
            jumped[1:-1] = far[:-1] & far[1:] & back
            jumped[0], jumped[-1] = far[0] and not far[1], far[-1] and not far[-2]
            s = s[~jumped]
        kept.append(s)
    tops, bottoms = (np.array([f(s[:, 1]) for s in kept]) for f in (np.min, np.max))
    middles = (tops + bottoms) / 2
    middle, height = np.median(middles), max(np.percentile(bottoms - tops, 75), np.ptp(np.percentile(middles, [10, 90])))
    inside = [s for s, at in zip(kept, middles) if abs(at - middle) <= OUTSIDE * height]
    return _near_each_other(inside or kept, height)


def _near_each_other(strokes: Strokes, height: float) -> Strokes:
    """Without strokes to the left or right of a gap that no line has: of the groups between such gaps, that with most points."""
    lefts, rights = (np.array([f(s[:, 0]) for s in strokes]) for f in (np.min, np.max))
    order = np.argsort(lefts)
    reached = np.maximum.accumulate(rights[order])
    group = np.zeros(len(strokes), int)
    group[order[1:]] = np.cumsum(lefts[order[1:]] - reached[:-1] > GAP * height)
    if height <= 0 or not group.any():
        return strokes
    largest = np.bincount(group, [len(s) for s in strokes]).argmax()
    return [s for s, number in zip(strokes, group) if number == largest]


def slope(strokes: Strokes) -> float:
    """The tangent by which the baseline falls (y grows downwards): a line through the bottoms of letters, fitted without outliers."""
    _, bottoms = turns(strokes, _reach(strokes))
    points = np.concatenate(strokes)
    if len(bottoms) < 4 or np.ptp(bottoms[:, 0]) < 2 * np.ptp(points[:, 1]):
        return 0.0                                             # too short a line to tell
    x, y = bottoms.T
    chosen = np.ones(len(x), bool)
    for _ in range(5):
        tangent, start = np.polyfit(x[chosen] - x.mean(), y[chosen], 1)
        off = abs(y - start - tangent * (x - x.mean()))
        chosen = off <= 2.5 * max(np.median(off), 1e-9)
        if chosen.sum() < 4:
            return 0.0
    return float(tangent) if abs(tangent) <= STEEPEST else 0.0


def without_slope(strokes: Strokes) -> Strokes:
    """Turned until the baseline is level."""
    tangent = slope(strokes)
    cos, sin = 1 / np.hypot(1, tangent), -tangent / np.hypot(1, tangent)
    return moved(strokes, np.array([[cos, -sin], [sin, cos]]))


def slant(strokes: Strokes) -> float:
    """How far letters lean: the median of dx / -dy over all that goes more up or down than sideways, by its height."""
    steps = np.concatenate([np.diff(s[:, :2], axis=0) for s in strokes])
    steps = steps[abs(steps[:, 1]) * LEANING > abs(steps[:, 0])]
    if not len(steps):
        return 0.0
    lean, weight = -steps[:, 0] / steps[:, 1], abs(steps[:, 1])
    order = np.argsort(lean, kind="stable")
    return float(lean[order][np.searchsorted(np.cumsum(weight[order]), weight.sum() / 2)])


def without_slant(strokes: Strokes) -> Strokes:
    """Sheared until letters stand upright."""
    return moved(strokes, np.array([[1.0, slant(strokes)], [0.0, 1.0]]))


def lines(strokes: Strokes) -> tuple[float, float]:
    """y of the corpus line (tops of small letters) and of the baseline, in a line without slope: where half of the tops, and of the bottoms, are
    nearest together. If that cannot be, a third and two thirds of the height."""
    tops, bottoms = turns(strokes, _reach(strokes))
    y = np.concatenate(strokes)[:, 1]
    if len(tops) > 1 and len(bottoms) > 1:
        top, base = _densest(tops[:, 1]), _densest(bottoms[:, 1])
        if base - top > 0.1 * np.ptp(y):
            return top, base
    height = np.ptp(y) or 1.0
    return float(y.min() + height / 3), float(y.max() - height / 3)


def at_unit_height(strokes: Strokes) -> Strokes:
    """Scaled and moved: the baseline to y = 0, the corpus line to y = -1, the left end to x = 0."""
    top, base = lines(strokes)
    left = min(s[:, 0].min() for s in strokes)
    return [np.column_stack([(s[:, :2] - (left, base)) / (base - top), s[:, 2:]]) for s in strokes]


def moved(strokes: Strokes, matrix: np.ndarray) -> Strokes:
    """x and y of each point multiplied by a matrix [2, 2]."""
    return [np.column_stack([s[:, :2] @ matrix.T, s[:, 2:]]) for s in strokes]


def _reach(strokes: Strokes) -> float:
    """How far up or down is more than a tremble: a tenth of the height that most points keep within."""
    low, high = np.percentile(np.concatenate(strokes)[:, 1], [5, 95])
    return max(0.1 * float(high - low), 1e-9)


def _densest(values: np.ndarray) -> float:
    """The middle of the shortest interval that holds half of the values."""
    ordered, half = np.sort(values), (len(values) + 1) // 2
    widths = ordered[half - 1:] - ordered[:len(ordered) - half + 1]
    first = int(widths.argmin())
    return float(ordered[first:first + half].mean())
