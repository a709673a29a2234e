"""Lines of an ARPA file, written and read, compiled."""

from __future__ import annotations

import numpy as np
from numba import njit

from .words import NEWLINE, find_word, gap

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


@njit(cache=True, nogil=True)
def _number(text, at):
    """The decimal number that begins here, and the place behind it, or -1. Exact: a division of two exact floats."""
    negative = at < len(text) and text[at] == 45
    at += negative
    value, digits, places, point = np.int64(0), 0, 0, False
    while at < len(text) and (48 <= text[at] <= 57 or (text[at] == 46 and not point)):
        if text[at] == 46:
            point = True
        else:
            value = 10 * value + (text[at] - 48)
            digits += 1
            places += point
            if value >= 1 << 53:
                return 0.0, -1
        at += 1
    if at + 1 < len(text) and (text[at] == 101 or text[at] == 69):          # e, E
        at += 1
        sign = -1 if text[at] == 45 else 1
        at += text[at] == 45 or text[at] == 43
        power, start = 0, at
        while at < len(text) and 48 <= text[at] <= 57 and at < start + 3:
            power = 10 * power + (text[at] - 48)
            at += 1
        places -= sign * power
        if at == start:
            return 0.0, -1
    if digits == 0 or abs(places) > 22 or (at < len(text) and not gap(text[at])):
        return 0.0, -1
    size = value / 10.0 ** places if places >= 0 else value * 10.0 ** -places
    return -size if negative else size, at


@njit(cache=True, nogil=True)
def _skip(text, at):
    """The next byte that is no gap, or the line's end."""
    while at < len(text) and text[at] != NEWLINE and gap(text[at]):
        at += 1
    return at


@njit(cache=True, nogil=True)
def section(text, at, table, starts, ends, grams, probs, weights, highest):
    """Reads as many lines as `grams` [K, n] has rows, and gives the place behind them; -1 when a line is not in order.

    `table`, `starts` and `ends` hold the words (kernels/words.py), which the unigrams fill.
    """
    count, order = grams.shape
    for row in range(count):
        probs[row], at = _number(text, _skip(text, at))
        if at < 0 or probs[row] > 0:
            return -1
        for k in range(order):
            start = _skip(text, at)
            at = start
            while at < len(text) and not gap(text[at]):
                at += 1
            if at == start:
                return -1
            word, slot = find_word(text, start, at, table, starts, ends)
            if (word >= 0) == (order == 1):
                return -1
            if order == 1:
                word = np.int32(row)
                table[slot], starts[row], ends[row] = row, start, at
            grams[row, k] = word
        at = _skip(text, at)
        if at < len(text) and text[at] != NEWLINE and not highest:
            weights[row], at = _number(text, at)
            if at < 0:
                return -1
            at = _skip(text, at)
        if at == len(text) or text[at] != NEWLINE:
            return -1
        at += 1
    return at


@njit(cache=True, nogil=True)
def repeated(grams):
    """A row of [K, n] that an earlier one equals, or -1."""
    count, order = grams.shape
    size = 2 * count + 1
    table = np.full(size, -1, np.int32)
    for row in range(count):
        value = np.uint64(14695981039346656037)
        for k in range(order):
            value = (value ^ np.uint64(grams[row, k])) * np.uint64(0x9E3779B97F4A7C15)
            value ^= value >> np.uint64(32)
        at = np.int64(value % np.uint64(size))
        while table[at] >= 0:
            same = True
            for k in range(order):
                if grams[table[at], k] != grams[row, k]:
                    same = False
                    break
            if same:
                return row
            at = at + 1 if at + 1 < size else 0
        table[at] = row
    return -1
