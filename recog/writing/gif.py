"""Handwriting as an animated GIF: the pen in its own time."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Iterator

import numpy as np

from ..files import writing
from ..ink.frame import around
from ..types import Ink

if TYPE_CHECKING:
    from PIL import Image

RATE = 20                                    # pictures a second
HEIGHT, LARGEST = 200, 1_500_000             # pixels of a picture's height; and in all, beyond which it is smaller
FINE = 2                                     # each pixel is the mean of this many, squared
REST = 2.0                                   # seconds for which the last picture stays
MOST = 1200                                  # pictures; of longer writing, each shows a longer time


def write(ink: Ink, path: Path) -> None:
    frame = around(ink)
    scale = min(HEIGHT * _lines(ink) / frame.height, (LARGEST / frame.width / frame.height) ** 0.5)
    size = max(1, round(frame.width * scale)), max(1, round(frame.height * scale))
    start, end = ink.strokes[0][0, 2], ink.strokes[-1][-1, 2]
    step = max(1 / RATE, (end - start) / MOST)
    pictures = _pictures(ink, scale, max(1.5, frame.pen * scale) * FINE, size, (frame.left, frame.top), start + step, step)
    with writing(path) as partial:
        next(pictures).save(partial, format="GIF", save_all=True, append_images=pictures, duration=round(1000 * step), loop=0)


def _pictures(ink: Ink, scale: float, pen: float, size: tuple[int, int], corner: tuple[float, float], due: float, step: float) -> Iterator[Image.Image]:
    """What is written at each moment from `due` on, every `step` seconds, and for a while when all is."""
    from PIL import Image, ImageDraw

    whole = Image.new("L", (size[0] * FINE, size[1] * FINE), 255)
    drawing = ImageDraw.Draw(whole)
    for stroke in ink.strokes:
        places = (stroke[:, :2] - corner) * scale * FINE
        for number, (x, y) in enumerate(places):
            while stroke[number, 2] > due:
                yield whole.reduce(FINE)
                due += step
            drawing.ellipse((x - pen / 2, y - pen / 2, x + pen / 2, y + pen / 2), fill=0)
            if number:
                drawing.line([tuple(places[number - 1]), (x, y)], fill=0, width=round(pen))
    for _ in range(max(1, round(REST / step))):
        yield whole.reduce(FINE)


def _lines(ink: Ink) -> int:
    """About how many lines of writing there are: ink much higher than wide is several."""
    points = ink.points[:, :2]
    width, height = np.ptp(points, axis=0)
    return max(1, round(5 * height / max(width, 1e-9)))
