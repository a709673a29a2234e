"""Frames that are not kept on disk but made anew, from their recordings, whenever a batch needs them; by several processes."""

from __future__ import annotations

import functools
import itertools
from pathlib import Path
from typing import Any, Iterable, Iterator, Sequence

import numpy as np

from . import manifest
from .types import Utterance
from .views import Features, ViewsConfig, views
from .workers import cores, set_threads, spread

UTTERANCES = "utterances.jsonl"          # in a shard: what its frames are made of, in the order of its index

Wanted = tuple[Path, int, int]           # a view: the shard, which utterance of it, which view of that


def remade(wanted: Sequence[Wanted], features: Features, config: ViewsConfig) -> list[np.ndarray]:
    """[T, D] of each: the numbers that would have been stored. Raises DataError."""
    return [next(itertools.islice(views(_utterances(shard)[number], features, config), view, None)) for shard, number, view in wanted]


def remaking(batches: Iterable[Sequence[Wanted]], features: Features, config: ViewsConfig) -> Iterator[list[np.ndarray]]:
    """The same of one batch after the other, on all cores, some batches ahead."""
    return spread(_remade, batches, cores(), _begin, features, config)


@functools.lru_cache(maxsize=64)
def _utterances(shard: Path) -> list[Utterance]:
    return list(manifest.read(shard / UTTERANCES))


_settings: list[Any] = []                # in a process of its own


def _begin(*settings: Any) -> None:
    set_threads(1)
    _settings[:] = settings


def _remade(wanted: Sequence[Wanted]) -> list[np.ndarray]:
    return remade(wanted, *_settings)
