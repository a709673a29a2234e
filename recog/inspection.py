"""`recog inspect`: what a file of sound, ink or an image, a manifest, a model folder or a run's folder holds, as text."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Sequence


from . import audio, filefacts, image, ink
from .errors import DataError
from .files import read_json
from .sources import SUFFIXES

KINDS = "a file of sound, ink or an image, a manifest (.jsonl), a model folder, a run's folder (exp/RECIPE/MODEL), or a folder of features"
STAGES = ("units", "train", "lm", "decode", "score")     # those of a run alone; `prepare` and `features` are shared by all runs


def describe(path: Path) -> str:
    """Raises DataError when there is nothing at `path`, or nothing that recog knows; ModelError for a damaged model."""
    if path.is_dir():
        if (path / "model.json").exists():
            return _model(path)
        if any((path / stage / "begun.json").exists() for stage in STAGES):
            return _run(path)
        if next(path.glob("shard-[0-9]*[0-9]"), None) is not None:
            return _features(path)
        runs = sorted({str(p.parent.parent) for p in path.glob("*/*/begun.json")})
        raise DataError("is neither a model folder nor a run's folder", where=path,
                        hint=f"look at {', '.join(runs[:5])}" if runs else f"inspect reads {KINDS}")
    if not path.exists():
        raise DataError("no such file or folder", where=path, hint=f"inspect reads {KINDS}")
    if path.suffix.lower() == ".jsonl":
        return filefacts.of_manifest(path)
    if path.suffix.lower() in SUFFIXES or audio.is_audio(path):
        return filefacts.of_sound(path)
    if ink.is_ink(path):
        return filefacts.of_ink(path)
    if image.is_image(path):
        return filefacts.of_image(path)
    raise DataError("is not a kind of file that recog knows", where=path, hint=f"inspect reads {KINDS}")


def _features(folder: Path) -> str:
    """Reads all of them, and compares their digests."""
    from .store import Store, verify

    store = Store(folder)
    good, silent = verify(folder)
    state = [f"{good:,} as they were written"] if good else []
    state += [f"{silent:,} without a digest (written before recog kept them)"] if silent else []
    state += [] if store.kept else ["frames are made when they are needed, and not kept"]
    return filefacts.lines([("features", str(folder)), ("utterances", f"{len(store.first) - 1:,}, {len(store.lengths):,} with all copies"),
                            ("frames", f"{int(store.lengths.sum()):,}"), ("shards", ", ".join(state))])


# --- model ---


def _model(folder: Path) -> str:
    from . import modeldir

    info = modeldir.described(folder)
    if info.get("medium") in ("text", "writing", "pixels"):
        return _network_model(folder, info)
    loaded = modeldir.load(folder)
    size = sum(facts["bytes"] for facts in info["files"].values()) / 1e6
    made = info.get("provenance", {})
    config = info["config"]
    rows = [("model", f"{loaded.name} ({info.get('medium', 'audio')}), {folder}"),
            ("weights", f"{info['weights']:,}, {size:.1f} MB; sizes and digests are as recorded"),
            ("units", f"{len(loaded.units) - 1} of kind {loaded.units.kind}, and the blank"),
            ("step", f"{1000 * loaded.frame_seconds:g} ms from one answer of the network to the next"),
            *((part, _settings(config[part])) for part in ("features", "encoder", "head", "decoder") if part in config),
            ("made", _settings({key: value for key, value in made.items() if key != "recipe_digest"}) or "no record of how"),
            ("licence", info.get("data_licence", "not stated"))]
    return "\n".join([filefacts.lines(rows), *_scores(info.get("scores", {}))])


def _network_model(folder: Path, info: dict[str, Any]) -> str:
    """A model of text, one that writes, or one that classifies pixels."""
    from . import pixelmodel, textmodel, writingmodel

    load, what = {"text": (textmodel.load, "characters, and the end of a sentence"), writingmodel.MEDIUM: (writingmodel.load, "characters"),
                  pixelmodel.MEDIUM: (pixelmodel.load, "classes, and the background")}[info["medium"]]
    units, made = load(folder).units, info.get("provenance", {})
    rows = [("model", f"{info['name']} ({info['medium']}), {folder}"), ("weights", f"{info['weights']:,}; sizes and digests are as recorded"),
            ("units", f"{len(units) - 1} {what}"), ("network", _settings(info["config"])),
            ("made", _settings({key: value for key, value in made.items() if key != "recipe_digest"}) or "no record of how"),
            ("licence", info.get("data_licence", "not stated"))]
    scores = _scores(info.get("scores", {})) if info["medium"] == pixelmodel.MEDIUM else [
        f"{'scores':12} {split}, {name}: {_figures(found)}" for split, each in info.get("scores", {}).items() for name, found in each.items()]
    return "\n".join([filefacts.lines(rows), *scores])


def _figures(found: dict[str, float]) -> str:
    if "bits" in found:
        return f"{found['bits']:.4f} bits a character"
    return f"{found['nats']:.1f} nats a line, SSE {found['squares']:.3f} a point"


def _settings(table: dict[str, Any]) -> str:
    kind = [str(table["kind"])] if "kind" in table else []
    return ", ".join(kind + [f"{key} {_value(value)}" for key, value in table.items() if key != "kind"])


def _value(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _scores(scores: dict[str, Any]) -> list[str]:
    lines = []
    for split, decoders in scores.items():
        for decoder, units in decoders.items():
            rates = [f"{unit} errors {100 * f['error_rate']:.2f} %{_interval(f['interval'])} ({f['errors']} / {f['tokens']})"
                     for unit, f in units.items()]
            lines.append(f"{'scores':12} {split}, {decoder}: {', '.join(rates)}")
    return lines


def _interval(interval: Sequence[float] | None) -> str:
    return f" [{100 * interval[0]:.2f}, {100 * interval[1]:.2f}]" if interval else ""


# --- run ---


def _run(folder: Path) -> str:
    rows = [("run", str(folder))]
    for stage, place in _places(folder).items():
        rows.append((stage, _state(stage, place)))
    if (folder / "model" / "model.json").exists():
        rows.append(("model", f"{folder / 'model'} (recog inspect shows it)"))
    if (folder / "report.html").exists():
        rows.append(("report", str(folder / "report.html")))
    table = _done(folder / "score").get("table", "")
    return filefacts.lines(rows) + (f"\n\n{table}" if table else "")


def _places(folder: Path) -> dict[str, Path]:
    """The folder of each stage. A run's features lie beside it, under the digest of their settings."""
    key = _key(folder / "train").get("inputs", {}).get("features", "")
    features = {"features": folder.parent / f"features-{key[:8]}"} if key else {}
    absent = {"lm"} if key or not (folder / "train" / "begun.json").exists() else {"lm", "decode"}     # a run of texts decodes nothing
    own = [stage for stage in STAGES if stage not in absent or (folder / stage).is_dir()]
    return {"prepare": folder.parent / "prepare", **features, **{stage: folder / stage for stage in own}}


