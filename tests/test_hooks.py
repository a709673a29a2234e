"""Weight noise: gradients are those at the noisy weights, and the weights come back to the bit."""

from dataclasses import replace

import pytest
import torch
from torch import nn

from recog.batching import BatchConfig
from recog.hooks.weight_noise import WeightNoise, WeightNoiseConfig
from recog.optim import OptimizerConfig
from recog.testing import FAST, spelled, tiny_model
from recog.train import Training

pytestmark = pytest.mark.usefixtures("one_thread")


def copied(model):
    return [w.detach().clone() for w in model.parameters()]


def test_weights_come_back_to_the_bit():
    model, hook = tiny_model(), WeightNoise(WeightNoiseConfig(0.3))
    clean = copied(model)
    hook.before_pass(model, 0)
    assert not any(torch.equal(w, c) for w, c in zip(model.parameters(), clean))
    hook.after_pass(model, 1)
    assert all(torch.equal(w, c) for w, c in zip(model.parameters(), clean))


def test_gradients_are_those_at_the_noisy_weights():
    torch.manual_seed(0)
    model, hook, x = nn.Linear(3, 2), WeightNoise(WeightNoiseConfig(0.5)), torch.randn(4, 3)
    hook.before_pass(model, 0)
    noisy = copied(model)
    model(x).square().sum().backward()
    hook.after_pass(model, 1)
    weight, bias = noisy
    error = 2 * (x @ weight.T + bias)                              # the gradient, by hand
    assert torch.allclose(model.weight.grad, error.T @ x, atol=1e-5) and torch.allclose(model.bias.grad, error.sum(0), atol=1e-5)


def test_one_draw_of_the_right_size_per_step():
    torch.manual_seed(0)
    model, hook = nn.Linear(200, 200), WeightNoise(WeightNoiseConfig(0.075))
    clean, draws = model.weight.detach().clone(), []
    for step in range(2):
        hook.before_pass(model, step)
        draws.append(model.weight.detach() - clean)
        hook.after_pass(model, 1)
    assert all(draw.std().item() == pytest.approx(0.075, rel=0.03) and abs(draw.mean().item()) < 0.002 for draw in draws)
    assert not torch.equal(*draws)


def test_it_is_a_hook_without_a_state():
    hook = WeightNoise(WeightNoiseConfig())
    assert hook.state() == hook.report() == {} and hook.before_update(None) is None and hook.extra_loss(None) is None and hook.restore({}) is None and hook.after_step(None, 0) is None
    assert hook.config.deviation == 0.075                          # Graves 2013
    with pytest.raises(ValueError):
        WeightNoiseConfig(0.0)


def updated(tmp_path, per, utterances, deviation):
    """The weights after one update by plain gradient descent, and the loss."""
    corpus, model = spelled(tmp_path / "store", train=8, dev=0), tiny_model()
    config = replace(FAST, clip=0.0, batch=BatchConfig(utterances=utterances), optimizer=OptimizerConfig(kind="sgd", momentum=0.0, rate=0.1))
    loss = Training(model, config, [WeightNoise(WeightNoiseConfig(deviation, per))], tmp_path).update(next(corpus.examples(config).epoch(0)), 0.0)
    return torch.cat([w.detach().flatten() for w in model.parameters()]), loss


def test_for_one_utterance_a_draw_per_step_is_a_draw_per_sequence_to_the_bit(tmp_path):
    (step, loss), (sequence, other) = (updated(tmp_path, per, 1, 0.1) for per in ("step", "sequence"))
    assert torch.equal(step, sequence) and loss == other
    assert not torch.equal(updated(tmp_path, "step", 8, 0.1)[0], updated(tmp_path, "sequence", 8, 0.1)[0])


def test_passes_of_single_sequences_add_up_to_the_pass_of_their_batch(tmp_path):
    (whole, loss), (parts, other) = (updated(tmp_path, per, 8, 1e-9) for per in ("step", "sequence"))
    assert torch.allclose(whole, parts, atol=1e-6) and loss == pytest.approx(other, rel=1e-5)
