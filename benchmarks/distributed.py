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
    small = ["encoder.units=8"] if quick else []
    utterances = 16 if quick else 160
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        store, settings = folder / "store", (small, utterances)
        examples_like_an4(find("an4").experiment("ctc_blstm", small), store, utterances)
        times = [tuple(_run(processes, store, folder / f"{processes}-{turn}", 1, *settings)["seconds"] for processes in PROCESSES)
                 for turn in range(1 if quick else 3)]
        frames = _run(1, store, folder / "frames", 0, *settings)["frames"]
        for place, processes in enumerate(PROCESSES):
            yield Row(f"{processes} process{'es' if processes > 1 else ''}", frames / median(times, place), "frames/s")
        yield Row("2 processes, times the frames of 1", ratio(times), "times")
        exact = [*small, "encoder.dropout=0"]
        found = [_run(processes, store, folder / f"exact-{processes}", STEPS, exact, utterances, steps=True) for processes in PROCESSES]
        apart = max(float(np.abs(a - b).max()) for a, b in zip(found[0]["weights"], found[1]["weights"]))
        yield below(f"weights of 2 processes after {found[1]['steps']} steps without dropout, furthest from those of 1", apart, "", 1e-5)


def _run(processes: int, *arguments: Any, **named: Any) -> dict[str, Any]:
    return launched(processes, _Epochs(*arguments, **named))


class _Epochs:
    """A training that can be handed to other processes: so many epochs, or at least so many steps."""

    def __init__(self, store: Path, folder: Path, epochs: int, settings: Sequence[str], utterances: int, steps: bool = False):
        self.store, self.folder, self.epochs, self.settings, self.utterances, self.steps = store, folder, epochs, settings, utterances, steps

    def __call__(self) -> dict[str, Any]:
        experiment: Experiment = find("an4").experiment("ctc_blstm", self.settings)
        examples = examples_like_an4(experiment, self.store, self.utterances)
        if not self.epochs:
            return {"frames": sum(int(batch.x_len.sum()) for batch in examples.epoch(0))}
        epochs = -(-self.epochs // examples.batches_in(0)) if self.steps else self.epochs
        torch.manual_seed(0)
        model, ends = build(experiment.recognizer, UNITS), []

        def evaluate(model: Recognizer) -> dict[str, float]:
            ends.append(WALL())                              # called when the steps of an epoch are done
            return {"loss": -float(len(ends)), "error": 0.0}

        self.folder.mkdir(exist_ok=True)
        began = WALL()
        with contextlib.redirect_stderr(io.StringIO()):
            ended = train(model, examples, evaluate, replace(experiment.train, epochs=epochs, metric="last", average=0.0), self.folder)
        return {"seconds": ends[0] - began if ends else None, "steps": ended.step, "weights": [w.detach().numpy() for w in model.parameters()]}
