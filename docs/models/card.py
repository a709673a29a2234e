"""Rewrite the figures of a model card from the model itself: `python docs/models/card.py MODEL_FOLDER CARD.md`.

What stands between `<!-- figures -->` and `<!-- end -->` in the card is replaced by what model.json records.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

BLOCK = re.compile(r"(<!-- figures -->\n).*?(<!-- end -->)", re.DOTALL)


def written(card: str, info: dict[str, Any]) -> str:
    """The text of a card with its figures made anew."""
    return BLOCK.sub(lambda block: block[1] + figures(info) + block[2], card)


def figures(info: dict[str, Any]) -> str:
    made = info.get("provenance", {})
    size = sum(file["bytes"] for file in info["files"].values()) / 1e6
    facts = {"weights": f"{info['weights']:,}, {size:.1f} MB on disk",
             "data licence": info.get("data_licence", "not stated"),
             "recipe": f"`{made.get('recipe')}`, model `{made.get('model')}`, recog {made.get('recog')}, "
                       f"torch {made.get('torch')}",
             "training": f"best of {made.get('epochs')} epochs: {made.get('best_epoch')}; {made.get('minutes')} minutes on "
                         f"{made.get('machine')}, {made.get('device')}; {made.get('date')}"}
    scores = info.get("scores", {})
    table = likelihoods(scores) if info.get("medium") == "writing" else error_rates(scores)
    return "\n".join(["", "| | |", "|---|---|", *(f"| {name} | {value} |" for name, value in facts.items()), "", *table, ""]) + "\n"


def error_rates(scores: dict[str, Any]) -> list[str]:
    return ["| set | utterances | decoder | error rate | 95 % interval | errors |", "|---|---:|---|---:|---|---:|",
            *rows(scores), "", "Intervals are bootstrap intervals over utterances."]


def likelihoods(scores: dict[str, Any]) -> list[str]:
    """Of a network that writes."""
    return ["| set | lines | nats a line | squared error a point |", "|---|---:|---:|---:|",
            *(f"| {split} | {f['lines']} | {f['nats']:.1f} | {f['squares']:.3f} |" for split, found in scores.items() for f in found.values())]


def rows(scores: dict[str, Any]) -> list[str]:
    from recog.report import measures

    return [f"| {split} | {f['utterances']} | {decoder} | {label} {100 * f['error_rate']:.2f} % "
            f"| {interval(f['interval'])} | {f['errors']} of {f['tokens']} |"
            for split, decoders in scores.items() for decoder, units in decoders.items() for label, f in measures(units)]


def interval(ends: list[float] | None) -> str:
    return f"{100 * ends[0]:.2f} to {100 * ends[1]:.2f} %" if ends else "-"


if __name__ == "__main__":
    if len(sys.argv) != 3:
        raise SystemExit("give a model folder (or the name of a bundled model) and the card")
    from recog import modeldir           # loads torch, which the functions above do not need

    folder, card = modeldir.locate(sys.argv[1]), Path(sys.argv[2])
    card.write_text(written(card.read_text(encoding="utf-8"), modeldir.described(folder)), encoding="utf-8")
