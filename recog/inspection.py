"""`recog inspect`: what a sound or ink file, a manifest, a model folder or a run's folder holds, as text."""

from __future__ import annotations

import json
import math
import os
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Iterable, Sequence

import numpy as np

from . import audio, ink, manifest
from .errors import DataError
from .files import read_json
from .pen.layout import lines_of
from .segment import SegmentConfig, segments
from .sources import SUFFIXES, medium_of
from .types import Utterance

CLIPPED = 0.98                   # of full scale: 8-bit sound goes no higher than 0.992, mu-law than 0.981
SHOWN = 10                       # stretches of speech that are listed
LONG = 100                       # characters of a text that are shown
KINDS = "a sound or ink file, a manifest (.jsonl), a model folder, or a run's folder (exp/RECIPE/MODEL)"
STAGES = ("units", "train", "lm", "decode", "score")     # those of a run alone; `prepare` and `features` are shared by all runs


def describe(path: Path) -> str:
    """Raises DataError when there is nothing at `path`, or nothing that recog knows; ModelError for a damaged model."""
    if path.is_dir():
        if (path / "model.json").exists():
            return _model(path)
        if any((path / stage / "begun.json").exists() for stage in STAGES):
            return _run(path)
        runs = sorted({str(p.parent.parent) for p in path.glob("*/*/begun.json")})
        raise DataError("is neither a model folder nor a run's folder", where=path,
                        hint=f"look at {', '.join(runs[:5])}" if runs else f"inspect reads {KINDS}")
    if not path.exists():
        raise DataError("no such file or folder", where=path, hint=f"inspect reads {KINDS}")
    if path.suffix.lower() == ".jsonl":
        return _manifest(path)
    if path.suffix.lower() in SUFFIXES or audio.is_audio(path):
        return _sound(path)
    if ink.is_ink(path):
        return _ink(path)
    raise DataError("is not a kind of file that recog knows", where=path, hint=f"inspect reads {KINDS}")


def _lines(rows: Iterable[tuple[str, str]]) -> str:
    return "\n".join(f"{name:12} {value}" for name, value in rows)


# --- ink ---


def _ink(path: Path) -> str:
    page = ink.read(path)
    points = page.points
    width, height = np.ptp(points[:, :2], axis=0)
    timed = np.isfinite(points[:, 2])
    lasts = f"{np.ptp(points[timed, 2]):.2f} seconds" if timed.all() else "times of some strokes are not known" if timed.any() else "not known"
    return _lines([("ink file", str(path)), ("strokes", f"{len(page.strokes)}, {len(points)} points"), ("size", f"{width:.6g} x {height:.6g}"),
                   ("time", lasts), ("lines", str(len(lines_of(list(page.strokes)))))])


# --- sound ---


@dataclass
class _Level:
    """Sums over the samples of a recording, mixed to mono."""

    samples: int = 0
    square: float = 0.0
    peak: float = 0.0
    clipped: int = 0


def _sound(path: Path) -> str:
    level, rate = _Level(), 0
    for block in audio.blocks(path, rate=None):          # first, for its errors name what is wrong and what to do
        size, rate = abs(block.samples), block.rate
        level = _Level(level.samples + len(size), level.square + float((size.astype("float64") ** 2).sum()),
                       max(level.peak, float(size.max())), level.clipped + int((size >= CLIPPED).sum()))
    seconds, usual = level.samples / rate, SegmentConfig()
    speech = [(s.start, s.end) for s in segments(audio.blocks(path), SegmentConfig(whole_under=0.0))]
    listed = ", ".join(f"{start:.2f}-{end:.2f}" for start, end in speech[:SHOWN])
    more = f" and {len(speech) - SHOWN} more" if len(speech) > SHOWN else ""
    whole = " (transcribe takes a recording this short whole)" if seconds <= usual.whole_under else ""
    return _lines([("sound file", str(path)), ("format", _format(path)), ("length", f"{seconds:.2f} seconds"),
                   ("peak", _decibels(level.peak)), ("rms", _decibels(math.sqrt(level.square / level.samples))),
                   ("clipped", f"{level.clipped / level.samples:.3%} of the samples"),
                   ("speech", f"{sum(end - start for start, end in speech):.2f} seconds in "
                              f"{_count(len(speech), 'stretch')}{whole}"),
                   *([("stretches", listed + more)] if speech else [])])


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}es"


