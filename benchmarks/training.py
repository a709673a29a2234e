"""Training from stored features, with all that a recipe does, against the bare model step; and padding."""

from __future__ import annotations

import contextlib
import io
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Iterator

import numpy as np
import torch

from recog.batching import BatchConfig, plan, waste
from recog.examples import Example, Examples
from recog.experiment import Experiment
from recog.models.recognizer import Recognizer, build
from recog.optim import make
from recog.recipe import find
from recog.store import Store, write_shard
from recog.train import Training, train
from recog.types import Batch

from .table import PROCESSOR, WALL, Clock, Row, at_least, below, median, ratio, seconds, torch_threads

UNITS = 28                                              # AN4's letters, a space, an apostrophe and the blank
AN4 = {"median": 239, "spread": 0.49, "low": 62, "high": 709}      # 10 ms frames, all three speeds, 948 utterances
TIMIT = {"median": 291, "spread": 0.28, "low": 90, "high": 780}    # 3,696 utterances, without the SA sentences
FRAMES_PER_LABEL = 14                                   # in AN4


def rows(quick: bool = False) -> Iterator[Row]:
    experiment = find("an4").experiment("ctc_blstm", ["encoder.units=8"] if quick else [])
    with tempfile.TemporaryDirectory() as folder:
        yield from _throughput(experiment, Path(folder), utterances=16 if quick else 160, repeats=1 if quick else 3)
    rng, times = np.random.default_rng(1), 1 if quick else 20
    stack, batching = experiment.features.stack, experiment.train.batch
    yield _padding("padding, lengths as in AN4, the recipe's batches", -(-_lengths(AN4, 844, rng) // stack), batching, times)
    yield _padding("padding, lengths as in TIMIT, default batches", _lengths(TIMIT, 3696, rng), BatchConfig(), times)


def _lengths(like: dict[str, float], count: int, rng: np.random.Generator) -> np.ndarray:
    """Lengths in frames, log-normal, within the corpus's extremes."""
    drawn = like["median"] * np.exp(like["spread"] * rng.standard_normal(count))
    return np.clip(drawn, like["low"], like["high"]).astype(int)


def _padding(name: str, lengths: np.ndarray, batching: BatchConfig, epochs: int) -> Row:
    wasted = [waste(lengths, plan(lengths, batching, np.random.default_rng(epoch))) for epoch in range(epochs)]
    return below(name, 100 * max(wasted), "% (the worst epoch)", 10)


def _throughput(experiment: Experiment, folder: Path, utterances: int, repeats: int) -> Iterator[Row]:
    """An epoch of `recog.train.train` and the bare step on the same batches, prebuilt; they take turns."""
    config, name = experiment.train, "training as in recipes/an4"
    examples = examples_like_an4(experiment, folder / "store", utterances)
    batches = list(examples.epoch(0))
    frames = sum(int(batch.x_len.sum()) for batch in batches)
    for setting, threads, clock in (("", torch.get_num_threads(), WALL), (", one core, processor time", 1, PROCESSOR)):
        with torch_threads(threads):
            times = [_epochs(experiment, examples, batches, folder / f"run-{clock.__name__}-{turn}", clock)
                     for turn in range(repeats)]
        yield Row(f"{name}{setting}: bare step", frames / median(times, 0), "frames/s")
        yield Row(f"{name}{setting}: end to end", frames / median(times, 1), "frames/s")
        yield at_least(f"{name}{setting}: end to end, share of the bare step's speed", 100 * ratio(times), "%", 85)
    prepared = seconds(lambda: list(examples.epoch(0)), PROCESSOR)
    yield Row(f"{name}: making batches (hidden by the model), processor time", 1000 * prepared / len(batches), "ms/batch")
    run = Training(build(experiment.recognizer, UNITS), config, (), folder)
    yield Row(f"{name}: saving the state, every {config.checkpoint_seconds:.0f} s", 1000 * seconds(run.save), "ms")


def examples_like_an4(experiment: Experiment, folder: Path, utterances: int) -> Examples:
    """A feature store of AN4's shapes, each utterance at several speeds; written unless it is there."""
    rng, config, width = np.random.default_rng(0), experiment.train, experiment.features.width
    lengths = _lengths(AN4, utterances, rng)
    speeds = experiment.views.speeds
    if not folder.exists():
        noise = np.random.default_rng(1)
        write_shard(folder, 0, ((f"u{i:04d}", view, noise.standard_normal((int(length / speed), width), dtype=np.float32))
                                for i, length in enumerate(lengths) for view, speed in enumerate(speeds)))
    labels = [tuple(rng.integers(1, UNITS, max(1, length // FRAMES_PER_LABEL)).tolist()) for length in lengths]
    return Examples(Store(folder), [Example(f"u{i:04d}", label) for i, label in enumerate(labels)],
                    experiment.features, None, config.batch, config.perturb, config.seed)


def _epochs(experiment: Experiment, examples: Examples, batches: list[Batch], folder: Path,
            clock: Clock) -> tuple[float, float]:
    """Seconds of an epoch of bare steps, and of one with all the rest: reading, perturbing, padding, clipping, averaging."""
    model = build(experiment.recognizer, UNITS)
    optimizer = make(experiment.train.optimizer, model.parameters())
    _bare(model, optimizer, batches[:1])                                    # warms up
    bare = seconds(lambda: _bare(model, optimizer, batches), clock)
    ends = []

    def evaluate(model: Recognizer) -> dict[str, float]:
        ends.append(clock())                                                # called when the steps are done
        return {"loss": 0.0, "error": 0.0}

    folder.mkdir()
    model = build(experiment.recognizer, UNITS)
    began = clock()
    with contextlib.redirect_stderr(io.StringIO()):
        train(model, examples, evaluate, replace(experiment.train, epochs=1), folder)
    return bare, ends[0] - began


def _bare(model: Recognizer, optimizer: torch.optim.Optimizer, batches: list[Batch]) -> None:
    model.train()
    for batch in batches:
        loss = model.loss(batch)
        optimizer.zero_grad(set_to_none=True)
        (loss.total / loss.count).backward()
        optimizer.step()
