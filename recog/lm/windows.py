"""A text as training examples: windows of characters, cut anew in each epoch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Iterable, Iterator

import numpy as np
import torch

from ..batching import ahead
from ..text import Units
from ..types import Batch
from .rnn import BREAK


@dataclass(frozen=True)
class WindowConfig:
    length: int = 200                         # characters to a window; the network starts each with nothing in mind
    batch: int = 32                           # windows to a step

    def __post_init__(self):
        if min(self.length, self.batch) < 1:
            raise ValueError("length and batch must be at least 1")


def numbers(units: Units, sentences: Iterable[str]) -> np.ndarray:
    """The sentences as one sequence [N], a BREAK before each and at the end."""
    found = [BREAK]
    for number, sentence in enumerate(sentences):
        found += [*units.encode(sentence, where=f"sentence {number + 1}"), BREAK]
    return np.array(found, np.int64)


class Windows:
    """What the trainer asks of examples. The cuts and the order of an epoch follow from (seed, epoch)."""

    def __init__(self, sequence: np.ndarray, config: WindowConfig, seed: int):
        self.sequence, self.config, self.seed = sequence, config, seed

    def __len__(self) -> int:
        return max(1, (len(self.sequence) - 1) // self.config.length)

    def batches_in(self, epoch: int) -> int:
        return len(self._order(epoch))

    def waste(self, epoch: int) -> float:
        return 0.0

    def epoch(self, epoch: int, start: int = 0) -> Iterator[Batch]:
        order = self._order(epoch)
        return ahead(lambda i: self._batch(order[i]), range(start, len(order)))

    def _order(self, epoch: int) -> list[np.ndarray]:
        """Where windows begin; what is left at the ends of the text comes in other epochs."""
        rng, length = np.random.default_rng((self.seed, epoch)), min(self.config.length, len(self.sequence) - 1)
        shift = int(rng.integers((len(self.sequence) - 1) % length + 1)) if len(self.sequence) > length + 1 else 0
        begins = rng.permutation(np.arange(shift, len(self.sequence) - length, length))
        return [begins[i:i + self.config.batch] for i in range(0, len(begins), self.config.batch)]

    def _batch(self, begins: np.ndarray) -> Batch:
        length = min(self.config.length, len(self.sequence) - 1)
        rows = torch.from_numpy(self.sequence[begins[:, None] + np.arange(length + 1)])
        lengths = torch.full((len(begins),), length)
        return Batch(tuple(f"characters from {b}" for b in begins), rows[:, :-1, None], lengths, rows[:, 1:], lengths)
