"""Other hands and other pens for the same words: the picture of a line, changed as people's writing and its scans differ.

The elastic distortion is that of Simard, Steinkraus & Platt 2003 ("Best practices for convolutional neural networks applied to visual document
analysis", section 2); Graves, Fernandez & Schmidhuber 2007 warp their digits with sigma = 4 and alpha = 34.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class ScanWarpConfig:
    """Each is drawn for a line from 0 to this bound, either way where there are two. Lengths are in heights of the picture."""

    width: float = 0.15                  # share by which letters are wider or narrower
    height: float = 0.1                  # share by which they are higher or lower
    shift: float = 0.04                  # how far up or down the line lies
    shear: float = 0.25                  # tangent by which letters lean
    turn: float = 0.06                   # how far the ends of the line rise or fall against its middle
    elastic: float = 0.025               # deviation of a smooth shift of every place, across and along
    smooth: float = 0.12                 # over which that shift changes: the deviation of a Gaussian
    pen: float = 0.6                     # share of a pixel by which strokes are thicker or thinner on each side
    contrast: float = 0.3                # how much darker or lighter their edges are: the logarithm of an exponent
    noise: float = 0.05                  # deviation of every pixel, ink being 1

    def __post_init__(self):
        if min(getattr(self, name) for name in self.__dataclass_fields__) < 0 or self.smooth <= 0:
            raise ValueError("no bound may be negative, and smooth must be above 0")
        if max(self.width, self.height, self.pen) >= 1:
            raise ValueError("width, height and pen must be below 1")


def warped(x: np.ndarray, config: ScanWarpConfig, rng: np.random.Generator) -> np.ndarray:
    """A changed copy of a normalized line: ink [H, W] to [H, W'], float32 from 0 (paper) to 1."""
    H, W = x.shape
    wider, higher = 1 + rng.uniform(-1, 1, 2) * (config.width, config.height)
    shear, shift = rng.uniform(-1, 1) * config.shear, rng.uniform(-1, 1) * config.shift * H
    turn = rng.uniform(-1, 1) * config.turn * 2 * H / W
    x = pressed(x, rng.uniform(-1, 1) * config.pen)
    room = abs(shear) * H / 2
    size = H, max(1, round((W + 2 * room) * wider))
    # from where each place of the copy comes, against the middles of both
    down = (np.arange(H, dtype=np.float32) - (H - 1) / 2)[:, None] / np.float32(higher)
    along = (np.arange(size[1], dtype=np.float32) - (size[1] - 1) / 2)[None] / np.float32(wider)
    rows, columns = np.float32(turn) * along + down, np.float32(shear) * down + along
    rows += np.float32((H - 1) / 2 - shift)
    columns += np.float32((W - 1) / 2)
    if config.elastic:
        strength = rng.uniform(0, config.elastic) * H
        moves = smooth_noise((2, *size), config.smooth * H, rng)
        rows += np.float32(strength) * moves[0]
        columns += np.float32(strength) * moves[1]
    x = sampled(x, rows, columns)
    x **= np.float32(np.exp(rng.uniform(-1, 1) * config.contrast))
    if config.noise:
        x += rng.standard_normal(x.shape, np.float32) * np.float32(rng.uniform(0, config.noise))
    return np.clip(x, 0, 1, out=x)


def elastic(x: np.ndarray, sigma: float, alpha: float, rng: np.random.Generator) -> np.ndarray:
    """A picture [H, W] with every place moved, across and along: by even noise from -1 to 1 for each pixel, smoothed by a Gaussian of deviation
    `sigma` pixels, times `alpha`. What comes from outside is 0."""
    deviation = alpha / (sigma * np.sqrt(12 * np.pi))       # of that noise: sqrt(1/3), times the root of the sum of the Gaussian's squares
    moves = smooth_noise((2, *x.shape), sigma, rng) * np.float32(deviation)
    rows, columns = np.indices(x.shape, np.float32)
    return sampled(x, rows + moves[0], columns + moves[1])


def smooth_noise(shape: tuple[int, int, int], sigma: float, rng: np.random.Generator) -> np.ndarray:
    """Fields [N, H, W] of mean 0 and deviation 1 at every place, float32: white noise, smoothed by a Gaussian of deviation `sigma` pixels.

    The noise lies on a grid of step `sigma`: a Gaussian cannot tell it from finer noise (to a part in 10^4), at 1 / sigma^2 of the cost.
    """
    step = max(1.0, sigma)
    down, along = (_kernels(n, sigma, step) for n in shape[1:])
    noise = rng.standard_normal((shape[0], down.shape[1], along.shape[1]), np.float32)
    return down @ noise @ along.T


def _kernels(length: int, sigma: float, step: float) -> np.ndarray:
    """How much each place [length] has of each point of the grid [K]; of squares that sum to 1."""
    reach = int(np.ceil(4 * sigma / step))
    grid = (np.arange(int(np.ceil(length / step)) + 2 * reach) - reach) * step
    weights = np.exp(-0.5 * ((np.arange(length)[:, None] - grid) / sigma) ** 2)
    return (weights / np.sqrt(np.square(weights).sum(1, keepdims=True))).astype(np.float32)


def pressed(x: np.ndarray, by: float) -> np.ndarray:
    """Strokes thicker (or thinner, below 0) by this share of a pixel on each side, as with another pen: part of the way to the greatest
    (smallest) of each pixel and the eight around it."""
    from scipy.ndimage import maximum_filter, minimum_filter

    if not by:
        return x
    extreme = (maximum_filter if by > 0 else minimum_filter)(x, 3, mode="constant")
    return x + np.float32(abs(by)) * (extreme - x)


def sampled(x: np.ndarray, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """Values of x [H, W] at these places, between pixels' values by lines; 0 outside."""
    from scipy.ndimage import map_coordinates

    return map_coordinates(x, (rows, columns), order=1, mode="grid-constant", prefilter=False)
