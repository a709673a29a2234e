"""Where ink lies on a picture of it: the box around it, a margin, and the width of the pen."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ..types import Ink

PEN = 0.015                              # width, in heights of a line
LINE = 3.0                               # height of a line, at most, in those of its strokes: ink that is higher is a page
MARGIN = 0.05                            # on each side, in heights
FLATTEST = 0.05                          # the box is at least this part of its width high, also around a dash
SMALLEST = 1e-6                          # ink that is not larger is a dot, in a box made for a height of 1


class Frame(NamedTuple):
    """In the ink's own units."""

    left: float
    top: float
    width: float
    height: float
    pen: float


def around(ink: Ink) -> Frame:
    points = ink.points[:, :2]
    low, high = points.min(0), points.max(0)
    width, height = (high - low).tolist()
    tall = max(height, FLATTEST * width)
    scale = tall if tall > SMALLEST else 1.0
    margin = (MARGIN + PEN / 2) * scale
    top = float(low[1]) - (tall - height) / 2
    strokes = [float(np.ptp(stroke[:, 1])) for stroke in ink.strokes]
    line = LINE * float(np.percentile(strokes, 75))
    pen = PEN * (min(line, scale) if line > FLATTEST * scale else scale)
    return Frame(float(low[0]) - margin, top - margin, width + 2 * margin, tall + 2 * margin, pen)
