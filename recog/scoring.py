"""`recog score`: one system, two compared, or one trained several times; by words, characters or phones."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

from . import nbest, phones
from .errors import ConfigError
from .phonereport import comparison_json, phones_json, render_comparison, render_phones
from .report import METRIC, as_json, render
from .score import Report, ScoreConfig, compare, score_files
from .significance import spread
from .transcripts import read_transcripts


def score_and_render(reference: Path, hypothesis: Path, second: Path | None, seeds: list[Path], unit: str, fold: str | None,
                     seed: int, alignments: bool, format: str) -> str:
    """Text or JSON, ready to print. `seeds`: more hypotheses of the first system, for mean and deviation."""
    if format not in ("text", "json"):
        raise ConfigError(f"there is no format '{format}'", where="--format", hint="text or json")
    if fold is not None and unit != "phone":
        raise ConfigError("only phones can be folded", where="--fold", hint="add --unit phone")
    try:
        config = ScoreConfig(unit=unit, seed=seed)
    except ValueError as error:
        raise ConfigError(str(error), where="score") from None
    folding = phones.find(fold) if fold is not None else None

    def scored(path: Path) -> Any:
        return score_files(reference, path, config) if folding is None else phones.score_phone_files(reference, path, folding, config)

    first, other, more = scored(hypothesis), scored(second) if second else None, [scored(path) for path in seeds]
    text = format == "text"
    if folding is not None:
        shown = (render_phones if text else phones_json)(first, alignments) if other is None else \
            (render_comparison if text else comparison_json)(first, other, alignments)
    else:
        result = first if other is None else compare(first, other)
        shown = (render if text else as_json)(result, alignments)
    if answers := nbest.read(hypothesis):
        best = nbest.oracle(read_transcripts(reference), answers, unit, folding)
        line = f"best of {best['answers']} answers: {METRIC[unit]} {100 * best['error_rate']:.2f} % ({best['errors']} errors)"
        shown = f"{shown}\n\n{line}" if text else {**shown, "oracle": best}
    if not more:
        return shown if text else json.dumps(shown, indent=2, ensure_ascii=False)
    over = over_seeds([first, *more])
    return "\n".join([*_lines(over, unit), "", shown]) if text else json.dumps({**shown, "seeds": over}, indent=2, ensure_ascii=False)


def over_seeds(reports: list[Any]) -> dict[str, dict[str, Any]]:
    """Mean and deviation of the error rate over trainings that differ in their seed; by custom, where there are customs."""
    rates: dict[str, list[float]] = {}
    for report in reports:
        for custom, one in ({"": report} if isinstance(report, Report) else report.customs).items():
            rates.setdefault(custom, []).append(one.error_rate)
    found = {}
    for custom, values in rates.items():
        mean, deviation = spread(values)
        found[custom] = {"error_rates": values, "mean": mean, "deviation": deviation if math.isfinite(deviation) else None}
    return found


def _lines(over: dict[str, dict[str, Any]], unit: str) -> list[str]:
    return [f"over {len(one['error_rates'])} seeds: {METRIC[unit]} {custom}{' ' if custom else ''}{100 * one['mean']:.2f} % mean, {100 * one['deviation']:.2f} "
            f"deviation ({', '.join(f'{100 * value:.2f}' for value in one['error_rates'])})" for custom, one in over.items()]
