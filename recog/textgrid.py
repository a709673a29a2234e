"""Praat's TextGrid, the long text format: interval tiers that cover a recording from beginning to end."""

from __future__ import annotations

from typing import Sequence

from .types import Span

Interval = tuple[float, float, str]


def textgrid(tiers: dict[str, Sequence[Span]], seconds: float) -> str:
    """Tiers by name; what no span covers becomes an interval without text. Spans: in order, none over another."""
    lines = ['File type = "ooTextFile"', 'Object class = "TextGrid"', "", "xmin = 0", f"xmax = {_number(seconds)}",
             "tiers? <exists>", f"size = {len(tiers)}", "item []:"]
    for number, (name, spans) in enumerate(tiers.items(), 1):
        intervals = covering(spans, seconds)
        lines += [f"    item [{number}]:", '        class = "IntervalTier"', f"        name = {_quoted(name)}", "        xmin = 0",
                  f"        xmax = {_number(seconds)}", f"        intervals: size = {len(intervals)}"]
        for i, (start, end, text) in enumerate(intervals, 1):
            lines += [f"        intervals [{i}]:", f"            xmin = {_number(start)}", f"            xmax = {_number(end)}",
                      f"            text = {_quoted(text)}"]
    return "\n".join(lines) + "\n"


def covering(spans: Sequence[Span], seconds: float) -> list[Interval]:
    """Intervals without gaps from 0 to `seconds`, none of them empty, in microseconds."""
    found: list[Interval] = []
    at = 0.0
    for span in spans:
        start, end = max(at, round(span.start, 6)), min(round(span.end, 6), round(seconds, 6))
        if end <= start:
            continue
        if start > at:
            found.append((at, start, ""))
        found.append((start, end, span.text))
        at = end
    if at < round(seconds, 6) or not found:
        found.append((at, round(seconds, 6), ""))
    return found


def _number(seconds: float) -> str:
    return f"{seconds:.6f}".rstrip("0").rstrip(".")


def _quoted(text: str) -> str:
    return '"' + " ".join(text.split()).replace('"', '""') + '"'
