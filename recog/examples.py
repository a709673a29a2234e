"""Training examples: stored frames with their labels, served as batches that a seed and a number determine."""

from __future__ import annotations

import functools
from array import array
from contextlib import closing
from dataclasses import dataclass
from typing import Callable, Iterable, Iterator, NamedTuple, Protocol, Sequence

import numpy as np

from .batching import BatchConfig, ahead, pad, plan, waste
from .features import FeatureConfig, Normalizer, finish
from .pen.offsets import joined
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


class Packed(Sequence[Example]):
    """Examples whose frames are in a store, as arrays: their labels and about 24 bytes each."""

    def __init__(self, store: Store, examples: Iterable[Example]):
        """Raises KeyError for one that is not in the store."""
        speakers: dict[str, int] = {}
        numbers, labels, ends, speaker, words = array("q"), array("i"), array("q", [0]), array("i"), array("i")
        for example in examples:
            numbers.append(store.number(example.id, numbers[-1] + 1 if numbers else 0))          # a manifest's order, most often
            labels.extend(example.labels)
            ends.append(len(labels))
            speaker.append(speakers.setdefault(example.speaker, len(speakers)))
            words.append(example.words)
        self.store, self.numbers = store, np.frombuffer(numbers, np.int64)   # [N], of their utterances in the store
        self._labels, self._ends, self._words = np.frombuffer(labels, np.int32), ends, words
        self._speakers, self._speaker = list(speakers), speaker

    def __len__(self) -> int:
        return len(self.numbers)

    def __getitem__(self, i: int) -> Example:
        return Example(self.id(i), tuple(self.labels(i).tolist()), self._speakers[self._speaker[i]], self._words[i])

    def id(self, i: int) -> str:
        return self.store.id(int(self.numbers[i]))

    def labels(self, i: int) -> np.ndarray:
        """[U]"""
        return self._labels[self._ends[i]:self._ends[i + 1]]


class Spliced(NamedTuple):
    """What stands for an example in one epoch: stretches of stored frames, one after the other."""

    parts: tuple[tuple[str, int, int, int], ...]     # (utterance, view, first frame, end)
    labels: tuple[int, ...]
    gaps: tuple[float, ...] = ()                     # of ink: where each part begins, to the right of the one before; (): where it was

    @property
    def frames(self) -> int:
        return sum(end - first for _, _, first, end in self.parts)


class Splices(Protocol):
    """Makes new utterances of old ones: splice.py."""

    def draw(self, speaker: str, count: int, view: int, rng: np.random.Generator) -> Spliced | None: ...


class Epoch(NamedTuple):
    """An order of the examples."""

    rows: np.ndarray                                 # [N], the view of each, by its row in the store
    spliced: dict[int, Spliced]                      # what stands for some of them
    lengths: np.ndarray                              # [N] frames, as the encoder sees them
    batches: list[np.ndarray]                        # which examples


class Examples:
    """Each epoch shuffles, picks one stored view per utterance (or splices one) and perturbs it anew, all from (seed, epoch)."""

    def __init__(self, store: Store, examples: Iterable[Example], features: FeatureConfig, normalizer: Normalizer | None,
                 batching: BatchConfig, perturbing: PerturbConfig = PerturbConfig(), seed: int = 0, splices: Splices | None = None):
        self.store, self.examples = store, examples if isinstance(examples, Packed) else Packed(store, examples)
        self.features, self.normalizer = features, normalizer
        self.batching, self.perturbing, self.seed, self.splices = batching, perturbing, seed, splices

    def __len__(self) -> int:
        return len(self.examples)

    def batches_in(self, epoch: int) -> int:
        return len(self._order(epoch).batches)

    @functools.lru_cache(maxsize=1)
    def waste(self, epoch: int) -> float:
        """The share of this epoch's frames that is padding."""
        order = self._order(epoch)
        return waste(order.lengths, order.batches)

    def epoch(self, epoch: int, start: int = 0) -> Iterator[Batch]:
        """The batches of a shuffled epoch from number `start` on, prepared ahead by a thread."""
        order = self._order(epoch)
        return self._made(order, range(start, len(order.batches)), (self.seed, epoch))

    def in_order(self, share: Callable[[Sequence], Sequence] = lambda numbers: numbers) -> Iterator[Batch]:
        """Every utterance once, first view, unperturbed, sorted by length; of these batches, those that `share` picks."""
        order = self._planned(self.store.first[self.examples.numbers], {}, None)
        return self._made(order, share(range(len(order.batches))), None)

    @functools.lru_cache(maxsize=1)
    def _order(self, epoch: int) -> Epoch:
        rng, first = np.random.default_rng((self.seed, epoch)), self.store.first[self.examples.numbers]
        rows = first + rng.integers(self.store.first[self.examples.numbers + 1] - first)
        spliced = {}
        if self.splices is not None:
            drawn = ((i, self.splices.draw(example.speaker, example.words, int(rows[i] - first[i]), rng)) for i, example in enumerate(self.examples))
            spliced = {i: found for i, found in drawn if found is not None}
        return self._planned(rows, spliced, rng)

    def _planned(self, rows: np.ndarray, spliced: dict[int, Spliced], rng: np.random.Generator | None) -> Epoch:
        frames = self.store.lengths[rows]
        for i, found in spliced.items():
            frames[i] = found.frames
        lengths = -(-frames // self.features.stack)
        return Epoch(rows, spliced, lengths, plan(lengths, self.batching, rng))

    def _made(self, order: Epoch, numbers: Sequence[int], seed: tuple[int, ...] | None) -> Iterator[Batch]:
        """These batches of an order. seed: of what is random in them; None: nothing is."""
        with closing(self.store.batches([row for row, _, _ in self._stretches(order, i)] for i in numbers)) as frames:
            with closing(ahead(lambda item: self._batch(order, *item, None if seed is None else (*seed, item[0])), zip(numbers, frames))) as batches:
                yield from batches

    def _stretches(self, order: Epoch, number: int) -> list[tuple[int, int, int | None]]:
        """What a batch is made of: rows of the store, and the first frame and the end of what is taken of each."""
        return [stretch for i in order.batches[number].tolist() for stretch in
                ([(self.store.row(id, view), first, end) for id, view, first, end in order.spliced[i].parts] if i in order.spliced
                 else [(int(order.rows[i]), 0, None)])]

    def _batch(self, order: Epoch, number: int, found: Sequence[np.ndarray], seed: tuple[int, ...] | None) -> Batch:
        """found: the frames [T, D] of its stretches' rows."""
        change, members = None, order.batches[number].tolist()
        if seed is not None and self.perturbing.active:
            change = functools.partial(perturb, config=self.perturbing, features=self.features, rng=np.random.default_rng(seed))
        cut = iter([frames[first:end] for frames, (_, first, end) in zip(found, self._stretches(order, number))])
        xs, ys = [], []
        for i in members:
            spliced = order.spliced.get(i)
            parts = [next(cut) for _ in (spliced.parts if spliced else (0,))]
            frames = joined(parts, spliced.gaps) if spliced and spliced.gaps else parts[0] if len(parts) == 1 else np.concatenate(parts)
            xs.append(finish(frames, self.features, self.normalizer, change))
            ys.append(spliced.labels if spliced else self.examples.labels(i))
        return pad([self.examples.id(i) for i in members], xs, ys)
