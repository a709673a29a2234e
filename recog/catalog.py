"""What comes with recog: bundled models and recipes, listed, shown and exported."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from . import modeldir, recipe
from .errors import ConfigError
from .files import read_json


def list_models() -> str:
    rows = []
    for name in modeldir.bundled():
        info = read_json(modeldir.locate(name) / "model.json")
        rows.append(f"{name:16} {info['medium']:6} {info['weights']:>10,} weights  data: {info['data_licence']}")
    return "\n".join(rows)


def show_model(name: str) -> dict[str, Any]:
    """model.json, after the folder was found whole."""
    folder = modeldir.locate(name)
    info = modeldir.described(folder)
    return info if info.get("medium") == "text" else modeldir.load(folder).info


def export_model(name: str, folder: Path, half: bool, new_name: str | None, force: bool) -> None:
    if folder.exists() and not force:
        raise ConfigError("is there already", where=folder, hint="--force overwrites it")
    source = modeldir.locate(name)
    loaded = modeldir.load(source)
    facts = {key: value for key, value in loaded.info.items() if key not in ("format", "name", "config", "files", "weights")}
    modeldir.save(folder, new_name or loaded.name, loaded.config, loaded.model, loaded.units, loaded.normalizer, facts, half, loaded.words,
                  modeldir.language_model(source, loaded.info))


def list_recipes() -> str:
    return "\n".join(f"{name:16} {recipe.find(name).config.description}" for name in recipe.shipped())
