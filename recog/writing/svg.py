"""Handwriting as SVG: a smooth path for each stroke; drawn as one watches, if so wished."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Iterable

import numpy as np

from ..files import write_text
from ..ink.frame import Frame, around
from ..types import Ink
from .curves import beziers, outline, widths

NAMESPACE = "http://www.w3.org/2000/svg"
INK = "#1a2a5e"


def write(ink: Ink, path: Path, nib: bool = False, animated: bool = False) -> None:
    write_text(path, drawn(ink, nib, animated))


def drawn(ink: Ink, nib: bool = False, animated: bool = False) -> str:
    """An SVG document. nib: lines are the wider the slower the pen went; animated: strokes appear in the time that they took."""
    frame, start = around(ink), float(ink.strokes[0][0, 2])
    box = _numbers(frame[:4], digits(frame))
    lines = [f'<svg xmlns="{NAMESPACE}" viewBox="{box}" role="img">']
    for stroke in ink.strokes:
        if animated:
            lines.append(_appearing(stroke, frame, nib, start))
        else:
            lines.append(f"<path {_nib(stroke, frame) if nib else _line(stroke, frame)}/>")
    return "\n".join([*lines, "</svg>", ""])


def digits(frame: Frame) -> int:
    """After the point, of coordinates: a hundredth of the pen's width is told."""
    return max(0, 2 - math.floor(math.log10(frame.pen)))


def _line(stroke: np.ndarray, frame: Frame) -> str:
    return (f'd="{smooth(stroke[:, :2], digits(frame))}" fill="none" stroke="{INK}" stroke-width="{frame.pen:.{digits(frame)}f}" '
            'stroke-linecap="round" stroke-linejoin="round"')


def _nib(stroke: np.ndarray, frame: Frame) -> str:
    points = stroke[:, :2]
    if len(points) < 3:
        return _line(stroke, frame)
    edge = outline(points, frame.pen * widths(points, stroke[:, 2]))
    fine = digits(frame)
    return f'd="M{_numbers(edge.ravel(), fine)}Z" fill="{INK}" stroke="{INK}" stroke-width="{frame.pen / 4:.{fine}f}" stroke-linejoin="round"'


def _appearing(stroke: np.ndarray, frame: Frame, nib: bool, start: float) -> str:
    """Hidden until its time; then a line grows from its beginning, and one drawn with a nib is there at once."""
    begin, seconds = float(stroke[0, 2]) - start, float(stroke[-1, 2] - stroke[0, 2])
    shown = f'<set attributeName="opacity" to="1" begin="{begin:.3f}s"/>'
    if nib:
        return f'<path opacity="0" {_nib(stroke, frame)}>{shown}</path>'
    grows = f'<animate attributeName="stroke-dashoffset" from="1" to="0" begin="{begin:.3f}s" dur="{max(seconds, 0.001):.3f}s" fill="freeze"/>'
    return f'<path opacity="0" pathLength="1" stroke-dasharray="1 2" stroke-dashoffset="1" {_line(stroke, frame)}>{shown}{grows}</path>'


def smooth(points: np.ndarray, digits: int = 2) -> str:
    """Path data through all points [N, 2]; a single one is a dot."""
    start = f"M{_numbers(points[0], digits)}"
    if len(points) == 1:
        return f"{start}l0 0"
    return start + "C" + _numbers(np.concatenate([beziers(points), points[1:, None]], axis=1).ravel(), digits)


def _numbers(values: Iterable[float], digits: int) -> str:
    return " ".join(f"{value:.{digits}f}" for value in values)
