"""Ink to feature frames: normalization, resampling, and one of the front ends."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Iterable, Iterator, Literal

import numpy as np

from ..types import Ink
from . import bezier, classic, normalize
from .delayed import without_delayed
from .offsets import offsets
from .resample import resampled
from .warp import InkWarpConfig, warped

NOMINAL_HZ = 100                         # points that count as a second where a setting or a figure is given per second


@dataclass(frozen=True)
class InkFeatureConfig:
    """What is done to a line of ink before a network sees it, in this order."""

    kind: Literal["offsets", "classic", "bezier"] = "offsets"     # the way from point to point; the 25 features of 2008; curves
    glitches: bool = True                # leave out jumps of the pen, and strokes far from the line
    slope: bool = True                   # make the baseline level
    slant: bool = True                   # make letters upright
    height: bool = True                  # baseline at 0, tops of small letters at -1; else as written, 0 the line's middle
    resample: Literal["length", "time", "none"] = "length"
    step: float = 0.2                    # between points: heights of small letters, or seconds
    place: bool = True                   # y itself too, beside its change ("classic" always has it)
    tolerance: float = 0.05              # how far a curve may be from the points, in heights of small letters (kind = "bezier" only)
    normalize: Literal["corpus", "utterance", "mean", "none"] = "corpus"
    stack: int = 1                       # successive frames joined into one

    medium = "ink"
    range_db = 0.0                       # of sound only

    def __post_init__(self):
        if self.stack < 1 or not self.step > 0 or not self.tolerance > 0:
            raise ValueError("stack must be at least 1, step and tolerance above 0")
        if self.kind == "classic" and not self.height:
            raise ValueError("the classic features need height = true")

    @property
    def width(self) -> int:
        """Values per frame before stacking."""
        return {"offsets": 3 + self.place, "classic": 25, "bezier": 10 + self.place}[self.kind]

    @property
    def output_size(self) -> int:
        """Values per frame as the encoder sees it."""
        return self.width * self.stack

    @property
    def step_ms(self) -> float:
        return 1000 / NOMINAL_HZ

    window_ms = step_ms

    @property
    def frame_seconds(self) -> float:
        return self.stack / NOMINAL_HZ


def normalized(ink: Ink, config: InkFeatureConfig) -> normalize.Strokes:
    """[N, 4]: x, y, seconds, and the point's number in the ink."""
    numbers = np.split(np.arange(sum(map(len, ink.strokes)), dtype=np.float64), np.cumsum([len(s) for s in ink.strokes])[:-1])
    strokes = [np.column_stack([s, number]) for s, number in zip(ink.strokes, numbers)]
    for wanted, step in ((config.glitches, normalize.without_glitches), (config.slope, normalize.without_slope),
                         (config.slant, normalize.without_slant)):
        strokes = step(strokes) if wanted else strokes
    if config.height:
        return normalize.at_unit_height(strokes)
    middle = np.concatenate(strokes)[:, :2].mean(0)
    return [np.column_stack([s[:, :2] - middle, s[:, 2:]]) for s in strokes]


def extract(ink: Ink, config: InkFeatureConfig) -> tuple[np.ndarray, np.ndarray]:
    """Frames before normalization and stacking, float32 [T, width]; and the number of the point at which each ends [T]."""
    return _frames(normalized(ink, config), config, config.step)


def views(ink: Ink, config: InkFeatureConfig, warp: InkWarpConfig, rngs: Iterable[np.random.Generator]) -> Iterator[np.ndarray]:
    """Frames of changed copies, one for each generator."""
    strokes = normalized(ink, config)
    for rng in rngs:
        yield _frames(warped(strokes, warp, rng), config, config.step * (1 + rng.uniform(-1, 1) * warp.step))[0]


def _frames(strokes: normalize.Strokes, config: InkFeatureConfig, step: float) -> tuple[np.ndarray, np.ndarray]:
    if config.kind == "bezier":
        return bezier.features(strokes, config.tolerance, config.place)
    hats: list[tuple[float, float]] = []
    if config.kind == "classic":
        strokes, hats = without_delayed(strokes)
    if config.resample != "none":
        strokes = resampled(strokes, step, config.resample)
    frames = classic.features(strokes, hats) if config.kind == "classic" else offsets(strokes, config.place)
    return frames, np.concatenate(strokes)[:, 3]


def to_the_right(frames: np.ndarray, config: InkFeatureConfig) -> np.ndarray:
    """How far the pen goes to the right into each of the frames [T, width]; between words that is furthest [T]."""
    return np.diff(frames[:, 3], prepend=frames[:1, 3]) if config.kind == "classic" else frames[:, 0]
