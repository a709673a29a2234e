"""What `recog inspect` says of files: sound, ink, images and manifests."""

from __future__ import annotations

import functools
import math
import os
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Callable, Iterable

import numpy as np

from . import audio, image, ink, manifest
from .errors import DataError
from .pen.layout import lines_of
from .scan import layout
from .segment import SegmentConfig, segments
from .sources import medium_of
from .types import Utterance

CLIPPED = 0.98                   # of full scale: 8-bit sound goes no higher than 0.992, mu-law than 0.981
SHOWN = 10                       # stretches of speech that are listed
LONG = 100                       # characters of a text that are shown
SOURCES = 10_000                 # files whose length is remembered, for manifests that have several utterances of one file
DARK = 128                       # grey values below it count as dark


def lines(rows: Iterable[tuple[str, str]]) -> str:
    """Names and what they are, one to a line."""
    return "\n".join(f"{name:12} {value}" for name, value in rows)


def of_image(path: Path) -> str:
    seen = image.read(path)
    height, width = seen.pixels.shape
    darkest, median, lightest = np.percentile(seen.pixels, (0, 50, 100)).astype(int)
    found = layout.lines_of(seen)
    odd = layout.oddity(seen, lines=False)
    return lines([("image file", str(path)), ("size", f"{width} x {height} pixels"),
                  ("grey", f"{darkest} to {lightest}, half of the pixels up to {median}; {(seen.pixels < DARK).mean():.1%} dark"),
                  ("lines", str(len(found))), *([("note", f"{odd.what}: {odd.hint}")] if odd else [])])


def of_ink(path: Path) -> str:
    page = ink.read(path)
    points = page.points
    width, height = np.ptp(points[:, :2], axis=0)
    timed = np.isfinite(points[:, 2])
    lasts = f"{np.ptp(points[timed, 2]):.2f} seconds" if timed.all() else "times of some strokes are not known" if timed.any() else "not known"
    return lines([("ink file", str(path)), ("strokes", f"{len(page.strokes)}, {len(points)} points"), ("size", f"{width:.6g} x {height:.6g}"),
                   ("time", lasts), ("lines", str(len(lines_of(list(page.strokes)))))])


@dataclass
class _Level:
    """Sums over the samples of a recording, mixed to mono."""

    samples: int = 0
    square: float = 0.0
    peak: float = 0.0
    clipped: int = 0


def of_sound(path: Path) -> str:
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
    return lines([("sound file", str(path)), ("format", _format(path)), ("length", f"{seconds:.2f} seconds"),
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


@dataclass
class _Split:
    utterances: int = 0
    seconds: float = 0.0
    found: int = 0                        # utterances whose file is there
    timed: bool = True                    # of all that are there, the seconds are known
    speakers: set[str] = field(default_factory=set)
    words: int = 0
    characters: int = 0


def of_manifest(path: Path) -> str:
    splits: dict[str, _Split] = {}
    letters: Counter[str] = Counter()
    words: Counter[str] = Counter()
    length = functools.lru_cache(SOURCES)(functools.partial(_length, path.parent))
    shortest = longest = None
    for utterance in manifest.read(path):
        split = splits.setdefault(utterance.split, _Split())
        there, seconds = _found(utterance, length)
        split.utterances += 1
        split.seconds += seconds or 0.0
        split.found += there
        split.timed &= seconds is not None or not there
        split.speakers |= {utterance.speaker} - {""}
        split.words += len(utterance.text.split())
        split.characters += len(utterance.text)
        letters.update(utterance.text)
        words.update(utterance.text.split())
        shortest = utterance if shortest is None or len(utterance.text) < len(shortest.text) else shortest
        longest = utterance if longest is None or len(utterance.text) >= len(longest.text) else longest
    if shortest is None or longest is None:
        raise DataError("holds no utterances", where=path)
    rows = [("manifest", str(path)), *_table(splits)]
    count = sum(split.utterances for split in splits.values())
    lost = count - sum(split.found for split in splits.values())
    if lost:
        rows.append(("not found", f"{lost} of {count} files are not there or cannot be read"))
    alphabet = "".join(sorted(letters))
    rows += [("vocabulary", f"{len(words)} different words, {len(letters)} different characters: {alphabet!r}"),
             ("shortest", _text(shortest)), ("longest", _text(longest))]
    return lines(rows)


def _table(splits: dict[str, _Split]) -> list[tuple[str, str]]:
    names = ("utterances", "hours", "speakers", "words", "characters")
    cells = [(name, f"{s.utterances:,}", f"{s.seconds / 3600:.2f}" if s.found and s.timed else "-", f"{len(s.speakers):,}",
              f"{s.words:,}", f"{s.characters:,}") for name, s in splits.items()]
    return [(first, "".join(f"{cell:>12}" for cell in rest)) for first, *rest in [("split", *names), *cells]]


def _found(utterance: Utterance, length: Callable[[str], tuple[bool, float | None]]) -> tuple[bool, float | None]:
    """Whether its file is there and can be read, and its seconds if it is sound."""
    if utterance.end is not None:
        return True, utterance.end - utterance.start
    there, seconds = length(utterance.source)
    return there, None if seconds is None else seconds - utterance.start


def _length(folder: Path, source: str) -> tuple[bool, float | None]:
    """The same of a whole file. Sources are relative to the manifest, which is in this folder, or to where we are."""
    path = next((p for p in (Path(source), folder / source) if p.is_file()), None)
    drawn = path is not None and medium_of(str(path)) in ("ink", "image")
    try:
        seconds = audio.duration(path) if path and not drawn else None
    except DataError:
        seconds = None
    return drawn or seconds is not None, seconds


def _text(utterance: Utterance) -> str:
    text = " ".join(utterance.text[:LONG].split("\n")) + ("..." if len(utterance.text) > LONG else "")
    return f"{len(utterance.text)} characters, '{utterance.id}': {text}"
