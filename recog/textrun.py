"""`recog run` for a recipe of texts: a character network beside n-gram models, in bits a character. Stages: prepare, units, train, score."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch

from . import manifest, ranks, results, textmodel
from .beginnings import Planned, prepare_stage, units_stage
from .config import plain
from .files import digest, read_json, write_json, write_text
from .ledger import Stage, say
from .lm import rnn
from .lm.bits import bits, dynamic_bits
from .lm.kneser_ney import KneserNeyConfig, train as train_ngrams
from .lm.ngram import Ngram
from .lm.perplexity import Perplexity, score_sentences
from .lm.tokens import tokenized
from .lm.windows import Windows, numbers
from .plan import Run
from .text import Units
from .train import train


def sentences(run: Run, split: str) -> list[str]:
    return [u.text for u in manifest.read(run.manifest, split)]


def train_stage(run: Run, done: dict, device: torch.device) -> Planned:
    experiment = run.experiment
    settings = {key: value for key, value in plain(experiment, defaults=False).items() if key in ("network", "windows", "train")}
    settings |= {"dev": run.recipe.config.dev}
    settings.get("train", {}).pop("checkpoint_seconds", None)
    inputs = {"manifest": done["prepare"]["manifest"], "units": done["units"]["units"]}

    def work(out: Path) -> dict[str, Any]:
        config, units = experiment.train, Units.load(run.folder / "units" / "units.json")
        for split in run.recipe.config.test:
            for utterance in manifest.read(run.manifest, split):
                units.encode(utterance.text, where=f"{split}: '{utterance.id}'")      # it would be refused after the training
        torch.manual_seed(config.seed)
        model = rnn.CharRnn(experiment.network, len(units)).to(device)
        text, dev = (numbers(units, sentences(run, split)) for split in ("train", run.recipe.config.dev))
        windows = Windows(text, experiment.windows, config.seed)
        say(f"train: {sum(w.numel() for w in model.parameters()):,} weights, {len(text):,} characters, "
            f"{windows.batches_in(0)} batches an epoch, on {device}")

        def evaluate(model: rnn.CharRnn) -> dict[str, float]:
            cost = bits(model, dev)
            return {"loss": cost * np.log(2), "error": cost}

        ended = train(model, windows, evaluate, config, out)
        ranks.rest_is_for_the_first()
        facts = {"data_licence": run.recipe.config.data_licence, "scores": {},
                 "provenance": results.provenance(run.recipe, run.name, ended, device, None)}
        textmodel.save(run.folder / "model", run.name, model, units, facts)
        return {"weights": digest(run.folder / "model" / "weights.safetensors"), "epochs": ended.epoch, "best_epoch": ended.best_epoch,
                "best": ended.best, "minutes": round(ended.seconds / 60, 1)}

    return Stage("train", run.folder / "train", 1, settings, inputs, costly=True, shared=True), work


def score_stage(run: Run, done: dict, device: torch.device) -> Planned:
    experiment, dynamic, splits = run.experiment, run.experiment.dynamic, run.recipe.config.test
    kept = plain(experiment, defaults=False)
    settings = {"splits": list(splits), **{key: kept[key] for key in ("dynamic", "orders") if key in kept}}

    def work(out: Path) -> dict[str, Any]:
        loaded = textmodel.load(run.folder / "model")
        model, units = loaded.model.to(device), loaded.units
        texts = {split: sentences(run, split) for split in ("train", run.recipe.config.dev, *splits)}
        found: dict[str, dict[str, float]] = {split: {} for split in splits}
        for order in experiment.orders:
            lm = Ngram(train_ngrams(_spelled(texts["train"]), KneserNeyConfig(order, discount_fallback=True)))
            for split in splits:
                found[split][f"{order}-gram"] = ngram_bits(lm, texts[split])
            say(f"score: {order}-gram " + ", ".join(f"{split} {found[split][f'{order}-gram']:.4f}" for split in splits) + " bits a character")
        dev = numbers(units, texts[run.recipe.config.dev])[:dynamic.tuned_on]
        costs = {rate: dynamic_bits(model, dev, rate, dynamic.length) for rate in dynamic.rates}
        rate = min(costs, key=costs.get)
        say(f"score: dynamic evaluation at rate {rate:g}: on the development set " + ", ".join(f"{r:g}: {c:.4f}" for r, c in costs.items()))
        for split in splits:
            sequence = numbers(units, texts[split])
            found[split]["LSTM"] = bits(model, sequence)
            found[split]["LSTM, dynamic"] = dynamic_bits(model, sequence, rate, dynamic.length)
        table = _table(run, done["train"], found, {split: sum(len(t) + 1 for t in texts[split]) for split in splits})
        write_text(out / "table.txt", table + "\n")
        info = read_json(run.folder / "model" / "model.json")
        scores = {split: {name: {"bits": cost} for name, cost in costs.items()} for split, costs in found.items()}
        write_json(run.folder / "model" / "model.json", {**info, "scores": scores})
        return {"table": table, "scores": found, "rate": rate}

    return Stage("score", run.folder / "score", 1, settings, {"weights": done["train"]["weights"], "manifest": done["prepare"]["manifest"]}), work


def ngram_bits(lm: Ngram, texts: list[str]) -> float:
    """Bits a character, the end of a sentence being one."""
    total = Perplexity()
    for scored in score_sentences(lm, (line.split(" ") for line in _spelled(texts).splitlines())):
        total = total.plus(scored)
    return total.bits


def _spelled(texts: list[str]) -> str:
    return tokenized("".join(f"{text}\n" for text in texts), "char")


def _table(run: Run, trained: dict[str, Any], found: dict[str, dict[str, float]], counts: dict[str, int]) -> str:
    lines = [f"{run.recipe.name}, {run.name}: best of {trained['epochs']} epochs: {trained['best_epoch']}, {trained['minutes']} minutes of training",
             f"{'':16}" + "".join(f"{split + ', bits a character':>28}" for split in found)]
    for name in next(iter(found.values())):
        lines.append(f"{name:16}" + "".join(f"{costs[name]:28.4f}" for costs in found.values()))
    return "\n".join([*lines, "characters: " + ", ".join(f"{split} {count:,}" for split, count in counts.items())])


PLAN = {"prepare": prepare_stage, "units": units_stage, "train": train_stage, "score": score_stage}
