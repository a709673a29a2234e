"""A language model as a search uses it: it reads the units themselves, or the words that they spell."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Mapping, Sequence

import numpy as np

from ..errors import ConfigError
from .lexicon import Lexicon

if TYPE_CHECKING:
    from ..kernels.fusion import Fusion
    from ..lm.ngram import Ngram


@dataclass(frozen=True, eq=False)
class Language:
    """An n-gram model, and what its words are in terms of a decoder."""

    model: Ngram
    numbers: np.ndarray                       # int32: of each unit [V], or of the word that each state of the lexicon spells [S]
    lexicon: Lexicon | None = None            # None: the model reads units

    @classmethod
    def of_units(cls, model: Ngram, tokens: Sequence[str]) -> Language:
        """tokens: what the model calls each unit, the blank first. Raises ConfigError for one that it does not know."""
        unknown = [token for token in tokens[1:] if model.id(token) == model.unk]
        if unknown:
            raise ConfigError(f"the language model does not know the unit{'s' * (len(unknown) > 1)} {', '.join(unknown[:5])}",
                              hint="was it trained on these units (recog lm train --units)?")
        return cls(model, np.array([model.id(token) for token in tokens], np.int32))

    @classmethod
    def of_words(cls, model: Ngram, lexicon: Lexicon, words: Mapping[tuple[int, ...], str]) -> Language:
        """words: what each spelling of the lexicon means."""
        numbers = np.full(len(lexicon.next), model.unk, np.int32)
        for spelling, word in words.items():
            numbers[lexicon.states(spelling)[-1]] = model.id(word)
        return cls(model, numbers, lexicon)

    def start(self) -> int:
        return self.model.start()

    def fusion(self, weight: float, unknown: float) -> Fusion:
        from ..kernels.fusion import UNITS, WORDS, Fusion

        kind, space = (UNITS, -1) if self.lexicon is None else (WORDS, self.lexicon.space)
        return Fusion(kind, float(weight), float(unknown), space, self.numbers, self.model.unk, self.model.eos, self.model.automaton)

    def gain(self, units: Sequence[int], weight: float, unknown: float) -> float:
        """What a whole answer gains, nats: each of its words (or units), and its end."""
        if self.lexicon is None:
            numbers = [int(self.numbers[unit]) for unit in units]
        else:
            states = self.lexicon.states(units)
            numbers = [int(self.numbers[before]) for before, after in zip(states, [*states[1:], 0]) if after == 0 and before != 0]
        state, total = self.model.start(), 0.0
        for number in numbers:
            gain, state = self.model.score(state, number)
            total += weight * gain - unknown * (number == self.model.unk)
        return total + weight * self.model.end(state)
