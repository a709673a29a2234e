"""Handwriting as G-code for pen plotters: millimetres, y upwards, the pen lowered by Z."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ..files import write_text
from ..ink.frame import PEN, around
from ..types import Ink

UP, DOWN = 5.0, 0.0                          # of Z, millimetres
DRAWING, MOVING = 1500, 4000                 # millimetres a minute
MARGIN = 10.0                                # to the left of the writing and below it
LINE, SHEET = 12.0, (190.0, 277.0)           # millimetres: of a line's height; what may be written on, of A4


def write(ink: Ink, path: Path) -> None:
    write_text(path, program(ink))


def program(ink: Ink) -> str:
    """A line of writing is LINE high, or as high as the sheet allows."""
    points, frame = ink.points[:, :2], around(ink)
    low, high = points.min(0), points.max(0)
    scale = min(LINE * PEN / frame.pen, *(most / max(extent, 1e-9) for most, extent in zip(SHEET, high - low)))
    lines = ["; handwriting by recog", "G21 ; millimetres", "G90 ; absolute places", f"G0 Z{UP:.2f}"]
    for stroke in ink.strokes:
        places = np.column_stack([stroke[:, 0] - low[0], high[1] - stroke[:, 1]]) * scale + MARGIN
        lines += [f"G0 X{places[0, 0]:.3f} Y{places[0, 1]:.3f} F{MOVING}", f"G1 Z{DOWN:.2f} F{DRAWING}"]
        lines += [f"G1 X{x:.3f} Y{y:.3f} F{DRAWING}" for x, y in places[1:]]
        lines.append(f"G0 Z{UP:.2f}")
    return "\n".join([*lines, "G0 X0 Y0", "M2", ""])
