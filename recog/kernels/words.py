"""Words of a text to numbers, compiled: one pass over its bytes with a hash table."""

from __future__ import annotations

import numpy as np
from numba import njit

NEWLINE = 10


@njit(cache=True, nogil=True)
def gap(byte):
    """ASCII white space, and NUL."""
    return byte == 32 or 9 <= byte <= 13 or byte == 0


@njit(cache=True, nogil=True)
def _hash(text, start, end):
    value = np.uint64(14695981039346656037)                  # FNV-1a, 64 bits
    for k in range(start, end):
        value = (value ^ np.uint64(text[k])) * np.uint64(1099511628211)
    return value ^ (value >> np.uint64(29))


@njit(cache=True, nogil=True)
def _tokens(text, begin):
    """Room that the numbered text needs: its words, and two for each line."""
    count, inside = 0, False
    for k in range(begin, len(text)):
        letter = not gap(text[k])
        if letter and not inside:
            count += 1
        inside = letter
        if text[k] == NEWLINE:
            count += 2
    return count + 2


@njit(cache=True, nogil=True)
def number_words(text, begin):
    """Numbers the words of `text` (uint8) in order of first appearance.

    The bytes before `begin` are words 0, 1, 2 (unknown, begin, end), which the text itself must not use. Gives the numbered
    text [M] int32, each line as 1, its words, 2; where each word of the vocabulary starts and ends in `text`; and
    the place of the first word that is one of the three, or -1.
    """
    table = np.full(1 << 16, -1, np.int32)
    starts, ends = np.zeros(1 << 15, np.int64), np.zeros(1 << 15, np.int64)
    stream = np.empty(_tokens(text, begin), np.int32)
    words, filled, at, open_line = 0, 0, 0, False
    while at < len(text):
        byte = text[at]
        if at >= begin and not open_line:
            stream[filled] = 1
            filled += 1
            open_line = True
        if gap(byte):
            if at >= begin and byte == NEWLINE:
                stream[filled] = 2
                filled += 1
                open_line = False
            at += 1
            continue
        start = at
        while at < len(text) and not gap(text[at]):
            at += 1
        word, slot = find_word(text, start, at, table, starts, ends)
        if word < 0:
            word = words
            table[slot], starts[word], ends[word] = word, start, at
            words += 1
            if words == len(starts):
                table, starts, ends = _grown(text, starts, ends)
        elif start >= begin and word < 3:
            return stream[:filled], starts[:words], ends[:words], start
        if start >= begin:
            stream[filled] = word
            filled += 1
    if open_line:
        stream[filled] = 2
        filled += 1
    return stream[:filled], starts[:words], ends[:words], -1


@njit(cache=True, nogil=True)
def find_word(text, start, end, table, starts, ends):
    """The number of a word, or -1; and its slot in the table, a power of two long."""
    mask = np.uint64(len(table) - 1)
    slot = np.int64(_hash(text, start, end) & mask)
    while table[slot] >= 0:
        word = table[slot]
        if ends[word] - starts[word] == end - start:
            same = True
            for k in range(end - start):
                if text[starts[word] + k] != text[start + k]:
                    same = False
                    break
            if same:
                return word, slot
        slot = (slot + 1) & (len(table) - 1)
    return np.int32(-1), slot


@njit(cache=True, nogil=True)
def _grown(text, starts, ends):
    """Table and places with twice the room."""
    room = 2 * len(starts)
    table = np.full(2 * room, -1, np.int32)
    more_starts, more_ends = np.zeros(room, np.int64), np.zeros(room, np.int64)
    more_starts[:len(starts)], more_ends[:len(ends)] = starts, ends
    for word in range(len(starts)):
        _, slot = find_word(text, starts[word], ends[word], table, more_starts, more_ends)
        table[slot] = word
    return table, more_starts, more_ends
