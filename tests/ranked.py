"""What the tests of several ranks have them do: each function runs on every rank, or here alone, and is imported by new processes."""

from dataclasses import replace

import torch
from tiny_runs import NOISY, StopAt, learned, run

from recog import ranks
from recog.errors import DataError
from recog.gradients import gradients
from recog.hooks.adaptive_weight_noise import AdaptiveWeightNoise, AdaptiveWeightNoiseConfig
from recog.hooks.weight_noise import WeightNoise, WeightNoiseConfig
from recog.testing import tiny_model

CONFIG = replace(NOISY, batch=replace(NOISY.batch, utterances=7))            # 13 full batches, and one of 5


class Decay(StopAt):
    def extra_loss(self, model):
        return sum((w * w).sum() for w in model.parameters())


def hooks_for(kind, model):
    if kind == "plain":
        return []
    if kind == "decay":
        return [Decay(-1, None)]
    if kind == "noise":                                                       # one draw for a batch: the same on all ranks
        return [WeightNoise(WeightNoiseConfig(0.05))]
    per, gradient = kind.split()                                              # tiny noise: what is learned of it hardly follows from the draw
    return [AdaptiveWeightNoise(AdaptiveWeightNoiseConfig(deviation=0.05 if per == "step" else 1e-6, gradient=gradient, per=per), model, 96)]


KINDS = ["plain", "decay", "noise", "step curvature", "step sample", "sequence curvature"]


def found_gradients(features):
    """The loss and all gradients of the first batch, and of one with a single utterance, for each kind of hook; and of a batch that is poisoned."""
    corpus, found = learned(features), {}
    for size in (7, 1):
        config = replace(CONFIG, batch=replace(CONFIG.batch, utterances=size))
        batch = next(corpus.examples(config, perturb=config.perturb).epoch(0))
        for kind in KINDS:
            model = tiny_model()
            hooks = hooks_for(kind, model)
            torch.manual_seed(5)
            total = gradients(model, batch, hooks, 1, 0, "float32")
            weights = [*model.parameters(), *(w for hook in hooks for w in hook.weights())]
            found[kind, size] = batch.ids, total, [None if w.grad is None else w.grad.clone() for w in weights]
            assert all(torch.equal(w, clean) for w, clean in zip(model.parameters(), tiny_model().parameters()))
    batch.x[0, 0] = float("nan")
    found["poisoned"] = gradients(tiny_model(), batch, [], 1, 0, "float32")
    found["told"] = ranks.rank(), ranks.size(), ranks.from_first(ranks.rank), ranks.gathered(ranks.rank()), ranks.added(0.5)
    totals = ranks.gathered({key: value[1] for key, value in found.items() if type(key) is tuple})
    assert all(one == totals[0] for one in totals)
    return found


def trained(features, folder, config, stop=None):
    """Trains, or goes on; stop: (step, rank, signal): that rank gets the signal before that step. Gives the weights and the last step."""
    hooks = []
    if stop is not None and stop[1] == ranks.rank():
        hooks = [StopAt(stop[0], stop[2])]
    elif stop is not None:
        hooks = [StopAt(-1, None)]
    model, ended = run(learned(features), config, folder, hooks=hooks)
    return model.state_dict(), ended.step


def failing():
    """Rank 1 fails while rank 0 waits for it."""
    if ranks.rank() == 1:
        raise DataError("is cut short", where="a.wav")
    ranks.gathered(0)
