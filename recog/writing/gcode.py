"""Handwriting as G-code for pen plotters: millimetres, y upwards, the pen lowered by Z."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ..files import write_text
from ..types import Ink

UP, DOWN = 5.0, 0.0                          # of Z, millimetres
DRAWING, MOVING = 1500, 4000                 # millimetres a minute
MARGIN = 10.0                                # to the left of the writing and below it


def write(ink: Ink, path: Path, width: float = 180.0) -> None:
    """width: of the writing, millimetres."""
    write_text(path, program(ink, width))


def program(ink: Ink, width: float = 180.0) -> str:
    points = ink.points[:, :2]
    low, high = points.min(0), points.max(0)
    scale = width / max(high[0] - low[0], 1e-9)
    lines = ["; handwriting by recog", "G21 ; millimetres", "G90 ; absolute places", f"G0 Z{UP:.2f}"]
    for stroke in ink.strokes:
        places = np.column_stack([stroke[:, 0] - low[0], high[1] - stroke[:, 1]]) * scale + MARGIN
        lines += [f"G0 X{places[0, 0]:.3f} Y{places[0, 1]:.3f} F{MOVING}", f"G1 Z{DOWN:.2f} F{DRAWING}"]
        lines += [f"G1 X{x:.3f} Y{y:.3f} F{DRAWING}" for x, y in places[1:]]
        lines.append(f"G0 Z{UP:.2f}")
    return "\n".join([*lines, "G0 X0 Y0", "M2", ""])
