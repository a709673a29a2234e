"""Training examples: stored frames with their labels, served as batches that a seed and a number determine."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Callable, Iterator, NamedTuple, Protocol, Sequence

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
    speaker: str = ""
    words: int = 0


class Splices(Protocol):
    """Makes new utterances of words of old ones: splice.py."""

    def draw(self, speaker: str, count: int, rng: np.random.Generator): ...


class Drawn(NamedTuple):
    """An example as one epoch has it: stretches of stored frames, one after the other."""

    parts: tuple[tuple[str, int, int, int], ...]     # (utterance, view, first frame, end)
    labels: tuple[int, ...]

    @property
    def frames(self) -> int:
        return sum(end - first for _, _, first, end in self.parts)


class Examples:
    """Each epoch shuffles, picks one stored view per utterance (or splices one) and perturbs it anew, all from (seed, epoch)."""

    def __init__(self, store: Store, examples: Sequence[Example], features: FeatureConfig, normalizer: Normalizer | None,
                 batching: BatchConfig, perturbing: PerturbConfig = PerturbConfig(), seed: int = 0, splices: Splices | None = None):
        self.store, self.examples = store, list(examples)
        self.features, self.normalizer = features, normalizer
        self.batching, self.perturbing, self.seed, self.splices = batching, perturbing, seed, splices

    def __len__(self) -> int:
        return len(self.examples)

    def batches_in(self, epoch: int) -> int:
        return len(self._order(epoch)[1])

    def waste(self, epoch: int) -> float:
        """The share of this epoch's frames that is padding."""
        return waste(*self._order(epoch)[:2])

    def epoch(self, epoch: int, start: int = 0) -> Iterator[Batch]:
        """The batches of a shuffled epoch from number `start` on, prepared ahead by a thread."""
        _, order, drawn = self._order(epoch)
        return ahead(lambda i: self._batch(order[i], drawn, (self.seed, epoch, i)), range(start, len(order)))

    def in_order(self, share: Callable[[Sequence], Sequence] = lambda numbers: numbers) -> Iterator[Batch]:
        """Every utterance once, first view, unperturbed, sorted by length; of these batches, those that `share` picks."""
        drawn = [self._stored(e, 0) for e in self.examples]
        order = plan(self._lengths(drawn), self.batching, None)
        return ahead(lambda i: self._batch(order[i], drawn, None), share(range(len(order))))

    @functools.lru_cache(maxsize=2)
    def _order(self, epoch: int) -> tuple[np.ndarray, list[np.ndarray], list[Drawn]]:
        rng = np.random.default_rng((self.seed, epoch))
        drawn = [self._stored(e, int(rng.integers(self.store.views(e.id)))) for e in self.examples]
        if self.splices is not None:
            drawn = [self._spliced(e, whole, rng) for e, whole in zip(self.examples, drawn)]
        lengths = self._lengths(drawn)
        return lengths, plan(lengths, self.batching, rng), drawn

    def _stored(self, example: Example, view: int) -> Drawn:
        return Drawn(((example.id, view, 0, self.store.length(example.id, view)),), example.labels)

    def _spliced(self, example: Example, whole: Drawn, rng: np.random.Generator) -> Drawn:
        """Words of the same speaker at the same speed (view), as many as the utterance has; or the utterance itself."""
        view, found = whole.parts[0][1], self.splices.draw(example.speaker, example.words, rng)
        if found is None:
            return whole
        lengths = [self.store.length(word.id, view) for word in found[0]]
        parts = tuple((word.id, view, round(word.start * n), round(word.end * n)) for word, n in zip(found[0], lengths))
        return Drawn(parts, found[1])

    def _lengths(self, drawn: Sequence[Drawn]) -> np.ndarray:
        return np.array([-(-each.frames // self.features.stack) for each in drawn])

    def _batch(self, members: np.ndarray, drawn: Sequence[Drawn], seed: tuple[int, ...] | None) -> Batch:
        change = None
        if seed is not None and self.perturbing.active:
            change = functools.partial(perturb, config=self.perturbing, features=self.features, rng=np.random.default_rng(seed))
        xs = [finish(self._frames(drawn[i]), self.features, self.normalizer, change) for i in members]
        return pad([self.examples[i].id for i in members], xs, [drawn[i].labels for i in members])

    def _frames(self, drawn: Drawn) -> np.ndarray:
        parts = [self.store.frames(id, view)[first:end] for id, view, first, end in drawn.parts]
        return parts[0] if len(parts) == 1 else np.concatenate(parts)
