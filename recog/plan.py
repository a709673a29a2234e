"""One run of a recipe: what, on what, and where everything goes."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from .config import plain
from .experiment import Experiment
from .files import digest_of, read_json
from .part import WHOLE, Part
from .recipe import Recipe
from .store import Store


@dataclass(frozen=True)
class Run:
    recipe: Recipe
    experiment: Experiment
    corpus: Path | None
    exp: Path                                # results go to exp/RECIPE/...
    name: str                                # ... and those of this model to exp/RECIPE/NAME/
    again: str | None = None                 # the stage from which on all is done anew
    part: Part = WHOLE                       # of the last stage: what this job does of it, others doing the rest

    @property
    def home(self) -> Path:
        return self.exp / self.recipe.name

    @property
    def folder(self) -> Path:
        return self.home / self.name

    @property
    def splits(self) -> list[str]:
        """What is trained on, the development set, and the test splits that this copy of the corpus has."""
        return list(dict.fromkeys(["train", *self.scored]))

    @property
    def scored(self) -> list[str]:
        config, ended = self.recipe.config, self.home / "prepare" / "done.json"
        counts = read_json(ended)["result"]["counts"] if config.optional and ended.exists() else {}
        return [config.dev, *(split for split in config.test if split not in config.optional or counts.get(split))]

    @property
    def manifest(self) -> Path:
        return self.home / "prepare" / "manifest.jsonl"

    @property
    def texts(self) -> Path:
        """Free texts for language models, where prepare.py finds some."""
        return self.home / "prepare" / "texts.txt"

    @property
    def features(self) -> Path:
        """Shared by all models whose features before normalization are the same."""
        return self.home / f"features-{digest_of(self.feature_settings)[:8]}"

    def store(self) -> Store:
        """The features, opened."""
        return Store(self.features, (self.experiment.features, self.experiment.views))

    @property
    def feature_settings(self) -> dict[str, Any]:
        later = {"normalize": "none", "stack": 1} | ({"range_db": 0.0} if self.experiment.features.medium == "audio" else {})    # applied on reading
        shaping = replace(self.experiment.features, **later)
        return {"features": plain(shaping, defaults=False), "views": plain(self.experiment.views, defaults=False), "splits": self.splits}
