"""What comes with recog: bundled models and recipes, listed, shown and exported."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from . import modeldir, pixelmodel, recipe, textmodel, writingmodel
from .errors import ConfigError
from .files import read_json
from .portable.export import export


def list_models() -> str:
    rows = []
    for name in modeldir.bundled():
        info = read_json(modeldir.locate(name) / "model.json")
        rows.append(f"{name:16} {info['medium']:6} {info['weights']:>10,} weights  data: {info['data_licence']}")
    return "\n".join(rows)


def show_model(name: str) -> dict[str, Any]:
    """model.json, after the folder was found whole. Raises ModelError."""
    folder = modeldir.locate(name)
    info = modeldir.described(folder)
    load = {"text": textmodel.load, writingmodel.MEDIUM: writingmodel.load, pixelmodel.MEDIUM: pixelmodel.load}.get(info.get("medium"), modeldir.load)
    load(folder)
    return info


def export_model(name: str, folder: Path, half: bool, new_name: str | None, force: bool, to: str | None = None, int8: bool = False) -> str:
    """A copy of the model folder, or with `to` networks for other programs. What there is to say of it: nothing of a copy."""
    if to is not None:
        if half:
            raise ConfigError("goes with copies alone", where="--half", hint="--to onnx --int8 makes a small one")
        return export(modeldir.locate(name), folder, to, int8, new_name, force)
    if int8:
        raise ConfigError("goes with --to alone", where="--int8", hint="--half makes a small copy")
    if folder.exists() and not force:
        raise ConfigError("is there already", where=folder, hint="--force overwrites it")
    source = modeldir.locate(name)
    info = modeldir.described(source)
    facts = modeldir.facts_of(info)
    if info.get("medium") == writingmodel.MEDIUM:
        writer = writingmodel.load(source)
        writingmodel.save(folder, new_name or writer.name, writer.model, writer.units, facts, half)
        return ""
    loaded = modeldir.load(source)
    modeldir.save(folder, new_name or loaded.name, loaded.config, loaded.model, loaded.units, loaded.normalizer, facts, half, loaded.words,
                  modeldir.language_model(source, loaded.info), loaded.members)
    return ""


def list_recipes() -> str:
    return "\n".join(f"{name:16} {recipe.find(name).config.description}" for name in recipe.shipped())