def _state(stage: str, folder: Path) -> str:
    result = _done(folder)
    if not result:
        return "not begun" if not (folder / "begun.json").exists() else f"under way{_reached(folder)}"
    if stage == "prepare":
        return "done: " + ", ".join(f"{split} {count}" for split, count in result["counts"].items())
    if stage == "train":
        return (f"done: best of {result['epochs']} epochs: {result['best_epoch']}, at {result['best']:.4f} on the "
                f"development set, {result['minutes']} minutes")
    if stage == "features":
        return f"done: {result['utterances']} utterances"
    return f"done: {result['count'] - 1} units and the blank" if stage == "units" else "done"


def _reached(folder: Path) -> str:
    """Of a training that has not ended: what its last whole epoch brought, and the best one."""
    path = next((p for p in (folder / "second" / "metrics.jsonl", folder / "metrics.jsonl") if p.exists()), folder)
    lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
    rows = [json.loads(line) for line in lines if line.endswith("}")]            # a kill may have cut the last one short
    judged = [row for row in rows if "dev_error" in row]
    if not judged:
        return ""
    best = min(judged, key=lambda row: row["dev_error"])
    error = f"{100 * best['dev_error']:.2f} % errors" if {"features", "pictures"} & _key(folder).get("inputs", {}).keys() else f"{best['dev_error']:.4f} bits a character"
    return (f": {'second phase, ' if path.parent != folder else ''}{rows[-1]['epoch']} epochs, training loss {rows[-1]['train_loss']:.4f}; "
            f"best epoch {best['epoch']} with {error} on the development set")


def _done(folder: Path) -> dict[str, Any]:
    return read_json(folder / "done.json")["result"] if (folder / "done.json").exists() else {}


def _key(folder: Path) -> dict[str, Any]:
    return read_json(folder / "begun.json") if (folder / "begun.json").exists() else {}
