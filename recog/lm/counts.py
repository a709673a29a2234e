"""The distinct n-grams of a text and their counts, by sorting: no dictionaries.

An n-gram is its suffix (the n-gram without its first word, one order below) and its first word. The number of the suffix and
the word make one 64-bit key, whatever the order and the vocabulary, so each order is one sort of the order below.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .tokens import BOS


@dataclass(frozen=True)
class Grams:
    """The K distinct n-grams of one order, sorted by last word, then by the word before it, and so on."""

    words: np.ndarray             # [K, n] int32
    count: np.ndarray             # [K] int64, how often each occurs
    suffix: np.ndarray            # [K] int32, row of w2..wn in the order below
    context: np.ndarray           # [K] int32, row of w1..w(n-1) in the order below


def count_grams(stream: np.ndarray, vocabulary: int, order: int) -> list[Grams]:
    """Orders 1 to `order` of numbered sentences [M], each from BOS to EOS; no n-gram reaches over a sentence's end."""
    counts = np.bincount(stream, minlength=vocabulary)
    none = np.zeros(vocabulary, np.int32)
    grams = [Grams(np.arange(vocabulary, dtype=np.int32)[:, None], counts, none, none)]
    depth = _depth(stream)
    below, ends = stream, np.arange(len(stream))       # row of the (n-1)-gram that ends at each token; where n-grams end
    for n in range(2, order + 1):
        ends = ends[depth[ends] >= n - 1]
        keys = below[ends].astype(np.int64) * vocabulary + stream[ends - n + 1]
        sort = np.argsort(keys)
        keys, sort = keys[sort], ends[sort]
        new = np.ones(len(keys), bool)
        new[1:] = keys[1:] != keys[:-1]
        del keys
        first = np.flatnonzero(new)
        some = sort[first]                              # one place where each n-gram ends
        rows = np.zeros(len(stream), np.int32)
        rows[sort] = np.cumsum(new, dtype=np.int32) - 1
        words = stream[some[:, None] + np.arange(1 - n, 1)]
        grams.append(Grams(words, np.diff(first, append=len(new)), below[some], below[some - 1]))
        below = rows
    return grams


def adjusted_counts(grams: list[Grams]) -> list[np.ndarray]:
    """For each order [K]: on how many words it can follow; how often it occurs for the highest order and after <s>."""
    adjusted = []
    for lower, higher in zip(grams, grams[1:]):
        extensions = np.bincount(higher.suffix, minlength=len(lower.count))
        adjusted.append(np.where(lower.words[:, 0] == BOS, lower.count, extensions))
    adjusted.append(grams[-1].count.copy())
    adjusted[0][BOS] = 0                                # <s> is never predicted
    return adjusted


def _depth(stream: np.ndarray) -> np.ndarray:
    """How many tokens of its sentence stand before each token."""
    place = np.arange(len(stream), dtype=np.int32)
    return place - np.maximum.accumulate(np.where(stream == BOS, place, 0))
