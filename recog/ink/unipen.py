"""UNIPEN 1.0: plain text of keywords that start with a dot, pen components, and segments that say what they spell.

y grows upwards there and is turned over here. Files named by .INCLUDE are not read, nor are units such as .X_DIM.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Iterator

import numpy as np

from ..errors import DataError
from ..types import Ink
from . import checks, source

OTHERWISE = "latin-1"                    # of comments and labels that are not UTF-8
SLOWEST = 1e-3                           # points per second

_KEYWORD = re.compile(r"^[ \t]*+(\.[A-Z][A-Z0-9_]*+)(?=\s|$)", re.MULTILINE)
_WITHIN = re.compile(r"(?<=[ \t])(\.[A-Z][A-Z0-9_]*+)(?=\s|$)")
_NUMBERS = {".PEN_DOWN", ".PEN_UP", ".DT"}
_PLACE = re.compile(r"(\d+)(?::(\d+))?(?:-(\d+)(?::(\d+))?)?")
_SEGMENT = re.compile(r'(\S+)\s+([^\s"]+)(?:\s+([^\s"]+))?(?:\s+"((?:[^"\\]|\\.)*)")?', re.DOTALL)
_ESCAPES = {"n": "\n", "t": "\t"}


@dataclass
class _State:
    """How the numbers that follow are meant, and how far the pen's clock has run."""

    columns: list[str] = field(default_factory=lambda: ["X", "Y"])
    rate: float | None = None            # points per second
    clock: float = 0.0                   # seconds, of the next point


@dataclass(frozen=True)
class _Component:
    """The points between two changes of the pen."""

    down: bool
    rows: np.ndarray                     # [N, 3]


@dataclass(frozen=True)
class _Segment:
    line: int
    level: str                           # of the hierarchy: PAGE, WORD, DIGIT, ...
    places: str                          # numbers of components, and of points in them
    label: str


def strokes(text: str, path: Path) -> Ink:
    """All that was written, in the file's order. Raises DataError naming the line."""
    components, _ = _parse(text, path)
    return checks.ink([component.rows for component in components if component.down], path)


def segments(path: Path, level: str | None = None) -> list[tuple[str, Ink]]:
    """The label and the ink of each .SEGMENT (of one level of the hierarchy, if named), in the file's order.

    Components are counted from 0: each .PEN_DOWN, and each .PEN_UP that holds points. Raises DataError naming the line,
    also for a segment of what is not there.
    """
    components, found = _parse(source.text(source.content(path), path, OTHERWISE), path)
    labelled = []
    for segment in found:
        if level is None or segment.level == level:
            try:
                ink = checks.ink(_cut(components, segment.places), path)
            except ValueError as error:
                raise DataError(f"line {segment.line}: {error}", where=path) from None
            if not ink.strokes:
                raise DataError(f"line {segment.line}: segment '{segment.places}' holds no ink", where=path)
            labelled.append((segment.label, ink))
    return labelled


def _cut(components: list[_Component], places: str) -> Iterator[np.ndarray]:
    """The written rows at "0-2", "0,2" or, with numbers of points, "0:3-2:7": both ends belong to it."""
    for part in places.split(","):
        match = _PLACE.fullmatch(part)
        if not match:
            raise ValueError(f"segment '{places}' is not made of numbers of components")
        first, start, last, end = match.groups()
        first, last = _count(first), _count(last or first)
        end = end if match[3] else start                        # "2:7" is one point
        if max(first, last) >= len(components):
            raise ValueError(f"segment '{places}' ends at component {max(first, last)}, and there are {len(components)}, counted from 0")
        for place in range(first, last + 1):
            rows = components[place].rows
            rows = rows[_count(start) if start and place == first else 0:_count(end) + 1 if end and place == last else len(rows)]
            if components[place].down and len(rows):
                yield rows


def _count(digits: str) -> int:
    return int(digits) if len(digits) <= 18 else 10 ** 18     # more than any file has


def _parse(text: str, path: Path) -> tuple[list[_Component], list[_Segment]]:
    state = _State()
    components: list[_Component] = []
    found: list[_Segment] = []
    for line, keyword, rest in _statements(text):
        try:
            if keyword in (".PEN_DOWN", ".PEN_UP"):
                component = _Component(keyword == ".PEN_DOWN", _rows(rest, state))
                if component.down or len(component.rows):
                    components.append(component)
            elif keyword == ".COORD":
                state.columns = _columns(rest)
            elif keyword == ".POINTS_PER_SECOND":
                state.rate = _rate(rest)
            elif keyword == ".DT":                                  # from the last point before to the first after
                state.clock += sum(_numbers(rest)[:1]) / 1000 - (1 / state.rate if state.rate else 0.0)
            elif keyword == ".SEGMENT":
                found.append(_segment(rest, line))
        except ValueError as error:
            raise DataError(f"line {line}: {keyword} {error}", where=path) from None
    return components, found


def _statements(text: str) -> Iterator[tuple[int, str, str]]:
    """(line, keyword, what follows it) of all that begin a line, and of those that stand among numbers."""
    starts = list(_KEYWORD.finditer(text))
    line, counted = 1, 0
    for start, following in zip(starts, [*starts[1:], None]):
        line, counted = line + text.count("\n", counted, start.start(1)), start.start(1)
        keyword, rest = start[1], text[start.end():following.start() if following else len(text)]
        if keyword not in _NUMBERS:
            yield line, keyword, rest
            continue
        pieces = [keyword, *_WITHIN.split(rest)]
        for name, numbers in zip(pieces[::2], pieces[1::2]):
            yield line, name, numbers


def _rows(rest: str, state: _State) -> np.ndarray:
    values = _numbers(rest)
    if len(values) % len(state.columns):
        raise ValueError(f"has {len(values)} numbers, which do not make points of {len(state.columns)} ({' '.join(state.columns)})")
    points = np.array(values, np.float64).reshape(-1, len(state.columns))
    rows = np.full((len(points), 3), np.nan)
    rows[:, 0] = points[:, state.columns.index("X")]
    rows[:, 1] = -points[:, state.columns.index("Y")]
    if "T" in state.columns:
        rows[:, 2] = points[:, state.columns.index("T")] / 1000     # milliseconds
    elif state.rate:
        rows[:, 2] = state.clock + np.arange(len(points)) / state.rate
        state.clock += len(points) / state.rate
    return rows


def _numbers(rest: str) -> list[float]:
    found = []
    for word in rest.split():
        try:
            found.append(float(word))
        except ValueError:
            raise ValueError(f"has '{word[:20]}' where a number should be") from None
    return found


def _columns(rest: str) -> list[str]:
    columns = rest.split()
    if not {"X", "Y"} <= set(columns):
        raise ValueError(f"names the columns '{' '.join(columns)[:40]}', without X and Y")
    return columns


def _rate(rest: str) -> float:
    values = _numbers(rest)
    if not values or not SLOWEST <= values[0] < float("inf"):
        raise ValueError(f"gives no rate of at least {SLOWEST:g}")
    return values[0]


def _segment(rest: str, line: int) -> _Segment:
    match = _SEGMENT.match(rest.strip())
    if not match:
        raise ValueError("does not say what it is and which components it has")
    label = re.sub(r"\\(.)", lambda escaped: _ESCAPES.get(escaped[1], escaped[1]), match[4] or "", flags=re.DOTALL)
    return _Segment(line, match[1], match[2], " ".join(label.split()))
