"""Writing, point by point, compiled: the network of Graves 2013 as plain arrays, run on what it has drawn itself.

A line's points depend on its own text, its own random numbers and nothing else: they are the same alone and among others.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

from .cell import HALF, ONE, ZERO, cell, options
from .product import product
from .window_cpu import look

WRITING, ENDED, FULL, LOST = 0, 1, 2, 3       # what has become of a line: under way; the window has left the text; no room for more points;
FINISH = 40                                  # points at most, from when the window leaves the text, in which the stroke of its last character ends
STUCK = 200                                   # ... the window has not come to a further character for so many points


class Pen(NamedTuple):
    """The network's weights, each matrix `packed` and each bias `filled`. In the order in which a layer sees it: point [3], window [V] (not
    layer 1), layer below [H], itself [H]; layer 1: point, window, itself. V, K may be 0."""

    first: np.ndarray                         # [3 + V + H, 4H], gates i, f, g, o
    upper: np.ndarray                         # L - 1 of [3 + V + 2H, 4H]
    biases: np.ndarray                        # [L, 4H]
    peepholes: np.ndarray                     # [L, 3, H]
    window: np.ndarray                        # [H, 3K]
    window_bias: np.ndarray                   # [3K]
    output: np.ndarray                        # [L H, 6M + 1]
    output_bias: np.ndarray                   # [6M + 1]
    gaussians: int                            # K
    components: int                           # M


class Lines(NamedTuple):
    """B lines under way, and what is written of them. Arrays are changed in place."""

    units: np.ndarray                         # [B, U], the texts as unit numbers
    lengths: np.ndarray                       # [B]
    bias: np.ndarray                          # [B], of the sampling: 0 draws as the network says, more is neater (equations 61, 62)
    primed: np.ndarray                        # [B], so many points are given, one at least: where the line begins; the rest is drawn
    most: np.ndarray                          # [B], points at most
    uniform: np.ndarray                       # [B, T, 2], the draws: which component, whether the stroke ends
    normal: np.ndarray                        # [B, T, 2], where within it
    points: np.ndarray                        # [B, T, 3], scaled dx, dy and 1 at the end of a stroke
    looked: np.ndarray                        # [B, T, U + 1], phi when each point had been seen; the last: the place after the text
    rows: np.ndarray                          # [B, T, 6M + 1], what the network then said of the next point; or [B, 0, 0]: not wanted
    count: np.ndarray                         # [B], points written
    state: np.ndarray                         # [B]: WRITING, ENDED, FULL or LOST


@njit(**options)
def _layer(x, weights, bias, peepholes, z, h, c):
    """One step of a layer for all lines. x [B, D]; h, c [B, H] are replaced."""
    H = h.shape[1]
    product(x, weights, bias, z)
    before = c.copy()
    for b in range(len(h)):
        cell(z[b, :H], z[b, H:2 * H], z[b, 2 * H:3 * H], z[b, 3 * H:4 * H], peepholes[0], peepholes[1], peepholes[2], before[b], c[b], h[b])


@njit(**options)
def draw(row, bias, uniform, normal, point):
    """The next point from what the network says, row [6M + 1]; a larger bias: likelier components, nearer to their means."""
    M = (len(row) - 1) // 6
    high = row[1:1 + M].max()
    weights = np.exp((row[1:1 + M] - high) * (ONE + bias))
    left, j = uniform[0] * weights.sum(), 0
    while j < M - 1 and left >= weights[j]:
        left -= weights[j]
        j += 1
    a, b = np.exp(row[1 + 3 * M + j] - bias), np.exp(row[1 + 4 * M + j] - bias)
    r = np.tanh(row[1 + 5 * M + j])
    point[0] = row[1 + M + j] + a * normal[0]
    point[1] = row[1 + 2 * M + j] + b * (r * normal[0] + np.sqrt(max(ZERO, ONE - r * r)) * normal[1])
    point[2] = ONE if uniform[1] < ONE / (ONE + np.exp(row[0])) else ZERO


@njit(**options)
def write(pen, lines):
    """All lines to their ends."""
    B, L, H, K, said = len(lines.count), len(pen.biases), pen.peepholes.shape[2], pen.gaussians, 6 * pen.components + 1
    V = pen.first.shape[1] - 3 - H
    h, c = np.zeros((L, B, H), np.float32), np.zeros((L, B, H), np.float32)
    w, kappa, point = np.zeros((B, V), np.float32), np.zeros((B, K), np.float32), lines.points[:, 0].copy()
    lines.count[:] = 1
    alpha, beta, moved = np.empty(K, np.float32), np.empty(K, np.float32), np.empty(K, np.float32)
    x1, xn = np.empty((B, 3 + V + H), np.float32), np.empty((B, 3 + V + 2 * H), np.float32)
    z, p = np.empty((B, pen.biases.shape[1]), np.float32), np.empty((B, len(pen.window_bias)), np.float32)
    every, rows = np.empty((B, L * H), np.float32), np.empty((B, len(pen.output_bias)), np.float32)
    line, come = np.arange(B), np.zeros((B, 2), np.int64)                 # the line of each row of these; of each line, `_lost`
    for t in range(lines.points.shape[1]):
        going = np.flatnonzero(lines.state[line] == WRITING)
        if len(going) < len(line):
            line, h, c, w, kappa, point = line[going], h[:, going], c[:, going], w[going], kappa[going], point[going]
            B = len(line)
            x1, xn, z, p, every, rows = x1[:B], xn[:B], z[:B], p[:B], every[:B], rows[:B]
        if not B:
            break
        for b in range(B):
            x1[b, :3], x1[b, 3:3 + V], x1[b, 3 + V:] = point[b], w[b], h[0, b]
        _layer(x1, pen.first, pen.biases[0], pen.peepholes[0], z, h[0], c[0])
        if K:
            product(h[0], pen.window, pen.window_bias, p)
            for b in range(B):
                i = line[b]
                look(lines.units[i], lines.lengths[i], p[b], alpha, beta, kappa[b], moved, lines.looked[i, t], w[b])
                kappa[b] = moved
        for n in range(1, L):
            for b in range(B):
                xn[b, :3], xn[b, 3:3 + V], xn[b, 3 + V:3 + V + H], xn[b, 3 + V + H:] = point[b], w[b], h[n - 1, b], h[n, b]
            _layer(xn, pen.upper[n - 1], pen.biases[n], pen.peepholes[n], z, h[n], c[n])
        for b in range(B):
            for n in range(L):
                every[b, n * H:(n + 1) * H] = h[n, b]
        product(every, pen.output, pen.output_bias, rows)
        for b in range(B):
            _go_on(t, line[b], K > 0, come[line[b]], rows[b, :said], point[b], lines)


@njit(**options)
def _go_on(t, i, reads, come, row, point, lines):
    """Line i's point t + 1, from what the network says of it when it has seen point t; or the line's end.

    Section 5.3 ends when the window leaves the text. The last character is then still being written: its stroke may come to an end.
    """
    lost = reads and _lost(t, lines.primed[i], lines.looked[i, t], lines.lengths[i], come)
    if len(lines.rows[i]):
        lines.rows[i, t] = row
    if t + 1 >= lines.primed[i]:
        if reads and _over(lines.looked[i, t], lines.lengths[i]) and (point[2] > HALF or t - come[1] >= FINISH):
            lines.state[i] = ENDED
            return
        if lost:
            lines.state[i] = LOST
            return
    if t + 1 >= lines.most[i]:
        lines.state[i] = FULL
        return
    if t + 1 >= lines.primed[i]:
        draw(row, lines.bias[i], lines.uniform[i, t + 1], lines.normal[i, t + 1], lines.points[i, t + 1])
    point[:] = lines.points[i, t + 1]
    lines.count[i] = t + 2


@njit(**options)
def _over(phi, length):
    """Whether the place after the text is looked at more than any character (section 5.3)."""
    for u in range(length):
        if phi[u] >= phi[length]:
            return False
    return True


@njit(**options)
def _lost(t, primed, phi, length, come):
    """Whether, since drawing began, no further character has been looked at most for STUCK points. come [2]: the furthest one so far, and
    when it was reached."""
    at = phi[:length + 1].argmax()
    if at > come[0] or t < primed:
        come[0], come[1] = max(at, come[0]), t
    return t - come[1] >= STUCK
