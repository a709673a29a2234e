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

WIDTH = 960                                  # of a picture over epochs or time
LEFT, RIGHT = 64, WIDTH - 12                 # ... and its axis
COLORS = 8                                   # line colours; units take them in turn, in the order of time
FRAMES, LABELS, STRIPS = 320, 70, 8          # in a strip at most (labels: on average); strips that are drawn
SHOWN, FAINT = 0.1, 0.02                     # a unit is drawn where it exceeds SHOWN, out to where it falls below FAINT
ROW = 13                                     # height of a row of labels

STYLE = """
:root { --ink: #1b1b1a; --soft: #5f5e5a; --line: #e3e2dd; --page: #fcfcfb; --panel: #f4f3f0; --heat: #2a78d6; --wrong: #b3261e;
  --c0: #2a78d6; --c1: #d9581f; --c2: #12875c; --c3: #4a3aa7; --c4: #b37b00; --c5: #d23f7c; --c6: #00797f; --c7: #c62f2f }
@media screen and (prefers-color-scheme: dark) { :root {
  --ink: #efeeea; --soft: #a9a8a1; --line: #383835; --page: #191918; --panel: #242422; --heat: #3987e5; --wrong: #ff8a80;
  --c0: #5a9df0; --c1: #ee7a45; --c2: #2fb583; --c3: #a095f2; --c4: #dca12a; --c5: #e873a0; --c6: #35b3b9; --c7: #ee7373 } }
svg { display: block; max-width: 100%; height: auto; font: 12px system-ui, sans-serif }
svg text { fill: var(--soft) } svg .unit, svg .tick { fill: var(--ink) } svg text.on { fill: #fff }
svg text.name { fill: var(--ink); font-weight: 600 }
svg :is(text.name, text[class^=c]) { paint-order: stroke; stroke: var(--page); stroke-width: 3px }
svg .grid { stroke: var(--line) } svg .axis { stroke: var(--soft) } svg .mark { stroke: var(--soft); stroke-dasharray: 4 3 }
svg .blank { fill: none; stroke: var(--soft); stroke-opacity: .55; stroke-dasharray: 1 3; stroke-linecap: round }
svg .hover { fill: var(--ink); fill-opacity: 0 } svg .hover:hover { fill-opacity: .07 }
svg .heat { fill: var(--heat) } svg .right { fill: var(--panel) } svg .gray { color: var(--soft); fill: currentColor }
""" + "".join(f"svg .c{n} {{ color: var(--c{n}); fill: currentColor }}\n" for n in range(COLORS)) + """
svg .line { stroke: currentColor; stroke-width: 2; stroke-linejoin: round } svg path.line { fill: none }
svg .area { stroke: currentColor; stroke-width: 1.5; fill-opacity: .16 } svg .dot { stroke: var(--page); stroke-width: 2 }
"""


def tag(name: str, *children: str, **attributes: Any) -> str:
    """Markup. Children are markup already; attribute values are escaped; class_ is class, fill_opacity is fill-opacity."""
    named = {key.rstrip("_").replace("_", "-"): html.escape(_short(value)) for key, value in attributes.items()}
    inside = "".join(f' {key}="{value}"' for key, value in named.items())
    return f"<{name}{inside}>{''.join(children)}</{name}>"


def text(x: float, y: float, content: str, anchor: str = "start", **attributes: Any) -> str:
    return tag("text", html.escape(content), x=x, y=y, text_anchor=anchor, **attributes)


def hint(content: str) -> str:
    """What hovering says."""
    return tag("title", html.escape(content))


def drawing(width: float, height: float, label: str, *children: str, top: float = 0) -> str:
    return tag("svg", *children, viewBox=f"0 {_short(top)} {_short(width)} {_short(height)}", width=width, height=height,
               role="img", aria_label=label)


def line(x1: float, y1: float, x2: float, y2: float, class_: str) -> str:
    return tag("line", x1=x1, y1=y1, x2=x2, y2=y2, class_=class_)


