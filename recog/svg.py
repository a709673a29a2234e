"""Pictures for a page, as SVG text: curves over epochs, unit probabilities over time, a heat-map, an interval.

Colours are CSS variables (see STYLE), so a picture follows the page into dark mode. All text is escaped here.
"""

from __future__ import annotations

import html
import math
import unicodedata
from dataclasses import dataclass
from typing import Any, Mapping, Sequence

import numpy as np

COLORS = 8                                   # line colours; units take them in turn, in the order of time
WIDTH = 960
FRAMES, LABELS, STRIPS = 320, 70, 8          # of a strip at most (labels on average), and how many strips are drawn
SHOWN, FAINT = 0.1, 0.02                     # a unit is drawn where it exceeds SHOWN, out to where it falls below FAINT

STYLE = """
:root { --ink: #1b1b1a; --soft: #5f5e5a; --line: #e3e2dd; --page: #fcfcfb; --panel: #f4f3f0; --heat: #2a78d6; --wrong: #b3261e;
  --c0: #2a78d6; --c1: #d9581f; --c2: #12875c; --c3: #4a3aa7; --c4: #c98500; --c5: #d23f7c; --c6: #00797f; --c7: #c62f2f }
@media screen and (prefers-color-scheme: dark) { :root { --ink: #efeeea; --soft: #a9a8a1; --line: #383835; --page: #191918;
  --panel: #242422; --heat: #3987e5; --wrong: #ff8a80;
  --c0: #5a9df0; --c1: #ee7a45; --c2: #2fb583; --c3: #a095f2; --c4: #dca12a; --c5: #e873a0; --c6: #35b3b9; --c7: #ee7373 } }
svg { display: block; max-width: 100%; height: auto; font: 12px system-ui, sans-serif }
svg text { fill: var(--soft) } svg text.name { fill: var(--ink); font-weight: 600 } svg text.on { fill: #fff }
svg .grid { stroke: var(--line) } svg .axis { stroke: var(--soft) } svg .mark { stroke: var(--soft); stroke-dasharray: 4 3 }
svg .line { fill: none; stroke-width: 2; stroke-linejoin: round } svg .area { fill-opacity: .16; stroke-width: 1.5 }
svg .blank { fill: none; stroke: var(--soft); stroke-opacity: .55; stroke-dasharray: 1 3; stroke-linecap: round }
svg .hover { fill: var(--ink); fill-opacity: 0 } svg .hover:hover { fill-opacity: .07 }
svg .tick { fill: var(--ink) } svg text.unit { fill: var(--ink) } svg .dot { stroke: var(--page); stroke-width: 2 }
svg .heat { fill: var(--heat) } svg .right { fill: var(--panel) } svg .gray { stroke: var(--soft); fill: var(--soft) }
""" + "".join(f"svg .c{n} {{ stroke: var(--c{n}); fill: var(--c{n}) }} svg text.c{n} {{ stroke: none }}\n" for n in range(COLORS)) \
    + "svg path.line { fill: none }\n"


def tag(name: str, *children: str, **attributes: Any) -> str:
    """Markup. Children are markup already; attribute values are escaped, `class_` is class, `_` stands for -."""
    inside = "".join(f' {key.rstrip("_").replace("_", "-")}="{html.escape(_short(value))}"' for key, value in attributes.items())
    return f"<{name}{inside}>{''.join(children)}</{name}>"


def text(x: float, y: float, content: str, anchor: str = "start", **attributes: Any) -> str:
    return tag("text", html.escape(content), x=x, y=y, text_anchor=anchor, **attributes)


def title(content: str) -> str:
    return tag("title", html.escape(content))


def drawing(width: float, height: float, label: str, *children: str) -> str:
    return tag("svg", *children, viewBox=f"0 0 {_short(width)} {_short(height)}", width=width, height=height, role="img", aria_label=label)


def line(x1: float, y1: float, x2: float, y2: float, class_: str) -> str:
    return tag("line", x1=x1, y1=y1, x2=x2, y2=y2, class_=class_)


def _short(value: Any) -> str:
    return f"{value:.1f}".removesuffix(".0") if isinstance(value, float) else str(value)


