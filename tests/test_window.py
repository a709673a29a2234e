"""The LSTM with a window on a text: compiled steps against plain torch, finite differences, and what must hold of windows."""

import math

import numpy as np
import pytest
import torch

from oracles import close, interpreted
from recog.layers.window import Text, WindowLstm, WindowState, gathered, phi, plain

pytestmark = pytest.mark.usefixtures("one_thread")
WEIGHTS = ("weight_ih", "weight_hh", "weight_wh", "bias", "peepholes", "weight_window", "bias_window")


def given(frames=12, batch=3, clip=0.0, seed=0):
    torch.manual_seed(seed)
    layer = WindowLstm(3, 7, symbols=5, gaussians=4, clip=clip)
    with torch.no_grad():
        layer.bias_window[8:] += 2.0                       # the window moves
    text = Text(torch.tensor([[1, 2, 2, 4, 1, 3], [3, 1, 4, 0, 0, 0], [2, 0, 0, 0, 0, 0]])[:batch], torch.tensor([6, 3, 1])[:batch])
    state = WindowState(*(torch.randn_like(part) * 0.3 for part in layer.begin(batch)))
    return layer, torch.randn(frames, batch, 3), text, WindowState(*state[:3], state.kappa.abs())


def results(layer, x, text, state, run):
    """What comes out, and the gradients of a mixed sum of all of it."""
    inputs = [x.clone().requires_grad_(), *(part.clone().requires_grad_() for part in state)]
    layer.zero_grad()
    h, w, after = run(inputs[0], text, WindowState(*inputs[1:]))
    total = sum((part * torch.linspace(-1, 2, part.numel(), dtype=part.dtype).view_as(part)).sum() for part in (h, w, *after))
    total.backward()
    return [h, w, *after], [each.grad for each in (*inputs, *(getattr(layer, name) for name in WEIGHTS))]


@pytest.mark.parametrize("clip", [0.0, 0.05])
@pytest.mark.parametrize("frames", [1, 12])
def test_compiled_steps_give_what_plain_torch_gives(frames, clip):
    layer, x, text, state = given(frames, clip=clip)
    found, gradients = results(layer, x, text, state, layer)
    double = WindowLstm(3, 7, 5, 4, clip).double()
    double.load_state_dict({name: value.double() for name, value in layer.state_dict().items()})
    expected, wanted = results(double, x.double(), text, WindowState(*(part.double() for part in state)), double)
    for what, pairs in (("outputs", zip(found, expected)), ("gradients", zip(gradients, wanted))):
        for a, b in pairs:
            close(f"window LSTM, {what}: plain torch in float64", a.double() / (1 + b.abs().max()), b / (1 + b.abs().max()), 2e-6)


def test_plain_gradients_are_those_of_finite_differences():
    layer, x, text, state = given(frames=5)
    weights = [getattr(layer, name).detach().double().requires_grad_() for name in WEIGHTS]
    inputs = [x.double().requires_grad_(), *(part.double().requires_grad_() for part in state)]

    def run(x, h, c, w, kappa, *weights):
        found, looked, after = plain(x, *weights, text, WindowState(h, c, w, kappa))
        return found, looked, *after

    assert torch.autograd.gradcheck(run, (*inputs, *weights), atol=1e-6)


def test_a_sequence_is_written_alike_alone_and_in_a_batch_with_longer_texts():
    layer, x, text, state = given()
    h, w, _ = layer(x, text, state)
    for b in range(3):
        n = int(text.lengths[b])
        alone = Text(text.units[b:b + 1, :n], text.lengths[b:b + 1])
        one, looked, _ = layer(x[:, b:b + 1], alone, WindowState(*(part[b:b + 1] for part in state)))
        torch.testing.assert_close(one[:, 0], h[:, b], atol=1e-6, rtol=1e-6)
        torch.testing.assert_close(looked[:, 0], w[:, b], atol=1e-6, rtol=1e-6)


def test_going_on_from_a_state_is_going_on():
    layer, x, text, _ = given()
    whole, looked, after = layer(x, text)
    state, parts = None, []
    for piece in x.split([1, 0, 5, 6]):
        h, w, state = layer(piece, text, state)
        parts.append((h, w))
    torch.testing.assert_close(torch.cat([h for h, _ in parts]), whole, atol=1e-6, rtol=1e-6)
    torch.testing.assert_close(torch.cat([w for _, w in parts]), looked, atol=1e-6, rtol=1e-6)
    for a, b in zip(state, after):
        torch.testing.assert_close(a, b, atol=1e-6, rtol=1e-6)


def test_a_window_is_the_sum_that_the_paper_says():
    """Equations 46 and 47 in nested loops; a character that comes twice is looked at as both."""
    rng = np.random.default_rng(0)
    alpha, beta, kappa = rng.uniform(0.1, 2, (3, 2, 4))
    text = Text(torch.tensor([[1, 2, 1, 0], [3, 3, 0, 0]]), torch.tensor([3, 2]))
    looked = phi(*(torch.tensor(part) for part in (alpha, beta, kappa)), text)
    for b in range(2):
        for u in range(4):
            wanted = sum(alpha[b, k] * math.exp(-beta[b, k] * (kappa[b, k] - (u + 1)) ** 2) for k in range(4)) if u < text.lengths[b] else 0.0
            assert looked[b, u].item() == pytest.approx(wanted, rel=1e-12)
    w = gathered(looked, text, 5)
    assert w[0, 1].item() == pytest.approx((looked[0, 0] + looked[0, 2]).item()) and w[1, 0] == 0 and w.sum().item() == pytest.approx(looked.sum().item())


INTERPRETED = """
import torch
from recog.kernels import window_cuda
from recog.layers import window
import test_window as test
window._kernels = lambda device: window_cuda
for frames, clip in ((1, 0.0), (6, 0.05)):
    test.test_compiled_steps_give_what_plain_torch_gives(frames, clip)
layer, x, _, state = test.given(frames=4)
text = window.Text(torch.randint(0, 5, (3, 70)), torch.tensor([70, 33, 32]))         # of several blocks
state = state._replace(kappa=state.kappa + torch.tensor([60.0, 30.0, 31.0])[:, None])
found, gradients = test.results(layer, x, text, state, layer)
given = [getattr(layer, name) for name in test.WEIGHTS]
expected, wanted = test.results(layer, x, text, state, lambda x, text, state: window.plain(x, *given, text, state))
for a, b in zip([*found, *gradients], [*expected, *wanted], strict=True):
    torch.testing.assert_close(a, b, atol=1e-5, rtol=1e-4)
"""


def test_the_triton_kernels_in_the_interpreter():
    interpreted(INTERPRETED)
