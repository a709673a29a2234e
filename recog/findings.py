"""What a run folder holds, for the page about it."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from . import manifest
from .errors import RecogError
from .files import read_json
from .recipe import Recipe
from .transcripts import read_transcripts
from .types import Utterance


@dataclass(frozen=True)
class Findings:
    """What a run folder holds. Anything may be missing: then it is empty."""

    folder: Path
    recipe: Recipe
    info: dict[str, Any]                                  # model.json
    metrics: list[dict[str, Any]]                         # one for each epoch
    scores: dict[tuple[str, str, str], dict[str, Any]]    # (split, decoder, unit): a report; the model's own decoder first
    factors: dict[str, dict[str, float]]                  # split, decoder: real-time factor
    utterances: dict[str, Utterance]

    @property
    def made(self) -> dict[str, Any]:
        return self.info.get("provenance", {})

    @property
    def unit(self) -> str:
        """What the recipe quotes."""
        return self.recipe.config.score[0]

    def decoder(self, split: str) -> str | None:
        """The first one, which goes into the model."""
        return next((decoder for at, decoder, unit in self.scores if (at, unit) == (split, self.unit)), None)

    def rows(self, split: str) -> list[dict[str, Any]]:
        """The counts of each utterance, fewest errors first, then by id."""
        report = self.scores.get((split, self.decoder(split), self.unit), {"rows": []})
        return sorted(report["rows"], key=lambda row: (row["errors"], row["id"]))

    def texts(self, split: str, name: str | None, folded: bool = True) -> dict[str, str]:
        """The references, or a decoder's answers, by id; phones as they are scored, or as they were decoded."""
        try:
            texts = read_transcripts(self.folder / "decode" / split / f"{name}.tsv")
        except RecogError:
            return {}
        fold = self.recipe.folding() if folded else None
        return {id: " ".join(fold(text.split())) for id, text in texts.items()} if fold else texts


def find(folder: Path, recipe: Recipe) -> Findings:
    info = read(folder / "model" / "model.json")
    own = info.get("config", {}).get("decoder", {}).get("kind")
    scores = {}
    for split in dict.fromkeys([recipe.config.dev, *recipe.config.test]):
        names = {path.stem for path in (folder / "decode" / split).glob("*.tsv")} - {"reference"}
        for decoder in sorted(names, key=lambda name: (name != own, name)):
            for unit in recipe.config.score:
                scores[split, decoder, unit] = read(folder / "score" / f"{split}.{decoder}.{unit}.json")
    try:
        utterances = {u.id: u for u in manifest.read(folder.parent / "prepare" / "manifest.jsonl")}
    except RecogError:
        utterances = {}
    factors = read(folder / "decode" / "done.json").get("result", {}).get("real_time_factors", {})
    return Findings(folder, recipe, info, _metrics(folder / "train"),
                    {key: report for key, report in scores.items() if report}, factors, utterances)


def read(path: Path) -> dict[str, Any]:
    """Nothing where there is no such file."""
    return read_json(path) if path.is_file() else {}


def _metrics(folder: Path) -> list[dict[str, Any]]:
    """Of both phases of a training, with the epochs counted on."""
    rows: list[dict[str, Any]] = []
    for path in filter(Path.is_file, (folder / "metrics.jsonl", folder / "second" / "metrics.jsonl")):
        before = max((row.get("epoch", 0) for row in rows), default=0)
        for text in path.read_text(encoding="utf-8").splitlines():
            try:
                row = json.loads(text)
            except json.JSONDecodeError:
                continue                                  # a line cut short by a kill
            rows.append(row | {"epoch": before + row["epoch"]} if "epoch" in row else row)
    return [{key: value for key, value in row.items() if isinstance(value, (int, float)) and math.isfinite(value)}
            for row in rows if "epoch" in row]
