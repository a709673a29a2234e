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


def build(spellings: Iterable[Sequence[str]], symbols: Sequence[str]) -> Lexicon:
    """From words, each a sequence of units, to a trie. Raises DataError for a word that the units cannot spell."""
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
    return Lexicon(np.array(rows, np.int32), np.array(final))
