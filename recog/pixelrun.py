"""`recog run` for a recipe of pixels: networks that classify each pixel of pictures. Stages: prepare, pictures, train, beside, score."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Iterator

import numpy as np
import torch

from . import ledger, manifest, pixelmodel, pixelreport, pixels, ranks, results
from .beginnings import Planned, prepare_stage
from .config import plain
from .errors import DataError
from .experiment import PixelNetwork
from .files import digest, digest_of, read_json, write_json, write_text
from .ledger import Stage, say
from .models.segmenter import Segmenter, SegmenterConfig
from .phases import phases, train_phases
from .pixels import Picture, Pictures
from .pixelscore import DevelopmentPictures, Judged, judged
from .plan import Run
from .text import BLANK, Units


def pictures_stage(run: Run, done: dict, device: torch.device) -> Planned:
    """The pictures of all splits as arrays; all models of the recipe share them."""
    recipe, names = run.recipe, run.recipe.config.classes

    def work(out: Path) -> dict[str, Any]:
        read, channels = recipe.picture() or pixels.read, None

        def found(split: str) -> Iterator[Picture]:
            nonlocal channels
            for utterance in manifest.read(run.manifest, split):
                picture = pixels.checked(read(utterance), names, channels)
                channels = picture.pixels.shape[2]
                yield picture

        for split in run.splits:
            pixels.write(out / split, found(split))
        count = sum(len(Pictures(out / split)) for split in run.splits)
        say(f"pictures: {count}, {channels} values a pixel, {len(names)} classes and the background")
        return {split: digest_of([digest(file) for file in sorted((out / split).iterdir())]) for split in run.splits}

    settings = {"classes": list(names), "splits": run.splits, "recipe": recipe.digest()}
    return Stage("pictures", run.home / "pictures", 1, settings, {"manifest": done["prepare"]["manifest"]}), work


def train_stage(run: Run, done: dict, device: torch.device) -> Planned:
    network = run.experiment.networks[0]
    return _stage(run, done, "train", run.folder / "train", network), lambda out: _train(run, done, network, out, run.folder / "model", device)


def beside_stage(run: Run, done: dict, device: torch.device) -> Planned:
    """Each network in a folder and a stage of its own, so that a change of one leaves the others as they are."""
    stages = [_stage(run, done, f"train {network.name}", _beside(run, network.name) / "train", network) for network in run.experiment.beside]

    def work(out: Path) -> dict[str, Any]:
        found = {}
        for network, stage in zip(run.experiment.beside, stages):
            found[network.name] = ledger.run(stage, lambda inside: _train(run, done, network, inside, inside.parent / "model", device),
                                             run.again == "beside")
        return found

    return Stage("beside", run.folder / "beside", 1, {stage.name: stage.key for stage in stages}, {}, shared=True), work


def _beside(run: Run, name: str) -> Path:
    return run.folder / f"beside-{name}"


def _stage(run: Run, done: dict, name: str, folder: Path, network: PixelNetwork) -> Stage:
    settings = plain(network, defaults=False) | {"dev": run.recipe.config.dev, "decide": run.experiment.decide}
    settings.pop("name")
    settings.get("train", {}).pop("checkpoint_seconds", None)
    inputs = {"manifest": done["prepare"]["manifest"], "pictures": digest_of(done["pictures"])}
    return Stage(name, folder, 1, settings, inputs, costly=True, shared=True)


def _train(run: Run, done: dict, network: PixelNetwork, out: Path, folder: Path, device: torch.device) -> dict[str, Any]:
    """Trains, or goes on training; leaves a model folder and gives the figures."""
    config, recipe = network.train, run.recipe
    learned, dev = (Pictures(run.home / "pictures" / split, config.batch, config.seed) for split in ("train", recipe.config.dev))
    units = Units("word", [BLANK, *recipe.config.classes])
    torch.manual_seed(config.seed)
    model = Segmenter(SegmenterConfig(network.network, learned.channels, *learned.size), len(units))
    if model.whole and not (learned.whole and dev.whole):
        raise DataError(f"the network '{network.name}' classifies whole pictures, and some show no class or several", where=recipe.folder)
    for buffer, values in zip((model.mean, model.deviation), measures(learned)):
        buffer.copy_(torch.from_numpy(values))
    model.to(device)
    say(f"train: {network.name}, {sum(w.numel() for w in model.parameters()):,} weights, {len(learned)} pictures, "
        f"{learned.batches_in(0)} batches an epoch, on {device}")
    ended, figures = train_phases(model, lambda phase: learned, DevelopmentPictures(dev, run.experiment.decide),
                                  phases(config, network.hooks, None), out, say)
    ranks.rest_is_for_the_first()
    variant = done["prepare"].get("variant")
    facts = {"data_licence": recipe.facts(variant).data_licence, "scores": {},
             "provenance": results.provenance(recipe, run.name, ended, device, None, variant) | figures}
    pixelmodel.save(folder, network.name, model, units, facts)
    return {**figures, "weights": digest(folder / "weights.safetensors"), "epochs": ended.epoch, "best_epoch": ended.best_epoch,
            "best": ended.best, "minutes": round(ended.seconds / 60, 1)}


def measures(pictures: Pictures) -> tuple[np.ndarray, np.ndarray]:
    """Mean and deviation of the values of all pixels, 0 to 1, float32 [C] each; a value that is always the same deviates by 1."""
    count, total, squares = 0, np.zeros(pictures.channels), np.zeros(pictures.channels)
    for number in range(len(pictures)):
        values = pictures.pixels(number).reshape(-1, pictures.channels) / 255
        count, total, squares = count + len(values), total + values.sum(0), squares + (values ** 2).sum(0)
    deviation = np.sqrt(np.maximum(0.0, squares / count - (total / count) ** 2))
    return (total / count).astype(np.float32), np.where(deviation > 1e-6, deviation, 1.0).astype(np.float32)


def score_stage(run: Run, done: dict, device: torch.device) -> Planned:
    folders = {network.name: _beside(run, network.name) for network in run.experiment.beside}
    folders = {run.experiment.networks[0].name: run.folder} | folders
    trained = {name: done["train"] if folder == run.folder else done["beside"][name] for name, folder in folders.items()}
    splits = list(dict.fromkeys(run.scored))

    def work(out: Path) -> dict[str, Any]:
        pictures = {split: Pictures(run.home / "pictures" / split) for split in splits}
        found: dict[str, dict[str, Judged]] = {split: {} for split in splits}
        sizes = {}
        for name, folder in folders.items():
            model = pixelmodel.load(folder / "model").model.to(device)
            sizes[name] = sum(w.numel() for w in model.parameters())
            for split in splits:
                found[split][name] = judged(model, pictures[split], run.experiment.decide)
        scores = {split: {name: one.rates() for name, one in each.items()} for split, each in found.items()}
        table = _table(run, done, trained, sizes, scores)
        write_text(out / "table.txt", table + "\n")
        write_json(out / "confusions.json", {split: {name: one.confusions.tolist() for name, one in each.items() if one.confusions is not None}
                                             for split, each in found.items()})
        for name, folder in folders.items():
            info = read_json(folder / "model" / "model.json")
            write_json(folder / "model" / "model.json", {**info, "scores": {split: {name: each[name]} for split, each in scores.items()}})
        pixelreport.write(run, folders, pictures, found, table, out)
        return {"table": table, "scores": scores, "beside": [folder.name for folder in folders.values() if folder != run.folder]}

    inputs = {name: one["weights"] for name, one in trained.items()} | {"pictures of the recipe": digest_of(done["pictures"])}
    return Stage("score", run.folder / "score", 1, {"splits": splits, "decide": run.experiment.decide}, inputs), work


def _table(run: Run, done: dict, trained: dict[str, Any], sizes: dict[str, int], scores: dict[str, Any]) -> str:
    variant = done["prepare"].get("variant")
    lines = [f"{run.recipe.name}, {run.name}" + (f" ({variant}: {run.recipe.facts(variant).description})" if variant else ""),
             f"{'network':10} {'weights':>10} {'best of':>10} {'minutes':>8}"]
    for name, one in trained.items():
        lines.append(f"{name:10} {sizes[name]:>10,} {one['best_epoch']:>4} of {one['epochs']:<3} {one['minutes']:>7.1f}")
    units = [unit for unit in ("pixel", "picture") if any(unit in rates for each in scores.values() for rates in each.values())]
    lines += ["", f"{'split':10} {'network':10}" + "".join(f"{unit + ' error %':>16} {'95 % interval':>14} {'errors':>16}" for unit in units)]
    for split, each in scores.items():
        for name, rates in each.items():
            lines.append(f"{split:10} {name:10}" + "".join(_cells(rates.get(unit)) for unit in units))
    return "\n".join(line.rstrip() for line in lines)


def _cells(f: dict[str, Any] | None) -> str:
    if f is None:
        return f"{'-':>16} {'':14} {'':16}"
    interval = "-" if f["interval"] is None else "[{:.2f}, {:.2f}]".format(*(100 * end for end in f["interval"]))
    return f"{100 * f['error_rate']:>16.2f} {interval:>14} {f['errors']:>6} / {f['tokens']:<7}"


PLAN = {"prepare": prepare_stage, "pictures": pictures_stage, "train": train_stage, "beside": beside_stage, "score": score_stage}
