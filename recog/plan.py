"""One run of a recipe: what, on what, and where everything goes."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from .config import plain
from .experiment import Experiment
from .files import digest_of
from .recipe import Recipe


@dataclass(frozen=True)
class Run:
    recipe: Recipe
    experiment: Experiment
    corpus: Path | None
    exp: Path                                # results go to exp/RECIPE/...
    name: str                                # ... and those of this model to exp/RECIPE/NAME/
    again: str | None = None                 # the stage from which on all is done anew

    @property
    def home(self) -> Path:
        return self.exp / self.recipe.name

    @property
    def folder(self) -> Path:
        return self.home / self.name

    @property
    def splits(self) -> list[str]:
        config = self.recipe.config
        return list(dict.fromkeys(["train", config.dev, *config.test]))

    @property
    def manifest(self) -> Path:
        return self.home / "prepare" / "manifest.jsonl"

    @property
    def features(self) -> Path:
        """Shared by all models whose features before normalization are the same."""
        return self.home / f"features-{digest_of(self.feature_settings)[:8]}"

    @property
    def feature_settings(self) -> dict[str, Any]:
        shaping = replace(self.experiment.features, range_db=0.0, normalize="none", stack=1)    # these are applied on reading
        return {"features": plain(shaping, defaults=False), "views": plain(self.experiment.views, defaults=False), "splits": self.splits}
