"""A page of handwriting as lines, by where rows are crossed by strokes; and what is odd about an image that should be one line.

Lines may slope together, each a little by itself, and their strokes may touch. Columns of text and pictures are not looked for.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ..types import Box, Image
from .contrast import density, paper
from .normalize import INK, inked, page_slope, without_specks

LARGE = 3_000_000                        # pixels; a larger image is reduced first
SMALLEST = 10, 4                         # pixels: height and width with which a letter can be told from another
LETTER = 0.4, 4.0                        # heights of the ink in one piece that letters and words have, in usual heights
EVEN = 0.2                               # usual heights: deviation by which crossings are evened out over rows
NEAREST = 0.75                           # usual heights: lines are no nearer to each other
VALLEY = 0.65                            # share of the crossings in the middle of the weaker of two lines that there may be between them
BESIDE = 0.5                             # share of the shorter of two lines that must have the other one above or below it
ABOVE = 0.45                             # of the way from one line to the next, small marks belong to the upper one
FAR = 1.5                                # usual heights: what is further from all lines is none of theirs
MARGIN = 0.1                             # usual heights, around the ink of a line


class Oddity(NamedTuple):
    """Why an image should not be read as one line, and what to do."""

    what: str
    hint: str


def oddity(image: Image, lines: bool = False) -> Oddity | None:
    """What is odd about an image that should be one line; with `lines`, about one that may be a page. None: nothing."""
    height, width = image.pixels.shape
    if height < SMALLEST[0] or width < SMALLEST[1]:
        return Oddity(f"is too small to read: {width} x {height} pixels", f"scan it larger; lines of about 60 to 150 rows are best, at least {SMALLEST[0]}")
    found = _found(image)
    if found is None:
        return Oddity("is empty: no ink was found", "is the writing too faint, or the file the wrong one?")
    if lines:
        return None
    if found.count > 1:
        return Oddity(f"looks like a page of {found.count} lines", "--lines reads them one by one")
    left, top, right, bottom = found.box
    if height > width and bottom - top > right - left:
        return Oddity("is taller than wide, and is no line of writing", "turn it by 90 degrees, or cut out a line")
    return None


def lines_of(image: Image) -> list[Box]:
    """Boxes around the lines, from the top down, with a small margin; they may overlap. None where there is no ink."""
    found = _found(image)
    if found is None:
        return []
    height, width = image.pixels.shape
    margin = MARGIN * found.height * found.by
    boxes = []
    for number in range(found.count):
        left, top, right, bottom = inked((found.owners == number).astype(np.float32))
        boxes.append(Box(max(0, int(left * found.by - margin)), max(0, int(top * found.by - margin)),
                         min(width, int(np.ceil(right * found.by + margin))), min(height, int(np.ceil(bottom * found.by + margin)))))
    return boxes


def cut(image: Image, line: Box) -> Image:
    """The part of an image in a line's box (whole pixels); what other lines have there is covered with paper."""
    height, width = image.pixels.shape
    left, top, right, bottom = (int(n) for n in line)
    part = np.ascontiguousarray(image.pixels[top:bottom, left:right])
    if part.shape == image.pixels.shape:
        return image
    found = _found(Image(part))
    if found is None:
        return Image(part)
    return Image(part)


class _Found(NamedTuple):
    owners: np.ndarray                   # [H, W], of the reduced image: the line's number where there is ink, else -1
    count: int                           # of lines
    box: tuple[int, int, int, int]       # around all ink
    height: float                        # that most letters and words have
    by: int                              # pixels of the image, squared, to one


