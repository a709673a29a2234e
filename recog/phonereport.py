"""A phone score as text for people and as JSON for programs: every custom of counting silence, and classes of phones."""

from __future__ import annotations

from typing import Any

from .phones import QUOTED, PhoneReport, compare_phones
from .report import as_json, details, difference_json, evidence, table_line, verdict


def render_phones(report: PhoneReport, alignments: bool = False) -> str:
    """The three customs, then the errors by phone and by class as the quoted custom counts them."""
    return "\n".join([*customs(report), *details(report.quoted, alignments), *_classes(report)])


def customs(report: PhoneReport) -> list[str]:
    width = max(map(len, report.customs))
    rows = (f"{custom:{width}}  {table_line(one)}{'  <- quoted' if custom == QUOTED else ''}" for custom, one in report.customs.items())
    return [f"folded by {report.folding.name}; by how silence is counted:", *rows]


def render_comparison(first: PhoneReport, second: PhoneReport, alignments: bool = False) -> str:
    lines = []
    for custom, found in compare_phones(first, second).items():
        lines.append(f"{custom}{' (quoted)' if custom == QUOTED else ''}: {verdict(found)}; B - A = "
                     f"{100 * found.difference.value:+.2f} points{evidence(found.difference)}")
    for label, report in zip("AB", (first, second)):
        lines += ["", f"{label} = {report.quoted.name}", render_phones(report, alignments)]
    return "\n".join(lines)


def phones_json(report: PhoneReport, alignments: bool = False) -> dict[str, Any]:
    """As the quoted custom's report, and beside it: fold, quoted, customs, classes."""
    return {**as_json(report.quoted, alignments), "fold": report.folding.name, "quoted": QUOTED,
            "customs": {name: {key: value for key, value in as_json(one).items() if key not in ("rows", "confusions")}
                        for name, one in report.customs.items()},
            "classes": [{"reference": said, "hypothesis": heard, "count": times, "correct": same}
                        for said, heard, times, same in report.class_confusions()]}


def comparison_json(first: PhoneReport, second: PhoneReport, alignments: bool = False) -> dict[str, Any]:
    return {"first": phones_json(first, alignments), "second": phones_json(second, alignments),
            "differences": {custom: difference_json(found.difference) for custom, found in compare_phones(first, second).items()}}


def _classes(report: PhoneReport) -> list[str]:
    """A row for each class that is said, a column for each that is heard, in percent of what is said."""
    found = {(said, heard): (times, same) for said, heard, times, same in report.class_confusions()}
    names = sorted(set(report.folding.classes.values()))
    width = max(map(len, names)) + 1
    lines = ["", "what became of each class of phones, in percent of those said (same: the phone itself; class: another of its class)",
             f"{'':{width}}{'said':>6}{'same':>7}{'class':>7}" + "".join(f"{name[:8]:>10}" for name in names) + f"{'deleted':>9}"]
    for said in names:
        total = sum(times for (one, _), (times, _) in found.items() if one == said)
        if not total:
            continue
        times, same = found.get((said, said), (0, 0))
        others = "".join(f"{'-' if heard == said else format(100 * found.get((said, heard), (0, 0))[0] / total, '.1f'):>10}" for heard in names)
        lines.append(f"{said:{width}}{total:>6}{100 * same / total:>7.1f}{100 * (times - same) / total:>7.1f}{others}"
                     f"{100 * found.get((said, None), (0, 0))[0] / total:>9.1f}")
    inserted = ", ".join(f"{times} {heard}" for heard in names for times, _ in [found.get((None, heard), (0, 0))] if times)
    return [*lines, f"inserted: {inserted}"] if inserted else lines
