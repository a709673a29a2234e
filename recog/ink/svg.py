"""SVG: what is drawn as lines in and out. Each subpath is a stroke; one path per stroke is written.

Read are path, polyline and line, with the transforms of all that they stand in. Left out are shapes that are filled and
have no line (the insides of letters say nothing about a pen), what is not shown, text, clones by `use`, and style sheets;
the scale of the whole drawing's viewBox changes nothing about the ink.
"""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Iterator
from xml.etree.ElementTree import Element

import numpy as np

from ..errors import DataError
from ..files import write_text
from ..types import Ink
from . import checks, pathdata
from .frame import around
from .xml import split

ROOT = "svg"
NAMESPACE = "http://www.w3.org/2000/svg"
TIMES = "data-t"                         # seconds, one for each point of a path

_GROUPS = {"svg", "g", "a", "switch"}
_LINES = {"path", "polyline", "line"}
_TRANSFORM = re.compile(r"[\s,]*+([A-Za-z]++)\s*+\(([^()]*+)\)[\s,]*+")
_LENGTH = re.compile(rf"\s*+({pathdata.NUMBER.pattern})(?:px)?\s*+")


def strokes(root: Element, path: Path) -> Ink:
    """Raises DataError naming the path (line, polyline), counted among those that are ink, that cannot be read."""
    space = split(root.tag)[0]
    if space not in ("", NAMESPACE):
        raise DataError(f"has the root 'svg' of the namespace '{space}', which is not SVG's", where=path, hint=f"SVG's is {NAMESPACE}")
    found: list[np.ndarray] = []
    for number, (element, name, matrix) in enumerate(_drawn(root, path), 1):
        try:
            lines = _points(element, name)
            times = _times(element, sum(map(len, lines)))
        except ValueError as error:
            raise DataError(f"{name} {number} {error}", where=path) from None
        for points in lines:
            found.append(np.column_stack([points @ matrix[:2, :2].T + matrix[:2, 2], times[:len(points)]]))
            times = times[len(points):]
    return checks.ink(found, path)


def _drawn(root: Element, path: Path) -> Iterator[tuple[Element, str, np.ndarray]]:
    """(element, name, matrix [3, 3] to the outermost coordinates) of all that is ink, in the order of the file."""
    space = split(root.tag)[0]
    waiting = [(root, np.eye(3), {})]
    while waiting:
        element, matrix, style = waiting.pop()
        inside, name = split(element.tag)
        if inside != space or name not in _GROUPS | _LINES:
            continue
        style = style | _style(element)
        if style.get("display") == "none":
            continue
        try:
            if "transform" in element.attrib:
                matrix = matrix @ transform(element.attrib["transform"])
        except ValueError as error:
            raise DataError(f"transform {error}", where=path) from None
        if name == ROOT and element is not root:
            matrix = matrix @ _inner(element, path)
        if not abs(matrix).max() <= pathdata.LARGEST:
            raise DataError(f"has transforms that together go beyond {pathdata.LARGEST:g}", where=path)
        if name in _GROUPS:
            waiting.extend((child, matrix, style) for child in reversed(element))
        elif style.get("visibility") not in ("hidden", "collapse") and _is_line(style):
            yield element, name, matrix


def _inner(element: Element, path: Path) -> np.ndarray:
    """Where a drawing within the drawing is put, [3, 3]: its viewBox fills its width or height and is in the middle of the other."""
    try:
        x, y = _length(element, "x"), _length(element, "y")
        box = pathdata.numbers(element.get("viewBox", ""))
        if len(box) != 4 or min(box[2:]) <= 0:
            return transform(f"translate({x} {y})")
        width, height = (_length(element, name) if name in element.attrib else extent for name, extent in zip(("width", "height"), box[2:]))
    except ValueError as error:
        raise DataError(f"a drawing within the drawing {error}", where=path) from None
    scale = min(width / box[2], height / box[3])
    return transform(f"translate({x + width / 2} {y + height / 2}) scale({scale}) translate({-box[0] - box[2] / 2} {-box[1] - box[3] / 2})")


def _style(element: Element) -> dict[str, str]:
    """What an element says of itself, by attributes or a style; a style counts more."""
    pairs = (part.partition(":") for part in element.get("style", "").split(";"))
    said = dict(element.attrib) | {name.strip(): value.strip() for name, _, value in pairs}
    return {name: said[name] for name in ("fill", "stroke", "display", "visibility") if said.get(name, "inherit") != "inherit"}


