"""How errors are shown in a run's page: two texts aligned, the most frequent confusions, and their heat-map."""

from __future__ import annotations

import html
from collections import Counter
from typing import Any, Sequence

from . import svg
from .score import Pair, align, tokenize
from .svg import tag

KINDS, MATRIX = 10, 30                        # confusions of each kind in a table, units in a heat-map


def kind_table(kind: str, found: Sequence[dict[str, Any]], times: Counter[str]) -> str:
    if not found:
        return tag("table", tag("tr", tag("th", f"no {kind}")))
    rows = []
    for item in found[:KINDS]:
        pair = " → ".join(visible(token) for token in (item["reference"], item["hypothesis"]) if token is not None)
        of = f" of {times[item['reference']]:,}" if item["reference"] in times else ""
        rows.append(tag("tr", tag("td", esc(pair), class_="l"), tag("td", f"{item['count']}{of}")))
    more = f" ({KINDS} of {len(found)} kinds)" if len(found) > KINDS else ""
    total = sum(item["count"] for item in found)
    head = tag("th", f"{number(total, kind.removesuffix('s'))}{more}", class_="l", colspan=2)
    return tag("table", tag("tr", head), *rows)


def matrix(confusions: dict[str, list[dict[str, Any]]], times: Counter[str]) -> str:
    """The heat-map of the units that take part in most errors."""
    wrong = {Pair(item["reference"], item["hypothesis"]): item["count"] for items in confusions.values() for item in items}
    involved: Counter[str] = Counter()
    for pair, number in wrong.items():
        involved.update({token: number for token in pair if token is not None})
    units = sorted(sorted(involved, key=lambda unit: (-involved[unit], unit))[:MATRIX])
    counts, notes = {}, {}
    for i, said in enumerate([*units, None]):
        of = f" of {times[said]:,}" if said in times else ""
        for j, heard in enumerate([*units, None]):
            pair = Pair(said, heard)
            if pair in wrong:
                counts[i, j], notes[i, j] = wrong[pair], f"{meaning(pair)}: {wrong[pair]:,}{of}"
            elif said == heard is not None:
                right = times[said] - sum(number for other, number in wrong.items() if other.reference == said)
                notes[i, j] = f"{visible(said)} correct: {right:,}{of}"
    names = [visible(unit) for unit in units]
    less = f" The {MATRIX} of {len(involved)} units with most errors." if len(involved) > MATRIX else ""
    picture = svg.heatmap([*names, "inserted"], [*names, "deleted"], counts, notes, "reference", "hypothesis")
    return tag("div", picture, note(f"Shade: square root of the count.{less}"))


def aligned(reference: str, hypothesis: str, unit: str) -> str:
    """Both texts, one above the other, errors marked and named."""
    columns = []
    for pair in align(tokenize(reference, unit), tokenize(hypothesis, unit)):
        cells = [tag("b", esc("*" if token is None else visible(token))) for token in pair]
        columns.append(tag("span", *cells) if pair.kind == "C" else
                       tag("span", *cells, tag("b", pair.kind), class_="e", title=meaning(pair)))
    return tag("div", *columns, class_="pairs" if unit == "char" else "pairs apart", dir="auto")


def meaning(pair: Pair) -> str:
    said, heard = (None if token is None else visible(token) for token in pair)
    return f"{heard} inserted" if said is None else f"{said} deleted" if heard is None else f"{said} → {heard}"


def visible(token: str) -> str:
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in token).replace(" ", "␣")


def number(count: int, noun: str) -> str:
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def note(content: str) -> str:
    return tag("p", esc(content), class_="note")


def esc(value: Any) -> str:
    return html.escape(str(value))
