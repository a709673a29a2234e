"""Adaptive weight noise against integrals, other implementations and closed forms; and what it is for: less overfitting."""

import itertools
import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy import integrate, optimize, stats
from tiny_runs import rows
from torch import nn

from recog.batching import BatchConfig
from recog.hooks.adaptive_weight_noise import AdaptiveWeightNoise, AdaptiveWeightNoiseConfig, kl, prior
from recog.optim import OptimizerConfig
from recog.testing import FAST, spelled, tiny_model
from recog.train import Training, train
from recog.types import Loss

pytestmark = pytest.mark.usefixtures("one_thread")


def posterior(seed=0):
    """Means and log deviations of two tensors."""
    torch.manual_seed(seed)
    return ([torch.randn(4, 3) + 0.3, 2 * torch.randn(5)], [torch.randn(4, 3) - 1, torch.randn(5) - 2])


def wide(tensors):
    return np.concatenate([t.double().numpy().ravel() for t in tensors])


def test_the_kl_is_that_of_torch_distributions_and_of_the_integral():
    means, logs = posterior()
    m, v = prior(means, logs)
    other = sum(torch.distributions.kl_divergence(torch.distributions.Normal(mu, log.exp()), torch.distributions.Normal(m, math.sqrt(v))).sum()
                for mu, log in zip(means, logs)).item()
    assert kl(means, logs) == pytest.approx(other, rel=1e-5)
    integral = 0.0
    for mu, s in zip(wide(means), np.exp(wide(logs))):
        q, p = stats.norm(mu, s), stats.norm(m, math.sqrt(v))
        integral += integrate.quad(lambda w: q.pdf(w) * (q.logpdf(w) - p.logpdf(w)), mu - 10 * s, mu + 10 * s)[0]
    assert kl(means, logs) == pytest.approx(integral, rel=1e-5)


def test_the_prior_makes_the_kl_least():
    means, logs = posterior(1)
    mu, s = wide(means), np.exp(wide(logs))
    nats = lambda at: np.sum(at[1] / 2 - np.log(s) + ((mu - at[0]) ** 2 + s * s) / (2 * math.exp(at[1])) - 0.5)
    found = optimize.minimize(nats, [0.0, 0.0], tol=1e-12)
    m, v = prior(means, logs)
    assert [m, math.log(v)] == pytest.approx(list(found.x), abs=1e-5) and kl(means, logs) == pytest.approx(found.fun, rel=1e-6)


class Quadratic(nn.Module):
    """Sequences x_n with loss (w - x_n)' A (w - x_n) / 2."""

    def __init__(self, size=3, seed=0):
        super().__init__()
        generator = torch.Generator().manual_seed(seed)
        self.w = nn.Parameter(torch.randn(size, generator=generator))
        root = torch.randn(size, size, generator=generator)
        self.a = root @ root.T + torch.eye(size)

    def forward(self, x):
        return (((self.w - x) @ self.a) * (self.w - x)).sum() / 2


def gathered(model, hook, cases):
    """The mean gradients of w and of log s that the hook gathers, before the KL's part. cases: (sequences, draw, probability)."""
    sums = [torch.zeros(3), torch.zeros(3)]
    for x, draw, probability in cases:
        model.w.grad = hook.logs["w"].grad = None
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(torch, "randn_like", lambda w: draw)
            hook.before_pass(model, 0)
        (model(x) / len(x)).backward()
        hook.after_pass(model, len(x))
        sums[0] += probability * model.w.grad
        sums[1] += probability * hook.logs["w"].grad
    return sums


def test_gradients_of_the_expected_loss_on_a_quadratic():
    model, s = Quadratic(), torch.tensor([0.1, 0.3, 0.6])
    hook = AdaptiveWeightNoise(AdaptiveWeightNoiseConfig(gradient="sample"), model, 10)
    with torch.no_grad():
        hook.logs["w"].copy_(s.log())
    clean, x = model.w.detach().clone(), torch.tensor([[0.2, -0.4, 0.1], [1.0, 0.0, -1.0]])
    nodes = [(-math.sqrt(3), 1 / 6), (0.0, 2 / 3), (math.sqrt(3), 1 / 6)]                      # Gauss-Hermite: exact up to degree 5
    draws = [(x, torch.tensor([e for e, _ in each]), math.prod(p for _, p in each)) for each in itertools.product(nodes, repeat=3)]
    for_mu, for_log = gathered(model, hook, draws)
    assert torch.equal(model.w.detach(), clean)
    assert torch.allclose(for_mu, model.a @ (clean - x.mean(0)), atol=1e-5)                    # A (mu - mean x)
    assert torch.allclose(for_log, s * s * model.a.diagonal(), atol=1e-5)                      # s dE/ds: E holds s_i^2 A_ii / 2


