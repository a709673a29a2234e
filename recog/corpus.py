"""From a corpus to stored features: the stages `prepare` and `features`, shared by all models of a recipe."""

from __future__ import annotations

import os
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context
from pathlib import Path
from typing import Iterable, Iterator

import numpy as np

from . import manifest, ranks
from .errors import DataError, RecogError
from .files import digest, digest_of, write_text
from .ledger import say
from .part import WHOLE, Part
from .recipe import Recipe
from .store import shard_path, write_shard
from .types import Utterance
from .views import Features, ViewsConfig, views

SHARD = 128                                  # utterances to a shard: one unit of parallel work and of resuming


def fingerprint(corpus: Path) -> str:
    """Changes when a file of the corpus comes, goes, or is written. Reads no file."""
    rows = []
    for folder, folders, files in os.walk(corpus, followlinks=True):
        folders.sort()
        for name in sorted(files):
            path = os.path.join(folder, name)
            stat = os.stat(path) if os.path.exists(path) else os.lstat(path)        # a link may lead nowhere
            rows.append([os.path.relpath(path, corpus), stat.st_size, stat.st_mtime_ns])
    return digest_of(rows)


def prepare(recipe: Recipe, corpus: Path, folder: Path) -> dict:
    """Writes manifest.jsonl; gives its digest and the counts per split."""
    counts: Counter[str] = Counter()

    def counted(utterances: Iterable[Utterance]) -> Iterator[Utterance]:
        for utterance in utterances:
            counts[utterance.split] += 1
            yield utterance

    path, variant = folder / "manifest.jsonl", recipe.variant(corpus)
    facts = recipe.facts(variant)
    if variant:
        say(f"prepare: this is the variant '{variant}': {facts.description}")
    manifest.write(path, counted(manifest.check(recipe.prepare()(corpus), facts.expect, corpus, recipe.config.optional)))
    for split in ("train", recipe.config.dev, *recipe.config.test):
        if not counts[split] and split not in recipe.config.optional:
            raise DataError(f"has no utterance in the split '{split}'", where=corpus, hint="splits are named in recipe.toml")
    say("prepare: " + ", ".join(f"{split} {count}" for split, count in sorted(counts.items())) + " utterances")
    return {"manifest": digest(path), "counts": dict(counts), "variant": variant} | _texts(recipe, corpus, folder / "texts.txt")


def _texts(recipe: Recipe, corpus: Path, path: Path) -> dict[str, str]:
    """Writes the free texts for language models, if there are any; gives their digest."""
    lines = list(recipe.texts(corpus) or ())
    if not lines:
        return {}
    write_text(path, "".join(f"{line}\n" for line in lines))
    say(f"prepare: {len(lines):,} lines of free text for language models")
    return {"texts": digest(path)}


def store_features(path: Path, splits: list[str], features: Features, config: ViewsConfig, folder: Path, part: Part = WHOLE) -> dict:
    """Extracts the features of these splits into shards, on all cores; whole shards of an earlier try are kept.

    part: which of the shards are this job's. Ranks share them.
    """
    utterances = [u for u in manifest.read(path) if u.split in splits]
    parts = [(folder, number, utterances[start:start + SHARD], features, config)
             for number, start in enumerate(range(0, len(utterances), SHARD))]
    own = part.share(parts)
    todo = [each for each in ranks.share(own) if not shard_path(folder, each[1]).exists()]
    workers = min(-(-(os.cpu_count() or 1) // ranks.beside()), len(todo))
    if workers > 1:
        try:
            with ProcessPoolExecutor(workers, mp_context=get_context("spawn"), initializer=_start_worker) as pool:
                frames = sum(pool.map(_shard, todo))
        except BrokenProcessPool:
            raise RecogError("a worker process was killed; was memory short?", where=folder,
                             hint="run again: what is finished is kept") from None
    else:
        frames = sum(map(_shard, todo))
    frames = int(ranks.added(frames))
    if not part.whole:
        say(f"features: part {part}: {len(own)} of {len(parts)} shards are there, {len(todo)} of them new")
        return {"shards": len(own)}
    say(f"features: {len(utterances)} utterances, {_amount(frames, features)} with all copies")
    return {"utterances": len(utterances)}


def _amount(frames: int, features: Features) -> str:
    if features.medium == "audio":
        return f"{frames * features.step_ms / 3.6e6:.2f} hours"
    return f"{frames:,} {'points' if features.medium == 'ink' else 'columns of pixels'}"


def _start_worker() -> None:
    """One torch thread each; and a worker does not outlive its parent, or it could write into the files of the next run."""
    import torch

    torch.set_num_threads(1)
    ranks.end_with_parent()


def _shard(part: tuple) -> int:
    folder, number, utterances, features, config = part
    total = 0

    def items() -> Iterator[tuple[str, int, np.ndarray]]:
        nonlocal total
        for utterance in utterances:
            for view, frames in enumerate(views(utterance, features, config)):
                total += len(frames)
                yield utterance.id, view, frames

    write_shard(folder, number, items())
    return total
