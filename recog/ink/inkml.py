"""InkML, the ink markup language of the W3C (Recommendation of 20 September 2011).

Read are traces in their groups, and what says how their numbers are meant: the traceFormat in force, found by way of
contexts and ink sources. Traces of a lifted pen are left out; so are brushes, annotations, views and canvas transforms.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Iterator, Mapping
from xml.etree.ElementTree import Element

import numpy as np

from ..errors import DataError
from ..files import write_text
from ..types import Ink
from . import checks, trace
from .xml import split

ROOT = "ink"
NAMESPACE = "http://www.w3.org/2003/InkML"
MILLIMETERS = {"m": 1000.0, "cm": 10.0, "mm": 1.0, "in": 25.4, "pt": 25.4 / 72, "pc": 25.4 / 6}
SECONDS = {"": 1e-3, "ms": 1e-3, "s": 1.0, "us": 1e-6, "min": 60.0}        # no unit: milliseconds; another: times are not known

_ID = "{http://www.w3.org/XML/1998/namespace}id"
_REFERENCES = ("traceFormatRef", "inkSourceRef", "contextRef")
_UNKNOWN = float("nan")


@dataclass(frozen=True)
class Format:
    """What the numbers of a point are, by their places in it."""

    regular: int                         # channels that every point has
    channels: int                        # those, and the intermittent ones after them
    wanted: Mapping[int, float]          # place: value if not measured; of x, y and, if there is one, time
    factors: tuple[float, ...]           # ... to the unit of x, and to seconds
    relative: bool                       # time counts from the start of the trace


PLAIN = Format(2, 2, {0: _UNKNOWN, 1: _UNKNOWN}, (1.0, 1.0), True)        # where nothing is said


def strokes(root: Element, path: Path) -> Ink:
    """x and y in the unit of x, if one is named. Raises DataError naming the trace that cannot be read."""
    space = split(root.tag)[0]
    if space not in ("", NAMESPACE):
        raise DataError(f"is ink of the namespace '{space}', which is not InkML's", where=path, hint=f"InkML's is {NAMESPACE}")
    document = _Document(root, path)
    found: list[np.ndarray] = []
    places: dict[str, int] = {}
    for number, (element, form) in enumerate(document.traces(), 1):
        if element.get("type", "penDown").lower() == "penup":
            continue
        try:
            rows = _rows(element, form)
            before = document.follow(element, "priorRef") if element.get("continuation") in ("middle", "end") else None
        except ValueError as error:
            raise DataError(f"trace {number}: {error}", where=path) from None
        place = places.get(before.get(_ID)) if before is not None else None
        if place is None:
            place = len(found)
            found.append(rows)
        else:
            found[place] = np.concatenate([found[place], rows])
        if _ID in element.attrib:
            places[element.attrib[_ID]] = place
    return checks.ink(found, path)


def _rows(element: Element, form: Format) -> np.ndarray:
    """A trace's points [N, 3]; those of which x or y was not measured are left out."""
    values = trace.values(element.text or "", form.regular, form.channels, form.wanted)
    with np.errstate(over="ignore"):                                # what becomes infinite is noticed later
        values = values * form.factors
    rows = np.full((len(values), 3), _UNKNOWN)
    rows[:, :values.shape[1]] = values
    if form.relative and "timeOffset" in element.attrib:
        rows[:, 2] += _number(element, "timeOffset") * 1e-3
    return rows[~np.isnan(rows[:, :2]).any(1)]


def _number(element: Element, name: str) -> float:
    """An attribute that is there."""
    try:
        return float(element.attrib[name])
    except ValueError:
        raise ValueError(f"has the {name} '{element.attrib[name][:20]}', which is no number") from None


