"""Which ids have been seen, of millions: 16 bytes for each."""

from __future__ import annotations

import hashlib
from typing import Any

BLOCK = 1 << 16                          # ids that are kept as they are, until they are sorted away as digests


class Seen:
    """Ids come one after the other; one that comes again is named, at the latest a block later.

    Ids further back are known by 128 bits of a hash: two different ones are taken for one less often than once in 10^24 runs of
    ten million. Sorted runs are merged as in a binary counter, so that the work is n log n and no copy is larger than needed.
    """

    def __init__(self) -> None:
        self._block: dict[str, None] = {}
        self._runs: list[tuple[Any, Any]] = []           # uint64 [n] twice: upper halves, sorted, and lower halves

    def twice(self, id: str) -> str | None:
        """Adds an id; gives one that is known to have come before, or None."""
        if id in self._block:
            return id
        self._block[id] = None
        return self.rest() if len(self._block) == BLOCK else None

    def rest(self) -> str | None:
        """Looks at what has not been compared yet; gives an id that came twice, or None."""
        if not self._block:
            return None
        import numpy as np                               # a few ids need none

        if not self._runs and len(self._block) < BLOCK:
            return None                                  # compared already
        ids = list(self._block)
        halves = np.frombuffer(b"".join(hashlib.blake2b(id.encode("utf-8", "surrogatepass"), digest_size=16).digest() for id in ids), np.uint64)
        order = np.argsort(halves[0::2])
        upper, lower = halves[0::2][order], halves[1::2][order]
        for there, beside in self._runs:
            at = np.minimum(np.searchsorted(there, upper), len(there) - 1)
            for i in np.flatnonzero(there[at] == upper):
                first, end = np.searchsorted(there, upper[i]), np.searchsorted(there, upper[i], "right")
                if (beside[first:end] == lower[i]).any():
                    return ids[order[i]]
        self._block = {}
        self._runs.append((upper, lower))
        while len(self._runs) > 1 and len(self._runs[-2][0]) <= len(self._runs[-1][0]):
            (a, x), (b, y) = self._runs.pop(), self._runs.pop()
            places = np.searchsorted(a, b) + np.arange(len(b))
            merged = tuple(np.empty(len(a) + len(b), np.uint64) for _ in range(2))
            rest = np.ones(len(a) + len(b), bool)
            rest[places] = False
            for whole, ours, theirs in zip(merged, (a, x), (b, y)):
                whole[rest], whole[places] = ours, theirs
            self._runs.append(merged)
        return None