@pytest.mark.parametrize("size", [1, 2, 3])
def test_the_curvature_comes_from_squared_gradients_also_of_batches(size):
    model, s = Quadratic(seed=1), torch.tensor([0.1, 0.3, 0.6])
    hook = AdaptiveWeightNoise(AdaptiveWeightNoiseConfig(gradient="curvature"), model, 10)
    with torch.no_grad():
        hook.logs["w"].copy_(s.log())
        model.w.zero_()
    root = torch.linalg.cholesky(model.a.inverse()).T * math.sqrt(3)                           # points with the mean 0 and the covariance
    points = torch.cat([root, -root])                                                          # of the model that has this loss
    _, found = gathered(model, hook, [(torch.stack(x), torch.zeros(3), 1 / 6 ** size) for x in itertools.product(points, repeat=size)])
    assert torch.allclose(found, s * s * model.a.diagonal(), rtol=1e-4)


@pytest.mark.parametrize("share", [1.0, 0.1])
def test_an_update_adds_the_gradient_of_the_kl(share):
    torch.manual_seed(2)
    model = nn.Linear(3, 2)
    hook = AdaptiveWeightNoise(AdaptiveWeightNoiseConfig(kl=share), model, 50)
    with torch.no_grad():
        for log in hook.logs.values():
            log.add_(torch.randn_like(log))
    means = [w.detach().clone().requires_grad_() for w in model.parameters()]
    logs = [log.clone().requires_grad_() for log in hook.logs.values()]
    mu, s = torch.cat([w.flatten() for w in means]), torch.cat([log.flatten() for log in logs]).exp()
    v = (s * s + (mu - mu.mean()) ** 2).mean()                     # here m and v follow mu and s, and autograd knows
    ((v.sqrt() / s).log().sum() * share / 50).backward()
    pushes = []
    hook._optimizer.step = lambda: pushes.extend(log.grad.clone() for log in hook.logs.values())
    hook.before_update(model)
    assert all(torch.allclose(w.grad, other.grad, atol=1e-7) for w, other in zip(model.parameters(), means))
    assert all(torch.allclose(push, log.grad, atol=1e-7) for push, log in zip(pushes, logs))
    assert all(log.grad is None for log in hook.logs.values())


def test_what_the_data_say_nothing_about_takes_the_prior_and_what_they_fix_gets_little_noise():
    known = torch.tensor([4.0, 9.0, 4.0, 1.0, 9.0, 0.0])                                       # how much the data say about each weight
    model = Quadratic(6)
    model.a = torch.diag(known)
    sequences = torch.tensor([[1.0, -2.0, 0.5, 3.0, -1.0, 0.0]]) + 0.5 * torch.randn(40, 6, generator=torch.Generator().manual_seed(0))
    hook = AdaptiveWeightNoise(AdaptiveWeightNoiseConfig(gradient="sample", rate=0.03), model, 40)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.03)
    before, trace = hook.report()["kl"], []
    for step in range(1200):
        torch.manual_seed(step)
        hook.before_pass(model, step)
        optimizer.zero_grad()
        (model(sequences) / 40).backward()
        hook.after_pass(model, 40)
        hook.before_update(model)
        optimizer.step()
        trace.append(hook.logs["w"].clone())
    s = torch.stack(trace[-800:]).mean(0).exp()
    m, v = prior(hook.means.values(), hook.logs.values())
    assert torch.allclose(s, (40 * known + 1 / v).rsqrt(), rtol=0.15)                          # the exact posterior of a Gaussian
    assert torch.allclose(model.w[:5], sequences.mean(0)[:5], atol=0.1) and model.w[5].item() == pytest.approx(m, abs=0.1)
    assert hook.report()["kl"] < before


def test_it_reports_nats_in_all_and_for_each_sequence():
    hook = AdaptiveWeightNoise(AdaptiveWeightNoiseConfig(deviation=0.2), nn.Linear(3, 2), 50)
    figures = hook.report()
    assert figures["kl"] > 0 and figures["kl_per_sequence"] == figures["kl"] / 50 and figures["deviation"] == pytest.approx(0.2)
    assert AdaptiveWeightNoiseConfig().deviation == 0.075                                      # Graves 2013
    for wrong in ({"deviation": 0.0}, {"rate": 0.0}, {"kl": 0.0}):
        with pytest.raises(ValueError):
            AdaptiveWeightNoiseConfig(**wrong)


class Sum(nn.Module):
    """A loss for each sequence that is known by hand: w . (sum of its frames)."""

    def __init__(self):
        super().__init__()
        self.w = nn.Parameter(torch.zeros(6))

    def loss(self, batch):
        total = sum((frames[:n] @ self.w).sum() for frames, n in zip(batch.x, batch.x_len.tolist()))
        return Loss(total, {}, len(batch.ids))


