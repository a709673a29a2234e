"""Phrases to listen for: names and words that gain where they are heard, whole, whatever the language model thinks of them.

A phrase under way is given its nats letter by letter, so that a narrow beam keeps it, and gives them back when it turns
out to be none (Zhao et al. 2019). In the end each occurrence of a phrase gains `boost` nats for each of its letters.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from pathlib import Path
from typing import Iterable, Mapping, Sequence

import numpy as np

from ..errors import ConfigError, DataError
from ..lm.tokens import read_text
from ..kernels.roles import INSIDE
from ..text import Units
from .lexicon import Alphabet, Spelling

BREAK = " "                                   # between the letters of two words
MOST_WAYS = 64                                # to say a phrase
MOST_LETTERS = 200                            # of a phrase: the time grows with their cube, and is a second for so many


@dataclass(frozen=True, eq=False)
class Phrases:
    """An automaton over units. State 0: a word begins; state 1: within a word that begins no phrase."""

    next: np.ndarray                          # int32 [P, V], the state after a unit
    hopes: np.ndarray                         # [P] nats that the phrase under way was given
    kept: np.ndarray                          # [P] nats of the phrases that are whole if a word ends here

    def gain(self, units: Sequence[int], roles: np.ndarray) -> float:
        """What a whole answer gains, nats."""
        state, total = 0, 0.0
        for unit in units:
            total += self.kept[state] if roles[unit] != INSIDE else 0.0
            state = int(self.next[state, unit])
        return float(total + self.kept[state])


def read(path: Path) -> dict[str, float]:
    """A phrase to a line, and after a tab, if need be, how much more than another it gains. Raises DataError."""
    found = {}
    for number, line in enumerate(read_text(path).splitlines(), 1):
        phrase, _, factor = line.partition("\t")
        try:
            value = float(factor) if factor.strip() else 1.0
        except ValueError:
            value = float("nan")
        if not np.isfinite(value):
            raise DataError(f"line {number}: '{factor.strip()}' is not a number", where=path, hint="write the phrase, a tab, and a factor")
        phrase = " ".join(phrase.split())
        if len(phrase) > MOST_LETTERS:
            raise DataError(f"line {number}: the phrase has {len(phrase):,} letters, and may have at most {MOST_LETTERS}", where=path)
        if phrase:
            found[phrase] = value
    if not found:
        raise DataError("holds no phrase", where=path, hint="write one to a line")
    return found


def spell(phrase: str, units: Units) -> list[Spelling]:
    """The ways to say a phrase: letters, and BREAK between words. Raises ConfigError for a word that the model cannot write."""
    words = phrase.split()
    if units.lexicon is not None:
        unknown = [word for word in words if word not in units.lexicon]
        if unknown:
            raise ConfigError(f"the model's lexicon does not say how '{unknown[0]}' is spoken", where="phrases",
                              hint="say it in a dictionary, and name that with --lexicon")
        ways = itertools.product(*(units.lexicon[word] for word in words))
    else:
        ways = iter([[tuple(word) if units.kind in ("char", "piece") else (word,) for word in words]])
    return [_joined(way) for way in itertools.islice(ways, MOST_WAYS)]


def build(ways: Mapping[Spelling, float], alphabet: Alphabet) -> Phrases:
    """ways: what each gains for a letter, nats. Raises ConfigError for a letter that no unit writes."""
    written = {letter for letters in alphabet.letters for letter in letters} | {BREAK}
    for way in ways:
        wrong = [letter for letter in way if letter not in written]
        if wrong:
            raise ConfigError(f"the model cannot write '{wrong[0]}' in '{''.join(way)}'", where="phrases")
    hopes: dict[Spelling, float] = {(): 0.0}
    for way, boost in ways.items():
        for n in range(1, len(way) + 1):
            hopes[way[:n]] = max(hopes.get(way[:n], -np.inf), boost * _letters(way[:n]))
    number = {(): 0, **{prefix: i for i, prefix in enumerate((p for p in sorted(hopes) if p), 2)}}

    def after(state: int, letter: str) -> int:
        if state == 1:
            return 0 if letter == BREAK else 1
        for suffix in _from_words((*names[state], letter)):
            if suffix in number:
                return number[suffix]
        return 1

    names = {i: prefix for prefix, i in number.items()}
    table = np.zeros((len(number) + 1, len(alphabet.letters)), np.int32)
    for unit in range(1, table.shape[1]):
        letters = alphabet.letters[unit] if alphabet.roles[unit] == INSIDE else (BREAK, *alphabet.letters[unit])
        for state in range(len(table)):
            at = state
            for letter in letters:
                at = after(at, letter)
            table[state, unit] = at
    kept, hoped = np.zeros((2, len(table)))
    for prefix, i in number.items():
        hoped[i] = hopes[prefix]
        kept[i] = sum(ways[suffix] * _letters(suffix) for suffix in _from_words(prefix) if suffix in ways)
    return Phrases(table, hoped, kept)


def _joined(words: Iterable[Sequence[str]]) -> Spelling:
    return tuple(itertools.chain.from_iterable((BREAK, *word) for word in words))[1:]


def _letters(spelling: Spelling) -> int:
    return sum(letter != BREAK for letter in spelling)


def _from_words(spelling: Spelling) -> list[Spelling]:
    """It, and what it ends with from each of its words on, the longest first."""
    return [spelling, *(spelling[i + 1:] for i, letter in enumerate(spelling) if letter == BREAK)]
