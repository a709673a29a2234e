"""A part of a list of things to do: one of several jobs that each do every n-th."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Sequence, TypeVar

from .errors import ConfigError

T = TypeVar("T")


@dataclass(frozen=True)
class Part:
    """Part 3 of 16 has the items number 3, 19, 35, ...; all parts together have each item once."""

    number: int = 1
    of: int = 1

    def __post_init__(self):
        if not 1 <= self.number <= self.of:
            raise ValueError("parts are numbered from 1 to their number")

    def share(self, items: Sequence[T]) -> Sequence[T]:
        return items[self.number - 1::self.of]

    def holds(self, index: int) -> bool:
        """Whether the item of this index, from 0, is one of them."""
        return index % self.of == self.number - 1

    def among(self, rank: int, size: int) -> Part:
        """What one of `size` ranks does of it."""
        return Part(self.number + rank * self.of, self.of * size)

    @property
    def whole(self) -> bool:
        return self.of == 1

    def __str__(self) -> str:
        return f"{self.number}/{self.of}"


WHOLE = Part()


def parsed(text: str | None) -> Part:
    """From "3/16"; None is all. Raises ConfigError."""
    if text is None:
        return WHOLE
    found = re.fullmatch(r"(\d{1,9})/(\d{1,9})", text)
    try:
        return Part(*map(int, found.groups())) if found else _refuse(text)
    except ValueError:
        return _refuse(text)


def _refuse(text: str) -> Part:
    raise ConfigError(f"'{text}' is no part of a whole", where="--shard", hint="3/16 is the third of sixteen")
