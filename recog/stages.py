"""`recog run`: a recipe from corpus to scored table. Stages: prepare, features, units, train, lm, decode, score."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Callable

import torch
from torch import nn

from . import corpus as corpus_stages
from . import manifest, modeldir, results, splice, tuning
from .components import nearest
from .config import Component, plain
from .errors import ConfigError, DataError
from .evaluation import DevelopmentSet, decode_split, emissions, emissions_of, named
from .examples import Example, Examples
from .experiment import Experiment
from .features import Normalizer, limited
from .files import alone, digest, digest_of, read_json
from .ledger import Stage, run as run_stage, say
from .lm.recipe import learn as learn_lm
from .models.recognizer import build
from .perturb import PerturbConfig
from .phases import SECOND, Phase, phases, train_phases
from .pretrain import pretrain
from .recipe import Recipe, find as find_recipe
from .store import Store
from .text import Units, learn
from .train import TrainConfig
from .types import Head

STAGES = ("prepare", "features", "units", "train", "lm", "decode", "score")     # lm: of a model with [lm]


@dataclass(frozen=True)
class Run:
    """One run of a recipe: what, on what, and where its results go."""

    recipe: Recipe
    experiment: Experiment
    corpus: Path | None
    exp: Path                                # results go to exp/RECIPE/...
    name: str                                # ... and those of this model to exp/RECIPE/NAME/
    force: bool = False

    @property
    def home(self) -> Path:
        return self.exp / self.recipe.name

    @property
    def folder(self) -> Path:
        return self.home / self.name

    @property
    def splits(self) -> list[str]:
        config = self.recipe.config
        return list(dict.fromkeys(["train", config.dev, *config.test]))

    @property
    def manifest(self) -> Path:
        return self.home / "prepare" / "manifest.jsonl"

    @property
    def features(self) -> Path:
        """Shared by all models whose features before normalization are the same."""
        return self.home / f"features-{digest_of(self.feature_settings)[:8]}"

    @property
    def feature_settings(self) -> dict[str, Any]:
        shaping = replace(self.experiment.features, range_db=0.0, normalize="none", stack=1)    # these are applied on reading
        return {"features": plain(shaping, defaults=False), "views": plain(self.experiment.views, defaults=False), "splits": self.splits}


def run_recipe(recipe: str, corpus: Path | None, model: str | None, overrides: list[str], exp: Path, name: str | None,
               until: str, force: bool, record: bool) -> str:
    """`recog run`: everything is read and checked before any data is."""
    if until not in STAGES:
        raise ConfigError(f"there is no stage '{until}'{nearest(until, STAGES)}", where="--until")
    found = find_recipe(recipe)
    model = model or found.config.model
    if name is not None and (name in STAGES or name.startswith((".", "features-")) or Path(name).name != name):
        raise ConfigError(f"a run cannot be named '{name}'", where="--name", hint="choose a plain name that is no stage's")
    wanted = Run(found, found.experiment(model, overrides), corpus, exp, name or model, force)
    table = run(wanted, until)
    if record and table:
        command = " ".join(["recog run", f"recipes/{found.name}", *(["--corpus DIR"] if corpus else []), "--model", model,
                            *(f"--set {item}" for item in overrides)])
        say(f"recorded in {results.record(wanted.folder, found, wanted.name, command)}")
    return table


def run(run: Run, until: str = "score") -> str:
    """Runs the stages up to `until`; what is unchanged is skipped. Gives the scored table ('' before `score`)."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    done: dict[str, dict[str, Any]] = {}
    with alone(run.home / f"{run.name}.lock"):
        for name in STAGES[:STAGES.index(until) + 1]:
            if name == "lm" and run.experiment.lm is None:
                continue
            stage, work = _PLAN[name](run, done, device)
            with alone(stage.folder.with_suffix(".lock"), wait=True):       # other models may be at a shared stage
                done[name] = run_stage(stage, work, run.force and name != "prepare")
    return done["score"]["table"] if "score" in done else ""


Planned = tuple[Stage, Callable[[Path], dict[str, Any]]]


def _prepare(run: Run, done: dict, device: torch.device) -> Planned:
    recipe, folder = run.recipe, run.home / "prepare"
    if recipe.config.generated and run.corpus is not None:
        raise ConfigError("makes its own corpus", where=recipe.folder, hint="leave --corpus out")
    if recipe.config.generated:
        source, inputs = folder.resolve() / "corpus", {}
    elif run.corpus is None:
        raise ConfigError("this recipe needs a corpus", where=recipe.folder, hint="--corpus FOLDER; see its README.md")
    elif not run.corpus.is_dir():
        raise DataError("there is no such folder", where=run.corpus, hint="--corpus names the folder that holds the corpus")
    else:
        source, inputs = run.corpus.resolve(), {"corpus": corpus_stages.fingerprint(run.corpus)}
    settings = {"recipe": recipe.digest(), "expect": recipe.config.expect, "corpus": str(source)}
    if recipe.config.variants:
        settings["variants"] = {name: facts.expect for name, facts in recipe.config.variants.items()}
    return Stage("prepare", folder, 1, settings, inputs), lambda out: corpus_stages.prepare(recipe, source, out)