def _path(points: Sequence[tuple[float, float]], class_: str) -> str:
    return tag("path", d="M" + "L".join(f"{_short(float(x))},{_short(float(y))}" for x, y in points), class_=class_)


def label_width(label: str) -> float:
    """About how many pixels a label takes at 12 px."""
    return sum(13 if unicodedata.east_asian_width(c) in "WF" else 7.5 for c in label)


@dataclass(frozen=True)
class Scale:
    """From values to pixels."""

    low: float
    high: float
    start: float
    end: float
    log: bool = False

    def __call__(self, value: float) -> float:
        part = math.log(value / self.low) / math.log(self.high / self.low) if self.log else (value - self.low) / (self.high - self.low)
        return self.start + part * (self.end - self.start)

    def ticks(self, most: int, whole: bool = False) -> list[float]:
        """Round values inside: multiples of 1, 2 or 5 times a power of ten; on a log scale those numbers themselves."""
        if self.log:
            tens = range(math.floor(math.log10(self.low)), math.ceil(math.log10(self.high)) + 1)
            for leads in ((1, 2, 5), (1, 3), (1,)):
                found = [lead * 10.0 ** ten for ten in tens for lead in leads if self.low <= lead * 10.0 ** ten <= self.high]
                if 2 <= len(found) <= most:
                    return found
        ten = 10.0 ** math.floor(math.log10((self.high - self.low) / most))
        step = next(ten * lead for lead in (1, 2, 5, 10, 20) if (self.high - self.low) / (ten * lead) <= most)
        step = max(1.0, step) if whole else step
        return [n * step for n in range(math.ceil(self.low / step - 1e-9), math.floor(self.high / step + 1e-9) + 1)]


@dataclass(frozen=True)
class Curve:
    name: str                                 # for the legend; may be empty
    color: str                                # a class: c0 ... c7 or gray
    points: tuple[tuple[float, float], ...]   # finite; positive on a log scale


@dataclass(frozen=True)
class Panel:
    """One of several pictures above a common x axis. A linear y axis starts at 0."""

    title: str                                # what it shows, in which unit
    curves: tuple[Curve, ...]
    height: int = 150
    log: bool = False


def panels(shown: Sequence[Panel], x_name: str, notes: Mapping[float, str], mark: float | None = None, label: str = "") -> str:
    """Curves over whole numbers. notes: what hovering says at each x. mark: where a labelled upright line stands."""
    xs = [x for panel in shown for curve in panel.curves for x, _ in curve.points]
    x = Scale(min(xs) - 0.5, max(xs) + 0.5, 64, WIDTH - 12)
    parts, top = [], 0.0
    for panel in shown:
        parts.append(_panel(panel, x, top + 28, mark))
        top += 28 + panel.height + 14
    parts += [text(x(tick), top + 6, f"{tick:g}", "middle") for tick in x.ticks(16, whole=True)]
    parts.append(text((x.start + x.end) / 2, top + 24, x_name, "middle"))
    if mark is not None and x.low <= mark <= x.high:
        left = x(mark) < WIDTH / 2
        parts += [line(x(mark), 28, x(mark), top - 14, "mark"), text(x(mark) + (6 if left else -6), 40, label, "start" if left else "end", class_="name")]
    wide = (x.end - x.start) / (x.high - x.low)
    parts += [tag("rect", title(note), x=x(at) - wide / 2, y=28, width=wide, height=top - 42, class_="hover") for at, note in notes.items()]
    return drawing(WIDTH, top + 32, "; ".join(panel.title for panel in shown), *parts)


