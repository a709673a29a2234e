"""Graves's RMSprop against the published equations, number by number; schedules at their corners; the running average."""

import math

import pytest
import torch
from torch import nn

from recog import checkpoint
from recog.optim import Average, GravesRmsprop, OptimizerConfig, make, rate_at

pytestmark = pytest.mark.usefixtures("one_thread")


def weights(seed=0):
    torch.manual_seed(seed)
    return [nn.Parameter(torch.randn(3, 2, dtype=torch.float64)), nn.Parameter(torch.randn(4, dtype=torch.float64))]


def step(optimizer, weights, number):
    """One update with made-up gradients; gives them."""
    generator = torch.Generator().manual_seed(number)
    for w in weights:
        w.grad = torch.randn(w.shape, generator=generator, dtype=w.dtype)
    optimizer.step()
    return [w.grad.clone() for w in weights]


@pytest.mark.parametrize("decay", [0.0, 0.01])
def test_rmsprop_is_equations_38_to_45(decay):
    ours = weights()
    optimizer = GravesRmsprop(ours, lr=0.01, momentum=0.9, weight_decay=decay)
    theirs = [w.flatten().tolist() for w in ours]
    n, g, delta = ([[0.0] * len(w) for w in theirs] for _ in range(3))
    for number in range(20):
        for k, gradient in enumerate(step(optimizer, ours, number)):
            for i, e in enumerate(gradient.flatten().tolist()):
                e += decay * theirs[k][i]
                n[k][i] = 0.95 * n[k][i] + 0.05 * e * e
                g[k][i] = 0.95 * g[k][i] + 0.05 * e
                delta[k][i] = 0.9 * delta[k][i] - 0.01 * e / math.sqrt(n[k][i] - g[k][i] ** 2 + 0.0001)
                theirs[k][i] += delta[k][i]
    for w, expected in zip(ours, theirs):
        assert w.flatten().tolist() == pytest.approx(expected, rel=1e-12)


def test_rmsprop_leaves_alone_what_has_no_gradient():
    ours = weights()
    before = ours[1].clone()
    optimizer = GravesRmsprop(ours)
    ours[0].grad = torch.ones_like(ours[0])
    optimizer.step()
    assert torch.equal(ours[1], before) and not optimizer.state.get(ours[1])


@pytest.mark.parametrize("kind, cls", [("sgd", torch.optim.SGD), ("adam", torch.optim.Adam), ("adamw", torch.optim.AdamW),
                                       ("rmsprop", GravesRmsprop)])
def test_settings_reach_the_optimizer(kind, cls):
    optimizer = make(OptimizerConfig(kind=kind, rate=0.02, momentum=0.7, weight_decay=0.3), weights())
    group = optimizer.param_groups[0]
    assert type(optimizer) is cls and (group["lr"], group["weight_decay"]) == (0.02, 0.3)
    assert group.get("momentum", 0.7) == 0.7


@pytest.mark.parametrize("kind", ["sgd", "adam", "adamw", "rmsprop"])
def test_a_packed_optimizer_goes_on_as_if_nothing_had_happened(kind):
    config = OptimizerConfig(kind=kind, rate=0.02)
    ours = weights()
    optimizer = make(config, ours)
    for number in range(5):
        step(optimizer, ours, number)
    theirs = [nn.Parameter(w.detach().clone()) for w in ours]
    other = make(config, theirs)
    tensors, values = checkpoint.pack(optimizer)
    checkpoint.unpack(other, {name: value.clone() for name, value in tensors.items()}, values)      # as from a file
    for number in range(5, 8):
        step(optimizer, ours, number)
        step(other, theirs, number)
    assert all(torch.equal(a, b) for a, b in zip(ours, theirs))


@pytest.mark.parametrize("schedule, warmup, values", [
    ("constant", 0.0, {0: 1, 0.5: 1, 1: 1}),
    ("constant", 0.2, {0: 1 / 25, 0.1: 13 / 25, 0.2: 1, 1: 1}),
    ("linear", 0.0, {0: 1, 0.25: 0.75, 1: 0}),
    ("linear", 0.5, {0: 1 / 25, 0.25: 13 / 25, 0.5: 1, 0.75: 0.5, 1: 0}),
    ("cosine", 0.0, {0: 1, 0.5: 0.5, 1: 0, 0.25: 0.5 + math.sqrt(0.125)}),
    ("cosine", 0.25, {0: 1 / 25, 0.25: 1, 0.625: 0.5, 1: 0}),
    ("plateau", 0.1, {0: 1 / 25, 0.1: 1, 1: 1})])
def test_schedules_at_their_corners(schedule, warmup, values):
    config = OptimizerConfig(rate=0.4, schedule=schedule, warmup=warmup)
    for progress, share in values.items():
        assert rate_at(config, progress) == pytest.approx(0.4 * share, abs=1e-15)


@pytest.mark.parametrize("wrong", [{"rate": 0.0}, {"rate": -1.0}, {"momentum": 1.0}, {"warmup": 1.0}, {"weight_decay": -0.1}, {"plateau_patience": 0}])
def test_settings_that_cannot_be_are_refused(wrong):
    with pytest.raises(ValueError):
        OptimizerConfig(**wrong)


def test_the_average_is_a_running_one_that_forgets_its_start():
    model = nn.Linear(2, 1)
    average = Average(model, 0.8)
    mean = [w.flatten().tolist() for w in model.state_dict().values()]
    for number in range(1, 60):
        with torch.no_grad():
            for w in model.parameters():
                w += torch.randn(w.shape, generator=torch.Generator().manual_seed(number))
        average.update(model)
        keep = min(0.8, number / (number + 9))
        mean = [[keep * m + (1 - keep) * v for m, v in zip(row, w.flatten().tolist())]
                for row, w in zip(mean, model.state_dict().values())]
    assert average.steps == 59
    for w, expected in zip(average.weights.values(), mean):
        assert w.flatten().tolist() == pytest.approx(expected, rel=1e-5)


def test_the_average_is_inside_for_the_block_only_also_when_it_fails():
    model = nn.Linear(2, 1)
    average = Average(model, 0.5)
    with torch.no_grad():
        model.weight.add_(1)
    own = {name: w.clone() for name, w in model.state_dict().items()}
    with pytest.raises(KeyError):
        with average.inside(model):
            assert torch.equal(model.weight, average.weights["weight"]) and not torch.equal(model.weight, own["weight"])
            raise KeyError
    assert all(torch.equal(w, own[name]) for name, w in model.state_dict().items())
    assert average.weights["weight"].data_ptr() != model.weight.data_ptr()
