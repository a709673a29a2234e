"""`recog run`: a recipe from corpus to scored table. Stages: prepare, features, units, train, lm, decode, score."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path
from typing import Any, Callable, ContextManager

import torch

from . import ensemble, ledger, manifest, modeldir, ranks, results
from .beginnings import Planned, features_stage, prepare_stage, units_stage
from .components import nearest
from .config import plain
from .decoding import decode_part, decode_split
from .errors import ConfigError
from .files import alone, digest, digest_of, read_json
from .guiding import lm_stage, ready, settled
from .ledger import Stage, run as run_stage, say
from .part import Part, parsed
from .plan import Run
from .recipe import Recipe
from .recipe import find as find_recipe
from .training import train_model


def run_recipe(recipe: str, corpus: Path | None, model: str | None, overrides: list[str], exp: Path, name: str | None,
               until: str, again: str | None, record: bool, shard: str | None = None) -> str:
    """`recog run`: everything is read and checked before any data is. Gives the scored table, on rank 0."""
    with ranks.quiet():
        table = _run_recipe(recipe, corpus, model, overrides, exp, name, until, None if ranks.restarted() else again, record, parsed(shard))
    return table if ranks.first() else ""


def _run_recipe(recipe: str, corpus: Path | None, model: str | None, overrides: list[str], exp: Path, name: str | None,
                until: str, again: str | None, record: bool, part: Part) -> str:
    found = find_recipe(recipe)
    stages = plan_of(found)
    for option, stage in (("--until", until), ("--from", again)):
        if stage is not None and stage not in stages:
            raise ConfigError(f"there is no stage '{stage}'{nearest(stage, list(stages))}", where=option)
    model = model or found.config.model
    if name is not None and (name in stages or name.startswith((".", "features-")) or Path(name).name != name):
        raise ConfigError(f"a run cannot be named '{name}'", where="--name", hint="choose a plain name that is no stage's")
    wanted = Run(found, found.experiment(model, overrides), corpus, exp, name or model, again, part)
    if not part.whole:
        return run_part(wanted, until)
    table = run(wanted, until)
    if record and table and ranks.first():
        command = " ".join(["recog run", f"recipes/{found.name}", *(["--corpus DIR"] if corpus else []), "--model", model,
                            *(f"--set {item}" for item in overrides)])
        say(f"recorded in {results.record(wanted.folder, found, wanted.name, command)}")
    return table


def run(run: Run, until: str = "score") -> str:
    """Runs the stages up to `until`; what is unchanged is skipped. Gives the scored table ('' before `score`)."""
    device = ranks.device()
    done: dict[str, dict[str, Any]] = {}
    plan, anew = plan_of(run.recipe), False
    with _alone(run.home / f"{run.name}.lock"):
        for name in list(plan)[:list(plan).index(until) + 1]:
            if name == "lm" and not any(group.lm for group in run.experiment.guided):
                continue
            stage, work = plan[name](run, done, device)
            anew |= name == run.again
            with _alone(stage.folder.with_suffix(".lock"), wait=True):      # other models may be at a shared stage
                done[name] = run_stage(stage, work, anew)
    return done["score"]["table"] if "score" in done else ""


def _alone(lock: Path, wait: bool = False, shared: bool = False) -> ContextManager:
    return alone(lock, wait, shared) if ranks.first() else nullcontext()            # rank 0 holds it for all


SLICED = ("features", "decode")


def run_part(run: Run, until: str) -> str:
    """One job of several that share a stage: does its part of it, and leaves it to a run of the whole to find them all and to end the stage.

    Such jobs may run at the same time. Raises ConfigError when a stage before has not finished.
    """
    if until not in SLICED or run.again is not None:
        raise ConfigError("goes with --until " + " or --until ".join(SLICED) + ", and not with --from", where="--shard")
    plan, done = plan_of(run.recipe), {}
    if until not in plan:
        raise ConfigError(f"a recipe of {run.recipe.config.medium} has no stage '{until}' that is done in parts", where="--shard")
    for name in list(plan)[:list(plan).index(until)]:
        if name != "lm" or any(group.lm for group in run.experiment.guided):
            done[name] = ledger.finished(plan[name](run, done, ranks.device())[0])
    stage, work = plan[until](run, done, ranks.device())
    with _alone(stage.folder.with_suffix(".lock"), wait=True, shared=True):
        with _alone(stage.folder.with_suffix(".parts.lock"), wait=True):
            over = ranks.from_first(lambda: ledger.begin(stage)) is not None
        if not over:
            with _alone(stage.folder.with_suffix(f".part{run.part.number}of{run.part.of}.lock")):
                work(stage.folder)
    return ""


def plan_of(recipe: Recipe) -> dict[str, Callable[[Run, dict, torch.device], Planned]]:
    """Its stages, in order."""
    if recipe.config.medium == "text":
        from .textrun import PLAN

        return PLAN
    if recipe.config.medium == "writing":
        from .writingrun import PLAN

        return PLAN
    if recipe.config.medium == "pixels":
        from .pixelrun import PLAN

        return PLAN
    return _PLAN


def _train(run: Run, done: dict, device: torch.device) -> Planned:
    experiment, recipe = run.experiment, run.recipe
    settings = plain(experiment, defaults=False) | {"dev": recipe.config.dev, "unit": recipe.config.score[0]}
    if recipe.config.fold:
        settings["fold"] = digest(recipe.folder / recipe.config.fold)    # the best epoch is chosen by folded phones
    for later in ("decoders", "lm", "beside"):
        settings.pop(later, None)
    settings.get("train", {}).pop("checkpoint_seconds", None)    # changes nothing but the time lost by a kill
    inputs = {"manifest": done["prepare"]["manifest"], "units": done["units"]["units"], "features": digest_of(run.feature_settings)}
    if experiment.splice.letters:
        inputs["texts"] = done["prepare"].get("texts")
    return Stage("train", run.folder / "train", 1, settings, inputs, costly=True, shared=True), lambda out: train_model(run, out, device, done["prepare"].get("variant"))


def _decode(run: Run, done: dict, device: torch.device) -> Planned:
    splits, named = run.scored, settled(run, done)
    inputs = {"weights": done["train"]["weights"], "manifest": done["prepare"]["manifest"]}
    inputs |= {name: facts["arpa"] for name, facts in done.get("lm", {}).items()}
    settings = {"decoders": {name: plain(component, defaults=False) for name, (_, component) in named.items()}, "splits": splits}
    joined = {name: group.members for name, (group, _) in named.items() if group.members}
    inputs |= {f"{name}: {path}": modeldir.described(modeldir.locate(path))["files"][modeldir.WEIGHTS]["sha256"]
               for name, paths in joined.items() for path in paths}
    stage = Stage("decode", run.folder / "decode", 2, settings, inputs, shared=True)

    def work(out: Path) -> dict[str, Any]:
        loaded = modeldir.load(run.folder / "model")
        loaded.model.to(device)
        store, speeds, decoders = run.store(), {}, ready(run, loaded, named)
        members = {name: ensemble.members(loaded, paths) for name, paths in joined.items()}
        utterances = {split: list(manifest.read(run.manifest, split)) for split in splits}
        part = run.part.among(ranks.rank(), ranks.size())
        for split in splits if not part.whole else ():
            decode_part(loaded, store, utterances[split], decoders, out / split, members, part)
        ranks.gathered(part)                                       # all are through
        if not run.part.whole:
            say(f"decode: part {run.part} of " + ", ".join(splits))
            return {}
        ranks.rest_is_for_the_first()
        for split in splits:
            speeds[split] = decode_split(loaded, store, utterances[split], decoders, out / split, members)
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


_PLAN = {"prepare": prepare_stage, "features": features_stage, "units": units_stage, "train": _train, "lm": lm_stage, "decode": _decode, "score": _score}
STAGES = tuple(_PLAN)                                     # of recipes of sound and ink that is read; lm: of a model with [lm]