def _panel(panel: Panel, x: Scale, top: float, mark: float | None) -> str:
    values = [y for curve in panel.curves for _, y in curve.points]
    low, high = (min(values) / 1.15, max(values) * 1.15) if panel.log else (0.0, max(values) * 1.08 or 1.0)
    y = Scale(low, high, top + panel.height, top, panel.log)
    parts = [text(x.start, top - 9, panel.title, class_="name")]
    for tick in y.ticks(6):
        parts += [line(x.start, y(tick), x.end, y(tick), "grid"), text(x.start - 8, y(tick) + 4, f"{tick:.6g}", "end")]
    parts.append(line(x.start, y.start, x.end, y.start, "axis"))
    right = x.end
    for curve in reversed(panel.curves):
        if curve.name:
            right -= label_width(curve.name)
            parts += [text(right, top - 9, curve.name), line(right - 24, top - 13, right - 6, top - 13, f"{curve.color} line")]
            right -= 42
    for curve in panel.curves:
        at = [(x(px), y(py)) for px, py in curve.points]
        parts.append(_path(at, f"{curve.color} line"))
        parts += [tag("circle", cx=x(px), cy=y(py), r=5 if px == mark else 3.5, class_=f"{curve.color} dot")
                  for px, py in curve.points if len(at) <= 30 or px == mark]
    return "".join(parts)


@dataclass(frozen=True)
class Tick:
    """A unit of the reference in its place, [start, end) in frames."""

    label: str
    start: int
    end: int
    confidence: float


