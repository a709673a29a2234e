"""Sums over the rows of a picture at many shears, compiled."""

from __future__ import annotations

import numpy as np
from numba import njit


@njit(cache=True, nogil=True)
def sheared_sums(x, moves, reach):
    """Sums [K, W + 2 * reach] over the rows of x [H, W], each first moved to the right by moves [K, H] columns, parts of columns too.

    No move may be larger than `reach` - 1 either way.
    """
    H, W = x.shape
    sums = np.zeros((len(moves), W + 2 * reach), np.float32)
    for k in range(len(moves)):
        for y in range(H):
            first = int(np.floor(moves[k, y]))
            part = np.float32(moves[k, y] - first)
            here, next = sums[k, reach + first:], sums[k, reach + first + 1:]
            for c in range(W):
                here[c] += (1 - part) * x[y, c]
            for c in range(W):
                next[c] += part * x[y, c]
    return sums