def path(points: Sequence[tuple[float, float]], class_: str) -> str:
    return tag("path", d="M" + "L".join(f"{_short(float(x))},{_short(float(y))}" for x, y in points), class_=class_)


def _short(value: Any) -> str:
    return f"{value:.1f}".removesuffix(".0") if isinstance(value, float) else str(value)


def label_width(label: str) -> float:
    """About how many pixels a label takes."""
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
        value, low, high = map(math.log, (value, self.low, self.high)) if self.log else (value, self.low, self.high)
        return self.start + (value - low) / (high - low) * (self.end - self.start)

    def ticks(self, most: int, whole: bool = False) -> list[float]:
        """Round values inside: multiples of 1, 2 or 5 times a power of ten; on a log scale, such numbers themselves."""
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
    color: str                                # a class: c0 to c7, or gray
    points: tuple[tuple[float, float], ...]   # finite; positive on a log scale


@dataclass(frozen=True)
class Panel:
    """One of several pictures above a common x axis. A linear y axis starts at 0."""

    title: str                                # what it shows, in which unit
    curves: tuple[Curve, ...]
    height: int
    log: bool = False


def panels(shown: Sequence[Panel], x_name: str, notes: Mapping[float, str], mark: float | None, label: str) -> str:
    """Curves over whole numbers. notes: what hovering says at each x; mark: where a labelled upright line stands."""
    xs = [x for panel in shown for curve in panel.curves for x, _ in curve.points]
    x = Scale(min(xs) - 0.5, max(xs) + 0.5, LEFT, RIGHT)
    parts, end = [], 0
    for panel in shown:
        parts.append(_panel(panel, x, end + 28, mark))
        end += 28 + panel.height + 14
    parts += [text(x(tick), end + 6, f"{tick:g}", "middle") for tick in x.ticks(16, whole=True)]
    parts.append(text((LEFT + RIGHT) / 2, end + 24, x_name, "middle"))
    if mark is not None and x.low <= mark <= x.high:
        aside, anchor = (6, "start") if x(mark) < WIDTH / 2 else (-6, "end")
        parts += [line(x(mark), 28, x(mark), end - 14, "mark"), text(x(mark) + aside, 40, label, anchor, class_="name")]
    wide = x(1) - x(0)
    parts += [tag("rect", hint(note), x=x(at) - wide / 2, y=28, width=wide, height=end - 42, class_="hover")
              for at, note in notes.items()]
    return drawing(WIDTH, end + 32, "; ".join(panel.title for panel in shown), *parts)


