"""Pen strokes to the image of a line, as a scanner would see them: IAM-DB's lines are such images, at 300 dots an inch."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..types import Image, Ink
from . import normalize

LARGEST = 16_000_000                 # pixels; what would have more is drawn smaller
LONGEST = 5_000_000                  # pixels of the pen's way; as well
HIGHEST, WIDEST = 20.0, 150.0        # heights of small letters that no line exceeds: where they are not to be told, they are taken to be so high
SMALLEST = 1e-6                      # in the ink's own units; what is not larger is a dot
SPACING = 3.0                        # pixels between the points of a curve, at most
CORNER = 0.2                         # cosine; where the pen turns more sharply it is a corner, and no curve goes through it
AROUND = 3                           # points before and after by which the pen's speed is judged
PRESS = 2.0                          # heights of small letters over which the hand presses more, or less
SHADE = 8.0                          # over which light changes

Range = tuple[float, float]


@dataclass(frozen=True)
class RenderConfig:
    """How a line is drawn. Of a range each line draws its own value, evenly; the defaults are those of IAM-DB's scans."""

    height: float = 24.0                 # of small letters, pixels
    pen: Range = (0.12, 0.2)             # width of the pen, in heights of small letters
    margin: Range = (0.1, 0.5)           # paper around the line, on each side anew, in heights of small letters
    smooth: bool = True                  # curves through the points; else straight from point to point
    clean: bool = False                  # black on white, by an even pen: what follows is for scans
    speed: float = 0.15                  # share by which the line is wider where the pen is slow, and thinner where it is fast, at most
    press: float = 0.08                  # deviation of the line's width, and of the ink's share of what it could be, as the hand presses
    ink: Range = (15.0, 95.0)            # grey of the ink where it is darkest: 0 black, 255 white
    grain: Range = (0.0, 0.15)           # deviation of the ink from pixel to pixel, as a share
    blur: Range = (0.45, 0.85)           # of the lens: deviation in pixels
    paper: Range = (232.0, 250.0)        # grey of the paper
    shade: Range = (0.5, 3.0)            # deviation of the paper's grey from place to place
    noise: Range = (0.3, 1.3)            # deviation of each pixel's grey

    def __post_init__(self):
        ranges = [value for value in vars(self).values() if isinstance(value, tuple)]
        if any(not 0 <= low <= high for low, high in ranges):
            raise ValueError("a range goes from one number to another that is not below it, and neither is below 0")
        if not 4 <= self.height <= 400:
            raise ValueError("height must be 4 to 400 pixels")
        if not self.pen[0] > 0 or max(self.ink[1], self.paper[1]) > 255 or self.ink[1] >= self.paper[0]:
            raise ValueError("pen must be above 0, grey at most 255, and ink darker than paper")
        if not 0 <= self.speed < 1 or not 0 <= self.press < 0.5 or self.grain[1] > 0.5 or self.blur[1] > 1:
            raise ValueError("speed must be below 1, press below 0.5, grain at most 0.5 and blur at most 1")


def small_letters(ink: Ink) -> float:
    """Their height in the ink's units, as far as it can be told; of a page of several lines, what makes it 20 times as high."""
    strokes = normalize.without_slope(normalize.without_glitches(list(ink.strokes)))
    top, base = normalize.lines(strokes)
    width, height = np.ptp(np.concatenate(strokes)[:, :2], axis=0)
    return float(max(base - top, height / HIGHEST, width / WIDEST, SMALLEST))


def rendered(ink: Ink, config: RenderConfig, rng: np.random.Generator, letters: float | None = None) -> Image:
    """The line, less what normalize.without_glitches leaves out. letters: the height of small letters in the ink's units; None: as in this line."""
    from ..kernels.strokes import covered

    strokes = normalize.without_glitches(list(ink.strokes))
    low, high = (f(np.concatenate(strokes)[:, :2], axis=0) for f in (np.min, np.max))
    size = config.height
    scale = size / (letters or small_letters(ink))
    pen = rng.uniform(*config.pen) * size
    margins = rng.uniform(*config.margin, (2, 2)) * size + pen / 2
    area = float(np.prod((high - low) * scale + margins.sum(0)))
    way = scale * sum(float(np.hypot(*np.diff(s[:, :2], axis=0).T).sum()) for s in strokes)
    smaller = min(1.0, (LARGEST / area) ** 0.5, LONGEST / max(way, 1.0))
    size, scale, pen, margins = (value * smaller for value in (size, scale, pen, margins))
    width, height = np.ceil((high - low) * scale + margins.sum(0)).astype(int)
    points, joined = np.concatenate(strokes), np.ones(sum(map(len, strokes)), bool)
    joined[np.cumsum([len(s) for s in strokes]) - 1] = False
    points = np.column_stack([(points[:, :2] - low) * scale + margins[0], pace(points, joined)])
    if config.smooth:
        points, joined = curves(points, joined, SPACING)
    if config.clean:
        return Image(_grey(255 * (1 - covered(points[:, :2], joined, np.full(len(points), pen / 2), np.ones(len(points)), height, width))))
    pressed = _along(points, PRESS * size, rng) * config.press
    radius = pen / 2 * (1 + config.speed * points[:, 2]) * np.maximum(1 + pressed, 0.3)
    dark = np.clip(1 - config.press + pressed, 0.3, 1.0)
    return Image(_scanned(covered(points[:, :2], joined, radius, dark, height, width), config, size, rng))


