"""A manifest of ten million utterances: prepared, checked, opened with its features' index, planned into batches; time and memory of each."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, Callable, Iterator

import numpy as np

from .table import PROCESSOR, WALL, Row, below, peak

MANY = 10_000_000
BAR = 4000                               # megabytes; the libraries alone take some hundred
WIDTH = 40                               # bytes a frame; the files of frames are holes: nothing is on the disk
WORDS = [a + b for a in "BDFGKLMNPRST" for b in ("A", "EE", "I", "O", "OO")]


def rows(quick: bool = False, utterances: int | None = None) -> Iterator[Row]:
    """utterances: how many, if not ten million."""
    count = utterances or (3000 if quick else MANY)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for step in STEPS:
            facts = _apart(step, folder, count)
            what = f"{count:,} utterances: {step}"
            yield below(f"{what}, peak memory", facts["peak"], "MB", BAR)
            yield Row(f"{what}, time", facts["seconds"], "s")
            yield Row(f"{what}, processor time", facts["busy"], "s")
            for told, value, unit in facts["told"]:
                yield Row(f"    {step}: {told}", value, unit)


def _apart(step: str, folder: Path, count: int) -> dict[str, Any]:
    """In a process of its own, whose peak is its own."""
    code = f"from benchmarks.scale import measured; measured({step!r}, {str(folder)!r}, {count})"
    done = subprocess.run([sys.executable, "-c", code], check=True, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parent.parent)
    return json.loads(done.stdout.splitlines()[-1])


def measured(step: str, folder: str, count: int) -> None:
    wall, busy = WALL(), PROCESSOR()
    told = STEPS[step](Path(folder), count)
    print(json.dumps({"told": told, "seconds": WALL() - wall, "busy": PROCESSOR() - busy, "peak": peak()}))


def utterances(count: int) -> Iterator[Any]:
    """Of one to fifteen words, by a thousand speakers; every thousandth is for development."""
    from recog.types import Utterance

    rng = np.random.default_rng(0)
    for start in range(0, count, 100_000):
        sizes = rng.integers(1, 16, 100_000)
        words = rng.integers(0, len(WORDS), (100_000, 15)).tolist()
        for i, (size, chosen) in enumerate(zip(sizes.tolist(), words)):
            number = start + i
            if number == count:
                return
            text = " ".join([WORDS[w] for w in chosen[:size]])
            yield Utterance(_id(number), "dev" if number % 1000 == 999 else "train", f"{number // 1000}/{number}.flac",
                            text, f"spk{number % 1000:03d}")


def _id(number: int) -> str:
    return f"spk{number % 1000:03d}-utt{number:08d}"


RECIPE = """\
description = "made up"
data_licence = "none"
test = []
[expect]
train = {train}
dev = {dev}
"""


def _prepare(folder: Path, count: int) -> list:
    """The stage `prepare` of a recipe: counts and ids checked, the manifest written."""
    from recog import corpus, recipe

    home, empty = folder / "many", folder / "corpus"
    for each in (home / "models", empty):
        each.mkdir(parents=True)
    (home / "recipe.toml").write_text(RECIPE.format(train=count - count // 1000, dev=count // 1000))
    (home / "prepare.py").write_text(f"from benchmarks.scale import utterances\n\n\ndef prepare(corpus):\n    return utterances({count})\n")
    corpus.prepare(recipe.find(home), empty, folder / "prepare")
    return [("size of the manifest", (folder / "prepare" / "manifest.jsonl").stat().st_size / 1e6, "MB")]


def _check(folder: Path, count: int) -> list:
    from recog import manifest

    path = folder / "prepare" / "manifest.jsonl"
    found = sum(1 for _ in manifest.check(manifest.read(path), {}, path))
    assert found == count
    return []


def _index(folder: Path, count: int) -> list:
    """Shards as the stage `features` writes them, but of holes."""
    from recog.corpus import SHARD
    from recog.store import BYTES, shard_path

    rng, ids = np.random.default_rng(1), map(_id, range(count))
    for number, start in enumerate(range(0, count, SHARD)):
        lengths = np.clip(300 * np.exp(0.5 * rng.standard_normal(min(SHARD, count - start))), 60, 2000).astype(int).tolist()
        offsets = np.cumsum([0, *lengths]).tolist()
        shard = shard_path(folder / "features", number)
        shard.mkdir(parents=True)
        rows = [[id, 0, offset, length] for offset, length, id in zip(offsets, lengths, ids)]
        (shard / "index.json").write_text(json.dumps({"width": WIDTH, "frames": offsets[-1], "rows": rows}))
        with open(shard / BYTES, "wb") as stream:
            stream.truncate(offsets[-1] * WIDTH)
    return [("size of the frames", sum(p.stat().st_size for p in (folder / "features").glob(f"*/{BYTES}")) / 1e9, "GB")]


def _plan(folder: Path, count: int) -> list:
    """What a training does before its first step, and the reading of batches."""
    from recog import manifest
    from recog.batching import BatchConfig
    from recog.examples import Example, Examples, Packed
    from recog.features import FeatureConfig
    from recog.store import Store
    from recog.text import BLANK, Units

    told: list = []

    def timed(name: str, work: Callable[[], Any]) -> Any:
        began = time.process_time()
        result = work()
        told.append((f"{name}, processor time", time.process_time() - began, "s"))
        return result

    units = Units("char", [BLANK, *sorted({" ", *"".join(WORDS)})])
    store = timed("opening the features", lambda: Store(folder / "features"))
    packed = timed("labels", lambda: Packed(store, (Example(u.id, tuple(units.encode(u.text)), u.speaker, len(u.text.split()))
                                                    for u in manifest.read(folder / "prepare" / "manifest.jsonl", "train"))))
    examples = Examples(store, packed, FeatureConfig(mels=WIDTH, stack=3, normalize="none"), None, BatchConfig(), seed=1)
    batches = timed("the batches of an epoch", lambda: examples.batches_in(0))
    told += [("batches of an epoch", batches, ""), ("padding", 100 * timed("padding of an epoch", lambda: examples.waste(0)), "%")]
    read, began = 0, time.perf_counter()
    for number, batch in enumerate(examples.epoch(0)):
        read += int(batch.x_len.sum()) * 3
        if number == 200:
            break
    return [*told, ("batches read", read / (time.perf_counter() - began), "frames/s")]


STEPS: dict[str, Callable[[Path, int], list]] = {"prepare": _prepare, "check": _check, "an index of features": _index, "plan": _plan}
