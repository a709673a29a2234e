"""Mixture densities: they integrate to one, lose no digits, and are those of equations 18 to 26."""

import math

import numpy as np
import pytest
import torch

from oracles import close
from recog.layers import mixture

pytestmark = pytest.mark.usefixtures("one_thread")


def rows(count, components, seed=0, spread=1.0):
    return torch.randn(count, mixture.size(components), generator=torch.Generator().manual_seed(seed), dtype=torch.float64) * spread


def by_hand(row, point, components):
    """Equations 18 to 26, in float64 loops. row [6M + 1], point (dx, dy, end)."""
    M = components
    e, pi, m1, m2, s1, s2, r = row[0], row[1:1 + M], row[1 + M:1 + 2 * M], row[1 + 2 * M:1 + 3 * M], row[1 + 3 * M:1 + 4 * M], \
        row[1 + 4 * M:1 + 5 * M], row[1 + 5 * M:]
    total, whole = 0.0, sum(math.exp(p) for p in pi)
    for j in range(M):
        a, b, rho = math.exp(s1[j]), math.exp(s2[j]), math.tanh(r[j])
        z = ((point[0] - m1[j]) / a) ** 2 + ((point[1] - m2[j]) / b) ** 2 - 2 * rho * (point[0] - m1[j]) * (point[1] - m2[j]) / (a * b)
        total += math.exp(pi[j]) / whole * math.exp(-z / (2 * (1 - rho * rho))) / (2 * math.pi * a * b * math.sqrt(1 - rho * rho))
    end = 1 / (1 + math.exp(e))
    return math.log(total) + math.log(end if point[2] else 1 - end)


def test_likelihoods_are_those_of_the_paper():
    given, points = rows(40, 5), torch.randn(40, 3, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    points[:, 2] = (points[:, 2] > 0).double()
    found = mixture.log_likelihood(given, points)
    wanted = [by_hand(row, point, 5) for row, point in zip(given.tolist(), points.tolist())]
    close("mixture density: equations 18 to 26 in loops", found, torch.tensor(wanted, dtype=torch.float64), 1e-11)


@pytest.mark.parametrize("components", [1, 3, 20])
def test_a_density_integrates_to_one(components):
    grid = torch.linspace(-40, 40, 1601, dtype=torch.float64)
    x, y = torch.meshgrid(grid, grid, indexing="ij")
    points = torch.stack([x, y], -1).flatten(0, 1)
    row = rows(1, components, seed=components, spread=0.7)
    whole = mixture.log_density(row.expand(len(points), -1), points).exp().sum() * 0.05 ** 2
    close("mixture density: its integral is one", whole, torch.ones((), dtype=torch.float64), 1e-6)


def test_gradients_are_those_of_finite_differences():
    points = torch.tensor([[0.3, -0.2, 0.0], [-1.5, 0.4, 1.0]], dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda given: mixture.log_likelihood(given, points), rows(2, 3).requires_grad_())


@pytest.mark.parametrize("correlation", [0.0, 5.0, -9.0, 20.0])
def test_float32_keeps_its_digits_where_correlations_are_extreme(correlation):
    row = rows(1, 2)
    row[:, 11:] = correlation
    direction = 1.0 if correlation >= 0 else -1.0
    means = mixture.split(row).means[0]
    point = means[:, 0] + 1e-4 * torch.tensor([1.0, direction], dtype=torch.float64) * mixture.split(row).deviations[0, :, 0].exp()
    point = torch.cat([point, torch.zeros(1, dtype=torch.float64)])[None]
    exact = mixture.log_likelihood(row, point)
    found = mixture.log_likelihood(row.float(), point.float())
    assert torch.isfinite(found).all() and (abs(correlation) > 10 or abs(found.item() - exact.item()) < 1e-3)     # beyond: of the inputs


def test_ends_are_certain_without_infinities():
    row = torch.zeros(1, mixture.size(1))
    for e, end, wanted in ((80.0, 0.0, 0.0), (80.0, 1.0, -80.0), (-80.0, 1.0, 0.0), (-80.0, 0.0, -80.0)):
        row[0, 0] = e
        point = torch.tensor([[0.0, 0.0, end]])
        assert (mixture.log_likelihood(row, point) - mixture.log_density(row, point[:, :2])).item() == pytest.approx(wanted, abs=1e-4)


def test_the_mean_is_what_is_expected():
    row = rows(1, 4)
    weights = torch.softmax(row[0, 1:5], 0)
    np.testing.assert_allclose(mixture.mean(row)[0], [(weights * row[0, 5:9]).sum(), (weights * row[0, 9:13]).sum()], rtol=1e-12)
