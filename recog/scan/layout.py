"""What is in an image: lines of writing, where, and what is odd about it if it should be one line."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ..types import Box, Image
from .contrast import density, paper, white_on_black
from .lines import Lines, divided
from .normalize import inked, reduced, without_specks

LARGE = 3_000_000                        # pixels; a larger image is reduced first
SMALLEST = 10, 4                         # pixels: height and width with which a letter can be told from another
MARGIN = 0.1                             # usual heights, around the ink of a line
INSIDE = 0.5                             # usual heights from the middle of a line: what comes in from outside the box and gets nearer is of this line too
SOFT = 2                                 # pixels around a stroke that are grey


class Oddity(NamedTuple):
    """Why an image should not be read as one line, and what to do."""

    what: str
    hint: str


def oddity(image: Image, lines: bool = False) -> Oddity | None:
    """What is odd about an image that should be one line; with `lines`, about one that may be a page of them. None: nothing."""
    height, width = image.pixels.shape
    if height < SMALLEST[0] or width < SMALLEST[1]:
        return Oddity(f"is too small to read: {width} x {height} pixels", f"scan it larger: a line should be at least {SMALLEST[0]} pixels high, better 60")
    x, _ = _ink(image.pixels)
    box = inked(x)
    if box is None:
        return Oddity("is empty: no ink was found", "is the writing too faint, or is it the wrong file?")
    if lines:
        return None
    count, (left, top, right, bottom) = len(divided(x).middles), box
    if count > 1:
        return Oddity(f"looks like a page of {count} lines", "--lines reads them one by one")
    if height > width and bottom - top > right - left:
        return Oddity("is taller than wide, as no line of writing is", "turn it by 90 degrees, or cut the line out")
    return None


def lines_of(image: Image) -> list[Box]:
    """Boxes of whole pixels around the lines, from the top down, with a small margin; they may overlap. None where there is no ink."""
    x, by = _ink(image.pixels)
    if inked(x) is None:
        return []
    found, (height, width) = divided(x), image.pixels.shape
    margin = MARGIN * found.usual
    boxes = []
    for number in range(len(found.middles)):
        left, top, right, bottom = inked(found.owners == number)
        boxes.append(Box(max(0, int((left - margin) * by)), max(0, int((top - margin) * by)),
                         min(width, int(np.ceil((right + margin) * by))), min(height, int(np.ceil((bottom + margin) * by)))))
    return boxes


def cut(image: Image, line: Box) -> Image:
    """The part of an image in the box of a line: of the lines that are there, that which fills it most; others are covered with paper."""
    left, top, right, bottom = (int(n) for n in line)
    part = image.pixels[top:bottom, left:right]
    x, by = _ink(part)
    if part.shape == image.pixels.shape or inked(x) is None:
        return Image(part)
    found = divided(x)
    main = max(range(len(found.middles)), key=lambda number: _area(inked(found.owners == number)))
    strange = (found.owners >= 0) & (found.owners != main) | _coming_in(found, main, above=top > 0, below=bottom < image.pixels.shape[0])
    return Image(_covered(part, _enlarged(strange, by, part.shape), _enlarged((found.owners == main) & ~strange, by, part.shape)))


def _area(box: tuple[int, int, int, int] | None) -> int:
    return 0 if box is None else (box[2] - box[0]) * (box[3] - box[1])


def _ink(pixels: np.ndarray) -> tuple[np.ndarray, int]:
    """Ink, of a large image reduced; and how many pixels, squared, went into each of its pixels."""
    by = int(np.ceil((pixels.size / LARGE) ** 0.5))
    return without_specks(density(reduced(pixels, by) if by > 1 else pixels)), max(1, by)


def _coming_in(found: Lines, main: int, above: bool, below: bool) -> np.ndarray:
    """Pieces of the main line that touch the upper or lower edge and do not reach its middle: ends of other lines' letters."""
    from scipy.ndimage import label

    own = found.owners == main
    pieces, count = label(own, np.ones((3, 3)))
    rows, columns = np.nonzero(own)
    off = np.abs(rows - found.slope * (columns - own.shape[1] / 2) - found.middles[main])
    reach = np.full(count + 1, np.inf)
    np.minimum.at(reach, pieces[rows, columns], off)
    touching = np.zeros(count + 1, bool)
    touching[pieces[[0] * above + [-1] * below].ravel()] = True
    touching[0] = False
    return (touching & (reach > INSIDE * found.usual))[pieces]


def _enlarged(mask: np.ndarray, by: int, shape: tuple[int, int]) -> np.ndarray:
    return mask.repeat(by, 0).repeat(by, 1)[:shape[0], :shape[1]]


def _covered(pixels: np.ndarray, strange: np.ndarray, own: np.ndarray) -> np.ndarray:
    """Pixels with paper over what is strange and its soft edges, but for what is own."""
    from scipy.ndimage import binary_dilation

    if not strange.any():
        return pixels
    around = np.ones((2 * SOFT + 1, 2 * SOFT + 1))
    hidden = binary_dilation(strange, around) & ~binary_dilation(own, around[:3, :3])
    gray = pixels.astype(np.float32)
    light = 255 - paper(255 - gray) if white_on_black(gray) else paper(gray)
    return np.where(hidden, np.clip(np.round(light), 0, 255), pixels).astype(np.uint8)
