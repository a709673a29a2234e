"""`recog align`, the command: what is to be aligned, with which text, and where the answer goes."""

from __future__ import annotations

import itertools
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Callable

import numpy as np

from . import audio, manifest, phn
from .alignment import METHODS, align, align_lines
from .api import load
from .components import nearest
from .errors import ConfigError, DataError, RecogError
from .files import write_text
from .formats import cell, render_all
from .modeldir import DEFAULTS, LoadedModel
from .reading import medium, pieces
from .sources import expand, medium_of
from .textgrid import textgrid
from .transcripts import read_transcripts
from .types import Transcript

FORMATS = ("ctm", "textgrid", "json", "tsv")
WITHOUT_TIMES = ("json", "tsv")


@dataclass(frozen=True)
class Item:
    """A recording, or a part of one, and its text."""

    id: str
    source: str
    text: str | None = None                   # None: the phones of its .phn file
    start: float = 0.0                        # seconds into the file
    end: float | None = None
    root: Path | None = None                  # the folder in which it was found


# -- what is to be aligned ------------------------------------------------------------------------------


def items(sound: str, text: str | None, on_error: Callable[[RecogError], None], kind: str = "audio") -> list[Item]:
    """From the command line: a file, a folder or pattern of files, or a manifest; and a file of text, or the text. kind: of a folder's files."""
    path = Path(sound)
    texts = _texts(text)
    if path.is_file() and path.suffix == ".jsonl":
        return [Item(u.id, _source(u.source, path.parent), _text_of(texts, u.id, u.text), u.start, u.end) for u in manifest.read(path)]
    sources = expand([sound], on_error, [kind])
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


def align_files(sound: str, text: str | None, model: str | None, format: str | None = None, method: str = "posterior", output: Path | None = None,
                score: Path | None = None, device: str = "auto", force: bool = False) -> int:
    """Prints or writes the alignments, or with `score` the table of boundary errors; gives the exit status.

    model: None, the bundled one for what the first file holds. A sound that cannot be aligned is named, and the rest goes on.
    """
    for name, value, known in (("--format", format, FORMATS), ("--method", method, METHODS)):
        if value is not None and value not in known:
            raise ConfigError(f"there is no '{value}'{nearest(value, known)}", where=name)
    failures: list[RecogError] = []

    def failed(error: RecogError) -> None:
        failures.append(error)
        print(f"recog: {error}", file=sys.stderr, flush=True)

    loaded = load(model or _default(sound), device).loaded
    if medium(loaded) != "audio" and (score is not None or format not in (None, *WITHOUT_TIMES)):
        raise ConfigError(f"{medium(loaded)} has no times", where="--score" if score else "--format", hint=f"--format {' or '.join(WITHOUT_TIMES)}")
    format = format or ("ctm" if medium(loaded) == "audio" else "tsv")
    todo = items(sound, text, failed, medium(loaded))
    if format == "textgrid" and len(todo) > 1 and not score and (output is None or output.is_file()):
        raise ConfigError("a TextGrid holds one recording, and there are several", where="--format", hint="name a folder with --output")
    several = format == "textgrid" and output is not None and (len(todo) > 1 or output.is_dir())
    if output is not None and not several and output.exists() and not force:
        raise ConfigError("is there already", where=output, hint="--force writes it anew")
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


def _default(sound: str) -> str:
    """The bundled model for what the first file holds."""
    path = Path(sound)
    if path.suffix == ".jsonl" and path.is_file():
        files = [_source(u.source, path.parent) for u in itertools.islice(manifest.read(path), 1)]
    else:
        files = expand([sound], lambda error: None)
    return DEFAULTS[medium_of(files[0]) or "audio"] if files else DEFAULTS["audio"]


def _aligned(loaded: LoadedModel, item: Item, score: Path | None, errors: dict[str, list[np.ndarray]]) -> tuple[dict[str, Transcript], float]:
    """The alignments and the length of the sound; adds what boundaries are off by to `errors`."""
    if medium(loaded) != "audio":
        if item.text is None:
            raise DataError("has no text", where=item.id, hint="give TEXT: words, or a .txt file, or for several files a .tsv file")
        if not item.text.strip():
            raise DataError("there is no text to align", where=item.id)
        lines = list(pieces(loaded, item.source, lines=len(item.text.strip().splitlines()) > 1))
        return align_lines(loaded, lines, item.text, item.id, item.source), 0.0
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
        return "".join(f"{cell(t.id)}\t{tier}\t{span.start:.4f}\t{span.end:.4f}\t{span.text}\t{span.confidence:.4f}\n"
                       for t, _ in found for tier, spans in (("word", t.words), ("unit", t.units)) for span in spans)
    return "".join(render_all([t for t, _ in found], format))