@pytest.mark.parametrize("per", ["step", "sequence"])
def test_a_draw_for_each_sequence_is_a_pass_of_its_own(tmp_path, per):
    corpus = spelled(tmp_path, train=8, dev=0)
    model, seen = Sum(), []

    class Watch(AdaptiveWeightNoise):
        def after_pass(self, model, count):
            seen.append((model.w.grad.clone(), self._draws["w"].clone(), count))
            super().after_pass(model, count)

        def before_update(self, model):
            seen.append((model.w.grad.clone(), self.logs["w"].grad.clone(), None))

    hook = Watch(AdaptiveWeightNoiseConfig(per=per, gradient="sample"), model, 8)
    training = Training(model, replace(FAST, batch=BatchConfig(utterances=8)), [hook], tmp_path)
    batch = next(corpus.examples(FAST).epoch(0))
    loss = training.update(batch, 0.0)
    *passes, (whole, push, _) = seen
    frames = torch.stack([x[:n].sum(0) for x, n in zip(batch.x, batch.x_len)])
    assert len(passes) == {"step": 1, "sequence": 8}[per] and all(count == 8 for _, _, count in passes)
    assert torch.allclose(whole, frames.mean(0), atol=1e-5)
    parts = [frames.mean(0)] if per == "step" else frames / 8
    assert all(torch.allclose(grad, part, atol=1e-5) for (grad, _, _), part in zip(passes, parts))
    assert torch.allclose(push, sum(0.075 * grad * draw for grad, draw, _ in passes), atol=1e-5)
    rows = frames @ torch.stack([0.075 * draw for _, draw, _ in passes]).T                     # [8, draws]
    assert loss == pytest.approx((rows.sum() if per == "step" else rows.diagonal().sum()).item(), rel=1e-4)


def test_what_is_learned_by_heart_without_it_is_not_with_it():
    """100 sequences of 40 inputs, of which 3 matter: the labels can be told from the others by chance."""
    generator = torch.Generator().manual_seed(0)
    x, held_out = torch.randn(100, 40, generator=generator), torch.randn(2000, 40, generator=generator)
    truth = torch.cat([torch.tensor([2.0, -2.0, 2.0]), torch.zeros(37)])
    labels, held_out_labels = (torch.bernoulli(torch.sigmoid(rows @ truth), generator=generator) for rows in (x, held_out))
    losses, kept = {}, {}
    for name in ("without", "with"):
        model = nn.Linear(40, 1, bias=False)
        nn.init.zeros_(model.weight)
        hooks = [AdaptiveWeightNoise(AdaptiveWeightNoiseConfig(rate=0.02), model, 100)] if name == "with" else []
        optimizer = torch.optim.Adam(model.parameters(), lr=0.04)
        for step in range(400):
            torch.manual_seed(step)
            optimizer.zero_grad()
            for hook in hooks:
                hook.before_pass(model, step)
            nn.functional.binary_cross_entropy_with_logits(model(x)[:, 0], labels).backward()
            for hook in hooks:
                hook.after_pass(model, 100)
                hook.before_update(model)
            optimizer.step()
        with torch.no_grad():
            losses[name] = nn.functional.binary_cross_entropy_with_logits(model(held_out)[:, 0], held_out_labels).item()
        kept[name] = [(w.abs() / log.exp()).flatten() for hook in hooks for w, log in zip(hook.means.values(), hook.logs.values())]
    assert losses["with"] < 0.8 * losses["without"]
    assert set(kept["with"][0].topk(3).indices.tolist()) == {0, 1, 2}                          # those that stand out of their noise


def test_a_trained_model_is_described_in_fewer_nats_and_forgets_nothing(tmp_path):
    corpus, model = spelled(tmp_path, train=96, dev=16), tiny_model()
    judge = corpus.evaluate(FAST)
    (tmp_path / "first").mkdir()
    train(model, corpus.examples(FAST), judge, replace(FAST, metric="loss"), tmp_path / "first")
    before, hook = judge(model)["error"], AdaptiveWeightNoise(AdaptiveWeightNoiseConfig(), model, 96)
    (tmp_path / "second").mkdir()
    train(model, corpus.examples(FAST), judge, replace(FAST, epochs=15, optimizer=OptimizerConfig(rate=0.003)), tmp_path / "second", [hook])
    nats = [96 * row["train_loss"] + row["kl"] for row in rows(tmp_path / "second")]           # the description length
    assert judge(model)["error"] <= before == 0 and nats[-1] < nats[0] / 3
