"""A network that classifies pixels as a model folder."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from . import modeldir
from .models.segmenter import Segmenter
from .text import Units

MEDIUM = "pixels"


@dataclass(frozen=True)
class LoadedSegmenter:
    """A network that classifies pixels, in evaluation mode, and what goes with it."""

    name: str
    model: Segmenter
    units: Units                         # the classes; the blank is the background
    info: dict[str, Any]                 # model.json as it stands


def save(folder: Path, name: str, model: Segmenter, units: Units, facts: dict[str, Any]) -> None:
    modeldir.save(folder, name, model.config, model, units, None, {"medium": MEDIUM, **facts})


def load(folder: Path) -> LoadedSegmenter:
    """Raises ModelError naming what is wrong with the folder."""
    hint = "recog run recipes/mdrnn2007 trains one"
    info, model, units = modeldir.rebuilt(folder, MEDIUM, Segmenter, "is no model that classifies pixels", hint)
    return LoadedSegmenter(info["name"], model.eval(), units, info)
