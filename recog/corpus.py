"""From a corpus to stored features: the stages `prepare` and `features`, shared by all models of a recipe."""

from __future__ import annotations

import hashlib
import itertools
import json
import os
from collections import Counter
from pathlib import Path
from typing import Iterable, Iterator

import numpy as np

from . import manifest, ranks
from .errors import DataError
from .files import digest, writing
from .ledger import say
from .part import WHOLE, Part
from .recipe import Recipe
from .store import shard_path, write_shard
from .types import Utterance
from .views import Features, ViewsConfig, views
from .workers import cores, set_threads, spread

SHARD = 128                                  # utterances to a shard: one unit of parallel work and of resuming


def fingerprint(corpus: Path) -> str:
    """Changes when a file of the corpus comes, goes, or is written. Reads no file."""
    found, between = hashlib.sha256(b"["), b""           # of a JSON array, as digest_of makes it, never in memory as a whole
    for folder, folders, files in os.walk(corpus, followlinks=True):
        folders.sort()
        for name in sorted(files):
            path = os.path.join(folder, name)
            stat = os.stat(path) if os.path.exists(path) else os.lstat(path)        # a link may lead nowhere
            row = [os.path.relpath(path, corpus), stat.st_size, stat.st_mtime_ns]
            found.update(between + json.dumps(row, ensure_ascii=False).encode())
            between = b", "
    found.update(b"]")
    return found.hexdigest()


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
    lines = iter(recipe.texts(corpus) or ())
    first = next(lines, None)
    if first is None:
        return {}
    with writing(path) as partial, open(partial, "w", encoding="utf-8") as stream:
        for count, line in enumerate(itertools.chain([first], lines), 1):
            stream.write(f"{line}\n")
    say(f"prepare: {count:,} lines of free text for language models")
    return {"texts": digest(path)}


def store_features(path: Path, splits: list[str], features: Features, config: ViewsConfig, folder: Path, part: Part = WHOLE) -> dict:
    """Extracts the features of these splits into shards, on all cores; whole shards of an earlier try are kept.

    part: which of the shards are this job's. Ranks share them.
    """
    count = shards = own = new = 0
    mine = part.among(ranks.rank(), ranks.size())

    def todo() -> Iterator[tuple]:
        nonlocal count, shards, own, new
        wanted = (u for u in manifest.read(path) if u.split in splits)
        while utterances := list(itertools.islice(wanted, SHARD)):
            number = shards
            count, shards, own = count + len(utterances), shards + 1, own + part.holds(number)
            if mine.holds(number) and not shard_path(folder, number).exists():
                new += 1
                yield folder, number, utterances, features, config

    parts = todo()
    first = list(itertools.islice(parts, -(-cores() // ranks.beside())))
    parts = itertools.chain(first, parts)
    frames = sum(spread(_shard, parts, len(first), set_threads, 1) if len(first) > 1 else map(_shard, parts))
    frames, new = int(ranks.added(frames)), int(ranks.added(new))
    if not part.whole:
        say(f"features: part {part}: {own} of {shards} shards are there, {new} of them new")
        return {"shards": own}
    say(f"features: {count} utterances, {_amount(frames, features)} with all copies")
    return {"utterances": count}


def _amount(frames: int, features: Features) -> str:
    if features.medium == "audio":
        return f"{frames * features.step_ms / 3.6e6:.2f} hours"
    return f"{frames:,} {'points' if features.medium == 'ink' else 'columns of pixels'}"


def _shard(part: tuple) -> int:
    folder, number, utterances, features, config = part
    total = 0

    def items() -> Iterator[tuple[str, int, np.ndarray]]:
        nonlocal total
        for utterance in utterances:
            for view, frames in enumerate(views(utterance, features, config)):
                total += len(frames)
                yield utterance.id, view, frames

    write_shard(folder, number, items(), () if config.store else utterances)
    return total