def posteriors(probs: np.ndarray, labels: Sequence[str], ticks: Sequence[Tick], step: float, axis: str) -> list[str]:
    """Unit probabilities over time and the reference's place beneath, in strips that fit a page.

    probs: [T, V], the blank is unit 0; step: what a frame advances on the axis. At most STRIPS strips.
    """
    if not len(probs):
        return []
    strips = max(-(-len(probs) // FRAMES), -(-len(ticks) // LABELS))
    size = -(-len(probs) // strips)
    runs = sorted(((int(run[0]), unit, run) for unit in range(1, probs.shape[1]) for run in _runs(probs[:, unit])), key=lambda run: run[:2])
    order = list(dict.fromkeys(unit for _, unit, _ in runs))
    colors = {unit: f"c{n % COLORS}" for n, unit in enumerate(order)}
    return [_strip(probs, first, size, [(labels[unit], colors[unit], probs[:, unit], run) for _, unit, run in runs], ticks, step, axis)
            for first in range(0, len(probs), size)][:STRIPS]


def _runs(column: np.ndarray) -> list[np.ndarray]:
    """Frames in which a unit is at work: above FAINT in a row, and somewhere above SHOWN."""
    above = np.flatnonzero(column > FAINT)
    groups = np.split(above, np.flatnonzero(np.diff(above) > 1) + 1)
    return [group for group in groups if len(group) and column[group].max() > SHOWN]


def _strip(probs: np.ndarray, first: int, size: int, runs: list[tuple[str, str, np.ndarray, np.ndarray]], ticks: Sequence[Tick],
           step: float, axis: str) -> str:
    last = min(first + size, len(probs))
    x = Scale(first, first + size, 40, WIDTH - 12)              # frames; a frame is drawn at its middle
    y = Scale(0, 1, 156, 46)
    parts = [line(x.start, y(tick), x.end, y(tick), "grid") + text(x.start - 8, y(tick) + 4, f"{tick:g}", "end") for tick in (0, 0.5, 1)]
    parts.append(_path([(x(t + 0.5), y(probs[t, 0])) for t in range(first, last)], "blank"))
    peaks = []
    for label, color, column, run in runs:
        inside = range(max(first, int(run[0]) - 1), min(last, int(run[-1]) + 2))
        if not len(inside) or run[-1] < first or run[0] >= last:
            continue
        peak = max(inside, key=lambda t: column[t])
        note = f"{label}: {column[peak]:.2f} at {(peak + 0.5) * step:.2f} {axis}"
        parts.append(tag("g", title(note), _path([(x(inside[0] + 0.5), y.start), *((x(t + 0.5), y(column[t])) for t in inside),
                                                  (x(inside[-1] + 0.5), y.start)], f"{color} area")))
        peaks.append((x(peak + 0.5), y(column[peak]) - 5, label, color))
    parts += [text(px, py, label, "middle", class_=color) for px, py, label, color in _stacked(peaks, -13, 12)]
    here = [tick for tick in ticks if first <= tick.start < last]
    parts += [tag("rect", title(f"{tick.label}: {tick.start * step:.2f} to {tick.end * step:.2f} {axis}, probability {tick.confidence:.2f}"),
                  x=x(tick.start), y=164, width=max(2.0, x(min(tick.end, last)) - x(tick.start) - 1), height=7, class_="tick") for tick in here]
    names = [((x(tick.start) + x(min(tick.end, last))) / 2, 184.0, tick.label, "unit") for tick in here]
    parts += [text(px, py, label, "middle", class_=kind) for px, py, label, kind in _stacked(names, 13, 209)]
    parts.append(line(x.start, 214, x.end, 214, "axis"))
    seconds = Scale(first * step, (first + size) * step, x.start, x.end)
    parts += [line(seconds(tick), 214, seconds(tick), 218, "axis") + text(seconds(tick), 231, f"{tick:.6g}", "middle") for tick in seconds.ticks(12)]
    parts.append(text(x.end, 246, axis, "end"))
    return drawing(WIDTH, 250, "unit probabilities over time, and below where the reference lies", *parts)


def _stacked(labels: list[tuple[float, float, str, str]], by: float, limit: float) -> list[tuple[float, float, str, str]]:
    """Labels (x, y, text, class) moved by whole rows until none covers another; those beyond the limit are left out."""
    placed: list[tuple[float, float, str, str]] = []
    for x, y, label, kind in sorted(labels):
        while any(abs(px - x) < (label_width(label) + label_width(other)) / 2 and abs(py - y) < abs(by) for px, py, other, _ in placed):
            y += by
        if (limit - y) * by >= 0:
            placed.append((x, y, label, kind))
    return placed


def heatmap(rows: Sequence[str], columns: Sequence[str], counts: Mapping[tuple[int, int], int], notes: Mapping[tuple[int, int], str],
            down: str, across: str) -> str:
    """Counts in cells, darker for more. A cell with row and column of one name is the diagonal, left grey."""
    cell, left, top = 24, 24 + max(label_width(name) for name in rows), 26 + max(label_width(name) for name in columns)
    width, height = left + cell * len(columns) + 8, top + cell * len(rows) + 8
    most = max(counts.values(), default=1)
    parts = [text(left, 12, across, class_="name"), text(12, top, down, class_="name", transform=f"rotate(-90 12 {_short(top)})", anchor="end")]
    parts += [text(left - 6, top + cell * (i + 0.5) + 4, name, "end", class_="unit") for i, name in enumerate(rows)]
    for j, name in enumerate(columns):
        at = left + cell * (j + 0.5) + 4
        upright = max(map(len, columns)) > 2
        parts.append(text(at, top - 6, name, class_="unit", transform=f"rotate(-90 {_short(at)} {_short(top - 6)})") if upright
                     else text(at - 4, top - 6, name, "middle", class_="unit"))
    for i, row in enumerate(rows):
        for j, column in enumerate(columns):
            x, y, times = left + cell * j, top + cell * i, counts.get((i, j), 0)
            note = title(notes[i, j]) if (i, j) in notes else ""
            if times:
                shade = 0.12 + 0.88 * math.sqrt(times / most)
                parts.append(tag("g", note, tag("rect", x=x, y=y, width=cell - 1, height=cell - 1, class_="heat", fill_opacity=f"{shade:.2f}"),
                                 text(x + cell / 2 - 0.5, y + cell / 2 + 4, str(times), "middle", class_="on" if shade > 0.6 else "unit")))
            elif row == column:
                parts.append(tag("rect", note, x=x, y=y, width=cell - 1, height=cell - 1, class_="right"))
    grid = [line(left, top + cell * i - 0.5, left + cell * len(columns), top + cell * i - 0.5, "grid") for i in range(len(rows) + 1)]
    grid += [line(left + cell * j - 0.5, top, left + cell * j - 0.5, top + cell * len(rows), "grid") for j in range(len(columns) + 1)]
    return drawing(width, height, f"{down} against {across}", *grid, *parts)


def interval(value: float, ends: tuple[float, float] | None, high: float) -> str:
    """A small point on a scale from 0 to `high`, with its interval."""
    x = Scale(0, high or 1.0, 5, 155)
    whisker = line(x(ends[0]), 8, x(ends[1]), 8, "c0 line") if ends else ""
    return drawing(160, 16, "interval", line(x.start, 8, x.end, 8, "grid"), whisker, tag("circle", cx=x(value), cy=8, r=4.5, class_="c0 dot"))
