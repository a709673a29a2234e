"""Millions of different strings, numbered as they come, and found again: their letters and about 24 bytes each."""

from __future__ import annotations

from array import array
from typing import Iterator

import numpy as np


class Names:
    """Strings by number, and numbers by string."""

    def __init__(self) -> None:
        self._letters, self._ends, self._hashes = bytearray(), array("q", [0]), array("q")
        self._sorted: tuple[np.ndarray, np.ndarray] | None = None       # hashes in order, and whose they are

    def add(self, name: str) -> None:
        self._sorted = None
        self._letters += name.encode("utf-8", "surrogatepass")
        self._ends.append(len(self._letters))
        self._hashes.append(hash(name))

    def __len__(self) -> int:
        return len(self._hashes)

    def __getitem__(self, number: int) -> str:
        if not 0 <= number < len(self):
            raise IndexError(number)
        return self._letters[self._ends[number]:self._ends[number + 1]].decode("utf-8", "surrogatepass")

    def find(self, name: str, guess: int = -1) -> int:
        """Its number; -1: it is none of them. guess: the number that it may have."""
        if 0 <= guess < len(self) and self[guess] == name:
            return guess
        hashes, numbers = self._order()
        at, wanted = int(np.searchsorted(hashes, hash(name))), hash(name)
        while at < len(hashes) and hashes[at] == wanted:
            if self[int(numbers[at])] == name:
                return int(numbers[at])
            at += 1
        return -1

    def twice(self) -> Iterator[str]:
        """Those that were added more than once."""
        hashes, numbers = self._order()
        for value in np.unique(hashes[1:][hashes[1:] == hashes[:-1]]):
            same = [self[int(n)] for n in numbers[np.searchsorted(hashes, value):np.searchsorted(hashes, value, "right")]]
            yield from sorted({name for name in same if same.count(name) > 1})

    def _order(self) -> tuple[np.ndarray, np.ndarray]:
        if self._sorted is None:
            hashes = np.frombuffer(self._hashes, np.int64)
            order = np.argsort(hashes, kind="stable")
            self._sorted = hashes[order], order
        return self._sorted
