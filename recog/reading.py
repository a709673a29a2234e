"""A file as pieces that a model can hear or read: stretches of sound, or lines of ink; and where in the file their frames lie."""

from __future__ import annotations

import math
import sys
from functools import partial
from pathlib import Path
from typing import Callable, Iterator, NamedTuple

import numpy as np

from . import audio, ink
from .errors import ConfigError
from .features import extract, finish
from .modeldir import LoadedModel
from .pen import features as pen
from .pen.features import InkFeatureConfig
from .pen.layout import lines_of
from .segment import SegmentConfig, segments
from .types import Ink

BETWEEN = {"audio": " ", "ink": "\n"}        # what stands between the texts of two pieces


class Piece(NamedTuple):
    frames: np.ndarray                       # [T, D], as the encoder wants them
    where: Callable[[float], float]          # of a row of log-probabilities: the second, or the number of the point, at which it begins
    until: Callable[[float], float]          # ... and at which what is before it ends: not the same where the pen was elsewhere between


def medium(loaded: LoadedModel) -> str:
    return "ink" if isinstance(loaded.config.features, InkFeatureConfig) else "audio"


def pieces(loaded: LoadedModel, source: str, config: SegmentConfig) -> Iterator[Piece]:
    """source: a file, or '-', standard input. Raises DataError."""
    if medium(loaded) == "ink":
        if source == "-":
            raise ConfigError("ink is read from files, not from standard input", where=source)
        return lines_of_ink(loaded, ink.read(Path(source)))
    return _stretches(loaded, source, config)


def _stretches(loaded: LoadedModel, source: str, config: SegmentConfig) -> Iterator[Piece]:
    features = loaded.config.features
    name = "standard input" if source == "-" else source
    read_from = sys.stdin.buffer.read() if source == "-" else source
    for segment in segments(audio.blocks(read_from, rate=features.rate, name=name), config):
        where = partial(_second, loaded, segment.start)
        yield Piece(finish(extract(segment.waveform, features), features, loaded.normalizer), where, where)


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

    return Piece(finish(frames, config, loaded.normalizer), where, until)
