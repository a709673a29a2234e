"""A back-off n-gram model as arrays: what is trained, written, read, and compiled for decoders."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

LOWEST = -99.0                                # log10 of a probability of zero, by custom


@dataclass(frozen=True)
class Arpa:
    """A back-off model: p(w | h) is that of h w if listed, else the back-off weight of h times p(w | h without its first word)."""

    words: list[str]                          # the vocabulary; row w of the unigrams is word w
    grams: list[np.ndarray]                   # by order n: [K, n] int32, word numbers
    probs: list[np.ndarray]                   # by order: [K] float64, log10
    backoffs: list[np.ndarray]                # by order, without the highest: [K] float64, log10

    @property
    def order(self) -> int:
        return len(self.grams)

    @property
    def counts(self) -> list[int]:
        return [len(table) for table in self.grams]