def _features(run: Run, done: dict, device: torch.device) -> Planned:
    stage = Stage("features", run.features, 1, run.feature_settings, {"manifest": done["prepare"]["manifest"]})
    return stage, lambda out: corpus_stages.store_features(run.manifest, run.splits, run.experiment.features,
                                                           run.experiment.views, out)


def _units(run: Run, done: dict, device: torch.device) -> Planned:
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


def _train(run: Run, done: dict, device: torch.device) -> Planned:
    experiment, recipe = run.experiment, run.recipe
    settings = plain(experiment, defaults=False) | {"dev": recipe.config.dev, "unit": recipe.config.score[0]}
    if recipe.config.fold:
        settings["fold"] = digest(recipe.folder / recipe.config.fold)    # the best epoch is chosen by folded phones
    for later in ("decoders", "lm"):
        settings.pop(later, None)
    settings.get("train", {}).pop("checkpoint_seconds", None)    # changes nothing but the time lost by a kill
    inputs = {"manifest": done["prepare"]["manifest"], "units": done["units"]["units"], "features": digest_of(run.feature_settings)}
    return Stage("train", run.folder / "train", 1, settings, inputs, costly=True), lambda out: _train_model(run, out, device, done["prepare"].get("variant"))


def _train_model(run: Run, out: Path, device: torch.device, variant: str | None) -> dict[str, Any]:
    experiment, config = run.experiment, run.experiment.train
    units = Units.load(run.folder / "units" / "units.json")
    store = Store(run.features)
    utterances = {split: list(manifest.read(run.manifest, split)) for split in ("train", run.recipe.config.dev)}
    normalizer = None
    if experiment.features.normalize == "corpus":
        normalizer = Normalizer.fit(limited(store.frames(u.id, view), experiment.features) for u in utterances["train"] for view in range(store.views(u.id)))
    torch.manual_seed(config.seed)
    model = build(experiment.recognizer, len(units))
    if config.initial:
        for w in model.parameters():
            nn.init.uniform_(w, -config.initial, config.initial)
    if getattr(experiment.head.config, "pretrain_epochs", 0) and not (out / "state").exists():
        pretrain(model.head, [units.encode(u.text, where=f"utterance '{u.id}'") for u in utterances["train"]], config.seed, say)
    started = modeldir.start_from(model, units, config.start) if config.start else None
    model.to(device)

    def examples(split: str, config: TrainConfig, perturb: PerturbConfig, splices: splice.Splicer | None = None) -> Examples:
        rows = [Example(u.id, tuple(units.encode(u.text, where=f"utterance '{u.id}'")), u.speaker, len(u.text.split()))
                for u in utterances[split]]
        refuse_unfit(rows, store, experiment, model.head, out / "unfit.txt")
        return Examples(store, rows, experiment.features, normalizer, config.batch, perturb, config.seed, splices)

    def of_phase(phase: Phase) -> Examples:
        spliced = None
        if phase.folder == SECOND and experiment.splice.share:
            heard = emissions(model, examples("train", config, PerturbConfig()))
            spliced = splice.make(experiment.splice, units, store, utterances["train"], heard)
        return examples("train", phase.train, phase.train.perturb, spliced)

    training = examples("train", config, config.perturb)
    dev = examples(run.recipe.config.dev, config, PerturbConfig())
    evaluate = DevelopmentSet(dev, units, [u.text for u in utterances[run.recipe.config.dev]], run.recipe.config.score[0],
                              run.recipe.folding())
    weights = sum(w.numel() for w in model.parameters())
    say(f"train: {weights:,} weights, {len(training)} utterances, {training.batches_in(0)} batches an epoch, "
        f"padding {training.waste(0):.1%}, on {device}")
    planned = phases(config, experiment.hooks, experiment.second)
    ended, figures = train_phases(model, of_phase, evaluate, planned, out, say)
    facts = {"medium": run.recipe.config.medium, "data_licence": run.recipe.facts(variant).data_licence,
             "provenance": results.provenance(run.recipe, run.name, ended, device, started, variant) | figures, "scores": {}}
    words = sorted({word for u in utterances["train"] for word in u.text.split()}) if units.kind == "char" else []
    modeldir.save(run.folder / "model", run.name, experiment.recognizer, model, units, normalizer, facts, words=words)
    return {**figures, "weights": digest(run.folder / "model" / "weights.safetensors"), "epochs": ended.epoch,
            "best_epoch": ended.best_epoch, "best": ended.best, "minutes": round(ended.seconds / 60, 1)}


