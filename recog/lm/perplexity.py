"""How well a language model foretells a text: perplexity, with and without unknown words."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Iterable, Iterator, Protocol, Sequence

import numpy as np

from .tokens import SPECIAL


class Scorer(Protocol):
    """A model that scores sentences, each by itself."""

    def knows(self, word: str) -> bool: ...

    def scores(self, words: Sequence[str]) -> np.ndarray: ...     # [n + 1], natural log, the last that of </s>


@dataclass(frozen=True)
class Scored:
    """A sentence with its end."""

    tokens: tuple[str, ...]                   # words, and </s>
    log_probs: np.ndarray                     # of each, natural log
    known: tuple[bool, ...]


@dataclass(frozen=True)
class Perplexity:
    """Sums over a text, in nats. Tokens are words and sentence ends."""

    sentences: int = 0
    words: int = 0
    unknown: int = 0                          # words that the model does not know
    log_prob: float = 0.0                     # of all tokens
    log_prob_known: float = 0.0               # without unknown words

    def plus(self, scored: Scored) -> Perplexity:
        return Perplexity(self.sentences + 1, self.words + len(scored.tokens) - 1, self.unknown + scored.known.count(False),
                          self.log_prob + float(scored.log_probs.sum()),
                          self.log_prob_known + float(scored.log_probs[np.array(scored.known)].sum()))

    @property
    def tokens(self) -> int:
        return self.words + self.sentences

    @property
    def perplexity(self) -> float:
        return _exp(-self.log_prob / self.tokens)

    @property
    def perplexity_known(self) -> float:
        return _exp(-self.log_prob_known / (self.tokens - self.unknown))

    @property
    def bits(self) -> float:
        """Per token."""
        return -self.log_prob / self.tokens / math.log(2)


def _exp(value: float) -> float:
    return math.exp(value) if value < 700 else math.inf


def score_sentences(model: Scorer, sentences: Iterable[Sequence[str]]) -> Iterator[Scored]:
    for words in sentences:
        yield Scored((*words, SPECIAL[2]), model.scores(words), (*map(model.knows, words), True))
