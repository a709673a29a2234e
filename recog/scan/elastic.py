"""Elastic distortion: each pixel is taken from a little beside it, neighbours from about as far (Simard, Steinkraus & Platt 2003).

Two fields of even noise in -1..1 are smoothed by a Gaussian of `sigma` pixels and stretched `alpha` times; beyond the picture there is no
noise. Graves, Fernandez & Schmidhuber 2007 warp their digits with sigma 4 and alpha 34: ways of 1.4 pixels along each axis, by their
deviation.
"""

from __future__ import annotations

import numpy as np


def elastic(image: np.ndarray, sigma: float, alpha: float, rng: np.random.Generator) -> np.ndarray:
    """The picture distorted, float32 [H, W]; its background must be 0, and comes in from beyond the borders. image: float32 [H, W]."""
    return moved(image, *fields(image.shape, sigma, alpha, rng))


def fields(shape: tuple[int, int], sigma: float, alpha: float, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """How far down and how far to the right of each pixel it is taken from, in pixels, float32 [H, W] each. Raises ValueError."""
    from scipy.ndimage import gaussian_filter

    if sigma <= 0 or alpha < 0:
        raise ValueError("sigma must be positive and alpha at least 0")
    down, right = (alpha * gaussian_filter(rng.uniform(-1, 1, shape), sigma, mode="constant") for _ in range(2))
    return down.astype(np.float32), right.astype(np.float32)


def moved(image: np.ndarray, down: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Each pixel from where the fields point, between pixels by straight lines. All float32 [H, W]."""
    from scipy.ndimage import map_coordinates

    rows, columns = np.indices(image.shape, dtype=np.float32)
    return map_coordinates(image, [rows + down, columns + right], order=1, mode="grid-constant", cval=0.0, output=np.float32)
