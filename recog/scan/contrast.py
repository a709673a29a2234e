"""How much ink is where: grey levels of any paper and any pen to a density from 0, paper, to 1, a full stroke.

All take and give float32 [H, W]; grey is 0 black to 255 white.
"""

from __future__ import annotations

import numpy as np

SMALLEST, LARGEST = 16, 64               # pixels: sides of the squares by which the light on the paper is judged
ACROSS = 16                              # pixels of a square that are looked at, in each direction
BRIGHT, AGREED = 160, 0.1                # paper that is brighter is not black; nor is it if that is not what most squares say
PAPER = 80                               # percentile of a square's pixels that is paper: most of it is, and noise goes both ways
FAINTEST = 0.06                          # share by which the faintest stroke is darker than its paper
SURE, LIKELY, UNSURE = 8.0, 6.0, 3.0     # deviations of the paper's noise: beyond them lie some strokes of any writing, strokes, ink
TRACE = 0.1                              # share of a full stroke's darkness that is no ink: the other side shining through, JPEG's squares
ENOUGH = 50_000                          # pixels from which levels are told


def density(pixels: np.ndarray) -> np.ndarray:
    """pixels uint8 [H, W] to ink; nothing but 0 where there is only paper."""
    gray = pixels.astype(np.float32)
    if white_on_black(gray):
        gray = 255 - gray
    return stretched(darkness(gray))


def white_on_black(gray: np.ndarray) -> bool:
    """Whether the writing is the brighter part of a dark picture: strokes draw the mean of a square away from its median, which is paper."""
    squares = _squares(gray)
    drawn = squares.mean(-1) - np.median(squares, -1)
    return bool(np.median(squares) < BRIGHT and drawn.sum() > AGREED * np.abs(drawn).sum())


def darkness(gray: np.ndarray) -> np.ndarray:
    """The share of the light that does not come back from each place, against paper under the same light: 0 paper to 1 black."""
    return 1 - gray / np.maximum(paper(gray), 1)


def paper(gray: np.ndarray) -> np.ndarray:
    """How bright the paper is at each place: the upper end of the greys of a square, of which most is not ink, and evenly in between."""
    from scipy.ndimage import grey_closing

    levels = np.percentile(_squares(gray), PAPER, axis=-1)
    levels = np.pad(levels, 1, "edge")                                       # at the edge, closing must not take the next square's light
    levels = grey_closing(levels, size=(3, 3))[1:-1, 1:-1]                   # a square that is full of ink is as bright as those around it
    for axis in (0, 1):
        levels = _between(levels, gray.shape[axis], axis)
    return levels.astype(np.float32)


def stretched(dark: np.ndarray) -> np.ndarray:
    """Darkness to ink: the paper's noise and what shines through to 0, full strokes to 1; all 0 if nothing is darker than noise."""
    from scipy.ndimage import uniform_filter

    even = uniform_filter(dark, 3)                                           # noise is evened out, strokes remain
    middle, noise = _spread(even)
    found = even > middle + max(LIKELY * noise, FAINTEST)
    if not found.any() or np.percentile(even[found], 95) <= middle + SURE * noise:
        return np.zeros_like(dark)
    strokes = dark[found]
    full = np.percentile(strokes, 95)                                        # two steps: edges and traces count little in the second
    full = np.median(strokes[strokes >= full / 2])
    middle, noise = _spread(dark)
    least = middle + min(max(UNSURE * noise, TRACE * (full - middle)), 0.5 * (full - middle))
    return np.clip((dark - least) / np.float32(full - least), 0, 1)


def _spread(values: np.ndarray) -> tuple[float, float]:
    """The paper's level and the deviation of its noise, by medians: strokes are fewer than half of the pixels."""
    some = values.ravel()[::max(1, values.size // ENOUGH)]
    middle = np.median(some)
    return float(middle), 1.4826 * float(np.median(np.abs(some - middle)))


def _squares(gray: np.ndarray) -> np.ndarray:
    """The picture in squares, as even as can be: some pixels of each [rows, columns, ACROSS * ACROSS]."""
    side = min(max(min(gray.shape) // 3, SMALLEST), LARGEST)
    counts = [max(1, round(n / side)) for n in gray.shape]
    rows, columns = (((np.arange(count * ACROSS) + 0.5) * n / (count * ACROSS)).astype(int) for n, count in zip(gray.shape, counts))
    squares = gray[np.ix_(rows, columns)].reshape(counts[0], ACROSS, counts[1], ACROSS)
    return squares.swapaxes(1, 2).reshape(*counts, -1)


def _between(levels: np.ndarray, length: int, axis: int) -> np.ndarray:
    """Levels of squares at each of `length` pixels: straight from the middle of one to that of the next, and on to the ends."""
    n = levels.shape[axis]
    if n == 1:
        return np.repeat(levels, length, axis)
    at = (np.arange(length) + 0.5) * n / length - 0.5
    low = np.clip(at.astype(int), 0, n - 2)
    part = (at - low).reshape([-1 if a == axis else 1 for a in range(2)])
    return np.take(levels, low, axis) * (1 - part) + np.take(levels, low + 1, axis) * part
