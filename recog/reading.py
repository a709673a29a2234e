"""A file as pieces that a model can hear or read: stretches of sound, lines of ink or of an image; and where in the file their frames lie."""

from __future__ import annotations

import math
import sys
from collections import Counter
from functools import partial
from pathlib import Path
from typing import Callable, Iterator, NamedTuple

import numpy as np

from . import audio, ink
from .errors import ConfigError, DataError
from .features import extract, finish
from .modeldir import LoadedModel
from .pen import features as pen
from .pen.layout import lines_of
from .scan import features as scan
from .scan import layout
from .segment import SegmentConfig, segments
from .types import Box, Image, Ink, Waveform
from .views import frames_of, picture

BETWEEN = {"audio": " ", "ink": "\n", "image": "\n"}         # what stands between the texts of two pieces


class Area(NamedTuple):
    """Where a piece lies in an image."""

    size: tuple[int, int]                    # of the image, width and height
    line: Box
    box: Callable[[float, float], Box]       # around rows of log-probabilities, from one to before another


class Piece(NamedTuple):
    frames: np.ndarray                       # [T, D], as the encoder wants them
    where: Callable[[float], float]          # of a row of log-probabilities: the second, point or column of pixels at which it begins
    until: Callable[[float], float]          # ... and at which what is before it ends: not the same where the pen was elsewhere between
    area: Area | None = None                 # of an image
    others: tuple[np.ndarray, ...] = ()      # frames for the models that read beside this one


def medium(loaded: LoadedModel) -> str:
    return loaded.config.features.medium


def pieces(loaded: LoadedModel, source: str, config: SegmentConfig = SegmentConfig(), lines: bool = False,
           heard: Counter[str] | None = None) -> Iterator[Piece]:
    """source: a file, or '-', standard input. lines: an image is a page of several lines. Raises DataError.

    heard: how much is read is added there, by medium: seconds of sound, points of ink, images.
    """
    heard = Counter() if heard is None else heard
    if medium(loaded) == "audio":
        return _stretches(loaded, source, config, heard)
    if source == "-":
        raise ConfigError(f"{medium(loaded)} is read from files, not from standard input", where=source)
    if medium(loaded) == "ink":
        page = ink.read(Path(source))
        heard["ink"] += len(page.points)
        return lines_of_ink(loaded, page)
    seen = picture(Path(source), Path(source).stem)
    heard["image"] += 1
    return lines_of_image(loaded, seen, source, lines)


def _stretches(loaded: LoadedModel, source: str, config: SegmentConfig, heard: Counter[str]) -> Iterator[Piece]:
    features = loaded.config.features
    name = "standard input" if source == "-" else source
    read_from = sys.stdin.buffer.read() if source == "-" else source

    def counted() -> Iterator[Waveform]:
        for block in audio.blocks(read_from, rate=features.rate, name=name):
            heard["audio"] += block.seconds
            yield block

    for segment in segments(counted(), config):
        where = partial(_second, loaded, segment.start)
        frames, *others = (_finished(extract(segment.waveform, model.config.features), model) for model in (loaded, *loaded.members))
        yield Piece(frames, where, where, others=tuple(others))


def _finished(frames: np.ndarray, loaded: LoadedModel) -> np.ndarray:
    return finish(frames, loaded.config.features, loaded.normalizer)


def _second(loaded: LoadedModel, start: float, frame: float) -> float:
    return start + loaded.seconds(frame)


def lines_of_ink(loaded: LoadedModel, page: Ink) -> Iterator[Piece]:
    """From the top of the page down."""
    firsts = np.cumsum([0, *map(len, page.strokes)])
    for line in lines_of(list(page.strokes)):
        numbers = np.concatenate([np.arange(firsts[i], firsts[i + 1]) for i in line])      # in the file
        yield line_of_ink(loaded, Ink(tuple(page.strokes[i] for i in line)), numbers)


def line_of_ink(loaded: LoadedModel, line: Ink, numbers: np.ndarray | None = None) -> Piece:
    """Ink that is one line. numbers: of its points in the file, if not all of it is that line."""
    config, per_row = loaded.config.features, loaded.config.features.stack * loaded.model.encoder.subsampling
    numbers = np.arange(len(line.points)) if numbers is None else numbers
    frames, ends = pen.extract(line, config)
    begins = np.append(0, np.round(ends).astype(int) + 1)                                  # in the line: where each frame begins
    begins = np.minimum(begins, len(numbers))

    def within(row: float) -> float:
        return float(np.interp(row * per_row, np.arange(len(begins)), begins))

    def where(row: float) -> float:
        at = within(row)
        return float(numbers[int(at)] + at % 1 if at < len(numbers) else numbers[-1] + 1)

    def until(row: float) -> float:
        at = within(row)
        last = math.ceil(at)
        return float(numbers[last - 1] + 1 - (last - at) if last else numbers[0])

    others = tuple(_finished(frames_of(line, model.config.features), model) for model in loaded.members)
    return Piece(_finished(frames, loaded), where, until, others=others)


def lines_of_image(loaded: LoadedModel, page: Image, source: str, lines: bool) -> Iterator[Piece]:
    """lines: from the top of a page down; else the image is one line. Raises DataError when it does not look so."""
    if odd := layout.oddity(page, lines):
        raise DataError(odd.what, where=source, hint=odd.hint)
    height, width = page.pixels.shape
    for box, seen in layout.line_images(page) if lines else [(Box(0, 0, width, height), page)]:
        yield line_of_image(loaded, seen, box, (width, height))


def line_of_image(loaded: LoadedModel, seen: Image, line: Box, size: tuple[int, int]) -> Piece:
    """seen: the line, which lies at `line` in an image of this width and height."""
    config, per_row = loaded.config.features, loaded.config.features.stack * loaded.model.encoder.subsampling
    frames, places = scan.extract(seen, config)

    def box(first: float, end: float) -> Box:
        left, top, right, bottom = places.box(first * per_row, min(end * per_row, len(frames)))
        return Box(line.left + left, line.top + top, line.left + right, line.top + bottom)

    def where(row: float) -> float:
        return line.left + places.column(min(row * per_row, len(frames)))

    others = tuple(_finished(scan.extract(seen, model.config.features)[0], model) for model in loaded.members)
    return Piece(_finished(frames, loaded), where, where, Area(size, line, box), others)
