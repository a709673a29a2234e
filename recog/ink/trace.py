"""InkML's notation of points: `10 20, '3'-1, "0"1, * 2`.

A value may be marked: `!` as it is, `'` added to the channel's last value, `"` added to its last change. A mark holds for
the channel until the next. `*` repeats the number that was written last (so the value, the change or the change of the
change goes on), and `?` says that the channel was not measured.
"""

from __future__ import annotations

import re
from contextlib import suppress
from typing import Mapping

import numpy as np

_NUMBER = r"-?\s*+(?:#[0-9A-Fa-f]++|(?:\d++\.?\d*+|\.\d++)(?:[eE][-+]?\d++)?)"
_VALUE = re.compile(rf"\s*+(?:([!'\"]?)\s*+({_NUMBER})|([TF*?]))")        # possessive: a long blank is not read twice

_PLAIN = re.compile(r"[-0-9.eE\s,]*+")


def values(text: str, regular: int, channels: int, wanted: Mapping[int, float]) -> np.ndarray:
    """The values of the wanted channels in every point [N, wanted].

    A point has the first `regular` of its `channels`, and of the others as many as were measured. `wanted` says by a channel's
    place what it is where it was not measured. Raises ValueError naming the point that cannot be read.
    """
    points = text.split(",")
    if not points[-1].strip():
        points.pop()
    if _PLAIN.fullmatch(text):                                      # nearly always; ten times as fast
        rows = [point.split() for point in points]
        if all(len(row) == channels for row in rows):
            with suppress(ValueError):
                return np.array([[float(row[place]) for place in wanted] for row in rows], np.float64).reshape(-1, len(wanted))
    return _marked(points, regular, channels, wanted)


def _marked(points: list[str], regular: int, channels: int, wanted: Mapping[int, float]) -> np.ndarray:
    """As `values`, of points in any notation."""
    found = np.empty((len(points), len(wanted)))
    columns = [_Channel(otherwise) for otherwise in wanted.values()]
    for row, point in enumerate(points):
        try:
            written = _values(point)
            if not regular <= len(written) <= channels:
                expected = f"{channels}" if regular == channels else f"{regular} to {channels}"
                raise ValueError(f"has {len(written)} values for {expected} channels")
            for column, place in enumerate(wanted):
                found[row, column] = columns[column].next(*(written[place] if place < len(written) else ("", "?")))
        except ValueError as error:
            raise ValueError(f"point {row + 1} {error}") from None
    return found


def _values(point: str) -> list[tuple[str, str]]:
    """(mark, number or wildcard) of every value of a point."""
    found, at, end = [], 0, len(point.rstrip())
    while at < end:
        match = _VALUE.match(point, at, end)
        if not match:
            raise ValueError(f"has '{point[at:at + 12].strip()}' where a value should be")
        found.append((match[1] or "", match[2] or match[3]))
        at = match.end()
    return found


class _Channel:
    """One channel from point to point: its last value and change, the number written last and how that is meant."""

    def __init__(self, otherwise: float):
        self.otherwise = otherwise
        self.mark = "!"
        self.value = self.change = self.number = None

    def next(self, mark: str, written: str) -> float:
        if written == "?" or (written == "*" and self.number is None):
            return self.otherwise
        if written in ("T", "F"):
            raise ValueError(f"has '{written}' where a number should be")
        if written != "*":
            self.number = _number(written)
        self.mark = mark or self.mark
        before = self.value
        if self.mark == "!":
            self.value = self.number
        elif before is None:
            raise ValueError("gives a change, and there is no value before it")
        else:
            self.value = before + self.number + ((self.change or 0.0) if self.mark == '"' else 0.0)
        self.change = None if before is None else self.value - before
        return self.value


def _number(written: str) -> float:
    """A number that is too large for floating point is infinite."""
    sign, digits = (-1.0, written[1:].lstrip()) if written.startswith("-") else (1.0, written)
    try:
        return sign * (float(int(digits[1:], 16)) if digits.startswith("#") else float(digits))
    except OverflowError:
        return sign * float("inf")