def _is_line(style: dict[str, str]) -> bool:
    """Where neither line nor filling is spoken of, a style sheet may do so, and it is taken for ink."""
    return style.get("stroke", "none") != "none" or ("stroke" not in style and style.get("fill", "none") == "none")


def transform(text: str) -> np.ndarray:
    """The matrix [3, 3] of a transform attribute. Raises ValueError."""
    matrix, at, text = np.eye(3), 0, "" if text.strip() == "none" else text.rstrip()
    while at < len(text):
        match = _TRANSFORM.match(text, at)
        if not match:
            raise ValueError(f"'{text[at:].strip()[:20]}' cannot be read")
        matrix = matrix @ _matrix(match[1], pathdata.numbers(match[2]))
        if not abs(matrix).max() <= pathdata.LARGEST:
            raise ValueError(f"goes beyond {pathdata.LARGEST:g}")
        at = match.end()
    return matrix


def _matrix(name: str, v: list[float]) -> np.ndarray:
    matrix = np.eye(3)
    if name == "matrix" and len(v) == 6:
        matrix[:2] = np.reshape(v, (3, 2)).T
    elif name == "translate" and len(v) in (1, 2):
        matrix[:2, 2] = v[0], v[1] if len(v) == 2 else 0.0
    elif name == "scale" and len(v) in (1, 2):
        matrix[0, 0], matrix[1, 1] = v[0], v[-1]
    elif name == "rotate" and len(v) in (1, 3):
        cos, sin = math.cos(math.radians(v[0])), math.sin(math.radians(v[0]))
        matrix[:2, :2] = [[cos, -sin], [sin, cos]]
        center = np.array(v[1:] or (0.0, 0.0))
        matrix[:2, 2] = center - matrix[:2, :2] @ center
    elif name == "skewX" and len(v) == 1:
        matrix[0, 1] = math.tan(math.radians(v[0]))
    elif name == "skewY" and len(v) == 1:
        matrix[1, 0] = math.tan(math.radians(v[0]))
    else:
        raise ValueError(f"'{name}' with {len(v)} numbers is unknown")
    return matrix


def _points(element: Element, name: str) -> list[np.ndarray]:
    """The points [N, 2] of each stroke, before any transform."""
    if name == "path":
        return pathdata.subpaths(element.get("d", ""))
    if name == "line":
        return [np.array([[_length(element, "x1"), _length(element, "y1")], [_length(element, "x2"), _length(element, "y2")]])]
    values = pathdata.numbers(element.get("points", ""))
    if len(values) % 2:
        raise ValueError(f"has {len(values)} numbers, which do not make points")
    return [np.array(values, np.float64).reshape(-1, 2)]


def _length(element: Element, name: str) -> float:
    match = _LENGTH.fullmatch(element.get(name, "0"))
    if not match:
        raise ValueError(f"has the {name} '{element.get(name)[:20]}', which is no number")
    return pathdata.numbers(match[1])[0]


def _times(element: Element, points: int) -> np.ndarray:
    """Seconds [points]; unknown if there are not as many as points, as when the path was edited since."""
    try:
        values = np.array(pathdata.numbers(element.get(TIMES, "")), np.float64)
    except ValueError:                                       # another program's
        return np.full(points, np.nan)
    return values if len(values) == points else np.full(points, np.nan)


def write(ink: Ink, path: Path) -> None:
    """Fits any size: there is a viewBox, and no width or height. Every number in full; times are kept as `data-t`."""
    frame = around(ink)
    box = " ".join(map(repr, frame[:4]))
    style = f'fill="none" stroke="black" stroke-width="{frame.pen!r}" stroke-linecap="round" stroke-linejoin="round"'
    lines = ['<?xml version="1.0" encoding="UTF-8"?>', f'<svg xmlns="{NAMESPACE}" viewBox="{box}">', f"  <g {style}>"]
    for stroke in ink.strokes:
        places = [f"{x!r} {y!r}" for x, y in stroke[:, :2].tolist()]
        drawn = "M" + " L".join(places) + ("Z" if len(places) == 1 else "")
        times = "" if checks.untimed(stroke) else f' {TIMES}="{" ".join(map(repr, stroke[:, 2].tolist()))}"'
        lines.append(f'    <path d="{drawn}"{times}/>')
    write_text(path, "\n".join([*lines, "  </g>", "</svg>", ""]))