def refuse_unfit(rows: list[Example], store: Store, experiment: Experiment, head: Head, listing: Path) -> None:
    """Raises DataError when an utterance has frames out of the encoder from which the head cannot learn its labels."""
    per_frame = experiment.features.stack
    for factor in getattr(experiment.encoder.config, "subsample", ()):
        per_frame *= factor
    unfit = [(row.id, reason) for row in rows
             for reason in [next(filter(None, (head.unfit(-(-store.length(row.id, view) // per_frame), row.labels)
                                               for view in range(store.views(row.id)))), "")] if reason]
    if unfit:
        listing.write_text("".join(f"{id}\t{reason}\n" for id, reason in unfit))
        raise DataError(f"{len(unfit)} utterances cannot be learned: "
                        + ", ".join(f"'{id}' ({reason})" for id, reason in unfit[:3]), where=listing,
                        hint="leave them out in prepare, or change features.stack, encoder.subsample, views.speeds or head.memory_mb")


def _lm(run: Run, done: dict, device: torch.device) -> Planned:
    config, decoders = run.experiment.lm, run.experiment.decoders
    asking = {name: component for name, component in named(decoders).items() if getattr(component.config, "lm", False)}
    settings = {"lm": plain(config, defaults=False), "decoders": {name: plain(c, defaults=False) for name, c in asking.items()}}
    inputs = {"weights": done["train"]["weights"], "manifest": done["prepare"]["manifest"], "units": done["units"]["units"]}
    inputs |= {name: digest(run.recipe.folder / name) for name in config.texts if (run.recipe.folder / name).is_file()}

    def work(out: Path) -> dict[str, Any]:
        texts = (u.text for u in manifest.read(run.manifest, "train"))
        arpa, units = out / modeldir.LM, Units.load(run.folder / "units" / "units.json")
        count = learn_lm(config, texts, units, run.recipe.folder, arpa)
        modeldir.equip(run.folder / "model", arpa, decoders[0])
        loaded = modeldir.load(run.folder / "model")
        say(f"lm: {' '.join(f'{n:,}' for n in loaded.lm.counts)} n-grams of {config.units}s from {count:,} sentences")
        tuned = {}
        if config.tune:
            loaded.model.to(device)
            dev = list(manifest.read(run.manifest, run.recipe.config.dev))
            heard = emissions_of(loaded, Store(run.features), [u.id for u in dev])
            for name, component in asking.items():
                pair = tuning.tune(loaded, component, heard, {u.id: u.text for u in dev}, run.recipe.config.score[0], run.recipe.folding(),
                                   out / f"{name}.svg", say)
                tuned[name] = pair
                if component is decoders[0]:
                    modeldir.equip(run.folder / "model", arpa, replace(component, config=replace(component.config, **pair)))
        return {"arpa": digest(arpa), "tuned": tuned}

    return Stage("lm", run.folder / "lm", 1, settings, inputs), work


def _decoders(run: Run, done: dict) -> dict[str, Component]:
    """By name, with what the stage lm has tuned."""
    tuned = done["lm"]["tuned"] if "lm" in done else {}
    return {name: replace(c, config=replace(c.config, **tuned.get(name, {}))) for name, c in named(run.experiment.decoders).items()}


def _decode(run: Run, done: dict, device: torch.device) -> Planned:
    decoders = _decoders(run, done)
    splits = [run.recipe.config.dev, *run.recipe.config.test]
    inputs = {"weights": done["train"]["weights"], "manifest": done["prepare"]["manifest"]}
    if "lm" in done:
        inputs["lm"] = done["lm"]["arpa"]
    stage = Stage("decode", run.folder / "decode", 1, {"decoders": {name: plain(c, defaults=False) for name, c in decoders.items()}, "splits": splits}, inputs)

    def work(out: Path) -> dict[str, Any]:
        loaded = modeldir.load(run.folder / "model")
        loaded.model.to(device)
        store, speeds = Store(run.features), {}
        for split in splits:
            utterances = list(manifest.read(run.manifest, split))
            speeds[split] = decode_split(loaded, store, utterances, decoders, out / split)
        return {"real_time_factors": speeds}

    return stage, work


def _score(run: Run, done: dict, device: torch.device) -> Planned:
    config = run.recipe.config
    settings = {"units": list(config.score)} | ({"fold": digest(run.recipe.folder / config.fold)} if config.fold else {})
    stage = Stage("score", run.folder / "score", 1, settings,
                  {"decode": digest_of(read_json(run.folder / "decode" / "done.json")["key"]), "weights": done["train"]["weights"]})

    def work(out: Path) -> dict[str, Any]:
        return results.score_run(run.folder, run.recipe, done["train"], done["decode"], out)

    return stage, work


_PLAN = {"prepare": _prepare, "features": _features, "units": _units, "train": _train, "lm": _lm, "decode": _decode, "score": _score}
