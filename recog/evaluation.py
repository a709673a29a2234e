"""Judging a model on a set of utterances: during training by best path, afterwards by every decoder asked for."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Mapping, Sequence

import numpy as np
import torch
from torch import nn

from . import ensemble, nbest, ranks
from .batching import BatchConfig, to_device
from .config import Component
from .decode import decode, make
from .decode.greedy import GreedyConfig
from .examples import Example, Examples
from .exports import ctm, stm
from .files import write_text
from .modeldir import LoadedModel
from .nbest import Answer, once
from .score import Fold, error_rate
from .store import Store, write_shard
from .text import Units
from .types import Decoder, Hypothesis, Utterance


class DevelopmentSet:
    """Called with a model, gives {"loss": nats per utterance, "error": errors per reference token}; ranks share the work."""

    shared = True

    def __init__(self, examples: Examples, units: Units, texts: Sequence[str], unit: str, fold: Fold | None = None):
        self.examples, self.units, self.unit, self.fold = examples, units, unit, fold
        self.texts = {example.id: text for example, text in zip(examples.examples, texts)}

    @torch.inference_mode()
    def __call__(self, model: nn.Module) -> dict[str, float]:
        total, answers = 0.0, {}
        device = next(model.parameters()).device
        greedy = make(Component("greedy", GreedyConfig()), self.units, (), model.predictor())
        for batch in self.examples.in_order(ranks.share):
            batch = to_device(batch, device)
            total += model.loss(batch).total.item()
            emissions, n = model.emissions(batch.x, batch.x_len)
            for id, rows, length in zip(batch.ids, emissions.cpu().numpy(), n.tolist()):
                answers[id] = self.units.decode(decode(greedy, rows[:length])[0].units)
        total, answers = ranks.added(total), ranks.merged(answers)
        references = [self.texts[id] for id in answers]
        return {"loss": total / len(self.examples), "error": error_rate(references, list(answers.values()), self.unit, self.fold)}


def decode_split(loaded: LoadedModel, store: Store, utterances: Sequence[Utterance], decoders: Mapping[str, Decoder],
                 out: Path, members: Mapping[str, Sequence[LoadedModel]] = {}) -> dict[str, float]:
    """Writes reference.tsv, DECODER.tsv and (for CTC) the log-probabilities of a split; gives each decoder's real-time factor.

    members: models that read beside this one for a decoder, by the decoder's name.
    """
    out.mkdir(exist_ok=True)
    found = emissions_of(loaded, store, [u.id for u in utterances])
    if loaded.model.predictor() is None:
        write_shard(out / "log_probs", 0, ((id, 0, rows) for id, rows in found.items()))
    write_text(out / "reference.tsv", "".join(f"{u.id}\t{u.text}\n" for u in utterances))
    times = {u.id: store.length(u.id) * loaded.config.features.step_ms / 1000 for u in utterances}
    seconds = sum(times.values())
    write_text(out / "reference.stm", stm(utterances, times))
    factors = {}
    beside = {model.name: ensemble.heard(model, utterances) for model in {m.name: m for each in members.values() for m in each}.values()}
    for name, decoder in decoders.items():
        others = [beside[model.name] for model in members.get(name, ())]
        decode(decoder, next(iter(found.values()))[:1])            # compiled before it is timed
        began = time.perf_counter()
        lists = {id: ensemble.agreed(decoder, [rows, *(other[id] for other in others)]) if others else decode(decoder, rows)
                 for id, rows in found.items()}
        answers = {id: hypotheses[0] for id, hypotheses in lists.items()}
        factors[name] = (time.perf_counter() - began) / seconds
        write_text(out / f"{name}.tsv", "".join(f"{id}\t{loaded.units.decode(h.units)}\n" for id, h in answers.items()))
        if getattr(decoder.config, "nbest", 1) > 1 and not others:
            nbest.write(out / f"{name}.jsonl", {id: _told(hypotheses, loaded.units) for id, hypotheses in lists.items()})
        write_text(out / f"{name}.ctm", ctm(answers, loaded.units, loaded.seconds))
    return factors


def _told(hypotheses: Sequence[Hypothesis], units: Units) -> list[Answer]:
    return list(once(Answer(units.decode(h.units), h.score, h.parts) for h in hypotheses))


def named(decoders: Sequence[Component], lm: str = "lm") -> dict[str, Component]:
    """Decoders by kind and by what guides them: beam+lexicon+LM; the second of a name is NAME-2, and so on."""
    names: dict[str, Component] = {}
    for component in decoders:
        name = "+".join([component.kind, *(called for guide, called in (("lexicon", "lexicon"), ("lm", lm)) if getattr(component.config, guide, False))])
        same = sum(other.rpartition("-")[0] == name or other == name for other in names)
        names[name if not same else f"{name}-{same + 1}"] = component
    return names


def emissions_of(loaded: LoadedModel, store: Store, ids: Sequence[str]) -> dict[str, np.ndarray]:
    """[T, E] for each utterance, in the order given."""
    return emissions(loaded.model, Examples(store, [Example(id, ()) for id in ids], loaded.config.features, loaded.normalizer, BatchConfig()))


@torch.inference_mode()
def emissions(model: nn.Module, examples: Examples) -> dict[str, np.ndarray]:
    """[T, E] for each example's first view, in order."""
    device = next(model.parameters()).device
    model.eval()
    found = {}
    for batch in examples.in_order():
        batch = to_device(batch, device)
        rows, n = model.emissions(batch.x, batch.x_len)
        found.update((id, each[:length]) for id, each, length in zip(batch.ids, rows.cpu().numpy(), n.tolist()))
    return {example.id: found[example.id] for example in examples.examples}
