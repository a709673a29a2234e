"""Cubic Bezier curves through the points of a stroke, compiled."""

from __future__ import annotations

import math

import numpy as np
from numba import njit

ROUNDS = 4                               # fits, each followed by moving every point's parameter to the nearest place on the curve


@njit(cache=True, nogil=True)
def fit_curves(points, tolerance):
    """Rows of 10 for each curve [C, 10], as recog/pen/bezier.py says; and the number of each one's last point [C]. points [N, 3]."""
    N = len(points)
    rows, ends, count = np.zeros((max(1, N - 1), 10)), np.zeros(max(1, N - 1), np.int64), 0
    waiting, at = np.zeros((N + 1, 2), np.int64), 1
    waiting[0, 0], waiting[0, 1] = 0, N - 1
    place = np.zeros(N)
    while at:
        at -= 1
        first, last = waiting[at]
        control, off, worst = _curve(points, first, last, place)
        if off > tolerance and last - first > 2:
            waiting[at], waiting[at + 1] = (worst, last), (first, worst)      # the earlier part comes first
            at += 2
            continue
        _describe(points, first, last, control, place, rows[count])
        ends[count] = last
        count += 1
    return rows[:count].copy(), ends[:count].copy()


@njit(cache=True, nogil=True)
def _curve(points, first, last, place):
    """The two inner control points [2, 2] of the curve nearest to points first..last; the largest distance, and whose it is.

    place[first:last + 1] gets each point's parameter, 0 to 1.
    """
    control = np.zeros((2, 2))
    place[first] = 0.0
    for i in range(first + 1, last + 1):
        place[i] = place[i - 1] + math.hypot(points[i, 0] - points[i - 1, 0], points[i, 1] - points[i - 1, 1])
    length = place[last]
    for i in range(first, last + 1):
        place[i] = place[i] / length if length > 0 else (i - first) / max(1, last - first)
    off, worst = 0.0, first + 1
    for turn in range(ROUNDS):
        aa = ab = bb = 0.0
        right = np.zeros((2, 2))
        for i in range(first, last + 1):
            s = place[i]
            b0, b1, b2, b3 = (1 - s) ** 3, 3 * s * (1 - s) ** 2, 3 * s * s * (1 - s), s ** 3
            aa, ab, bb = aa + b1 * b1, ab + b1 * b2, bb + b2 * b2
            for k in range(2):
                rest = points[i, k] - b0 * points[first, k] - b3 * points[last, k]
                right[0, k] += b1 * rest
                right[1, k] += b2 * rest
        determinant = aa * bb - ab * ab
        for k in range(2):
            if determinant > 1e-9 and last - first > 2:
                control[0, k] = (bb * right[0, k] - ab * right[1, k]) / determinant
                control[1, k] = (aa * right[1, k] - ab * right[0, k]) / determinant
            elif last - first == 2 and aa + 2 * ab + bb > 1e-9:               # one point between: both bend alike
                bend = (right[0, k] + right[1, k]) / (aa + 2 * ab + bb)
                control[0, k] = control[1, k] = bend
            else:
                control[0, k] = points[first, k] + (points[last, k] - points[first, k]) / 3
                control[1, k] = points[first, k] + 2 * (points[last, k] - points[first, k]) / 3
        off, worst = 0.0, first + 1
        for i in range(first + 1, last):
            s = place[i]
            value, speed, bending = np.zeros(2), np.zeros(2), np.zeros(2)
            for k in range(2):
                p, q, r, t = points[first, k], control[0, k], control[1, k], points[last, k]
                value[k] = (1 - s) ** 3 * p + 3 * s * (1 - s) ** 2 * q + 3 * s * s * (1 - s) * r + s ** 3 * t - points[i, k]
                speed[k] = 3 * ((1 - s) ** 2 * (q - p) + 2 * s * (1 - s) * (r - q) + s * s * (t - r))
                bending[k] = 6 * ((1 - s) * (r - 2 * q + p) + s * (t - 2 * r + q))
            distance = math.hypot(value[0], value[1])
            if distance > off:
                off, worst = distance, i
            slope = value[0] * speed[0] + value[1] * speed[1]
            curve = speed[0] ** 2 + speed[1] ** 2 + value[0] * bending[0] + value[1] * bending[1]
            if curve > 0 and turn < ROUNDS - 1:
                place[i] = min(max(s - slope / curve, 0.0), 1.0)              # Newton's step to the nearest place
    return control, off, worst


@njit(cache=True, nogil=True)
def _describe(points, first, last, control, place, row):
    dx, dy = points[last, 0] - points[first, 0], points[last, 1] - points[first, 1]
    way = max(math.hypot(dx, dy), 1e-6)
    angle = math.atan2(dy, dx) if way > 1e-6 else 0.0
    row[0], row[1] = dx, dy
    for k in range(2):
        end = first if k == 0 else last
        cx, cy = control[k, 0] - points[end, 0], control[k, 1] - points[end, 1]
        far = math.hypot(cx, cy)
        row[2 + k] = min(far / way, 10.0)
        against = angle if k == 0 else angle + math.pi
        if far > 1e-9:
            row[4 + k] = (math.atan2(cy, cx) - against + math.pi) % (2 * math.pi) - math.pi
    # t(s) = c1 s + c2 s^2 + c3 s^3 from the first point on, by least squares
    gram, right = np.zeros((3, 3)), np.zeros(3)
    for i in range(first, last + 1):
        s = place[i]
        for a in range(3):
            right[a] += s ** (a + 1) * (points[i, 2] - points[first, 2])
            for b in range(3):
                gram[a, b] += s ** (a + b + 2)
    for a in range(3):
        gram[a, a] += 1e-6
    row[6:9] = np.linalg.solve(gram, right)
