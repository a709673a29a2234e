"""A pronunciation dictionary in the CMU format: WORD, then its phones; WORD(2) is a second way to say it; `;;;` is a comment."""

from __future__ import annotations

import re
from pathlib import Path

from .errors import DataError

Pronunciations = dict[str, tuple[tuple[str, ...], ...]]      # word -> ways to say it, the usual one first

_VARIANT = re.compile(r"\(\d+\)$")
_STRESS = re.compile(r"(?<=[A-Za-z])[012]$")


def read(path: Path) -> Pronunciations:
    """Raises DataError naming the line that is wrong, or the file that is not there."""
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"cannot be read: {error}", where=path, hint="units.lexicon of a recipe, or --lexicon, names a dictionary") from None
    words: dict[str, list[tuple[str, ...]]] = {}
    for number, line in enumerate(lines, 1):
        entry, *phones = line.split() or [";;;"]
        if entry.startswith(";;;"):
            continue
        if not phones:
            raise DataError(f"line {number}: '{entry}' has no phones", where=path)
        word = _VARIANT.sub("", entry)
        if not word:
            raise DataError(f"line {number}: '{entry}' says that it is another way, but not of which word", where=path)
        ways = words.setdefault(word, [])
        if tuple(phones) not in ways:
            ways.append(tuple(phones))
    if not words:
        raise DataError("holds no words", where=path)
    return {word: tuple(ways) for word, ways in words.items()}


def unstressed(words: Pronunciations) -> Pronunciations:
    """The same without the digits of stress that the CMU dictionary has on vowels: AH0 is AH."""
    return {word: tuple(dict.fromkeys(tuple(_STRESS.sub("", phone) for phone in way) for way in ways)) for word, ways in words.items()}
