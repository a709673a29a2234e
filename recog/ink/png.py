"""Ink as a picture: black on white, smooth edges."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import RecogError
from ..files import writing
from ..types import Ink
from .frame import around

if TYPE_CHECKING:
    from PIL import Image

HEIGHT = 256                             # pixels, with the margin
TALLEST = 2048                           # pixels
SUPERSAMPLE = 4                          # each pixel is the mean of this many, squared
LARGEST = 6_000_000                      # pixels, 16 bytes each while drawing; what would have more is drawn lower
THINNEST = 1.0                           # pixels, of the pen


def write(ink: Ink, path: Path, height: int = HEIGHT) -> None:
    """height: as for `draw`."""
    picture = draw(ink, height)
    with writing(path) as partial:
        picture.save(partial, format="PNG")


def draw(ink: Ink, height: int = HEIGHT) -> Image.Image:
    """A gray picture `height` pixels high, or as high as a long line allows. Raises RecogError for a height out of bounds."""
    from PIL import Image, ImageDraw

    if not 1 <= height <= TALLEST:
        raise RecogError(f"a picture of ink is 1 to {TALLEST} pixels high, not {height}")
    frame = around(ink)
    scale = min(height / frame.height, (LARGEST / frame.width / frame.height) ** 0.5)
    size = max(1, round(frame.width * scale)), max(1, round(frame.height * scale))
    fine = scale * SUPERSAMPLE
    pen = max(THINNEST * SUPERSAMPLE, frame.pen * fine)
    picture = Image.new("L", (size[0] * SUPERSAMPLE, size[1] * SUPERSAMPLE), 255)
    drawing = ImageDraw.Draw(picture)
    for stroke in ink.strokes:
        points = ((stroke[:, :2] - (frame.left, frame.top)) * fine - 0.5).tolist()       # whole numbers are pixels' centers
        drawing.line([tuple(point) for point in points], fill=0, width=round(pen))
        for x, y in points:                                         # round ends and joints
            drawing.ellipse((x - pen / 2, y - pen / 2, x + pen / 2, y + pen / 2), fill=0)
    return picture.reduce(SUPERSAMPLE)
