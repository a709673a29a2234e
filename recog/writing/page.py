"""Lines of writing on a page, and the pen's time."""

from __future__ import annotations

import textwrap
from typing import Sequence

import numpy as np

from ..errors import ConfigError
from ..pen import normalize
from ..types import Ink
from .curves import finer

FINE = 0.0125                                # seconds between points of what is written, at most about so many: it looks smooth then
LIFTED, SPEED = 0.1, 30.0                    # seconds that a pen is lifted at least; and how fast it goes to the next stroke, heights of small letters a second
SPACING = 3.2                                # between baselines, in heights of small letters
RAGGED = 0.25                                # deviation of where lines begin, in the same
NEWLINE = 0.5                                # seconds from line to line


def wrapped(text: str, width: int) -> list[str]:
    """Lines of at most `width` characters, broken between words; line ends in the text are kept. Raises ConfigError for no text."""
    lines = [line for paragraph in text.splitlines() for line in textwrap.wrap(paragraph, width, break_on_hyphens=False) or [""]]
    while lines and not lines[0]:
        lines.pop(0)
    while lines and not lines[-1]:
        lines.pop()
    if not lines:
        raise ConfigError("there is nothing to write", where="the text")
    return lines


def timed(points: np.ndarray, height: float, step: float = FINE, begin: float = 0.0) -> Ink:
    """Offsets and stroke ends [T, 3] as places on the paper, with seconds from `begin` on; between points that are far apart in time lie
    others on a smooth curve. height: of small letters, in the ink's units; step: seconds between the points that are given."""
    places, clock, strokes = np.cumsum(points[:, :2], axis=0), begin, []
    parts = max(1, round(step / FINE))
    ends = np.flatnonzero(points[:, 2] > 0.5) + 1
    for part in np.split(places, ends[ends < len(points)]):
        if strokes:
            clock += LIFTED + float(np.hypot(*(part[0] - strokes[-1][-1, :2]))) / (SPEED * height)
        part = finer(part, parts)
        seconds = clock + np.arange(len(part)) * step / parts
        strokes.append(np.column_stack([part, seconds]))
        clock = float(seconds[-1])
    return Ink(tuple(strokes))


def together(lines: Sequence[Ink | None], height: float, rng: np.random.Generator) -> Ink:
    """Lines one below the other, each made level, with a margin that is ragged as by hand; None: an empty one.

    height: of small letters, in the ink's units.
    """
    strokes: list[np.ndarray] = []
    for number, line in enumerate(lines):
        if line is None:
            continue
        level = normalize.without_slope([np.array(s) for s in line.strokes])
        base = normalize.lines(level)[1]
        left = min(s[:, 0].min() for s in level)
        aside = rng.normal(0, RAGGED * height) if len(lines) > 1 else 0.0
        clock = strokes[-1][-1, 2] + NEWLINE if strokes else 0.0
        move = np.array([aside - left, number * SPACING * height - base, clock - level[0][0, 2]])
        strokes += [s + move for s in level]
    return Ink(tuple(strokes))
