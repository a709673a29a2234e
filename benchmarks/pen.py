"""Ink: features, curves, training of the 2008 network, and how fast lines become text."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Iterator

import numpy as np
import torch

from recog import corpus, ink, manifest
from recog.api import TranscribeOptions, load
from recog.batching import plan, waste
from recog.experiment import ViewsConfig
from recog.modeldir import bundled
from recog.models.recognizer import build
from recog.optim import make
from recog.pen import bezier
from recog.pen.features import InkFeatureConfig, extract, normalized
from recog.pen.layout import lines_of
from recog.recipe import find
from recog.types import Batch, Ink, Utterance

from .table import Row, at_least, below, median, seconds, side_by_side, torch_threads

SAMPLES = Path(__file__).parents[1] / "data" / "ink"
CORPUS = 5364                                       # training lines of IAM-OnDB
SYMBOLS = 81                                        # outputs of the network of 2008
MODEL = "pen"


def rows(quick: bool = False) -> Iterator[Row]:
    pages = [list(ink.read(path).strokes) for path in sorted(SAMPLES.glob("*.*")) if ink.is_ink(path)]
    lines = [Ink(tuple(page[i] for i in line)) for page in pages for line in lines_of(page)]
    with tempfile.TemporaryDirectory() as folder:
        yield from _features(lines, Path(folder), 6 if quick else CORPUS)
        yield from _curves(lines, 1 if quick else 20)
        yield from _training(lines, 1 if quick else 5, 2 if quick else 40)
        if MODEL in bundled():
            yield from _reading(lines, Path(folder), 5 if quick else 1000)


def _features(lines: list[Ink], folder: Path, count: int) -> Iterator[Row]:
    """The stage `features` on files, as a recipe runs it: on all cores, into shards."""
    for number, line in enumerate(lines):
        ink.write(line, folder / f"{number}.inkml")
    utterances = [Utterance(f"u{i:05}", "train", str(folder / f"{i % len(lines)}.inkml"), "") for i in range(count)]
    manifest.write(folder / "manifest.jsonl", utterances)
    points = sum(len(stroke) for i in range(count) for stroke in lines[i % len(lines)].strokes)
    for kind in ("offsets", "classic", "bezier"):
        out = folder / kind
        out.mkdir()
        took = seconds(lambda: corpus.store_features(folder / "manifest.jsonl", ["train"], InkFeatureConfig(kind=kind), ViewsConfig(), out))
        yield below(f"features '{kind}' of {count:,} lines, {points:,} points, all cores", took, "s", 60)


def _curves(lines: list[Ink], repeats: int) -> Iterator[Row]:
    config = InkFeatureConfig(kind="bezier")
    strokes = [normalized(line, config) for line in lines]
    points = sum(len(s) for each in strokes for s in each)

    def fit() -> None:
        for each in strokes:
            bezier.features(each, config.tolerance, config.place)

    fit()                                                                           # compiles
    yield at_least("curves fitted to points, one core", points / median(side_by_side([fit], repeats), 0), "points/s", 100_000)


def _training(lines: list[Ink], repeats: int, count: int) -> Iterator[Row]:
    """Steps of graves2008 on batches of one line, as the recipe has them, and of sixteen."""
    experiment = find("iam_online").experiment("graves2008")
    frames = [extract(line, experiment.features)[0] for line in lines]
    model = build(experiment.recognizer, SYMBOLS)
    yield Row("graves2008: weights, 25 inputs and 81 outputs", sum(w.numel() for w in model.parameters()), "")
    optimizer = make(experiment.train.optimizer, model.parameters())
    rng = np.random.default_rng(0)
    for size in (1, 16):
        batches = [_batch([frames[(i + j) % len(frames)] for j in range(size)], rng) for i in range(0, count, size)]

        def epoch() -> None:
            for batch in batches:
                optimizer.zero_grad(set_to_none=True)
                (model.loss(batch).total / size).backward()
                optimizer.step()

        total = sum(int(batch.x_len.sum()) for batch in batches)
        for threads in sorted({1, torch.get_num_threads()}):
            with torch_threads(threads):
                epoch()
                speed = total / median(side_by_side([epoch], repeats), 0)
            name = f"graves2008: training, {size} {'line' if size == 1 else 'lines'} a step, {threads} thread{'s' * (threads > 1)}"
            yield at_least(name, speed, "frames/s", 40_000) if threads == 2 else Row(name, speed, "frames/s")
    lengths = np.array([len(each) for each in frames] * 200)
    batching = find("iam_online").experiment("deep").train.batch
    yield below("padding of these lines in batches of 16", 100 * waste(lengths, plan(lengths, batching, rng)), "%", 10)


def _batch(frames: list[np.ndarray], rng: np.random.Generator) -> Batch:
    lengths = torch.tensor([len(each) for each in frames])
    x = torch.zeros(len(frames), int(lengths.max()), frames[0].shape[1])
    for row, each in zip(x, frames):
        row[:len(each)] = torch.from_numpy(each)
    y_len = torch.clamp(lengths // 20, min=1)
    y = torch.from_numpy(rng.integers(1, SYMBOLS, (len(frames), int(y_len.max()))))
    return Batch(tuple(f"b{i}" for i in range(len(frames))), x, lengths, y, y_len)


def _reading(lines: list[Ink], folder: Path, count: int) -> Iterator[Row]:
    reader = load(MODEL, "cpu")
    paths = [folder / f"{number % len(lines)}.inkml" for number in range(count)]
    for options, name in ((TranscribeOptions(), "the model's own decoder"), (TranscribeOptions(decoder="greedy"), "greedy")):
        list(reader.transcribe(paths[0], options))                                  # compiles the search
        one = median(side_by_side([lambda: list(reader.transcribe(paths[0], options))], min(20, count)), 0)
        yield below(f"{MODEL}: one line, {name}", 1000 * one, "ms", 50)
    many = seconds(lambda: list(reader.transcribe(paths, TranscribeOptions(decoder="greedy"))))
    yield at_least(f"{MODEL}: {count:,} lines in one call, greedy", count / many, "lines/s", 50)