def _found(image: Image) -> _Found | None:
    """None where there is no ink."""
    by = max(1, int(np.ceil((image.pixels.size / LARGE) ** 0.5)))
    H, W = image.pixels.shape
    pixels = image.pixels
    if by > 1:
        pixels = np.pad(pixels, [(0, -n % by) for n in (H, W)], mode="edge")
        pixels = pixels.reshape(-(-H // by), by, -1, by).mean((1, 3)).round().astype(np.uint8)
    x = without_specks(density(pixels))
    box = inked(x)
    return None if box is None else _Found(*_owners(x), by) if False else _lines(x, box, by)


def _lines(x, box, by):
    from scipy.ndimage import find_objects, label
    spots, count = label(x > INK, np.ones((3, 3)))
    places = find_objects(spots)
    tops, bottoms = (np.array([getattr(rows, end) for rows, _ in places]) for end in ("start", "stop"))
    lefts, rights = (np.array([getattr(columns, end) for _, columns in places]) for end in ("start", "stop"))
    heights = bottoms - tops
    usual = _usual(heights)
    letters = (heights >= LETTER[0] * usual) & (heights <= LETTER[1] * usual)
    # crossings
    tangent = page_slope(x)
    edges = np.abs(np.diff(x, axis=1, prepend=0))
    rows, columns = np.nonzero(edges > 0.1)
    weights = edges[rows, columns]
    owner = spots[rows, columns]
    right = np.maximum(owner, spots[rows, np.maximum(columns - 1, 0)])      # an edge to the right of a spot belongs to it too
    level = rows - tangent * (columns - x.shape[1] / 2)
    low = level.min()
    is_letter = np.append(False, letters)[right]
    from scipy.ndimage import gaussian_filter1d
    profile = np.bincount((level[is_letter] - low + 0.5).astype(int), weights[is_letter], int(level.max() - low) + 2)
    profile = gaussian_filter1d(profile, EVEN * usual, mode="constant")
    peaks = [i for i in range(1, len(profile) - 1) if profile[i - 1] < profile[i] >= profile[i + 1]]
    # centre of each spot in level rows
    mass = np.bincount(right, weights, count + 1)[1:]
    centres = np.bincount(right, weights * level, count + 1)[1:] / np.maximum(mass, 1e-9) - low
    W = x.shape[1]
    def cover(chosen):
        c = np.zeros(W + 1)
        np.add.at(c, np.maximum(lefts[chosen] - int(usual), 0), 1)
        np.add.at(c, np.minimum(rights[chosen] + int(usual), W), -1)
        return np.cumsum(c)[:-1] > 0
    while len(peaks) > 1:
        p = np.array(peaks)
        nearest = np.abs(centres[:, None] - p).argmin(1)
        covers = [cover(letters & (nearest == i)) for i in range(len(p))]
        worst, which = 1.0, -1
        for i in range(len(p) - 1):
            a, b = p[i], p[i + 1]
            far = (b - a) / (NEAREST * usual)
            valley = profile[a:b + 1].min() / min(profile[a], profile[b])
            beside = (covers[i] & covers[i + 1]).sum() / max(1, min(covers[i].sum(), covers[i + 1].sum())) if min(covers[i].sum(), covers[i + 1].sum()) else 0
            fit = min(far, VALLEY / max(valley, 1e-9), beside / BESIDE)
            if fit < worst:
                worst, which = fit, i
        if which < 0:
            break
        del peaks[which if profile[peaks[which]] < profile[peaks[which + 1]] else which + 1]
    p = np.array(peaks)
    borders = p[:-1] + ABOVE * np.diff(p)
    owners = np.searchsorted(borders, centres)
    tall = (bottoms-tops) > 0
    lookup = np.append(-1, owners)
    result = lookup[spots]
    # what reaches over more than one line is divided between them
    reach = np.array([np.searchsorted(borders, b - low - tangent * ((l + r) / 2 - W / 2)) - np.searchsorted(borders, a - low - tangent * ((l + r) / 2 - W / 2)) for a, b, l, r in zip(tops, bottoms, lefts, rights)])
    over = np.flatnonzero((reach > 0) & (heights > 1.5 * np.diff(p).min() if len(p) > 1 else False))
    for number in over:
        part = spots[places[number]] == number + 1
        r, c = np.nonzero(part)
        r, c = r + places[number][0].start, c + places[number][1].start
        result[r, c] = np.searchsorted(borders, r - tangent * (c - W / 2) - low)
    far = np.abs(centres[:, None] - p).min(1) > FAR * usual
    result[np.append(False, far & ~letters)[spots]] = -1
    return _Found(result, len(p), box, usual, by)


def _usual(heights):
    real = heights[heights > 0.2 * np.percentile(heights, 90)]
    return float(np.percentile(real, 75)) if len(real) else 1.0