def _panel(panel: Panel, x: Scale, top: int, mark: float | None) -> str:
    values = [y for curve in panel.curves for _, y in curve.points]
    low, high = (min(values) / 1.15, max(values) * 1.15) if panel.log else (0.0, max(values) * 1.08 or 1.0)
    y = Scale(low, high, top + panel.height, top, panel.log)
    parts = [text(LEFT, top - 9, panel.title, class_="name")]
    for tick in y.ticks(panel.height // 28):
        parts += [line(LEFT, y(tick), RIGHT, y(tick), "grid"), text(LEFT - 8, y(tick) + 4, f"{tick:.6g}", "end")]
    parts.append(line(LEFT, y.start, RIGHT, y.start, "axis"))
    right = RIGHT
    for curve in reversed(panel.curves):
        if curve.name:
            right -= label_width(curve.name)
            swatch = line(right - 24, top - 13, right - 6, top - 13, f"{curve.color} line")
            parts += [text(right, top - 9, curve.name), swatch]
            right -= 42
    for curve in panel.curves:
        parts.append(path([(x(px), y(py)) for px, py in curve.points], f"{curve.color} line"))
        parts += [tag("circle", cx=x(px), cy=y(py), r=5 if px == mark else 3.5, class_=f"{curve.color} dot")
                  for px, py in curve.points if len(curve.points) <= 30 or px == mark]
    return "".join(parts)


@dataclass(frozen=True)
class Tick:
    """A unit of the reference in its place, [start, end) in frames."""

    label: str
    start: int
    end: int
    confidence: float


@dataclass(frozen=True)
class _Run:
    """A unit while it is at work."""

    label: str
    color: str
    frames: range
    column: np.ndarray                        # [T], the unit's probability


def posteriors(probs: np.ndarray, labels: Sequence[str], ticks: Sequence[Tick], step: float, axis: str) -> list[str]:
    """Unit probabilities over time, and the reference's place beneath, in strips that fit a page: at most STRIPS.

    probs: [T, V], T at least 1, the blank is unit 0; step: what a frame advances on the axis.
    """
    size = -(-len(probs) // max(-(-len(probs) // FRAMES), -(-len(ticks) // LABELS)))
    units = range(1, probs.shape[1])
    found = sorted(((frames.start, unit, frames) for unit in units for frames in _at_work(probs[:, unit])), key=lambda run: run[:2])
    order = list(dict.fromkeys(unit for _, unit, _ in found))
    runs = [_Run(labels[unit], f"c{order.index(unit) % COLORS}", frames, probs[:, unit]) for _, unit, frames in found]
    return [_strip(probs[:, 0], range(first, first + size), runs, ticks, step, axis)
            for first in range(0, len(probs), size)][:STRIPS]


def _at_work(column: np.ndarray) -> list[range]:
    """Frames above FAINT in a row, and somewhere above SHOWN."""
    above = np.flatnonzero(column > FAINT)
    groups = np.split(above, np.flatnonzero(np.diff(above) > 1) + 1)
    return [range(int(g[0]), int(g[-1]) + 1) for g in groups if len(g) and column[g].max() > SHOWN]


def _strip(blank: np.ndarray, frames: range, runs: Sequence[_Run], ticks: Sequence[Tick], step: float, axis: str) -> str:
    first, last = frames.start, min(frames.stop, len(blank))
    x = Scale(first, frames.stop, LEFT, RIGHT)                  # a frame's probabilities are drawn at its middle
    y = Scale(0, 1, 110, 0)
    parts = [line(LEFT, y(tick), RIGHT, y(tick), "grid") + text(LEFT - 8, y(tick) + 4, f"{tick:g}", "end")
             for tick in (0, 0.5, 1)]
    parts.append(path([(x(t + 0.5), y(blank[t])) for t in range(first, last)], "blank"))
    names = []
    for run in runs:
        inside = range(max(first, run.frames.start - 1), min(last, run.frames.stop + 1))
        if run.frames.stop <= first or run.frames.start >= last:
            continue
        peak = max(inside, key=lambda t: run.column[t])
        points = [(x(t + 0.5), y(run.column[t])) for t in inside]
        curve = path([(points[0][0], y.start), *points, (points[-1][0], y.start)], f"{run.color} area")
        parts.append(tag("g", hint(f"{run.label}: {run.column[peak]:.2f} at {(peak + 0.5) * step:.2f} {axis}"), curve))
        names.append((x(peak + 0.5), y(run.column[peak]) - 5, run.label, run.color))
    above = _stacked(names, -ROW, -3 * ROW - 5)
    here = [(tick, x(tick.start), x(min(tick.end, last))) for tick in ticks if first <= tick.start < last]
    for tick, start, end in here:
        note = f"{tick.label}: {tick.start * step:.2f} to {tick.end * step:.2f} {axis}, probability {tick.confidence:.2f}"
        parts.append(tag("rect", hint(note), x=start, y=119, width=max(2.0, end - start - 1), height=7, class_="tick"))
    below = _stacked([((start + end) / 2, 139.0, tick.label, "unit") for tick, start, end in here], ROW, 139 + 2 * ROW)
    parts += [text(px, py, label, "middle", class_=kind) for px, py, label, kind in above + below]
    parts.append(text(LEFT - 8, 127, "reference" if here else "", "end"))
    base = max((py for _, py, _, _ in below), default=126) + 8
    times = Scale(first * step, frames.stop * step, LEFT, RIGHT)
    parts += [line(LEFT, base, RIGHT, base, "axis"), text(LEFT - 14, base + 17, axis, "end")]
    parts += [line(times(tick), base, times(tick), base + 4, "axis") + text(times(tick), base + 17, f"{tick:.6g}", "middle")
              for tick in times.ticks(12)]
    top = min([py - ROW for _, py, _, _ in above] + [-8])
    return drawing(WIDTH, base + 26 - top, "unit probabilities over time, and below where the reference lies", *parts, top=top)


def _stacked(labels: list[tuple[float, float, str, str]], by: float, limit: float) -> list[tuple[float, float, str, str]]:
    """Labels (x, y, text, class), moved by rows until none covers another; those beyond the limit are left out."""
    placed: list[tuple[float, float, str, str]] = []
    for x, y, label, kind in sorted(labels):
        while any(abs(px - x) < (label_width(label) + label_width(other)) / 2 and abs(py - y) < abs(by)
                  for px, py, other, _ in placed):
            y += by
        if (limit - y) * by >= 0:
            placed.append((x, y, label, kind))
    return placed


def heatmap(rows: Sequence[str], columns: Sequence[str], counts: Mapping[tuple[int, int], int],
            notes: Mapping[tuple[int, int], str], down: str, across: str) -> str:
    """Counts in cells, darker for more. Where a row and a column have one name the cell is grey."""
    cell, left = 24, 26 + max(map(label_width, rows))
    top = 24 + max(map(label_width, columns))
    width, height = left + cell * len(columns), top + cell * len(rows)
    most = max(counts.values(), default=1)
    parts = [line(left, top + cell * i - 0.5, width, top + cell * i - 0.5, "grid") for i in range(len(rows) + 1)]
    parts += [line(left + cell * j - 0.5, top, left + cell * j - 0.5, height, "grid") for j in range(len(columns) + 1)]
    parts.append(text(left, 12, across, class_="name"))
    parts.append(text(12, top, down, "end", class_="name", transform=f"rotate(-90 12 {top})"))
    parts += [text(left - 6, top + cell * (i + 0.5) + 4, name, "end", class_="unit") for i, name in enumerate(rows)]
    for j, name in enumerate(columns):
        x, y = left + cell * (j + 0.5), top - 6
        parts.append(text(x, y, name, "middle", class_="unit") if label_width(name) < cell else
                     text(x + 4, y, name, class_="unit", transform=f"rotate(-90 {x + 4} {y})"))
    for (i, j), note in notes.items():
        x, y, times = left + cell * j, top + cell * i, counts.get((i, j), 0)
        shade = 0.12 + 0.88 * math.sqrt(times / most)
        look = {"class_": "heat", "fill_opacity": f"{shade:.2f}"} if times else {"class_": "right"}
        number = text(x + cell / 2, y + cell / 2 + 4, str(times or ""), "middle", class_="on" if shade > 0.7 else "unit")
        parts.append(tag("g", hint(note), tag("rect", x=x, y=y, width=cell - 1, height=cell - 1, **look), number))
    return drawing(width + 2, height + 2, f"{down} against {across}", *parts)


def interval(value: float, ends: Sequence[float] | None, high: float) -> str:
    """A point on a small scale from 0 to `high`, with its interval."""
    x = Scale(0, high or 1.0, 5, 105)
    whisker = line(x(ends[0]), 8, x(ends[1]), 8, "c0 line") if ends else ""
    return drawing(110, 16, "interval", line(x.start, 8, x.end, 8, "grid"), whisker,
                   tag("circle", cx=x(value), cy=8, r=4.5, class_="c0 dot"))
