"""An ensemble: models that read the same file each in its own way. Each searches; what they find is put in order by all.

The score of an answer is the mean of what the models say of it, in nats, over all CTC paths (a product of experts: Hinton 2002), plus what a
language model and bonuses add. Networks of different front ends err in different places, and rarely agree on an error: most of all, one that
follows the pen and one that sees what it drew (Liwicki & Bunke 2007).
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Sequence

import numpy as np
import torch

from . import modeldir
from .batching import BatchConfig, pad, plan
from .config import Component
from .decode import decode
from .decode.align import align
from .errors import ConfigError, DataError, ModelError
from .features import finish
from .kernels import ctc_totals
from .modeldir import LoadedModel
from .types import Decoder, Hypothesis, Utterance
from .views import ViewsConfig, views


def agreed(decoder: Decoder, heard: Sequence[np.ndarray], nbest: int = 1) -> list[Hypothesis]:
    """What all models together make of an utterance, best first. heard: of each model the log-probabilities [T', V]; spans are in frames of
    the first.

    A model that has too few frames for every one of the answers has no say.
    """
    found = {h.units: h for rows in reversed(heard) for h in decode(decoder, rows)}
    opinions = [each for each in (totals(rows, list(found)) for rows in heard) if np.isfinite(each).any()]
    scores = np.mean(opinions, axis=0) if opinions else np.zeros(len(found))
    together = [replace(h, score=h.score - h.parts["acoustic"] + mean, parts={**h.parts, "acoustic": mean})
                for h, mean in zip(found.values(), scores.tolist())]
    together = sorted(together, key=lambda h: -h.score)
    return [placed(h, heard[0]) for h in together[:nbest]]


def placed(hypothesis: Hypothesis, log_probs: np.ndarray) -> Hypothesis:
    """With spans and confidences by the first model, whoever found it; if it has too few frames for the answer, its frames are shared out."""
    try:
        path = align(log_probs, hypothesis.units)
    except DataError:
        edges = [round(i * len(log_probs) / len(hypothesis.units)) for i in range(len(hypothesis.units) + 1)]
        return replace(hypothesis, spans=tuple(zip(edges, edges[1:])))
    return replace(hypothesis, spans=path.spans, confidence=path.confidence)


def totals(log_probs: np.ndarray, labels: Sequence[Sequence[int]]) -> np.ndarray:
    """The log-probability of each label sequence [N], over all its CTC paths; -inf where there are too few frames. log_probs [T, V]."""
    lengths = np.array([len(each) for each in labels])
    padded = np.zeros((len(labels), max(1, lengths.max(initial=0))), np.int64)
    for row, each in zip(padded, labels):
        row[:len(each)] = each
    return ctc_totals.totals(np.ascontiguousarray(log_probs, np.float64), padded, lengths)


def searching(component: Component) -> Component:
    """The decoder with as many answers as it finds, for others to judge; as it is, if it finds one."""
    config = component.config
    if not hasattr(config, "beam") or not hasattr(config, "nbest"):
        return component
    return replace(component, config=replace(config, nbest=max(config.nbest, config.beam)))


def members(loaded: LoadedModel, paths: Sequence[str]) -> list[LoadedModel]:
    """Model folders or bundled models that can read beside this one. Raises ModelError."""
    found = []
    for path in paths:
        folder = modeldir.locate(path)
        found.append(checked(loaded, modeldir.load(folder), folder))
    return found


def checked(loaded: LoadedModel, other: LoadedModel, folder: Path) -> LoadedModel:
    for model in (loaded, other):
        if model.model.predictor() is not None:
            raise ModelError("is a transducer, and only models with the ctc head read together", where=folder if model is other else loaded.name)
    reads, first = other.config.features.medium, loaded.config.features.medium
    if reads != first and (first, reads) != ("ink", "image"):
        hint = "name the one that reads ink first: the other is given ink as it is drawn" if (first, reads) == ("image", "ink") else None
        raise ModelError(f"reads {reads}, and '{loaded.name}' {first}", where=folder, hint=hint)
    if getattr(other.config.features, "rate", 0) != getattr(loaded.config.features, "rate", 0):
        raise ModelError(f"hears {other.config.features.rate} samples a second, and '{loaded.name}' {loaded.config.features.rate}", where=folder)
    if other.units.symbols != loaded.units.symbols:
        raise ModelError(f"writes other units than '{loaded.name}'", where=folder, hint="models of one recipe write the same")
    if other.members:
        raise ModelError("is itself several models", where=folder, hint="name them one by one")
    return other


@torch.inference_mode()
def heard(model: LoadedModel, utterances: Sequence[Utterance]) -> dict[str, np.ndarray]:
    """Log-probabilities [T', V] of each utterance, which are read anew. Raises DataError."""
    features = model.config.features
    frames = [finish(next(views(replace(u, split=""), features, ViewsConfig())), features, model.normalizer) for u in utterances]
    device, found = next(model.model.parameters()).device, {}
    for batch in plan(np.array([len(each) for each in frames]), BatchConfig(), None):
        padded = pad([utterances[i].id for i in batch], [frames[i] for i in batch], [()] * len(batch))
        rows, n = model.model.log_probs(padded.x.to(device), padded.x_len.to(device))
        found.update((id, each[:length]) for id, each, length in zip(padded.ids, rows.cpu().numpy(), n.tolist()))
    return found


def join(names: Sequence[str], folder: Path, name: str | None, half: bool, force: bool) -> None:
    """`recog models join`: the first model, and in its folder the others. Raises ConfigError or ModelError."""
    if len(names) < 2:
        raise ConfigError("an ensemble is of two models or more", where="recog models join")
    if folder.exists() and not force:
        raise ConfigError("is there already", where=folder, hint="--force overwrites it")
    source = modeldir.locate(names[0])
    first = modeldir.load(source)
    others = [*first.members, *members(first, names[1:])]
    called = [first.name, *(other.name for other in others)]
    if len(set(called)) < len(called):
        raise ConfigError(f"two of the models have one name: {', '.join(called)}", where=folder, hint="recog models export --name gives another")
    modeldir.save(folder, name or first.name, first.config, first.model, first.units, first.normalizer, modeldir.facts_of(first.info), half,
                  first.words, modeldir.language_model(source, first.info), others)
