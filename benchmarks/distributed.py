"""The training of recipes/an4 by one process on all cores and by two that share them: frames a second of both, and how far their weights are apart."""

from __future__ import annotations

import contextlib
import io
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any, Iterator, Sequence

import numpy as np
import torch

from recog.examples import Examples
from recog.experiment import Experiment
from recog.launch import launched
from recog.models.recognizer import Recognizer, build
from recog.recipe import find
from recog.train import train

from .table import WALL, Row, below, median, ratio
from .training import UNITS, examples_like_an4

PROCESSES = (1, 2)
STEPS = 50


def rows(quick: bool = False) -> Iterator[Row]:
    settings, utterances = ["encoder.units=8"] if quick else [], 16 if quick else 160
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        _, examples = _material(folder / "store", utterances, settings)
        frames, steps = sum(int(batch.x_len.sum()) for batch in examples.epoch(0)), examples.batches_in(0)
        times = [tuple(launched(processes, _trained, folder / "store", folder / f"{processes}-{turn}", utterances, settings, 1)["seconds"]
                       for processes in PROCESSES) for turn in range(1 if quick else 3)]
        for place, processes in enumerate(PROCESSES):
            yield Row(f"{processes} process{'es' if processes > 1 else ''}", frames / median(times, place), "frames/s")
        yield Row("2 processes, times the frames of 1", ratio(times), "times")
        exact, epochs = [*settings, "encoder.dropout=0"], -(-STEPS // steps)
        one, two = (launched(processes, _trained, folder / "store", folder / f"exact-{processes}", utterances, exact, epochs) for processes in PROCESSES)
        apart = max(float(np.abs(a - b).max()) for a, b in zip(one["weights"], two["weights"]))
        yield below(f"weights of 2 processes after {two['steps']} steps without dropout, furthest from those of 1", apart, "", 1e-5)


def _material(store: Path, utterances: int, settings: Sequence[str]) -> tuple[Experiment, Examples]:
    experiment = find("an4").experiment("ctc_blstm", settings)
    return experiment, examples_like_an4(experiment, store, utterances)


def _trained(store: Path, folder: Path, utterances: int, settings: Sequence[str], epochs: int) -> dict[str, Any]:
    """On each of the ranks. Seconds of the first epoch's steps, as rank 0 knows them; and what came of all."""
    experiment, examples = _material(store, utterances, settings)
    torch.manual_seed(0)
    model, ends = build(experiment.recognizer, UNITS), []

    def evaluate(model: Recognizer) -> dict[str, float]:
        ends.append(WALL())                              # called when the steps of an epoch are done
        return {"loss": 0.0, "error": 0.0}

    folder.mkdir(exist_ok=True)
    began = WALL()
    with contextlib.redirect_stderr(io.StringIO()):
        ended = train(model, examples, evaluate, replace(experiment.train, epochs=epochs, metric="last", average=0.0), folder)
    return {"seconds": ends[0] - began if ends else None, "steps": ended.step, "weights": [w.detach().numpy() for w in model.parameters()]}
