"""What a run leaves for people: the scored table, the model's provenance, a row in RESULTS.md."""

from __future__ import annotations

import itertools
import os
import platform
import shutil
from datetime import date
from pathlib import Path
from typing import Any

from . import __version__, nbest
from .exports import export
from .files import read_json, write_json, write_text
from .phonereport import phones_json, render_phones
from .phones import FOLD, QUOTED, score_phone_files
from .recipe import Recipe
from .report import METRIC, as_json, measures, render
from .runreport import write_report
from .score import Report, ScoreConfig, score_files
from .train import Progressed
from .transcripts import read_transcripts


def provenance(recipe: Recipe, name: str, ended: Progressed, device: object, started: str | None,
               variant: str | None = None) -> dict[str, Any]:
    """How a model came to be. started: the digest of the weights that it started from, if not from random ones."""
    import torch

    return {"recipe": recipe.name, **({"variant": variant} if variant else {}), "model": name, "recipe_digest": recipe.digest(),
            "recog": __version__, "torch": torch.__version__, "epochs": ended.epoch, "best_epoch": ended.best_epoch, "steps": ended.step,
            "minutes": round(ended.seconds / 60, 1), "device": str(device), "threads": torch.get_num_threads(), "machine": machine(),
            "date": date.today().isoformat(), **({"started_from": started} if started else {})}


def machine() -> str:
    return f"{platform.machine()}, {os.cpu_count()} cores, {platform.system()}"


def score_run(folder: Path, recipe: Recipe, trained: dict[str, Any], decoded: dict[str, Any], out: Path) -> dict[str, Any]:
    """Scores every decoded split; writes reports, puts the figures into model.json, and gives the table."""
    scores: dict[str, Any] = {}
    folding = recipe.folding()
    if folding is not None:
        shutil.copyfile(recipe.folder / recipe.config.fold, out / FOLD)      # for `recog lm tune`, which knows of no recipe
    for split, factors in decoded["real_time_factors"].items():
        for decoder in factors:
            for unit in recipe.config.score:
                files = folder / "decode" / split / "reference.tsv", folder / "decode" / split / f"{decoder}.tsv"
                if folding is not None:
                    report = score_phone_files(*files, folding)
                    text, data, figures = render_phones(report, alignments=True), phones_json(report), _figures(report.quoted)
                    figures |= {"quoted": QUOTED, "customs": {custom: _figures(one) for custom, one in report.customs.items()}}
                else:
                    report = score_files(*files, ScoreConfig(unit=unit))
                    text, data, figures = render(report, alignments=True), as_json(report), _figures(report)
                lists = files[1].with_suffix(".jsonl")
                if lists.exists() and (answers := nbest.read(lists)):
                    best = nbest.oracle(read_transcripts(files[0]), answers, unit, folding)
                    figures, data = figures | {"oracle": best}, data | {"oracle": best}
                write_text(out / f"{split}.{decoder}.{unit}.txt", text + "\n")
                write_json(out / f"{split}.{decoder}.{unit}.json", data)
                scores.setdefault(split, {}).setdefault(decoder, {})[unit] = figures
        export(folder / "decode" / split, out / split, folding)
    info = read_json(folder / "model" / "model.json")
    table = _table(recipe, info["provenance"].get("variant"), trained, decoded, scores)
    write_text(out / "table.txt", table + "\n")
    write_json(folder / "model" / "model.json", {**info, "scores": scores})
    write_report(folder, recipe, out.parent / "report.html")
    return {"table": table, "scores": scores}


def _figures(report: Report) -> dict[str, Any]:
    return {"error_rate": report.error_rate, "interval": report.interval, "errors": report.total.errors,
            "tokens": report.total.reference, "utterances": len(report.rows)}


def _table(recipe: Recipe, variant: str | None, trained: dict, decoded: dict, scores: dict) -> str:
    name = f"{recipe.name} ({variant}: {recipe.facts(variant).description})" if variant else recipe.name
    lines = [f"{name}: best of {trained['epochs']} epochs: {trained['best_epoch']}, {trained['minutes']} minutes of training"]
    wide = max([10, *(len(decoder) for decoders in scores.values() for decoder in decoders)])
    for split, decoders in scores.items():
        for decoder, units in decoders.items():
            labelled = measures(units)
            if len(lines) == 1:
                head = "".join(f"{label + ' %':>{max(8, len(label) + 3)}} {'95 % interval':>16} {'errors':>12} " for label, _ in labelled)
                lines.append(f"{'split':8} {'decoder':{wide}} {head}{'real time':>10}")
            cells = "".join(f"{100 * f['error_rate']:{max(8, len(label) + 3)}.2f} {_interval(f['interval']):>16} {f['errors']:>5} / {f['tokens']:<5}"
                            for label, f in labelled)
            lines.append(f"{split:8} {decoder:{wide}} {cells}{decoded['real_time_factors'][split][decoder]:>10.5f}")
    for split, decoders in scores.items():
        for decoder, units in decoders.items():
            best = [f"{METRIC[unit]} {100 * f['oracle']['error_rate']:.2f} %" for unit, f in units.items() if "oracle" in f]
            if best:
                count = max(f["oracle"]["answers"] for f in units.values() if "oracle" in f)
                lines.append(f"{split} {decoder}, best of {count} answers: {', '.join(best)}")
    if recipe.config.fold:
        lines.append(f"phones are folded by {recipe.config.fold} before they are scored; * is the custom of counting silence that is quoted")
    return "\n".join(lines)


def _interval(interval: tuple[float, float] | None) -> str:
    return f"[{100 * interval[0]:.2f}, {100 * interval[1]:.2f}]" if interval else "-"


def record(folder: Path, recipe: Recipe, model: str, command: str) -> Path:
    """Appends one row per test split and decoder to the recipe's RESULTS.md, from what the run wrote; also of networks beside the model."""
    scored = read_json(folder / "score" / "done.json")["result"] if (folder / "score" / "done.json").exists() else {}
    models = [read_json(place / "model" / "model.json") for place in (folder, *(folder / name for name in scored.get("beside", ())))]
    inside = recipe.folder.resolve().is_relative_to(Path(__file__).parent)         # of an installed package: not ours to write to
    path = (folder.parent if inside else recipe.folder) / "RESULTS.md"
    text = path.read_text(encoding="utf-8") if path.exists() else _HEAD.format(name=recipe.name)
    for split, info in itertools.product(recipe.config.test, models):
        made = info["provenance"]
        for decoder, units in info["scores"].get(split, {}).items():
            if "nats" in units:
                figures = f"{units['nats']:.1f} nats a line, SSE {units['squares']:.3f} a point"
            else:
                figures = f"{units['bits']:.4f} bits a character" if "bits" in units else ", ".join(
                    f"{label} {100 * f['error_rate']:.2f} {_interval(f['interval'])}" for label, f in measures(units))
            where = f"{split} of {made['variant']}" if "variant" in made else split
            text += (f"| {made['date']} | {model} | {info['weights']:,} | {where} | {decoder} | {figures} | {made['best_epoch']} of {made['epochs']}, "
                     f"{made['minutes']} min | {made['machine']}, {made['device']} | `{command}` |\n")
    write_text(path, text)
    return path


_HEAD = """# Results of `{name}`

Each row was written by `recog run ... --record`, none by hand. Error rates in percent with 95 % bootstrap intervals over utterances.

| date | model | weights | split | decoder | error | training | machine | command |
|---|---|---|---|---|---|---|---|---|
"""
