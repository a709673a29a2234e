"""How few weights a model needs: error and loss when only those that stand out of their noise are kept (Graves 2011, section 5)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Sequence

import torch
from torch import Tensor, nn

from . import manifest, modeldir, svg
from .batching import BatchConfig
from .components import nearest
from .errors import ConfigError, DataError
from .evaluation import DevelopmentSet
from .examples import Example, Examples
from .files import read_json, write_text
from .modeldir import LoadedModel
from .phases import last_folder
from .report import METRIC
from .store import Store
from .svg import Scale, line, path, tag, text


@dataclass(frozen=True)
class Pruned:
    """A model of which only a share of the weights is left; the others are 0."""

    keep: float                              # percent of all weights
    weights: int                             # that are left
    threshold: float                         # the least |mean| / deviation among them
    error: float                             # errors per reference token, best path
    loss: float                              # nats per utterance


def prune_run(folder: Path, keep: str, split: str | None, by: str = "noise") -> str:
    """`recog models prune`: the table for a finished run, which is also left with its curve in the run's folder pruning/.

    by: "noise" sorts by |mean| / deviation, as adaptive weight noise learned them; "size" by |weight|, for comparison.
    """
    shares = _shares(keep)
    if by not in ("noise", "size"):
        raise ConfigError(f"there is no order '{by}'{nearest(by, ('noise', 'size'))}", where="--by")
    loaded, evaluate, unit, split = _judge_of(folder, split)
    found = prune(loaded.model, _ranks(folder, loaded, by), shares, evaluate)
    lines = [f"{'kept %':>8} {'weights':>10} {'at least':>10} {METRIC[unit] + ' %':>8} {'nats / utterance':>17}"]
    lines += [f"{p.keep:8g} {p.weights:10,} {p.threshold:10.3g} {100 * p.error:8.2f} {p.loss:17.4f}" for p in found]
    head = f"{loaded.name}, {split}, best path; the weights kept are those with the most |{'mean' if by == 'noise' else 'weight'}|" \
           + (" / deviation" if by == "noise" else "")
    table = "\n".join([head, *lines])
    out = folder / "pruning" / f"{split}.{by}"
    write_text(out.with_name(out.name + ".txt"), table + "\n")
    write_text(out.with_name(out.name + ".svg"), curve(found, f"{METRIC[unit]} on {split}, %"))
    return table


def prune(model: nn.Module, ranks: dict[str, Tensor], keep: Sequence[float], evaluate) -> list[Pruned]:
    """Judges the model with the first keep % of its weights by rank, over all tensors; the weights come back at the end."""
    clean = {name: w.detach().clone() for name, w in model.named_parameters()}
    flat = torch.cat([ranks[name].flatten() for name in clean])
    order = flat.argsort(descending=True, stable=True)
    found = []
    try:
        for share in keep:
            count = max(1, round(share / 100 * len(order)))
            left = torch.zeros(len(order), dtype=torch.bool)
            left[order[:count]] = True
            with torch.no_grad():
                for (name, w), part in zip(model.named_parameters(), left.split([w.numel() for w in clean.values()])):
                    w.copy_(torch.where(part.view_as(w).to(w.device), clean[name], 0.0))
            scores = evaluate(model)
            found.append(Pruned(share, count, flat[order[count - 1]].item(), scores["error"], scores["loss"]))
    finally:
        with torch.no_grad():
            for name, w in model.named_parameters():
                w.copy_(clean[name])
    return found


def _shares(keep: str) -> list[float]:
    try:
        shares = [float(share) for share in keep.split(",")]
    except ValueError:
        shares = []
    if not shares or any(not 0 < share <= 100 for share in shares):
        raise ConfigError(f"'{keep}' is not a list of percentages above 0 and up to 100", where="--keep", hint="such as 100,50,20,10")
    return shares


def _judge_of(folder: Path, split: str | None) -> tuple[LoadedModel, DevelopmentSet, str, str]:
    """The run's model, what judges it on the split, the unit that is scored, and the split."""
    if not (folder / "train" / "done.json").is_file():
        raise DataError("is not the folder of a finished training", where=folder, hint="give exp/RECIPE/MODEL; recog inspect says how far it has come")
    key = read_json(folder / "train" / "done.json")["key"]
    loaded = modeldir.load(folder / "model")
    utterances = list(manifest.read(folder.parent / "prepare" / "manifest.jsonl"))
    split = split or key["settings"]["dev"]
    splits = {u.split for u in utterances}
    if split not in splits:
        raise ConfigError(f"there is no split '{split}'{nearest(split, sorted(splits))}", where="--split")
    chosen = [u for u in utterances if u.split == split]
    rows = [Example(u.id, tuple(loaded.units.encode(u.text, where=f"utterance '{u.id}'"))) for u in chosen]
    store = Store(folder.parent / f"features-{key['inputs']['features'][:8]}")
    examples = Examples(store, rows, loaded.config.features, loaded.normalizer, BatchConfig())
    unit = key["settings"]["unit"]
    return loaded, DevelopmentSet(examples, loaded.units, [u.text for u in chosen], unit), unit, split


def _ranks(folder: Path, loaded: LoadedModel, by: str) -> dict[str, Tensor]:
    """Of each weight: the higher, the longer it is kept."""
    from safetensors.torch import load_file

    weights = {name: w.detach().abs() for name, w in loaded.model.named_parameters()}
    if by == "size":
        return weights
    file = last_folder(folder / "train") / "adaptive_weight_noise.safetensors"
    if not file.is_file():
        raise DataError("is missing: the deviations of the weights are not known", where=file,
                        hint="train with the hook adaptive_weight_noise in the last phase, or prune --by size")
    state: dict[str, Any] = load_file(file)
    if any(f"deviation_log.{name}" not in state or state[f"deviation_log.{name}"].shape != w.shape for name, w in weights.items()):
        raise DataError("belongs to another model", where=file, hint="was the model folder exchanged?")
    return {name: w / state[f"deviation_log.{name}"].exp() for name, w in weights.items()}


def curve(found: Sequence[Pruned], title: str) -> str:
    """An SVG file: error against weights kept, on a logarithmic axis, from all to few."""
    shares, errors = [p.keep for p in found], [100 * p.error for p in found]
    x = Scale(min(shares) / 1.15, max(shares) * 1.15, svg.RIGHT, svg.LEFT, log=True)
    y = Scale(0.0, max(errors) * 1.08 or 1.0, 268, 28)
    parts = [text(svg.LEFT, 19, title, class_="name")]
    for tick in y.ticks(9):
        parts += [line(svg.LEFT, y(tick), svg.RIGHT, y(tick), "grid"), text(svg.LEFT - 8, y(tick) + 4, f"{tick:g}", "end")]
    parts += [text(x(share), 288, f"{share:g}", "middle") for share in sorted(set(shares))]
    parts += [line(svg.LEFT, y(0), svg.RIGHT, y(0), "axis"), text((svg.LEFT + svg.RIGHT) / 2, 308, "weights kept, %", "middle"),
              path([(x(p.keep), y(100 * p.error)) for p in sorted(found, key=lambda p: -p.keep)], "c0 line")]
    parts += [tag("g", svg.hint(f"{p.keep:g} % of the weights: {100 * p.error:.2f} %, {p.loss:.4f} nats per utterance"),
                  tag("circle", cx=x(p.keep), cy=y(100 * p.error), r=5, class_="c0 dot")) for p in found]
    drawn = svg.drawing(svg.WIDTH, 316, title, tag("style", svg.STYLE), *parts)
    return drawn.replace("<svg", '<svg xmlns="http://www.w3.org/2000/svg"', 1) + "\n"
