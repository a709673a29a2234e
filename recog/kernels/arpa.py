"""Lines of an ARPA file as bytes, compiled."""

from __future__ import annotations

import numpy as np
from numba import njit

DIGITS = 7                                    # behind the point: 1e-7 in log10
SCALE = 10 ** DIGITS
NUMBER = DIGITS + 6                           # the longest: -99.0000000, or one digit more


@njit(cache=True, nogil=True)
def _put(out, at, value):
    """Writes a number with at most DIGITS digits behind the point, and gives the place behind it."""
    rest = np.int64(np.rint(abs(value) * SCALE))
    if value < 0 and rest > 0:
        out[at] = 45                          # -
        at += 1
    whole, rest = rest // SCALE, rest % SCALE
    size = 1
    while whole >= 10 ** size:
        size += 1
    for k in range(size):
        out[at + size - 1 - k] = 48 + whole % 10
        whole //= 10
    at += size
    if rest:
        out[at] = 46                          # .
        at += 1
        unit = SCALE // 10
        while rest:
            out[at] = 48 + rest // unit
            rest %= unit
            unit //= 10
            at += 1
    return at


@njit(cache=True, nogil=True)
def lines(grams, probs, backoffs, letters, starts):
    """The lines (uint8) of n-grams [K, n] with probs [K] and backoffs [K], or [0] where the order has none.

    Word w is letters[starts[w]:starts[w + 1]] (uint8).
    """
    count, order = grams.shape
    size = count * (2 * NUMBER + 2 + order)
    for row in range(count):
        for k in range(order):
            size += starts[grams[row, k] + 1] - starts[grams[row, k]]
    out = np.empty(size, np.uint8)
    at = 0
    for row in range(count):
        at = _put(out, at, probs[row])
        for k in range(order):
            out[at] = 9 if k == 0 else 32
            at += 1
            for letter in range(starts[grams[row, k]], starts[grams[row, k] + 1]):
                out[at] = letters[letter]
                at += 1
        if len(backoffs):
            out[at] = 9
            at = _put(out, at + 1, backoffs[row])
        out[at] = 10
        at += 1
    return out[:at]
