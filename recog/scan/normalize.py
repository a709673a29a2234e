"""A scanned line of writing made alike, whoever wrote it: one step, one function, on ink [H, W] (float32, 0 paper to 1 a full stroke).

Steps that move pixels also give the way back: a function from points [N, 2] (x, y; pixels' left upper corners are whole numbers) of the new
picture to those of the old one.
"""

from __future__ import annotations

from typing import Callable

import numpy as np

Back = Callable[[np.ndarray], np.ndarray]
Box = tuple[int, int, int, int]          # left, top, right, bottom, in pixels; right and bottom are the first ones outside

INK = 0.3                                # what is as dark as this is part of a stroke
STEEPEST = 0.35                          # slope of a line (tangent): beyond it, it is no slip of the hand
SKEWED = 0.2                             # slope of a page (tangent)
LEANING = 1.2                            # tangent of the furthest slant
ROWS, PAGE_ROWS = 64, 512                # rows to which a line or a page is reduced to find its slope and slant
CORE = 0.6                               # share of the crossings of the busiest row that a row of small letters has
EVEN = 0.05                              # deviation by which crossings are evened out over rows, in heights of the ink
LOWEST = 1 / 6                           # share of the ink's height that small letters have at least
SHORT = 1.5                              # heights: ink that is not wider says too little about its rows
LARGER = 4.0                             # times; nothing is enlarged further


