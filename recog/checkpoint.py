"""Training state on disk, exact to resume from: the newest whole folder `step-N` counts, others are removed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from .errors import TrainError
from .files import digest, read_json, remove, write_tensors, writing


def save(folder: Path, step: int, tensors: dict[str, dict[str, Tensor]], facts: dict[str, Any]) -> None:
    """Writes folder/step-N with one safetensors file per group of tensors and state.json, then drops older ones."""
    target = folder / f"step-{step:09d}"
    if target.exists():
        return                               # the same step has the same state
    with writing(target) as partial:
        partial.mkdir()
        for group, values in tensors.items():
            write_tensors(partial / f"{group}.safetensors", values)
        (partial / "state.json").write_text(json.dumps({**facts, "digests": _digests(partial)}))
    for other in folder.glob("step-*"):
        if other != target:
            remove(other)


def load(folder: Path) -> tuple[dict[str, dict[str, Tensor]], dict[str, Any]] | None:
    """The newest state, or None when there is none."""
    from safetensors.torch import load_file

    whole = sorted(p for p in folder.glob("step-*") if p.suffix != ".partial")
    if not whole:
        return None
    facts = read_json(whole[-1] / "state.json")
    if not isinstance(facts, dict) or facts.pop("digests", None) != _digests(whole[-1]):
        raise TrainError("the saved state is damaged: its files are not those that were saved", where=whole[-1],
                         hint="delete this folder to train anew")
    return {p.stem: load_file(p) for p in whole[-1].glob("*.safetensors")}, facts


def _digests(folder: Path) -> dict[str, str]:
    return {p.stem: digest(p) for p in folder.glob("*.safetensors")}


def pack(optimizer: torch.optim.Optimizer) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """An optimizer's state as named tensors and plain values."""
    tensors, values = {}, {}
    for number, state in optimizer.state_dict()["state"].items():
        for name, value in state.items():
            (tensors if isinstance(value, Tensor) else values)[f"{number}.{name}"] = value
    return tensors, values


def unpack(optimizer: torch.optim.Optimizer, tensors: dict[str, Tensor], values: dict[str, Any]) -> None:
    state: dict[int, dict[str, Any]] = {}
    for key, value in {**tensors, **values}.items():
        number, name = key.split(".", 1)
        state.setdefault(int(number), {})[name] = value
    optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})
