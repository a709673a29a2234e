"""A recipe's language model: an n-gram model of the training transcripts, and of more texts."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Iterable, Literal, Sequence

from ..errors import DataError
from ..text import Units
from .arpa import write
from .kneser_ney import KneserNeyConfig, train
from .tokens import SPACE, read_text


@dataclass(frozen=True)
class LmConfig:
    """[lm]: what the language model reads, and from what it learns."""

    order: int = 3                           # the longest n-grams
    prune: tuple[int, ...] = ()              # drop n-grams that occur at most so often, by order; the last holds for the rest
    units: Literal["word", "unit"] = "word"  # words, or the units that the network writes
    vocabulary: int = 0                      # so many words at most, the commonest, are known, and are the decoder's lexicon; 0: all
    texts: tuple[str, ...] = ()              # more texts, a sentence a line: files in the recipe's folder, beside those of prepare.py
    transcripts: bool = True                 # learn from the training transcripts too
    tune: bool = True                        # choose weight and bonus of each decoder with lm = true on the development set

    def __post_init__(self):
        self.estimate                            # raises ValueError
        if self.vocabulary < 0 or self.vocabulary and self.units == "unit":
            raise ValueError("vocabulary must be at least 0, and is of words")

    @property
    def estimate(self) -> KneserNeyConfig:
        return KneserNeyConfig(self.order, self.prune, discount_fallback=True)


def learn(config: LmConfig, transcripts: Iterable[str], units: Units, texts: Sequence[Path], target: Path) -> int:
    """Writes the model as ARPA; gives the number of sentences that it was learned from. Raises DataError when there are none."""
    sentences = list(transcripts) if config.transcripts else []
    for path in texts:
        sentences += read_text(path).splitlines()
    if not sentences:
        raise DataError("there is no text for the language model to learn from", hint="lm.texts names files, lm.transcripts = true")
    known = None
    if config.vocabulary:
        known = {word for word, _ in Counter(word for sentence in sentences for word in sentence.split()).most_common(config.vocabulary)}
    if config.units == "unit":
        sentences = [" ".join(SPACE if symbol == " " else symbol for symbol in units.split(sentence)) for sentence in sentences]
    write(train("\n".join(sentences), config.estimate, known), target)
    return len(sentences)
