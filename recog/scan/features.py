"""Images to feature frames: a line of writing made alike, as columns of pixels from left to right."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Iterable, Iterator, Literal, Sequence

import numpy as np

from ..errors import DataError
from ..types import Box, Image
from . import normalize
from .contrast import density
from .normalize import Back
from .warp import ScanWarpConfig, warped

NOMINAL_HZ = 100                         # columns that count as a second where a setting or a figure is given per second
FINER = 4                                # times the height: a large image with more rows is reduced to that first, to save time
LEAST_FIT = 0.6                          # what does not fit above or below makes a line smaller, down to this; then it is cut off
OUTLIERS = 0.003                         # share of the ink, above as below, that need not fit
LARGE = 4_000_000                        # pixels; with fewer, nothing is reduced
MOST_COLUMNS = 200_000


@dataclass(frozen=True)
class ScanFeatureConfig:
    """What is done to the image of a line before a network sees it, in this order."""

    kind: Literal["columns"] = "columns"     # of pixels, from left to right, each from the top down
    height: int = 64                     # pixels
    contrast: bool = True                # grey levels of any paper and pen made alike; else 255 is paper and 0 is ink
    specks: bool = True                  # leave out spots that are smaller than a dot of the pen
    slope: bool = True                   # make the line level
    slant: bool = True                   # make letters upright
    core: float = 0.25                   # share of the height that small letters take, in its middle; 0: all ink from top to bottom fills it
    margin: int = 4                      # columns of paper at both ends; with core = 0 also rows above and below
    normalize: Literal["none"] = "none"
    stack: int = 1                       # columns are not joined

    medium = "image"
    range_db = 0.0                       # of sound only

    def __post_init__(self):
        if not 8 <= self.height <= 1024 or not 0 <= self.core <= 0.5:
            raise ValueError("height must be from 8 to 1024, core from 0 to 0.5")
        if not 0 <= self.margin <= self.height / 4:
            raise ValueError("margin must be from 0 to a quarter of the height")
        if self.stack != 1:
            raise ValueError("stack must be 1: columns are not joined")

    @property
    def width(self) -> int:
        """Values per frame: the height of the image that the network sees."""
        return self.height

    output_size = width

    @property
    def step_ms(self) -> float:
        return 1000 / NOMINAL_HZ

    window_ms = step_ms

    @property
    def frame_seconds(self) -> float:
        return self.stack / NOMINAL_HZ


class Places:
    """Where frames lie in the image that they were taken from. Places among frames may have parts: 2.5 is the middle of frame 2."""

    def __init__(self, frames: np.ndarray, rows: tuple[float, float], backs: Sequence[Back], size: tuple[int, int]):
        """frames [T, height]; rows: between which small letters lie in them; backs: the way to the image, step by step; size: its (H, W)."""
        ink = frames > 255 * normalize.INK
        self._tops, self._bottoms = ink.argmax(1), np.where(ink.any(1), frames.shape[1] - ink[:, ::-1].argmax(1), 0)
        self._rows, self._backs, self._size = rows, backs, size

    def box(self, first: float, end: float) -> Box:
        """The smallest upright rectangle of the image around the ink of the frames from `first` to before `end`; where they hold none, around
        what lies between the lines of small letters there. Cut to the image, and at least a pixel wide and high."""
        first, end = np.clip((first, max(first, end)), 0, len(self._tops))
        columns = np.arange(int(first), int(np.ceil(end)))
        columns = columns[self._bottoms[columns] > 0]
        tops, bottoms = self._tops[columns], self._bottoms[columns]
        lefts, rights = np.maximum(columns, first), np.minimum(columns + 1, end)
        if not len(columns):
            lefts, rights, tops, bottoms = np.atleast_1d(first, end, *self._rows)
        corners = [np.column_stack([x, y]) for x in (lefts, rights) for y in (tops, bottoms)]
        x, y = self.points(np.concatenate(corners)).T
        (left, right), (top, bottom) = _within(x, self._size[1]), _within(y, self._size[0])
        return Box(left, top, right, bottom)

    def column(self, frame: float) -> float:
        """x in the image at which a frame begins, halfway between the lines of small letters; within the image."""
        return float(np.clip(self.points(np.array([[frame, sum(self._rows) / 2]]))[0, 0], 0, self._size[1]))

    def points(self, points: np.ndarray) -> np.ndarray:
        """Points [N, 2] (frame, row) as points (x, y) of the image; the left upper corners of pixels are whole numbers in both."""
        for back in self._backs:
            points = back(points)
        return points


def extract(image: Image, config: ScanFeatureConfig) -> tuple[np.ndarray, Places]:
    """Frames, uint8 [T, height], 0 paper to 255 ink; and where they lie. Raises DataError when there is no ink, or a line without end."""
    line, rows, backs = normalized(image, config)
    frames = _frames(line)
    return frames, Places(frames, rows, backs, image.pixels.shape)


def views(image: Image, config: ScanFeatureConfig, warp: ScanWarpConfig, rngs: Iterable[np.random.Generator]) -> Iterator[np.ndarray]:
    """Frames of changed copies, one for each generator."""
    line, _, _ = normalized(image, config)
    for rng in rngs:
        yield _frames(warped(line, warp, rng))


def _frames(line: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(np.round(line * 255).astype(np.uint8).T)


def normalized(image: Image, config: ScanFeatureConfig) -> tuple[np.ndarray, tuple[float, float], list[Back]]:
    """Ink [height, T]; the rows between which small letters lie; and the way back to the image, step by step."""
    x, backs = image.pixels, []
    by = min(len(x) // (FINER * config.height), int((x.size / LARGE) ** 0.5))
    if by > 1:
        x = normalize.reduced(x, by)
        backs.append(lambda points: points * by)
    x = density(x) if config.contrast else (255 - x.astype(np.float32)) / 255
    x = normalize.without_specks(x) if config.specks else x
    if normalize.inked(x) is None:
        raise DataError("is empty: no ink was found")
    for wanted, tangent, straightened in ((config.slope, normalize.slope, normalize.leveled),
                                          (config.slant, normalize.slant, normalize.upright)):
        if wanted:
            x, back = straightened(x, tangent(x))
            backs.append(back)
    top, pixel, rows = _scale(x, config)
    left, _, right, _ = normalize.inked(x)
    columns = int(np.ceil((right - left) / pixel)) + 2 * config.margin
    if columns > MOST_COLUMNS:
        raise DataError(f"is too long for one line: {columns:,} columns at the height of {config.height} pixels",
                        hint=f"{MOST_COLUMNS:,} can be read")
    x, back = normalize.resized(x, left - config.margin * pixel, top, pixel, (config.height, columns))
    return x, rows, [*backs, back][::-1]


def _scale(x: np.ndarray, config: ScanFeatureConfig) -> tuple[float, float, tuple[float, float]]:
    """Which row of a level line the frames begin at, how many of its rows go into a row of the frames, and where small letters lie in these."""
    _, first, _, end = normalize.inked(x)
    high, low = normalize.core(x)
    if config.core:
        middle, pixel = (high + low) / 2, (low - high) / (config.core * config.height)
        share = np.cumsum(x[first:end].sum(1)) / x[first:end].sum()
        above = middle - first - np.searchsorted(share, OUTLIERS)
        below = first + np.searchsorted(share, 1 - OUTLIERS) + 1 - middle
        needed = max(above, below) / (config.height / 2)
        pixel = min(max(pixel, needed), pixel / LEAST_FIT)
    else:
        middle, pixel = (first + end) / 2, (end - first) / (config.height - 2 * config.margin)
    pixel = max(pixel, 1 / normalize.LARGER)
    top = middle - pixel * config.height / 2
    return top, pixel, ((high - top) / pixel, (low - top) / pixel)


def _within(values: np.ndarray, size: int) -> tuple[float, float]:
    """From the least to the greatest, within 0 and size, at least 1 apart."""
    low, high = np.clip((values.min(), values.max()), 0, size)
    low = min(low, max(0, size - 1))
    return float(low), float(max(high, low + 1))
