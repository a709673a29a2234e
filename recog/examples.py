"""Training examples: stored frames with their labels, served as batches that a seed and a number determine."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Iterator, Sequence

import numpy as np

from .batching import BatchConfig, ahead, pad, plan, waste
from .features import FeatureConfig, Normalizer, finish
from .perturb import PerturbConfig, perturb
from .store import Store
from .types import Batch


@dataclass(frozen=True)
class Example:
    """An utterance as the trainer sees it."""

    id: str
    labels: tuple[int, ...]


class Examples:
    """Each epoch shuffles, picks one stored view per utterance and perturbs it anew, all from (seed, epoch)."""

    def __init__(self, store: Store, examples: Sequence[Example], features: FeatureConfig, normalizer: Normalizer | None,
                 batching: BatchConfig, perturbing: PerturbConfig = PerturbConfig(), seed: int = 0):
        self.store, self.examples = store, list(examples)
        self.features, self.normalizer = features, normalizer
        self.batching, self.perturbing, self.seed = batching, perturbing, seed

    def __len__(self) -> int:
        return len(self.examples)

    def batches_in(self, epoch: int) -> int:
        return len(self._order(epoch)[1])

    def waste(self, epoch: int) -> float:
        """The share of this epoch's frames that is padding."""
        return waste(*self._order(epoch)[:2])

    def epoch(self, epoch: int, start: int = 0) -> Iterator[Batch]:
        """The batches of a shuffled epoch from number `start` on, prepared ahead by a thread."""
        lengths, order, views = self._order(epoch)
        return ahead(lambda i: self._batch(order[i], views, (self.seed, epoch, i)), range(start, len(order)))

    def in_order(self) -> Iterator[Batch]:
        """Every utterance once, first view, unperturbed, sorted by length."""
        lengths = self._lengths([0] * len(self))
        return ahead(lambda i: self._batch(order[i], [0] * len(self), None), range(len(order := plan(lengths, self.batching, None))))

    @functools.lru_cache(maxsize=2)
    def _order(self, epoch: int) -> tuple[np.ndarray, list[np.ndarray], list[int]]:
        rng = np.random.default_rng((self.seed, epoch))
        views = [int(rng.integers(self.store.views(e.id))) for e in self.examples]
        lengths = self._lengths(views)
        return lengths, plan(lengths, self.batching, rng), views

    def _lengths(self, views: Sequence[int]) -> np.ndarray:
        stack = self.features.stack
        return np.array([-(-self.store.length(e.id, view) // stack) for e, view in zip(self.examples, views)])

    def _batch(self, members: np.ndarray, views: Sequence[int], seed: tuple[int, ...] | None) -> Batch:
        change = None
        if seed is not None and self.perturbing.active:
            rate = 1000 / self.features.step_ms
            change = functools.partial(perturb, config=self.perturbing, frames_per_second=rate, rng=np.random.default_rng(seed))
        chosen = [self.examples[i] for i in members]
        xs = [finish(self.store.frames(self.examples[i].id, views[i]), self.features, self.normalizer, change) for i in members]
        return pad([e.id for e in chosen], xs, [e.labels for e in chosen])
