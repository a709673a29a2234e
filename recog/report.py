"""A score as text for people and as JSON for programs."""

from __future__ import annotations

import unicodedata
from typing import Any, Mapping

from .score import Comparison, Counts, Report, Row
from .significance import LEVEL, Difference

METRIC = {"word": "WER", "char": "CER", "phone": "PER", "pixel": "pixel error", "picture": "picture error"}
_MANY = {"word": "words", "char": "characters", "phone": "phones"}
_KINDS = {"S": "substitutions", "D": "deletions", "I": "insertions"}
SHOWN = 10                                    # confusions of each kind in the text; JSON has all


def render(result: Report | Comparison, alignments: bool = False) -> str:
    """Text without a newline at its end. `alignments` adds three lines for each utterance."""
    if isinstance(result, Report):
        return "\n".join(_report(result, alignments))
    lines = [*_difference(result), ""]
    for label, report in zip("AB", (result.first, result.second)):
        lines += [f"{label} = {report.name}", *_report(report, alignments), ""]
    return "\n".join(lines[:-1])


def as_json(result: Report | Comparison, alignments: bool = False) -> dict[str, Any]:
    """Plain values; rates are fractions. An interval is null when there is only one utterance."""
    if isinstance(result, Comparison):
        return {"first": as_json(result.first, alignments), "second": as_json(result.second, alignments),
                "difference": difference_json(result.difference)}
    config = result.config
    return {"name": result.name, "metric": METRIC[config.unit], "unit": config.unit, "seed": config.seed,
            "resamples": config.resamples, "error_rate": result.error_rate,
            "interval": result.interval and list(result.interval), **_counts(result.total),
            "utterances": len(result.rows), "utterances_with_errors": result.wrong,
            "sentence_error_rate": result.sentence_error_rate, "empty_references": result.empty_references,
            "confusions": {name: [{"reference": pair.reference, "hypothesis": pair.hypothesis, "count": times}
                                  for pair, times in result.confusions(kind)] for kind, name in _KINDS.items()},
            "rows": [{"id": row.id, **_counts(row.counts),
                      **({"pairs": [list(pair) for pair in row.pairs]} if alignments else {})}
                     for row in result.rows]}


def measures(units: Mapping[str, dict[str, Any]]) -> list[tuple[str, dict[str, Any]]]:
    """A run's figures under their labels: WER, or PER by each custom of counting silence, the quoted one with a star."""
    found = []
    for unit, f in units.items():
        customs = [(f"{METRIC[unit]} {custom}{'*' if custom == f['quoted'] else ''}", one) for custom, one in f.get("customs", {}).items()]
        found += customs or [(METRIC[unit], f)]
    return found


def difference_json(d: Difference) -> dict[str, Any]:
    return {"value": d.value, "interval": d.interval and list(d.interval), "p_bootstrap": d.p_bootstrap,
            "p_permutation": d.p_permutation, "significant": d.significant, "fewer": d.fewer, "more": d.more}


def _counts(counts: Counts) -> dict[str, int]:
    return {"tokens": counts.reference, "errors": counts.errors, "correct": counts.correct,
            "substitutions": counts.substitutions, "deletions": counts.deletions, "insertions": counts.insertions}


def _report(report: Report, alignments: bool) -> list[str]:
    return [table_line(report), *details(report, alignments)]


def details(report: Report, alignments: bool) -> list[str]:
    """What stands below the figures: the most frequent errors, and every utterance aligned."""
    lines = []
    if report.empty_references:
        heard = sum(row.counts.insertions for row in report.rows if not row.counts.reference)
        lines.append(f"empty references: {report.empty_references}, with {_number(heard, 'insertion')} in them")
    for kind, name in _KINDS.items():
        found = report.confusions(kind)
        if found:
            more = f" (the {SHOWN} most frequent of {len(found)} kinds)" if len(found) > SHOWN else ""
            lines += ["", name + more]
            for pair, times in found[:SHOWN]:
                lines.append(f"{times:6}  " + " -> ".join(_visible(token) for token in pair if token is not None))
    if alignments:
        for row in report.rows:
            lines += ["", *_alignment(row, "" if report.config.unit == "char" else " ")]
    return lines


def table_line(report: Report) -> str:
    """The figures in one line."""
    c, unit = report.total, report.config.unit
    interval = "" if report.interval is None else " [{:.1f}, {:.1f}]".format(*(100 * end for end in report.interval))
    return (f"{METRIC[unit]} {100 * report.error_rate:.2f} %{interval} ({_number(c.errors, 'error')} / "
            f"{c.reference} {_MANY[unit]}: {c.substitutions} sub, {c.deletions} del, {c.insertions} ins; "
            f"{_number(len(report.rows), 'utterance')}, {report.wrong} with errors)")


def _difference(comparison: Comparison) -> list[str]:
    first, d = comparison.first, comparison.difference
    return [verdict(comparison), f"B - A = {100 * d.value:+.2f} points{evidence(d)}",
            f"B has fewer errors in {_number(d.fewer, 'utterance')}, more in {d.more}, as many in "
            f"{len(first.rows) - d.fewer - d.more}"]


def verdict(comparison: Comparison) -> str:
    first, second, d = comparison.first, comparison.second, comparison.difference
    if d.value == 0:
        said = "neither is better"
    elif d.significant:
        said = f"{'B' if d.value < 0 else 'A'} is better, and the difference is significant"
    else:
        said = f"{'B' if d.value < 0 else 'A'} made fewer errors, but the difference is not significant"
    return f"{METRIC[first.config.unit]} {100 * first.error_rate:.2f} % (A), {100 * second.error_rate:.2f} % (B): {said}"


def evidence(d: Difference) -> str:
    """How sure the difference is: its interval, and the p of two tests."""
    test = f"p = {_p(d.p_permutation)} (exact paired permutation test; significant below {LEVEL})"
    if d.interval is None:
        return f"; {test}"
    return " [{:+.2f}, {:+.2f}]; ".format(*(100 * end for end in d.interval)) + \
        f"{test}, p = {_p(d.p_bootstrap)} (paired bootstrap)"


def _p(p: float) -> str:
    return f"{p:.3f}" if p >= 0.001 else f"{p:.1e}"


def _alignment(row: Row, between: str) -> list[str]:
    """As sclite shows it: gaps are stars, and each error has its letter below."""
    c = row.counts
    columns = []
    for pair in row.pairs:
        tokens = [None if token is None else _visible(token) for token in pair]
        width = max(1, *(_width(token) for token in tokens if token is not None))
        cells = ["*" * width if token is None else token + " " * (width - _width(token)) for token in tokens]
        columns.append((*cells, (" " if pair.kind == "C" else pair.kind).ljust(width)))
    rows = zip(*columns) if columns else [(), (), ()]
    return [f"id: {_escaped(row.id)} (C {c.correct}, S {c.substitutions}, D {c.deletions}, I {c.insertions})",
            *((name + between.join(cells)).rstrip() for name, cells in zip(("REF:  ", "HYP:  ", "Eval: "), rows))]


def _visible(token: str) -> str:
    return _escaped(token).replace(" ", "␣")


def _escaped(text: str) -> str:
    """With escapes for what cannot be seen or would steer the terminal."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def _width(token: str) -> int:
    """Columns of a terminal: two for wide East Asian characters, none for combining marks."""
    return sum(0 if unicodedata.category(c) in ("Mn", "Me") else 2 if unicodedata.east_asian_width(c) in "WF" else 1
               for c in token)


def _number(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"
