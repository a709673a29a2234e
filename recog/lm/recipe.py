"""A recipe's language model: an n-gram model of the training transcripts, and of more texts beside recipe.toml."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Iterable, Literal

from ..text import Units
from .arpa import write
from .kneser_ney import KneserNeyConfig, train
from .tokens import SPACE, read_text


@dataclass(frozen=True)
class LmConfig:
    """[lm]: what the language model reads, and from what it learns."""

    order: int = 3                           # the longest n-grams
    units: Literal["word", "unit"] = "word"  # words, or the units that the network writes
    texts: tuple[str, ...] = ()              # more texts, a sentence a line: files in the recipe's folder
    transcripts: bool = True                 # learn from the training transcripts too
    tune: bool = True                        # choose weight and bonus of each decoder with lm = true on the development set

    def __post_init__(self):
        KneserNeyConfig(self.order)              # raises ValueError
        if not (self.texts or self.transcripts):
            raise ValueError("without transcripts there must be texts")


def learn(config: LmConfig, transcripts: Iterable[str], units: Units, folder: Path, target: Path) -> int:
    """Writes the model as ARPA; gives the number of sentences that it was learned from. `folder`: where the texts are."""
    sentences = list(transcripts) if config.transcripts else []
    for name in config.texts:
        sentences += read_text(folder / name).splitlines()
    if config.units == "unit":
        sentences = [" ".join(SPACE if symbol == " " else symbol for symbol in units.split(sentence)) for sentence in sentences]
    write(train("\n".join(sentences), KneserNeyConfig(config.order, discount_fallback=True)), target)
    return len(sentences)
