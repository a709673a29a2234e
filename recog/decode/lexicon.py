"""A lexicon as a table: which unit may follow which beginning of a word."""

from __future__ import annotations

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
    trie: list[dict[str, int]] = [{} for _ in range(begun + 1)]
    parents, ends = [-1] * (begun + 1), {}
    for spelling in sorted(set(map(tuple, spellings))):
        state = begun
        for letter in spelling:
            if letter not in trie[state]:
                trie[state][letter] = len(trie)
                trie.append({})
                parents.append(state)
            state = trie[state][letter]
        ends[spelling] = state
    table = np.full((len(trie), V), -1, np.int32)
    for v in range(1, V):
        for state in [0] if roles[v] == OPENS else range(len(trie)) if roles[v] == INSIDE else []:
            table[state, v] = _walk(trie, max(state, begun), alphabet.letters[v])
    _refuse(table, ends, begun, closed)
    final = np.zeros(len(trie), bool)
    final[list(ends.values())] = True
    if not closed:
        other = len(table)
        table = np.concatenate([table, np.full((1, V), -1, np.int32)])
        table[table < 0], final = other, np.ones(other + 1, bool)
        final[:begun + 1] = False
        parents.append(-1)
    after = np.flatnonzero(final)
    table[np.ix_(after, opens)] = table[0, opens]        # the next word begins
    table[np.ix_(~final, closes)], table[np.ix_(after, closes)] = -1, 0
    table[np.ix_(np.flatnonzero(~final)[1:], opens)] = -1
    return Lexicon(table, final, ends, np.array(parents, np.int32), closed)


def _walk(trie: list[dict[str, int]], state: int, letters: Spelling) -> int:
    for letter in letters:
        state = trie[state].get(letter, -1)
        if state < 0:
            return -1
    return state


def _refuse(table: np.ndarray, ends: dict[Spelling, int], begun: int, closed: bool) -> None:
    """Takes out the words that no units spell; raises DataError where these must be known."""
    reached, front = {0, begun}, [0, begun]
    while front:
        found = set(table[front.pop()].tolist()) - reached - {-1}
        reached |= found
        front += found
    for spelling, state in list(ends.items()):
        if state not in reached or not spelling:
            if closed:
                raise DataError(f"the units cannot spell the word '{''.join(spelling)}'", where="lexicon")
            del ends[spelling]
