"""What a model says of a set of utterances: judged during training by best path, and as emissions for every decoder."""

from __future__ import annotations

from typing import Iterable, Sequence

import numpy as np
import torch
from torch import nn

from . import ranks
from .batching import BatchConfig, to_device
from .config import Component
from .decode import decode, make
from .decode.greedy import GreedyConfig
from .examples import Example, Examples
from .modeldir import LoadedModel
from .score import Fold, error_rate
from .store import Store
from .text import Units


class DevelopmentSet:
    """Called with a model, gives {"loss": nats per utterance, "error": errors per reference token}; ranks share the work."""

    shared = True

    def __init__(self, examples: Examples, units: Units, texts: Iterable[str], unit: str, fold: Fold | None = None):
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
