"""The stage `lm`: language models learned and tuned, each for the decoders that ask it; and those decoders made ready."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, Mapping

import torch

from . import manifest, modeldir, tuning
from .beginnings import Planned
from .config import Component, plain
from .decode import make
from .ensemble import searching
from .evaluation import emissions_of, named
from .experiment import LM, GuidedConfig
from .files import digest
from .ledger import Stage, say
from .lm.ngram import Ngram
from .lm.recipe import LmConfig, learn
from .lm.tokens import SPECIAL
from .modeldir import LoadedModel
from .plan import Run
from .text import Units
from .types import Decoder

ENOUGH = 400                             # utterances of the development set by which weights and bonuses are chosen, evenly from all of it


def lm_stage(run: Run, done: dict, device: torch.device) -> Planned:
    groups = [group for group in run.experiment.guided if group.lm]
    settings = {group.name: plain(group, defaults=False) for group in groups}
    for group in groups:
        if (unit := _judged_by(run, group)) != run.recipe.config.score[0]:
            settings[group.name]["judged_by"] = unit
    inputs = {"weights": done["train"]["weights"], "manifest": done["prepare"]["manifest"], "units": done["units"]["units"],
              "texts": done["prepare"].get("texts")}
    inputs |= {name: digest(run.recipe.folder / name) for group in groups for name in group.lm.texts if (run.recipe.folder / name).is_file()}

    def work(out: Path) -> dict[str, Any]:
        return {group.name: _equip(run, group, out, device) for group in groups}

    return Stage("lm", run.folder / "lm", 4, settings, inputs), work        # 4: several language models


def _judged_by(run: Run, group: GuidedConfig) -> str:
    """What is counted when it is tuned: words for a language model of words, if the recipe scores them."""
    scored = run.recipe.config.score
    return "word" if group.lm.units == "word" and "word" in scored else scored[0]


def _equip(run: Run, group: GuidedConfig, out: Path, device: torch.device) -> dict[str, Any]:
    """Learns a language model and tunes those who ask it; that of [lm] goes into the model, with the first decoder."""
    arpa, units = out / f"{group.name}.arpa", Units.load(run.folder / "units" / "units.json")
    texts = [run.recipe.folder / name for name in group.lm.texts] + ([run.texts] if run.texts.is_file() else [])
    count = learn(group.lm, (u.text for u in manifest.read(run.manifest, "train")), units, texts, arpa)
    loaded = _with_lm(modeldir.load(run.folder / "model"), group.lm, arpa)
    say(f"lm: {group.name}: {' '.join(f'{n:,}' for n in loaded.lm.counts)} n-grams of {group.lm.units}s from {count:,} sentences")
    decoders = named(group.decoders, group.name)
    tuned = _tune(run, loaded, decoders, _judged_by(run, group), out, device) if group.lm.tune else {}
    if group.name == LM:
        name, first = next(iter(decoders.items()))
        modeldir.equip(run.folder / "model", arpa, _with(first, tuned.get(name, {})), loaded.words if group.lm.vocabulary else ())
    return {"arpa": digest(arpa), "tuned": tuned}


def _with_lm(loaded: LoadedModel, config: LmConfig, arpa: Path) -> LoadedModel:
    """The model with this language model; words that alone are known to it are the lexicon too."""
    lm = Ngram.read(arpa)
    return replace(loaded, lm=lm, words=tuple(word for word in lm.words if word not in SPECIAL) if config.vocabulary else loaded.words)


def _with(component: Component, settings: Mapping[str, float]) -> Component:
    return replace(component, config=replace(component.config, **settings))


def _tune(run: Run, loaded: LoadedModel, decoders: Mapping[str, Component], unit: str, out: Path, device: torch.device
          ) -> dict[str, dict[str, float]]:
    """By decoder, the settings by which it errs least on the development set."""
    loaded.model.to(device)
    dev = list(manifest.read(run.manifest, run.recipe.config.dev))
    dev = dev[::-(-len(dev) // ENOUGH)]
    heard = emissions_of(loaded, run.store(), [u.id for u in dev])
    return {name: tuning.tune(loaded, component, heard, {u.id: u.text for u in dev}, unit, run.recipe.folding(),
                              out / f"{name}.svg", say)
            for name, component in decoders.items() if getattr(component.config, "lm", False)}


def settled(run: Run, done: dict) -> dict[str, tuple[GuidedConfig, Component]]:
    """All decoders by name, with what the stage lm has tuned, and the group of each."""
    found = {}
    for group in run.experiment.guided:
        asked = LM if group.members else group.name              # models together share the [lm] of the first
        tuned = done.get("lm", {}).get(asked, {}).get("tuned", {})
        for name, component in named(group.decoders, asked).items():
            component = _with(component, tuned.get(name, {}))
            found |= {f"{name}+{group.name}": (group, searching(component))} if group.members else {name: (group, component)}
    return found


def ready(run: Run, loaded: LoadedModel, decoders: Mapping[str, tuple[GuidedConfig, Component]]) -> dict[str, Decoder]:
    predictor = loaded.model.predictor()
    asking = {group.name: _with_lm(loaded, group.lm, run.folder / "lm" / f"{group.name}.arpa") if group.lm else loaded
              for group in run.experiment.guided}
    asking |= {group.name: asking[LM] for group in run.experiment.guided if group.members}
    return {name: make(component, loaded.units, asking[group.name].words, predictor, asking[group.name].lm)
            for name, (group, component) in decoders.items()}