def reduced(pixels: np.ndarray, by: int) -> np.ndarray:
    """uint8 [H, W]: squares of `by` x `by` pixels to their means; what is over at the right and below is repeated to fill."""
    pixels = np.pad(pixels, [(0, -n % by) for n in pixels.shape], mode="edge")
    means = pixels.reshape(pixels.shape[0] // by, by, -1, by).mean((1, 3), dtype=np.float32)
    return np.round(means).astype(np.uint8)


def inked(x: np.ndarray) -> Box | None:
    """The box around all that is ink (or True); None if there is none."""
    ink = x > INK
    rows, columns = np.flatnonzero(ink.any(1)), np.flatnonzero(ink.any(0))
    return (int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1) if len(rows) else None


def without_specks(x: np.ndarray) -> np.ndarray:
    """Without spots of less than a third of the dot that the pen would make."""
    from scipy.ndimage import label

    spots, count = label(x > INK / 2, np.ones((3, 3)))
    sizes = np.bincount(spots.ravel(), (x > INK).ravel(), count + 1)
    small = sizes < _pen(x) ** 2 * np.pi / 4 / 3
    small[0] = False
    return np.where(small[spots], np.float32(0), x) if small.any() else x


def _pen(x: np.ndarray) -> float:
    """How wide strokes are, in pixels: the median length of straight cuts through them, across or down."""
    return min(float(np.median(cuts)) if len(cuts) else 0.0 for cuts in (_cuts(x > INK), _cuts((x > INK).T)))


def _cuts(ink: np.ndarray) -> np.ndarray:
    flat = np.pad(ink, ((0, 0), (1, 1))).ravel()
    return np.diff(np.flatnonzero(flat[1:] != flat[:-1]).reshape(-1, 2), axis=1)


def slope(x: np.ndarray) -> float:
    """The tangent by which a line falls (y grows downwards): where rows, moved along with it, are most unlike each other (Postl 1986)."""
    box = inked(x)
    if box is None or box[2] - box[0] < 2 * (box[3] - box[1]):
        return 0.0                                             # too short a line to tell
    return _steepness(x, box, ROWS, min(STEEPEST, 1.2 * (box[3] - box[1]) / (box[2] - box[0])))


def page_slope(x: np.ndarray) -> float:
    """The same for a page of several lines that fall together."""
    box = inked(x)
    return 0.0 if box is None else _steepness(x, box, PAGE_ROWS, SKEWED)


def _steepness(x: np.ndarray, box: Box, rows: int, most: float) -> float:
    from ..kernels.shear import sheared_sums

    small, down, across = _reduced(x, box, rows, wide=4)
    places = (np.arange(small.shape[1]) - (small.shape[1] - 1) / 2) * across / down
    reach = int(most * places[-1]) + 3
    return _sharpest(lambda tangents: sheared_sums(small.T, -tangents[:, None] * places, reach), most)


def slant(x: np.ndarray) -> float:
    """How far letters lean to the right (tangent): where columns, sheared upright, are most unlike each other (Pastor, Toselli & Vidal 2004).

    Only edges to the left and right of strokes count, so that bars and the line itself do not.
    """
    from ..kernels.shear import sheared_sums

    box = inked(x)
    if box is None:
        return 0.0
    small, _, _ = _reduced(x, box, ROWS, wide=1)
    edges = np.abs(np.diff(small, axis=1, prepend=0, append=0))
    places = np.arange(len(edges)) - (len(edges) - 1) / 2
    reach = int(LEANING * places[-1]) + 3
    return _sharpest(lambda tangents: sheared_sums(edges, tangents[:, None] * places, reach), LEANING)


def _sharpest(sums: Callable[[np.ndarray], np.ndarray], most: float) -> float:
    """Of tangents from -most to most, that whose sums (slightly evened out) vary most: on a grid of 25, then of 11 around the best."""
    from scipy.ndimage import gaussian_filter1d

    tangent, step = 0.0, most / 12
    for count in (12, 5):
        tangents = np.clip(tangent + step * np.arange(-count, count + 1), -most, most)
        score = np.square(gaussian_filter1d(sums(tangents), 1.0, mode="constant")).sum(1)
        tangent, step = float(tangents[score.argmax()]), step / 5
    return tangent


def _reduced(x: np.ndarray, box: Box, rows: int, wide: int) -> tuple[np.ndarray, int, int]:
    """The ink in its box with about so many rows, pixels `wide` times as wide as high; and how many rows and columns went into each."""
    left, top, right, bottom = box
    down = max(1, (bottom - top) // rows)
    across = down * wide
    part = x[top:bottom, left:right]
    part = np.pad(part, [(0, -n % by) for n, by in zip(part.shape, (down, across))])
    return np.ascontiguousarray(part.reshape(part.shape[0] // down, down, -1, across).mean((1, 3))), down, across


def leveled(x: np.ndarray, tangent: float) -> tuple[np.ndarray, Back]:
    """Columns moved up or down until a line that falls by `tangent` is level. Nothing is cut off."""
    x, back = upright(x.T, -tangent)
    return x.T, lambda points: back(points[:, ::-1])[:, ::-1]


def upright(x: np.ndarray, tangent: float) -> tuple[np.ndarray, Back]:
    """Rows moved to the sides until letters that lean to the right by `tangent` stand. Nothing is cut off."""
    from ..kernels.shear import sheared

    if not tangent:
        return x, lambda points: points
    middle, room = len(x) / 2, int(np.ceil(abs(tangent) * len(x) / 2)) + 1
    moves = tangent * (np.arange(len(x)) + 0.5 - middle)

    def back(points: np.ndarray) -> np.ndarray:
        return np.column_stack([points[:, 0] - room - tangent * (points[:, 1] - middle), points[:, 1]])

    return sheared(np.ascontiguousarray(x), moves, room), back


def core(x: np.ndarray) -> tuple[float, float]:
    """Rows between which small letters lie [top, bottom), in a level line: where strokes are crossed most often.

    Where the ink is too short to tell, the middle half of its box. Raises ValueError when there is none.
    """
    from scipy.ndimage import gaussian_filter1d

    box = inked(x)
    if box is None:
        raise ValueError("there is no ink")
    left, top, right, bottom = box
    height = bottom - top
    if right - left < SHORT * height:
        return top + height / 4, bottom - height / 4
    crossings = np.abs(np.diff(x[top:bottom, left:right], axis=1, prepend=0, append=0)).sum(1)
    crossings = gaussian_filter1d(crossings, max(EVEN * height, 0.5), mode="constant")
    busy = crossings >= CORE * crossings.max()
    first = last = int(crossings.argmax())
    while first > 0 and busy[first - 1]:
        first -= 1
    while last < height - 1 and busy[last + 1]:
        last += 1
    missing = max(0.0, LOWEST * height - (last + 1 - first)) / 2
    return top + first - missing, top + last + 1 + missing


def resized(x: np.ndarray, left: float, top: float, pixel: float, size: tuple[int, int]) -> tuple[np.ndarray, Back]:
    """The part from (left, top) as a picture of size (H, W), each of its pixels `pixel` old ones wide and high; paper where there was nothing.

    Each value is the mean of the area it covers; when enlarging, it lies between those of the nearest pixels.
    """
    rows = _resampled(x, top, pixel, size[0])
    new = np.ascontiguousarray(_resampled(rows.T, left, pixel, size[1]).T)
    return new, lambda points: points * pixel + (left, top)


def _resampled(x: np.ndarray, start: float, step: float, count: int) -> np.ndarray:
    """Along the first axis."""
    N = len(x)
    if step < 1:
        at = np.clip(start + (np.arange(count) + 0.5) * step - 0.5, -1, N)
        x = np.pad(x, ((1, 2), (0, 0)))
        low = np.floor(at).astype(int)
        part = (at - low).astype(np.float32)[:, None]
        return x[low + 1] * (1 - part) + x[low + 2] * part
    sums = np.zeros((N + 2, x.shape[1]))
    np.cumsum(x, axis=0, out=sums[1:-1])
    sums[-1] = sums[-2]
    edges = np.clip(start + np.arange(count + 1) * step, 0, N)
    low = np.floor(edges).astype(int)
    until = sums[low] + (edges - low)[:, None] * (sums[low + 1] - sums[low])
    return ((until[1:] - until[:-1]) / step).astype(np.float32)
