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


def build(words: Iterable[str], symbols: Sequence[str]) -> Lexicon:
    """From words to a trie over character units. Raises DataError for a word that the units cannot spell."""
    number = {symbol: i for i, symbol in enumerate(symbols)}
    rows, final = [[-1] * len(symbols)], [False]
    for word in sorted(set(words)):
        if not word or any(letter not in number or letter == " " for letter in word):
            raise DataError(f"the units cannot spell the word {word!r}", where="lexicon", hint="it needs character units")
        state = 0
        for letter in word:
            if rows[state][number[letter]] < 0:
                rows[state][number[letter]] = len(rows)
                rows.append([-1] * len(symbols))
                final.append(False)
            state = rows[state][number[letter]]
        final[state] = True
    if " " in number:
        for state, whole in enumerate(final):
            if whole:
                rows[state][number[" "]] = 0
    return Lexicon(np.array(rows, np.int32), np.array(final))