def pace(points: np.ndarray, joined: np.ndarray) -> np.ndarray:
    """How slowly the pen goes by each point [N, 3]: 1 at rest, 0 at the line's usual speed, towards -1 beyond it; 0 where times are not known.

    joined [N]: whether the pen goes on to the next point.
    """
    steps = np.diff(points, axis=0)
    known = joined[:-1] & (steps[:, 2] > 0)
    if not known.any():
        return np.zeros(len(points))
    speeds = np.where(known, np.hypot(steps[:, 0], steps[:, 1]) / np.where(known, steps[:, 2], 1.0), 0.0)
    near = np.ones(2 * AROUND)
    weights = np.convolve(known, near)[AROUND - 1:-AROUND + 1]                 # of the ways up to AROUND points before and after
    speeds = np.convolve(speeds, near)[AROUND - 1:-AROUND + 1] / np.maximum(weights, 1)
    usual = np.median(speeds[weights > 0])
    return np.where(weights > 0, (usual - speeds) / np.maximum(usual + speeds, 1e-9), 0.0)


def curves(points: np.ndarray, joined: np.ndarray, spacing: float) -> tuple[np.ndarray, np.ndarray]:
    """More points [N, D] (x, y and what else changes evenly), at most `spacing` apart within a stroke, on smooth curves through the given ones;
    and as for those, whether the pen goes on to the next."""
    steps = np.diff(points, axis=0)
    lengths = np.hypot(steps[:, 0], steps[:, 1])
    ahead = steps[:, :2] / np.maximum(lengths, 1e-9)[:, None]
    bends = joined[:-2] & joined[1:-1] & ((ahead[:-1] * ahead[1:]).sum(1) > CORNER)
    tangents = np.zeros((len(points), 2))                             # of a cubic from point to point; where both are 0 it is straight
    tangents[1:-1] = (ahead[:-1] + ahead[1:]) / 2 * (np.minimum(lengths[:-1], lengths[1:]) * bends)[:, None]
    counts = np.where(joined[:-1], np.maximum(1, np.ceil(lengths / spacing)), 1).astype(int)
    at = np.repeat(np.arange(len(steps)), counts)
    t = ((np.arange(len(at)) - np.repeat(np.cumsum(counts) - counts, counts) + 1) / counts[at])[:, None]
    new = points[at] + t * steps[at]
    new[:, :2] += t * (1 - t) * ((1 - t) * (tangents[at] - steps[at, :2]) - t * (tangents[at + 1] - steps[at, :2]))
    goes_on = np.ones(len(new) + 1, bool)
    goes_on[np.concatenate([[0], np.cumsum(counts)])[~joined]] = False
    return np.concatenate([points[:1], new]), goes_on


def _along(points: np.ndarray, spacing: float, rng: np.random.Generator) -> np.ndarray:
    """A smooth random value for each point, of deviation 1, which is another after `spacing` pixels of the pen's way."""
    way = np.cumsum(np.hypot(*np.diff(points[:, :2], axis=0, prepend=points[:1, :2]).T)) / spacing
    knots = np.arange(int(way[-1]) + 2)
    return np.interp(way, knots, rng.standard_normal(len(knots)))


def _scanned(cover: np.ndarray, config: RenderConfig, size: float, rng: np.random.Generator) -> np.ndarray:
    """Grey pixels, uint8 [H, W], of ink on paper, float32 [H, W]."""
    from ..kernels.strokes import scanned

    dark, paper = rng.uniform(*config.ink), rng.uniform(*config.paper)
    blur, grain, shade, noise = (rng.uniform(*each) for each in (config.blur, config.grain, config.shade, config.noise))
    spacing = SHADE * size
    light = paper + shade * rng.standard_normal([int(n / spacing) + 2 for n in cover.shape])
    lens = np.exp(-np.arange(3) ** 2 / (2 * max(blur, 1e-3) ** 2))
    each = rng.standard_normal((cover.shape[0] + 1, cover.shape[1] + 1), dtype=np.float32)
    return scanned(cover, each, *(np.float32(value) for value in (light, spacing, dark, grain, lens / (lens[0] + 2 * lens[1:].sum()), noise)))


def _grey(pixels: np.ndarray) -> np.ndarray:
    return np.clip(np.rint(pixels), 0, 255).astype(np.uint8)