class _Document:
    """An ink element: what its references mean, and which format each trace is in."""

    def __init__(self, root: Element, path: Path):
        self.root, self.path = root, path
        self.space = split(root.tag)[0]
        self.named = {element.attrib[_ID]: element for element in root.iter() if _ID in element.attrib}
        self.formats: dict[Element, Format] = {}

    def name(self, element: Element) -> str:
        """Of an element of InkML, else ""."""
        space, name = split(element.tag)
        return name if space == self.space else ""

    def traces(self) -> Iterator[tuple[Element, Format]]:
        """In the document's order. A trace's own context counts before its group's, and that before the last one given."""
        current: Element | None = None
        waiting = [(child, None) for child in reversed(self.root)]
        while waiting:
            element, inherited = waiting.pop()
            name = self.name(element)
            if name in ("context", "traceFormat"):
                current = self.format_element(element)
            elif name == "traceGroup":
                own = self.format_element(element)
                inherited = inherited if own is None else own
                waiting.extend((child, inherited) for child in reversed(element))
            elif name == "trace":
                own = self.format_element(element)
                yield element, self.format(own if own is not None else inherited if inherited is not None else current)

    def follow(self, element: Element, attribute: str) -> Element | None:
        """The element that an attribute refers to; None if there is no such attribute, or for the built-in ones."""
        reference = element.get(attribute, "")
        name = reference.rpartition("#")[2]
        if not name or name.startswith("Default"):
            return None
        if name not in self.named:
            raise DataError(f"{attribute} names '{reference}', which is not in the file", where=self.path)
        return self.named[name]

    def format_element(self, element: Element) -> Element | None:
        """The traceFormat that an element is, holds, or refers to, over any number of steps; the nearest first."""
        seen: set[Element] = set()
        waiting = [element]
        while waiting:
            element = waiting.pop()
            if self.name(element) == "traceFormat":
                return element
            if element not in seen:
                seen.add(element)
                held = [child for child in element if self.name(child) in ("traceFormat", "inkSource")]
                named = [self.follow(element, attribute) for attribute in _REFERENCES]
                waiting.extend(reversed(held + [each for each in named if each is not None]))
        return None

    def format(self, element: Element | None) -> Format:
        if element is None:
            return PLAIN
        if element not in self.formats:
            try:
                self.formats[element] = self._format(element)
            except ValueError as error:
                raise DataError(f"a traceFormat {error}", where=self.path) from None
        return self.formats[element]

    def _format(self, element: Element) -> Format:
        regular = [child for child in element if self.name(child) == "channel"]
        groups = [child for child in element if self.name(child) == "intermittentChannels"]
        channels = regular + [child for group in groups for child in group if self.name(child) == "channel"]
        places = {channel.get("name", ""): place for place, channel in reversed(list(enumerate(channels)))}
        for name in ("X", "Y"):
            if name not in places:
                raise ValueError(f"has no channel {name}")
        x, y, t = (channels[places[name]] if name in places else None for name in ("X", "Y", "T"))
        factors = [_sign(x), _sign(y) * _to_unit(y.get("units", ""), x.get("units", ""))]
        if t is not None:
            factors.append(SECONDS.get(t.get("units", ""), _UNKNOWN))
        wanted = {places[channel.get("name", "")]: _otherwise(channel) for channel in (x, y, t) if channel is not None}
        return Format(len(regular), len(channels), wanted, tuple(factors), t is None or "respectTo" not in t.attrib)


def _sign(channel: Element) -> float:
    return -1.0 if channel.get("orientation") == "-ve" else 1.0


def _to_unit(unit: str, other: str) -> float:
    """What a length in `unit` is multiplied by to be one in `other`."""
    if unit == other or not unit or not other:
        return 1.0
    if unit not in MILLIMETERS or other not in MILLIMETERS:
        raise ValueError(f"has X in '{other}' and Y in '{unit}', which cannot be brought to one unit")
    return MILLIMETERS[unit] / MILLIMETERS[other]


def _otherwise(channel: Element) -> float:
    return _number(channel, "default") if "default" in channel.attrib else _UNKNOWN


def write(ink: Ink, path: Path) -> None:
    """Device units and, if any times are known, seconds; "?" for those that are not. Every number in full."""
    timed = [not checks.untimed(stroke) for stroke in ink.strokes]
    channels = [("X", "dev"), ("Y", "dev"), *([("T", "s")] if any(timed) else [])]
    lines = [f'    <channel name="{name}" type="decimal" units="{unit}"/>' for name, unit in channels]
    lines = ['<?xml version="1.0" encoding="UTF-8"?>', f'<ink xmlns="{NAMESPACE}">', "  <traceFormat>", *lines, "  </traceFormat>"]
    for stroke, known in zip(ink.strokes, timed):
        times = [f" {t!r}" if known else " ?" for t in stroke[:, 2].tolist()] if any(timed) else [""] * len(stroke)
        points = (f"{x!r} {y!r}{t}" for (x, y), t in zip(stroke[:, :2].tolist(), times))
        lines.append("  <trace>" + ", ".join(points) + "</trace>")
    write_text(path, "\n".join([*lines, "</ink>", ""]))
