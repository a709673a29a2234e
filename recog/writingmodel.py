"""A network that writes as a model folder."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from . import modeldir
from .models.handwriting import Handwriting
from .text import Units

MEDIUM = "writing"
WHITEBOARD = 0.015                           # seconds between two points of IAM-OnDB: the mean


@dataclass(frozen=True)
class LoadedWriter:
    """A network that writes, in evaluation mode, and what goes with it."""

    name: str
    model: Handwriting
    units: Units
    info: dict[str, Any]                 # model.json as it stands

    @property
    def height(self) -> float:
        """Of small letters in the training set, in the ink's units: the median."""
        return float(self.info["ink"]["height"])

    @property
    def step(self) -> float:
        """Between points within a stroke, likewise: the mean."""
        return float(self.info["ink"]["step"])

    @property
    def seconds(self) -> float:
        """From point to point."""
        return float(self.info["ink"].get("seconds", WHITEBOARD))

    @property
    def by(self) -> str:
        """What the points are even in: "time" or "length"."""
        return self.info["ink"].get("by", "length")


def save(folder: Path, name: str, model: Handwriting, units: Units, facts: dict[str, Any], half: bool = False) -> None:
    modeldir.save(folder, name, model.config, model, units, None, {"medium": MEDIUM, **facts}, half)


def load(folder: Path) -> LoadedWriter:
    """Raises ModelError naming what is wrong with the folder."""
    info, model, units = modeldir.rebuilt(folder, MEDIUM, Handwriting, "is no model that writes", "recog run recipes/handwriting trains one")
    return LoadedWriter(info["name"], model.eval(), units, info)
