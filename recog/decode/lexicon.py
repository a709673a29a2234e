"""A lexicon as a table: which unit may follow which beginning of a word."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Iterable, Sequence

import numpy as np

from ..errors import DataError


@dataclass(frozen=True, eq=False)
class Lexicon:
    """A trie. State 0 is the beginning of a word; a space leads back to it from the end of one."""

    next: np.ndarray                          # int32 [S, V], the state after a unit, or -1 where it may not come
    final: np.ndarray                         # bool [S], a whole word is spelled
    space: int = -1                           # the unit that ends a word; -1: there is none

    def states(self, units: Sequence[int]) -> list[int]:
        """The state before each unit, and after the last."""
        states = [0]
        for unit in units:
            states.append(int(self.next[states[-1], unit]))
        return states


def build(spellings: Iterable[Sequence[str]], symbols: Sequence[str], closed: bool = True) -> Lexicon:
    """From words, each a sequence of units, to a trie. Raises DataError for a word that the units cannot spell.

    closed: only these words are written. Open: the last state is that of what begins no word of these, and all states are final.
    """
    number = {symbol: i for i, symbol in enumerate(symbols)}
    rows, final = [[-1] * len(symbols)], [False]
    for spelling in sorted(set(map(tuple, spellings))):
        if not spelling or any(unit not in number or unit == " " for unit in spelling):
            raise DataError(f"the units cannot spell the word '{''.join(spelling)}'", where="lexicon")
        state = 0
        for unit in spelling:
            if rows[state][number[unit]] < 0:
                rows[state][number[unit]] = len(rows)
                rows.append([-1] * len(symbols))
                final.append(False)
            state = rows[state][number[unit]]
        final[state] = True
    if " " in number:
        for state, whole in enumerate(final):
            if whole:
                rows[state][number[" "]] = 0
    table, ends, space = np.array(rows, np.int32), np.array(final), number.get(" ", -1)
    if not closed:
        other = len(table)
        table = np.concatenate([table, np.full((1, len(symbols)), -1, np.int32)])
        table[table < 0] = other
        if space >= 0:
            table[1:, space], table[0, space] = 0, -1              # no empty words
        ends = np.arange(len(table)) > 0
    return Lexicon(table, ends, space)
