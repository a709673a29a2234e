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
COLUMN = 3.0                             # height of the ink over its width that no page has, but a line that stands upright
MARGIN = 0.1                             # usual heights, around the ink of a line
SOFT = 2                                 # pixels around a stroke that are grey


class Oddity(NamedTuple):
    """Why an image should not be read as one line, and what to do."""

    what: str
    hint: str


def oddity(image: Image, lines: bool = False) -> Oddity | None:
    """What is odd about an image that should be one line; with `lines`, about one that may be a page of them. None: nothing."""
    height, width = image.pixels.shape
    if height < SMALLEST[0] or width < SMALLEST[1]:
        return Oddity(f"is too small to read: {width} x {height} pixels",
                      f"scan it larger: a line should be at least {SMALLEST[0]} pixels high, better 60")
    x, _ = _ink(image.pixels)
    box = inked(x)
    if box is None:
        return Oddity("is empty: no ink was found", "is the writing too faint, or is it the wrong file?")
    if lines:
        return None
    count, taller = len(divided(x).middles), (box[3] - box[1]) / (box[2] - box[0])
    if height > width and taller > (1 if count == 1 else COLUMN):
        return Oddity("is taller than wide, as no line of writing is", "turn it by 90 degrees; or --lines, if it is a page of short lines")
    if count > 1:
        return Oddity(f"looks like a page of {count} lines", "--lines reads them one by one")
    return None


def lines_of(image: Image) -> list[Box]:
    """Boxes of whole pixels around the lines, from the top down, with a small margin; they may overlap. None where there is no ink."""
    x, by = _ink(image.pixels)
    return [] if inked(x) is None else _boxes(divided(x), by, image.pixels.shape)


def line_images(image: Image) -> list[tuple[Box, Image]]:
    """The same, each with its part of the image, in which what other lines have in the box is covered with paper."""
    x, by = _ink(image.pixels)
    if inked(x) is None:
        return []
    found, light = divided(x), _light(image.pixels)
    parts = []
    for number, (left, top, right, bottom) in enumerate(_boxes(found, by, image.pixels.shape)):
        place = slice(top, bottom), slice(left, right)
        owners = found.owners[top // by:-(-bottom // by), left // by:-(-right // by)].repeat(by, 0).repeat(by, 1)
        owners = owners[top % by:, left % by:][:bottom - top, :right - left]
        hidden = _around(owners >= 0, owners != number, SOFT) & ~_around(owners >= 0, owners == number, 1)
        parts.append((Box(left, top, right, bottom), Image(np.where(hidden, light[place], image.pixels[place]))))
    return parts


def _boxes(found: Lines, by: int, shape: tuple[int, int]) -> list[Box]:
    margin, boxes = MARGIN * found.usual, []
    for number in range(len(found.middles)):
        left, top, right, bottom = inked(found.owners == number)
        boxes.append(Box(max(0, int((left - margin) * by)), max(0, int((top - margin) * by)),
                         min(shape[1], int(np.ceil((right + margin) * by))), min(shape[0], int(np.ceil((bottom + margin) * by)))))
    return boxes


def _ink(pixels: np.ndarray) -> tuple[np.ndarray, int]:
    """Ink, of a large image reduced; and how many pixels, squared, went into each of its pixels."""
    by = int(np.ceil((pixels.size / LARGE) ** 0.5))
    return without_specks(density(reduced(pixels, by) if by > 1 else pixels)), max(1, by)


def _light(pixels: np.ndarray) -> np.ndarray:
    """What the paper would be at each place, uint8 [H, W]."""
    gray = pixels.astype(np.float32)
    light = 255 - paper(255 - gray) if white_on_black(gray) else paper(gray)
    return np.clip(np.round(light), 0, 255).astype(np.uint8)


def _around(ink: np.ndarray, chosen: np.ndarray, pixels: int) -> np.ndarray:
    """What is chosen of the ink, and so many pixels around it."""
    from scipy.ndimage import binary_dilation

    return binary_dilation(ink & chosen, np.ones((2 * pixels + 1, 2 * pixels + 1)))
