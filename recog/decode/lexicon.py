"""A lexicon as a table: which unit may follow which beginning of a word."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import Iterable, Mapping, Sequence

import numpy as np

from ..errors import DataError
from ..kernels.roles import CLOSES, INSIDE, OPENS
from ..text import STARTS, Units

Spelling = tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Alphabet:
    """What each unit does to words. Number 0, the blank, stands for the beginning of a text."""

    roles: np.ndarray                         # int8 [V]: INSIDE a word; OPENS one; CLOSES one (the space)
    letters: tuple[Spelling, ...]             # what each adds to the word: one letter or phone; of pieces, several

    @classmethod
    def of(cls, units: Units) -> Alphabet:
        symbols = units.symbols[1:]
        if units.kind == "piece":
            roles, letters = [OPENS if s.startswith(STARTS) else INSIDE for s in symbols], [tuple(s.strip(STARTS)) for s in symbols]
        elif units.kind == "char" or units.lexicon is not None:
            roles, letters = [CLOSES if s == " " else INSIDE for s in symbols], [() if s == " " else (s,) for s in symbols]
        else:
            roles, letters = [OPENS] * len(symbols), [(s,) for s in symbols]
        return cls(np.array([CLOSES, *roles], np.int8), ((), *letters))


@dataclass(frozen=True, eq=False)
class Lexicon:
    """A trie. State 0 is the beginning of a text, and of a word where words end with a unit of their own."""

    next: np.ndarray                          # int32 [S, V], the state after a unit, or -1 where it may not come
    final: np.ndarray                         # bool [S], a whole word is spelled
    ends: Mapping[Spelling, int]              # the state in which each word is spelled
    parents: np.ndarray                       # int32 [S], the state one letter before, -1 where there is none; it has a lower number
    closed: bool

    def levels(self) -> list[np.ndarray]:
        """The states with one letter, those with two, and so on."""
        levels, depth = [], np.where(self.parents < 0, 0, -1)
        while len(deeper := np.flatnonzero((depth < 0) & (depth[self.parents] == len(levels)))):
            depth[deeper] = len(levels) + 1
            levels.append(deeper)
        return levels

    def states(self, units: Sequence[int]) -> list[int]:
        """The state before each unit, and after the last."""
        states = [0]
        for unit in units:
            states.append(int(self.next[states[-1], unit]))
        return states


def build(spellings: Iterable[Spelling], alphabet: Alphabet, closed: bool = True) -> Lexicon:
    """From words to a trie of their letters; a piece is several steps at once, so that however a word is cut, it is that word.

    closed: only these words are written; raises DataError for one that the units cannot spell. Open: any words; the last state is
    that of what begins none of these, and where a word may end is any state in which one has begun.
    """
    V, roles = len(alphabet.roles), alphabet.roles
    opens, closes = np.flatnonzero(roles == OPENS), np.flatnonzero(roles[1:] == CLOSES) + 1
    begun = 1 if len(opens) else 0                       # the state in which a word has begun, but has no letter yet
    steps, ends = _trie(spellings, begun)
    parents = np.array([-1] * (begun + 1) + [state for state, _ in steps], np.int32)
    table = np.full((len(parents), V), -1, np.int32)
    by_letter = _by_letter(steps, len(parents))
    for v in range(1, V):
        states = np.zeros(1, np.int64) if roles[v] == OPENS else np.arange(len(parents) if roles[v] == INSIDE else 0)
        table[states, v] = _walk(by_letter, np.maximum(states, begun), alphabet.letters[v])
    _refuse(table, ends, begun, closed)
    final = np.zeros(len(table), bool)
    final[list(ends.values())] = True
    if not closed:
        other = len(table)
        table = np.concatenate([table, np.full((1, V), -1, np.int32)])
        table[table < 0], final = other, np.ones(other + 1, bool)
        final[:begun + 1] = False
        parents = np.append(parents, np.int32(-1))
    after = np.flatnonzero(final)
    table[np.ix_(after, opens)] = table[0, opens]        # the next word begins
    table[np.ix_(~final, closes)], table[np.ix_(after, closes)] = -1, 0
    table[np.ix_(np.flatnonzero(~final)[1:], opens)] = -1
    return Lexicon(table, final, ends, parents, closed)


def _trie(spellings: Iterable[Spelling], root: int) -> tuple[list[tuple[int, str]], dict[Spelling, int]]:
    """The state before each state from root + 1 on, and the letter between the two; and the state that spells each word."""
    steps: dict[tuple[int, str], int] = {}
    ends = {}
    for spelling in sorted(set(map(tuple, spellings))):
        state = root
        for letter in spelling:
            state = steps.setdefault((state, letter), root + 1 + len(steps))
        ends[spelling] = state
    return list(steps), ends


def _by_letter(steps: Sequence[tuple[int, str]], states: int) -> dict[str, np.ndarray]:
    """Of each letter, the state after each state [S + 1], -1 where it may not come; the last is what comes after -1."""
    found: dict[str, list[tuple[int, int]]] = defaultdict(list)
    for state, (before, letter) in enumerate(steps, start=states - len(steps)):
        found[letter].append((before, state))
    tables = {letter: np.full(states + 1, -1, np.int32) for letter in found}
    for letter, pairs in found.items():
        before, after = np.array(pairs).T
        tables[letter][before] = after
    return tables


def _walk(by_letter: Mapping[str, np.ndarray], states: np.ndarray, letters: Spelling) -> np.ndarray:
    for letter in letters:
        states = by_letter[letter][states] if letter in by_letter else np.full_like(states, -1)
    return states


def _refuse(table: np.ndarray, ends: dict[Spelling, int], begun: int, closed: bool) -> None:
    """Takes out the words that no units spell; raises DataError where these must be known."""
    reached, front = np.zeros(len(table), bool), np.array([0, begun])
    while len(front):
        reached[front] = True
        found = np.unique(table[front])
        front = found[(found >= 0) & ~reached[found]]
    for spelling, state in list(ends.items()):
        if not reached[state] or not spelling:
            if closed:
                raise DataError(f"the units cannot spell the word '{''.join(spelling)}'", where="lexicon")
            del ends[spelling]
