"""The stages that recipes begin with: prepare, features and units."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Callable

import torch

from . import corpus as corpus_stages
from . import manifest
from .config import plain
from .errors import ConfigError, DataError
from .files import digest
from .ledger import Stage, say
from .plan import Run
from .text import learn

Planned = tuple[Stage, Callable[[Path], dict[str, Any]]]


def prepare_stage(run: Run, done: dict, device: torch.device) -> Planned:
    recipe, folder = run.recipe, run.home / "prepare"
    if recipe.config.generated and run.corpus is not None:
        raise ConfigError("makes its own corpus", where=recipe.folder, hint="leave --corpus out")
    corpus = None if recipe.config.generated else run.corpus or recipe.installed()
    if recipe.config.generated:
        source, inputs = folder.resolve() / "corpus", {}
    elif corpus is None:
        raise ConfigError("this recipe needs a corpus", where=recipe.folder, hint="--corpus FOLDER; see its README.md")
    elif not corpus.is_dir():
        raise DataError("there is no such folder", where=corpus, hint="--corpus names the folder that holds the corpus")
    else:
        source, inputs = corpus.resolve(), {"corpus": corpus_stages.fingerprint(corpus)}
    settings = {"recipe": recipe.digest(), "expect": recipe.config.expect, "corpus": str(source)}
    if recipe.config.variants:
        settings["variants"] = {name: facts.expect for name, facts in recipe.config.variants.items()}
    return Stage("prepare", folder, 1, settings, inputs), lambda out: corpus_stages.prepare(recipe, source, out)


def features_stage(run: Run, done: dict, device: torch.device) -> Planned:
    stage = Stage("features", run.features, 1, run.feature_settings, {"manifest": done["prepare"]["manifest"]}, shared=True)
    return stage, lambda out: corpus_stages.store_features(run.manifest, run.splits, run.experiment.features, run.experiment.views, out, run.part)


def units_stage(run: Run, done: dict, device: torch.device) -> Planned:
    config = run.experiment.units

    def work(out: Path) -> dict[str, Any]:
        units = learn(config, (u.text for u in manifest.read(run.manifest, "train")), run.recipe.folder)
        units.save(out / "units.json")
        say(f"units: {len(units) - 1} {config.kind} units and the blank")
        return {"units": digest(out / "units.json"), "count": len(units)}

    inputs = {"manifest": done["prepare"]["manifest"]}
    if config.lexicon is not None:
        lexicon = run.recipe.folder / config.lexicon
        inputs["lexicon"] = digest(lexicon) if lexicon.is_file() else "missing"
    return Stage("units", run.folder / "units", 1, plain(config, defaults=False), inputs), work
