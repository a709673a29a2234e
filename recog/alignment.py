"""`recog align`: where each word and unit of a known text lies in its recording.

Two ways. `best`: the best CTC path. `posterior`: all paths, each by its probability (decode/posterior.py). Both put the
border between two units in the middle of the blanks between them, the second in the mean over the paths. CTC itself
says nothing about where in the blanks a unit ends: a network trained with it tends to write a unit late and briefly.
A frame stands for the step around the middle of its window, so frame 0 begins (window - step) / 2 into the sound.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Callable

import numpy as np
import torch

from . import audio, manifest, phn
from .api import load
from .batching import pad
from .components import nearest
from .decode.align import best_path
from .decode.checks import checked
from .decode.posterior import edges, occupancies, path_durations
from .errors import ConfigError, DataError, RecogError
from .features import extract, finish
from .files import write_text
from .formats import render_all
from .modeldir import LoadedModel
from .sources import expand
from .text import Units
from .textgrid import textgrid
from .transcripts import read_transcripts
from .types import Span, Transcript, Waveform

METHODS = ("posterior", "best")
FORMATS = ("ctm", "textgrid", "json", "tsv")


@dataclass(frozen=True)
class Item:
    """A recording, or a part of one, and its text."""

    id: str
    source: str
    text: str | None = None                   # None: the phones of its .phn file
    start: float = 0.0                        # seconds into the file
    end: float | None = None
    root: Path | None = None                  # the folder in which it was found


def align(loaded: LoadedModel, wave: Waveform, text: str, id: str = "-", source: str = "-",
          start: float = 0.0) -> dict[str, Transcript]:
    """By each of METHODS. `start`: seconds before the first sample. Raises DataError when the text does not fit.

    The confidence of a unit is the geometric mean of its probability over its frames on the best path, in both.
    """
    labels = labels_of(loaded.units, text, id)
    log_probs = checked(_log_probs(loaded, wave))
    try:
        path = best_path(log_probs, labels)
    except DataError as error:
        raise DataError(f"the text cannot be aligned: {error.what}", where=id,
                        hint=error.hint or "is this what is said, and the whole of it?") from None
    found = occupancies(log_probs, labels)
    frames = len(log_probs)
    ways = {"posterior": (edges(found.durations()), found.score), "best": (edges(path_durations(path.spans, frames)), path.score)}
    return {name: _transcript(loaded, id, source, labels, start + _seconds(at, loaded, frames, wave.seconds), path.confidence, score)
            for name, (at, score) in ways.items()}


def labels_of(units: Units, text: str, where: object) -> list[int]:
    """Unit numbers of a text that must be all there. Raises DataError naming what the model cannot write."""
    text = " ".join(text.split())
    if not text:
        raise DataError("there is no text to align", where=where)
    if units.lexicon is not None and (unknown := sorted(set(text.split()) - units.lexicon.keys())):
        raise DataError(f"not in the model's lexicon: {', '.join(map(repr, unknown[:5]))}", where=where,
                        hint=_other_case(units, text) or "leave these words out, or add them to the lexicon and train again")
    try:
        return units.encode(text, where)
    except DataError as error:
        raise DataError(error.what, where=where, hint=_other_case(units, text) or error.hint) from None


def _other_case(units: Units, text: str) -> str | None:
    for name, other in (("capitals", text.upper()), ("small letters", text.lower())):
        try:
            units.encode(other)
        except DataError:
            continue
        return f"the model writes {name}: write the text so"
    return None


@torch.inference_mode()
def _log_probs(loaded: LoadedModel, wave: Waveform) -> np.ndarray:
    """[T, V] of the whole sound."""
    features, device = loaded.config.features, next(loaded.model.parameters()).device
    batch = pad(["-"], [finish(extract(wave, features), features, loaded.normalizer)], [()])
    return loaded.model.log_probs(batch.x.to(device), batch.x_len.to(device))[0][0].cpu().numpy()


def _seconds(at: np.ndarray, loaded: LoadedModel, frames: int, seconds: float) -> np.ndarray:
    """Frames to seconds: between the middles of two windows; the first frame begins and the last ends with the sound."""
    inner = np.unique([1, frames - 1])[:frames - 1]
    times = np.minimum([loaded.seconds(frame) for frame in inner], seconds)
    return np.interp(at, [0, *inner, frames], [0.0, *times, seconds])


def _transcript(loaded: LoadedModel, id: str, source: str, labels: list[int], at: np.ndarray, confidence: tuple[float, ...],
                score: float) -> Transcript:
    units = loaded.units
    spans = tuple(Span(units.symbols[u], float(a), float(b), c) for u, a, b, c in zip(labels, at, at[1:], confidence))
    return Transcript(id, source, units.decode(labels), score, {"acoustic": score, "lm": 0.0, "length": 0.0}, units.words(spans), spans)


# -- what is to be aligned ------------------------------------------------------------------------------


def items(sound: str, text: str | None, on_error: Callable[[RecogError], None]) -> list[Item]:
    """From the command line: a sound, a folder or pattern of sounds, or a manifest; and a file of text, or the text."""
    path = Path(sound)
    texts = _texts(text)
    if path.is_file() and path.suffix == ".jsonl":
        return [Item(u.id, _source(u.source, path.parent), _text_of(texts, u.id, u.text), u.start, u.end) for u in manifest.read(path)]
    sources = expand([sound], on_error)
    if not sources:
        return []
    if sound in sources:
        only = texts if not isinstance(texts, dict) else _text_of(texts, path.stem, None)
        return [Item(path.stem, sound, only, root=path.parent)]
    if isinstance(texts, str):
        raise ConfigError("several sounds need a text each", where="TEXT", hint="give a .tsv, .trn or .jsonl file: text by id")
    root = path if path.is_dir() else None
    found = []
    for source in sources:
        name = Path(source).relative_to(root).with_suffix("") if root else Path(Path(source).stem)
        id = "-".join(name.parts)
        found.append(Item(id, source, _text_of(texts, id if texts and id in texts else name.name, None), root=root))
    return found


def _source(source: str, folder: Path) -> str:
    """A manifest may name files as seen from where it lies."""
    return str(folder / source) if not Path(source).exists() and (folder / source).exists() else source


def _texts(text: str | None) -> str | dict[str, str] | None:
    """One text for all, or one by id."""
    if text is None:
        return None
    path = Path(text)
    if path.suffix.lower() in (".tsv", ".trn", ".jsonl", ".txt", ".phn"):
        if path.suffix.lower() == ".phn":
            return " ".join(phone for *_, phone in phn.read(path))
        if path.suffix.lower() != ".txt":
            return read_transcripts(path)
        try:
            return path.read_text(encoding="utf-8")
        except OSError as error:
            raise DataError(f"cannot be read: {error.strerror}", where=path) from None
        except UnicodeDecodeError:
            raise DataError("is not UTF-8", where=path, hint="save the file as UTF-8") from None
    return text


def _text_of(texts: str | dict[str, str] | None, id: str, otherwise: str | None) -> str | None:
    if texts is None:
        return otherwise
    return texts if isinstance(texts, str) else texts.get(id, "")


# -- the command ----------------------------------------------------------------------------------------


def align_files(sound: str, text: str | None, model: str, format: str = "ctm", method: str = "posterior", output: Path | None = None,
                score: Path | None = None, device: str = "auto", force: bool = False) -> int:
    """Prints or writes the alignments, or with `score` the table of boundary errors; gives the exit status.

    A sound that cannot be aligned is named, and the rest goes on.
    """
    for name, value, known in (("--format", format, FORMATS), ("--method", method, METHODS)):
        if value not in known:
            raise ConfigError(f"there is no '{value}'{nearest(value, known)}", where=name)
    failures: list[RecogError] = []

    def failed(error: RecogError) -> None:
        failures.append(error)
        print(f"recog: {error}", file=sys.stderr, flush=True)

    todo = items(sound, text, failed)
    if format == "textgrid" and len(todo) > 1 and not score and (output is None or output.is_file()):
        raise ConfigError("a TextGrid holds one recording, and there are several", where="--format", hint="name a folder with --output")
    several = format == "textgrid" and output is not None and (len(todo) > 1 or output.is_dir())
    if output is not None and not several and output.exists() and not force:
        raise ConfigError("is there already", where=output, hint="--force writes it anew")
    loaded = load(model, device).loaded
    found: list[tuple[Transcript, float]] = []
    errors: dict[str, list[np.ndarray]] = {name: [] for name in METHODS}
    for item in todo:
        try:
            ways, seconds = _aligned(loaded, item, score, errors)
        except RecogError as error:
            failed(error)
            continue
        found.append((ways[method], seconds))
    if several:
        for transcript, seconds in found:
            target = output / f"{transcript.id}.TextGrid"
            if target.exists() and not force:
                raise ConfigError("is there already", where=target, hint="--force writes it anew")
            write_text(target, render([(transcript, seconds)], format))
    elif output is not None and found:
        write_text(output, render(found, format))
    if score is not None and found:
        print(phn.table({name: np.concatenate(rows) for name, rows in errors.items()}, len(found)))
    elif output is None and found:
        print(render(found, format), end="")
    if failures:
        print(f"recog: {len(failures)} could not be aligned", file=sys.stderr)
    return 1 if failures or not found else 0


def _aligned(loaded: LoadedModel, item: Item, score: Path | None, errors: dict[str, list[np.ndarray]]) -> tuple[dict[str, Transcript], float]:
    """The alignments and the length of the sound; adds what boundaries are off by to `errors`."""
    wave = audio.read(item.source, rate=loaded.config.features.rate, start=item.start, end=item.end)
    truth = phn.read(_phn_of(item, score)) if score is not None else None
    text = item.text
    if text is None:
        if truth is None:
            raise DataError("has no text", where=item.id, hint="give TEXT: words, a .txt file, or for several sounds a .tsv file")
        text = " ".join(phone for *_, phone in truth)
    ways = align(loaded, wave, text, item.id, item.source, item.start)
    if truth is not None:
        phones = [phone for *_, phone in truth]
        if [unit.text for unit in ways["best"].units] != phones:
            raise DataError("the text is not the phones of the .phn file", where=item.id, hint="leave TEXT out to take them from there")
        if truth[-1][1] > item.start + wave.seconds + 0.1:
            raise DataError(f"the .phn file goes to {truth[-1][1]:.2f} s, the sound to {item.start + wave.seconds:.2f} s", where=item.id,
                            hint="do they belong together?")
        for name, transcript in ways.items():
            errors[name].append(np.array([unit.end for unit in transcript.units[:-1]]) - phn.boundaries(truth))
    return ways, item.start + wave.seconds


def _phn_of(item: Item, score: Path) -> Path:
    """The .phn file of a sound: itself, or in the folder at the sound's place, or there under its id."""
    if not score.is_dir():
        return score
    source = Path(item.source)
    inside = [source] if source.resolve().is_relative_to(score.resolve()) else []
    under = [score / source.relative_to(item.root)] if item.root and source.is_relative_to(item.root) else []
    for place in (*inside, *under, score / f"{item.id}.x", score / source.name):
        for suffix in (".phn", ".PHN"):
            if place.with_suffix(suffix).is_file():
                return place.with_suffix(suffix)
    raise DataError("has no .phn file", where=item.id, hint=f"looked in {score}")


def render(found: list[tuple[Transcript, float]], format: str) -> str:
    """Transcripts, each with the seconds of its sound, as one file."""
    if format == "textgrid":
        (transcript, seconds), = found
        tiers = {"words": transcript.words, "units": transcript.units}
        if transcript.words == transcript.units:
            del tiers["words"]
        return textgrid(tiers, seconds)
    if format == "tsv":
        return "".join(f"{t.id}\t{tier}\t{span.start:.4f}\t{span.end:.4f}\t{span.text}\t{span.confidence:.4f}\n"
                       for t, _ in found for tier, spans in (("word", t.words), ("unit", t.units)) for span in spans)
    return "".join(render_all([t for t, _ in found], format))
