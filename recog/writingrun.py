"""`recog run` for a recipe of writing: a network that predicts the pen's way. Stages: prepare, features, units, train, score."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any, Iterable

import numpy as np
import torch
from torch import nn

from . import manifest, modeldir, ranks, results, writingmodel
from .batching import BatchConfig, to_device
from .beginnings import Planned, features_stage, prepare_stage, units_stage
from .config import plain
from .examples import Example, Examples
from .files import digest, read_json, write_json, write_text
from .ledger import Stage, say
from .models.handwriting import Handwriting
from .pen import normalize
from .pen.features import InkFeatureConfig
from .perturb import PerturbConfig
from .phases import phases, train_phases
from .plan import Run
from .store import Store
from .text import Units
from .writing import page


ENOUGH = 500                             # lines from which the size of the writing is taken


def train_stage(run: Run, done: dict, device: torch.device) -> Planned:
    experiment, config = run.experiment, run.experiment.train
    settings = plain(experiment, defaults=False) | {"dev": run.recipe.config.dev}
    settings.get("train", {}).pop("checkpoint_seconds", None)
    inputs = {"manifest": done["prepare"]["manifest"], "units": done["units"]["units"], "features": digest(run.features / "done.json")}

    def work(out: Path) -> dict[str, Any]:
        store, units = run.store(), Units.load(run.folder / "units" / "units.json")
        torch.manual_seed(config.seed)
        model = Handwriting(experiment.network, len(units))
        for w in model.parameters() if config.initial else ():
            nn.init.uniform_(w, -config.initial, config.initial)
        started = modeldir.start_from(model, units, config.start, writingmodel.load) if config.start else None
        learned = _examples(run, store, units, "train", config.batch)
        model.scale.copy_(torch.from_numpy(deviations(store.frames(e.id, 0) for e in learned.examples)))
        model.to(device)
        dev = _examples(run, store, units, run.recipe.config.dev, config.batch)
        say(f"train: {sum(w.numel() for w in model.parameters()):,} weights, {len(learned)} lines, {learned.batches_in(0)} batches an epoch, "
            f"padding {learned.waste(0):.1%}, offsets over {model.scale[0]:.4g} and {model.scale[1]:.4g}, on {device}")

        def evaluate(model: nn.Module) -> dict[str, float]:
            nats, squares = judged(model, dev)
            return {"loss": nats, "error": squares}

        steps = phases(config, experiment.hooks, experiment.second)
        ended, figures = train_phases(model, lambda phase: learned, evaluate, steps, out, say)
        ranks.rest_is_for_the_first()
        ink = dict(zip(("height", "step"), measures(store.frames(e.id, 0) for e in learned.examples))) | pace(experiment.features)
        facts = {"ink": ink, "data_licence": run.recipe.facts(done["prepare"].get("variant")).data_licence, "scores": {},
                 "provenance": results.provenance(run.recipe, run.name, ended, device, started, done["prepare"].get("variant")) | figures}
        writingmodel.save(run.folder / "model", run.name, model, units, facts)
        return {**figures, "weights": digest(run.folder / "model" / "weights.safetensors"), "epochs": ended.epoch,
                "best_epoch": ended.best_epoch, "best": ended.best, "minutes": round(ended.seconds / 60, 1)}

    return Stage("train", run.folder / "train", 1, settings, inputs, costly=True, shared=True), work


def _examples(run: Run, store: Store, units: Units, split: str, batching: BatchConfig) -> Examples:
    rows = [Example(u.id, tuple(units.encode(u.text, where=f"'{u.id}'")), u.speaker) for u in manifest.read(run.manifest, split)]
    return Examples(store, rows, run.experiment.features, None, batching, PerturbConfig(), run.experiment.train.seed)


def deviations(lines: Iterable[np.ndarray]) -> np.ndarray:
    """Of dx and dy over all lines' points but the first, float32 [2]. lines: [T, 3] each."""
    count, total, squares = 0, np.zeros(2), np.zeros(2)
    for line in lines:
        offsets = np.asarray(line[1:, :2], np.float64)
        count, total, squares = count + len(offsets), total + offsets.sum(0), squares + (offsets ** 2).sum(0)
    return np.sqrt(squares / count - (total / count) ** 2).astype(np.float32)


def measures(lines: Iterable[np.ndarray]) -> tuple[float, float]:
    """How high small letters are, and how far apart the points of a stroke: the median of lines, the mean of steps. lines: [T, 3] each."""
    heights, steps, count = [], 0.0, 0
    for line in itertools.islice(lines, ENOUGH):
        strokes = page.timed(line, 1.0).strokes
        top, base = normalize.lines(normalize.without_slope([np.array(s) for s in strokes]))
        heights.append(base - top)
        lengths = np.concatenate([np.hypot(*np.diff(s[:, :2], axis=0).T) for s in strokes])
        steps, count = steps + float(lengths.sum()), count + len(lengths)
    return float(np.median(heights)), steps / max(1, count)


def pace(features: InkFeatureConfig) -> dict[str, Any]:
    """What points are even in, and the seconds from one to the next, as far as is known."""
    even = features.resample if features.resample != "none" else "time"
    return {"by": even, "seconds": features.step if features.resample == "time" else writingmodel.WHITEBOARD}


@torch.inference_mode()
def judged(model: nn.Module, examples: Examples) -> tuple[float, float]:
    """Nats a line, and the squared error of a point, in scaled offsets."""
    model.eval()
    device, parts = next(model.parameters()).device, {"nats": 0.0, "squares": 0.0, "points": 0.0}
    for batch in examples.in_order():
        for name, value in model.loss(to_device(batch, device)).parts.items():
            parts[name] += value
    return parts["nats"] / len(examples), parts["squares"] / parts["points"]


def score_stage(run: Run, done: dict, device: torch.device) -> Planned:
    splits = list(dict.fromkeys(run.scored))

    def work(out: Path) -> dict[str, Any]:
        loaded, store = writingmodel.load(run.folder / "model"), run.store()
        loaded.model.to(device)
        scores: dict[str, Any] = {}
        for split in splits:
            examples = _examples(run, store, loaded.units, split, run.experiment.train.batch)
            nats, squares = judged(loaded.model, examples)
            scores[split] = {"network": {"nats": nats, "squares": squares, "lines": len(examples)}}
        table = _table(run, done["train"], loaded.model, scores)
        write_text(out / "table.txt", table + "\n")
        info = read_json(run.folder / "model" / "model.json")
        write_json(run.folder / "model" / "model.json", {**info, "scores": scores})
        return {"table": table, "scores": scores}

    return Stage("score", run.folder / "score", 1, {"splits": splits}, {"weights": done["train"]["weights"], "manifest": done["prepare"]["manifest"]}), work


def _table(run: Run, trained: dict[str, Any], model: Handwriting, scores: dict[str, Any]) -> str:
    lines = [f"{run.recipe.name}, {run.name}: best of {trained['epochs']} epochs: {trained['best_epoch']}, {trained['minutes']} minutes of training",
             f"{'split':12} {'nats a line':>12} {'SSE a point':>12} {'lines':>7}"]
    lines += [f"{split:12} {found['network']['nats']:12.1f} {found['network']['squares']:12.3f} {found['network']['lines']:7}"
              for split, found in scores.items()]
    return "\n".join([*lines, f"of offsets divided by their deviations on the training set, {model.scale[0]:.4g} and {model.scale[1]:.4g}"])


PLAN = {"prepare": prepare_stage, "features": features_stage, "units": units_stage, "train": train_stage, "score": score_stage}