def _format(path: Path) -> str:
    import soundfile

    with open(os.open(path, os.O_RDONLY), "rb") as stream:         # nameless: the content says what it is, not the ending
        info = soundfile.info(stream)
    channels = {1: "mono", 2: "stereo"}.get(info.channels, f"{info.channels} channels")
    return f"{info.format_info}, {info.subtype_info}, {info.samplerate} Hz, {channels}"


def _decibels(value: float) -> str:
    return f"{20 * math.log10(value):.1f} dBFS" if value else "silence"


# --- manifest ---


@dataclass
class _Split:
    utterances: int = 0
    seconds: float = 0.0
    found: int = 0                        # utterances whose file is there
    timed: bool = True                    # of all that are there, the seconds are known
    speakers: set[str] = field(default_factory=set)
    words: int = 0
    characters: int = 0


def _manifest(path: Path) -> str:
    splits: dict[str, _Split] = {}
    letters: Counter[str] = Counter()
    words: Counter[str] = Counter()
    lengths: dict[str, tuple[bool, float | None]] = {}
    utterances = list(manifest.read(path))
    if not utterances:
        raise DataError("holds no utterances", where=path)
    for utterance in utterances:
        split = splits.setdefault(utterance.split, _Split())
        there, seconds = _found(utterance, path.parent, lengths)
        split.utterances += 1
        split.seconds += seconds or 0.0
        split.found += there
        split.timed &= seconds is not None or not there
        split.speakers |= {utterance.speaker} - {""}
        split.words += len(utterance.text.split())
        split.characters += len(utterance.text)
        letters.update(utterance.text)
        words.update(utterance.text.split())
    rows = [("manifest", str(path)), *_table(splits)]
    by_length = sorted(utterances, key=lambda u: len(u.text))
    lost = len(utterances) - sum(split.found for split in splits.values())
    if lost:
        rows.append(("not found", f"{lost} of {len(utterances)} files are not there or cannot be read"))
    alphabet = "".join(sorted(letters))
    rows += [("vocabulary", f"{len(words)} different words, {len(letters)} different characters: {alphabet!r}"),
             ("shortest", _text(by_length[0])), ("longest", _text(by_length[-1]))]
    return _lines(rows)


def _table(splits: dict[str, _Split]) -> list[tuple[str, str]]:
    names = ("utterances", "hours", "speakers", "words", "characters")
    cells = [(name, f"{s.utterances:,}", f"{s.seconds / 3600:.2f}" if s.found and s.timed else "-", f"{len(s.speakers):,}",
              f"{s.words:,}", f"{s.characters:,}") for name, s in splits.items()]
    return [(first, "".join(f"{cell:>12}" for cell in rest)) for first, *rest in [("split", *names), *cells]]


def _found(utterance: Utterance, folder: Path, lengths: dict[str, tuple[bool, float | None]]) -> tuple[bool, float | None]:
    """Whether its file is there and can be read, and its seconds if it is sound. Sources are relative to the manifest, or to where we are."""
    if utterance.end is not None:
        return True, utterance.end - utterance.start
    if utterance.source not in lengths:
        path = next((p for p in (Path(utterance.source), folder / utterance.source) if p.is_file()), None)
        drawn = path is not None and medium_of(str(path)) == "ink"
        try:
            length = audio.duration(path) if path and not drawn else None
        except DataError:
            length = None
        lengths[utterance.source] = (drawn or length is not None, length)
    there, length = lengths[utterance.source]
    return there, None if length is None else length - utterance.start


def _text(utterance: Utterance) -> str:
    text = " ".join(utterance.text[:LONG].split("\n")) + ("..." if len(utterance.text) > LONG else "")
    return f"{len(utterance.text)} characters, '{utterance.id}': {text}"


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
    return "\n".join([_lines(rows), *_scores(info.get("scores", {}))])


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
    return "\n".join([_lines(rows), *scores])


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
    return _lines(rows) + (f"\n\n{table}" if table else "")


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
