"""A character network as a model folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from . import modeldir
from .config import build
from .errors import ConfigError, ModelError
from .lm.rnn import CharRnn, Rnn, RnnConfig
from .text import Units


def save(folder: Path, name: str, model: CharRnn, units: Units, facts: dict[str, Any]) -> None:
    modeldir.save(folder, name, model.config, model, units, None, {"medium": "text", **facts})


def load(folder: Path) -> Rnn:
    """Raises ModelError naming what is wrong with the folder."""
    info = modeldir.described(folder)
    if info.get("medium") != "text":
        raise ModelError("is not a language model of characters", where=folder, hint="recog run recipes/text trains one")
    try:
        config = build(RnnConfig, info["config"], where=folder / "model.json")
    except ConfigError as error:
        raise ModelError(error.what, where=error.where, hint="was it made by another version of recog?") from None
    units = Units.load(folder / modeldir.UNITS)
    model = CharRnn(config, len(units))
    modeldir.fill(model, folder / modeldir.WEIGHTS)
    return Rnn(model, units)
