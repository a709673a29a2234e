"""Ink as JSON: recog's own form, strokes as lists of points, and QuickDraw's drawings.

    {"strokes": [{"x": [0, 1], "y": [0, 2], "t": [0.0, 0.01]}]}     columns, seconds ("t" may be left out): what recog writes
    {"strokes": [[[0, 0, 0.0], [1, 2, 0.01]]]}                      points [x, y] or [x, y, seconds]; also without the outer object
    {"drawing": [[[0, 1], [0, 2], [0, 10]]]}                        QuickDraw: [xs, ys] or [xs, ys, milliseconds]

Two points and a pair of columns can look alike, so the key says which is meant.
"""

from __future__ import annotations

import json
from itertools import repeat
from pathlib import Path
from typing import Any

from ..errors import DataError
from ..files import write_text
from ..types import Ink
from . import checks

_UNKNOWN = float("nan")


def strokes(text: str, path: Path) -> Ink:
    """Raises DataError naming the stroke that is not in one of the forms."""
    try:
        value = json.loads(text, parse_int=float)           # an integer of a thousand digits is then infinite, which is noticed
    except RecursionError:
        raise DataError("is not ink: its lists are nested too deeply", where=path) from None
    except ValueError as error:
        raise DataError(f"is not readable JSON: {error}", where=path, hint="was it cut short or edited?") from None
    form, listed = _form(value)
    if not isinstance(listed, list):
        raise DataError("holds no list of strokes", where=path, hint='ink looks like {"strokes": [{"x": [0, 1], "y": [0, 2]}]}')
    found = []
    for number, stroke in enumerate(listed, 1):
        try:
            found.append(form(stroke))
        except ValueError as error:
            raise DataError(f"stroke {number} {error}", where=path) from None
    return checks.ink(found, path)


def _form(value: Any) -> tuple[Any, Any]:
    if not isinstance(value, dict):
        return _stroke, value
    return (_quickdraw, value["drawing"]) if "drawing" in value and "strokes" not in value else (_stroke, value.get("strokes"))


def _stroke(stroke: Any) -> list[tuple[float, float, float]]:
    if isinstance(stroke, dict):
        if unknown := [key for key in ("x", "y") if key not in stroke]:
            raise ValueError(f"has no '{unknown[0]}'")
        return _columns(stroke["x"], stroke["y"], stroke.get("t"), 1.0)
    if not isinstance(stroke, list):
        raise ValueError('is neither a list of points nor an object with "x" and "y"')
    return [_point(point, number) for number, point in enumerate(stroke, 1)]


def _point(point: Any, number: int) -> tuple[float, float, float]:
    if not isinstance(point, list):
        raise ValueError(f"has a point {number} that is not [x, y] or [x, y, seconds]")
    if len(point) not in (2, 3):
        raise ValueError(f"has {len(point)} values for point {number}, not [x, y] or [x, y, seconds]; columns go under \"drawing\"")
    time = _UNKNOWN if len(point) == 2 or point[2] is None else _number(point[2])
    return _number(point[0]), _number(point[1]), time


def _quickdraw(stroke: Any) -> list[tuple[float, float, float]]:
    if not isinstance(stroke, list) or len(stroke) not in (2, 3):
        raise ValueError("is not [xs, ys] or [xs, ys, milliseconds], as strokes of a drawing are")
    return _columns(stroke[0], stroke[1], stroke[2] if len(stroke) == 3 else None, 1000.0)


def _columns(xs: Any, ys: Any, ts: Any, per_second: float) -> list[tuple[float, float, float]]:
    if not (isinstance(xs, list) and isinstance(ys, list) and (ts is None or isinstance(ts, list))):
        raise ValueError("has x, y or t that is not a list")
    lengths = [len(xs), len(ys), *([] if ts is None else [len(ts)])]
    if len(set(lengths)) > 1:
        raise ValueError("has x, y and t of different lengths: " + ", ".join(map(str, lengths)))
    times = repeat(_UNKNOWN) if ts is None else (_UNKNOWN if t is None else _number(t) / per_second for t in ts)
    return [(_number(x), _number(y), t) for x, y, t in zip(xs, ys, times)]


def _number(value: Any) -> float:
    if not isinstance(value, float):
        raise ValueError(f"holds {_shown(value)} where a number should be")
    return value


def _shown(value: Any) -> str:
    """A value of JSON in a few letters."""
    if isinstance(value, (list, dict)):
        return "a list" if isinstance(value, list) else "an object"
    shown = json.dumps(value, ensure_ascii=False)
    return shown if len(shown) <= 20 else shown[:20] + "..."


def write(ink: Ink, path: Path) -> None:
    write_text(path, written(ink))


def written(ink: Ink, **beside: Any) -> str:
    """Every number in full, one stroke a line. beside: further keys."""
    lines = []
    for stroke in ink.strokes:
        known = {"x": stroke[:, 0], "y": stroke[:, 1], **({} if checks.untimed(stroke) else {"t": stroke[:, 2]})}
        lines.append(json.dumps({name: values.tolist() for name, values in known.items()}))
    more = "".join(f"{json.dumps(key)}: {json.dumps(value, ensure_ascii=False)}, " for key, value in beside.items())
    return "{" + more + '"strokes": [\n' + ",\n".join(lines) + "\n]}\n"
