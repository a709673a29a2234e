"""A character network as a model folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from . import modeldir
from .lm.rnn import CharRnn, Rnn
from .text import Units


def save(folder: Path, name: str, model: CharRnn, units: Units, facts: dict[str, Any]) -> None:
    modeldir.save(folder, name, model.config, model, units, None, {"medium": "text", **facts})


def load(folder: Path) -> Rnn:
    """Raises ModelError naming what is wrong with the folder."""
    _, model, units = modeldir.rebuilt(folder, "text", CharRnn, "is not a language model of characters", "recog run recipes/text trains one")
    return Rnn(model, units)
