"""Pictures sheared, and the sums over their rows at many shears, compiled."""

from __future__ import annotations

import numpy as np
from numba import njit


@njit(cache=True, nogil=True)
def sheared(x, moves, reach):
    """The rows of x [H, W], float32, moved to the right by moves [H] columns, parts of columns too: [H, W + 2 * reach].

    No move may be larger than `reach` - 1 either way.
    """
    H, W = x.shape
    new = np.zeros((H, W + 2 * reach), np.float32)
    for y in range(H):
        _add(new[y], x[y], moves[y] + reach)
    return new


@njit(cache=True, nogil=True)
def sheared_sums(x, moves, reach):
    """Sums over the rows of x [H, W], sheared by each of moves [K, H] as `sheared` does: [K, W + 2 * reach]."""
    H, W = x.shape
    sums = np.zeros((len(moves), W + 2 * reach), np.float32)
    for k in range(len(moves)):
        for y in range(H):
            _add(sums[k], x[y], moves[k, y] + reach)
    return sums


@njit(cache=True, nogil=True)
def _add(row, values, at):
    """Adds values [W] to a row from place `at` on; between places, to both by their nearness."""
    first = int(np.floor(at))
    part = np.float32(at - first)
    here, next = row[first:], row[first + 1:]
    for c in range(len(values)):
        here[c] += (1 - part) * values[c]
    for c in range(len(values)):
        next[c] += part * values[c]
