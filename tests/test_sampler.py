"""Drawing lines: the compiled network is the trained one, draws follow its densities, and a line depends on nothing but itself."""

import math

import numpy as np
import pytest
import torch

from oracles import close
from recog.kernels.writing import STUCK, draw
from recog.layers.mixture import log_likelihood
from recog.models.handwriting import Handwriting, HandwritingConfig
from recog.types import Batch
from recog.writing.sampler import Wanted, pen_of, room, sample

pytestmark = pytest.mark.usefixtures("one_thread")
CONFIGS = [HandwritingConfig(layers=3, units=6, components=3, gaussians=4), HandwritingConfig(layers=1, units=7, components=2, gaussians=3),
           HandwritingConfig(layers=2, units=5, components=2, gaussians=0)]


def model(config, seed=0):
    torch.manual_seed(seed)
    made = Handwriting(config, 6).eval()
    made.scale.copy_(torch.tensor([2.0, 0.5]))
    if config.gaussians:
        made.layers[0].bias_window.data[2 * config.gaussians:] += 2.0            # the window moves
    return made


@pytest.mark.parametrize("config", CONFIGS)
def test_what_is_said_of_each_point_is_what_is_said_in_training(config):
    """A line is drawn, then given to the network as one to learn from: of each point it must say the same."""
    made = model(config)
    line = sample(made, [Wanted((1, 2, 5, 3), (4,), most=20)], rows=True)[0]
    batch = Batch(("a",), torch.from_numpy(line.points)[None], torch.tensor([len(line.points)]), torch.tensor([[1, 2, 5, 3]]), torch.tensor([4]))
    with torch.inference_mode():
        expected, _ = made.likelihoods(batch)
    scaled = torch.from_numpy(line.points[1:] / np.array([2.0, 0.5, 1.0], np.float32))
    assert (len(line.points) == 20 or line.ended) and not line.points[0, :2].any()
    close("sampling, what is said of each point: in training", log_likelihood(torch.from_numpy(line.rows[:-1]), scaled), expected[:, 0], 2e-5)


@pytest.mark.parametrize("config", CONFIGS)
def test_a_line_is_the_same_alone_and_among_others(config):
    made = model(config)
    rng = np.random.default_rng(0)
    wanted = [Wanted(tuple(rng.integers(1, 6, n)), (n,), bias=0.1 * n, most=15 + n) for n in (1, 5, 3, 9, 2, 7, 4, 8, 6, 10, 11)]
    together = sample(made, wanted)
    for threads, order in ((1, range(11)), (3, range(10, -1, -1))):
        again = sample(made, [wanted[i] for i in order], threads=threads)
        for i, line in zip(order, again):
            np.testing.assert_array_equal(line.points, together[i].points)
            np.testing.assert_array_equal(line.looked, together[i].looked)
    assert not np.array_equal(sample(made, [Wanted((1, 2), (1,), most=9)])[0].points, sample(made, [Wanted((1, 2), (2,), most=9)])[0].points)


def test_draws_follow_the_density():
    """Moments of many draws against those of the mixture; and with a bias, those of equations 61 and 62."""
    rng = np.random.default_rng(0)
    for bias in (0.0, 0.7):
        row = rng.standard_normal(1 + 6 * 3).astype(np.float32)
        drawn = np.zeros((40000, 3), np.float32)
        for point in drawn:
            draw(row, np.float32(bias), rng.random(2).astype(np.float32), rng.standard_normal(2).astype(np.float32), point)
        weights = np.exp(row[1:4] * (1 + bias)) / np.exp(row[1:4] * (1 + bias)).sum()
        means, deviations = row[4:10].reshape(2, 3), np.exp(row[10:16] - bias).reshape(2, 3)
        expected = (weights * means).sum(1)
        second = (weights * (means ** 2 + deviations ** 2)).sum(1) - expected ** 2
        cross = (weights * (means[0] * means[1] + np.tanh(row[16:]) * deviations[0] * deviations[1])).sum() - expected[0] * expected[1]
        error = 5 * np.sqrt(second / len(drawn))
        assert (np.abs(drawn[:, :2].mean(0) - expected) < error).all()
        np.testing.assert_allclose(drawn[:, :2].var(0), second, rtol=0.06)
        assert np.cov(drawn[:, 0], drawn[:, 1])[0, 1] == pytest.approx(cross, abs=0.05 * math.sqrt(second[0] * second[1]) + 0.02)
        assert drawn[:, 2].mean() == pytest.approx(1 / (1 + math.exp(row[0])), abs=0.02)


def test_a_large_bias_goes_to_the_likeliest_mean():
    row = np.array([50, 0.1, 0.9, 0.2, 1, 2, 3, -1, -2, -3, 0, 0, 0, 0, 0, 0, 0, 0, 0], np.float32)
    point = np.zeros(3, np.float32)
    draw(row, np.float32(200), np.array([0.99, 0.5], np.float32), np.ones(2, np.float32), point)
    assert point.tolist() == [2, -2, 0]


def test_a_line_ends_when_the_window_has_left_its_text_or_there_is_no_room():
    made = model(CONFIGS[0])
    made.layers[0].weight_window.data.zero_()
    made.layers[0].bias_window.data[:] = torch.tensor([0.0] * 4 + [2.0] * 4 + [math.log(0.5)] * 4)       # half a character a point
    made.output.bias.data[0] = -50.0                                             # a stroke ends at every point
    for letters in (1, 3, 8):
        line = sample(made, [Wanted((1,) * letters, (0,))])[0]
        assert line.ended and len(line.points) == 2 * letters + 2 and line.looked.shape == (len(line.points), letters + 1)
        assert line.looked[-1].argmax() == letters and line.looked[-2].argmax() == letters - 1
    made.layers[0].bias_window.data[8:] = math.log(1 / 100)
    slow = sample(made, [Wanted((1,) * 40, (0,))])[0]
    assert not slow.ended and len(slow.points) == 1 + room(40)


def test_a_line_that_has_lost_its_text_is_not_written_on():
    made = model(CONFIGS[0])
    made.layers[0].weight_window.data.zero_()
    made.layers[0].bias_window.data[:] = torch.tensor([0.0] * 4 + [2.0] * 4 + [math.log(1e-6)] * 4)
    stuck = sample(made, [Wanted((1, 2), (0,))])[0]
    assert not stuck.ended and len(stuck.points) == 1 + STUCK < room(2)


def test_a_prime_is_given_and_then_followed():
    made, prime = model(CONFIGS[0]), np.random.default_rng(3).standard_normal((6, 3)).astype(np.float32)
    prime[:, 2] = [0, 0, 1, 0, 0, 1]
    line, other = (sample(made, [Wanted((1, 2, 3, 4, 5, 1), (7,), prime=given, most=30)], rows=True)[0] for given in (prime, prime * 0.5))
    np.testing.assert_allclose(line.points[:6], prime * [2.0, 0.5, 1.0], rtol=1e-6)
    assert not np.allclose(line.rows[7], other.rows[7])


def test_no_lines_are_no_lines():
    assert sample(model(CONFIGS[0]), []) == []
    assert pen_of(model(CONFIGS[2])).window.size == 0
