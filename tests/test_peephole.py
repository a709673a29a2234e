"""The peephole LSTM: its kernels against the equations in torch, those against torch's own LSTM and finite differences."""

import numpy as np
import oracles
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from recog.kernels import cell, lstm_cpu
from recog.layers.lstm import FORGET_BIAS, LstmLayer
from recog.layers.peephole import PeepholeLstm, plain

pytestmark = pytest.mark.usefixtures("one_thread")


def made(T=7, B=3, D=4, H=5, clip=0.0, seed=0, scale=1.0):
    """A cell with all its inputs, in float32: x, the weights, and the state before."""
    generator = torch.Generator().manual_seed(seed)
    cell = PeepholeLstm(D, H, clip)
    for weight in cell.parameters():
        weight.data.copy_(torch.randn(weight.shape, generator=generator) * scale)
    x = torch.randn(T, B, D, generator=generator).requires_grad_()
    state = tuple(torch.randn(B, H, generator=generator).requires_grad_() for _ in range(2))
    return cell, x, state


def results(run, inputs):
    """Outputs and all gradients of a sum in which each output has a weight of its own."""
    h, (last, c) = run(*inputs)
    pull = [torch.randn(part.shape, generator=torch.Generator().manual_seed(9)).to(part) for part in (h, last, c)]
    total = sum((part * weight).sum() for part, weight in zip((h, last, c), pull))
    return [h.detach(), c.detach(), *torch.autograd.grad(total, inputs)]


def in_double(cell, x, state):
    """The same from the equations in torch, step by step, in float64."""
    inputs = [each.detach().double().requires_grad_() for each in (x, *cell.parameters(), *state)]
    return results(lambda *given: plain(*given, cell.clip), inputs)


def by_kernel(cell, x, state):
    def run(x, *rest):
        return torch.func.functional_call(cell, dict(zip(dict(cell.named_parameters()), rest[:-2])), (x, rest[-2:]))

    return results(run, [x, *cell.parameters(), *state])


def close(found, expected, tolerance=1e-5, least=1e-6):
    """Apart by no more than the tolerance, of the largest value of each, or of `least` where that is larger."""
    for a, b in zip(found, expected, strict=True):
        assert float((a.double() - b).abs().max()) <= tolerance * max(least, float(b.abs().max()))


@settings(max_examples=40)
@given(st.integers(1, 12), st.integers(1, 2 * lstm_cpu.FEW), st.integers(1, 3), st.integers(1, 19), st.integers(0, 99))
def test_the_kernel_gives_what_the_equations_give(T, B, D, H, seed):
    given = made(T, B, D, H, seed=seed, scale=0.5)
    close(by_kernel(*given), in_double(*given), least=1.0)         # few weights: their gradients may cancel to near nothing


@pytest.mark.parametrize("B", [2, 16])
def test_the_kernel_gives_what_the_equations_give_at_the_size_of_the_papers(B):
    cell, x, state = made(60, B, 30, 250, scale=0.08)
    close(by_kernel(cell, x, state), in_double(cell, x, state))


@pytest.mark.parametrize("B", [3, 12])
def test_clipped_gradients_are_those_of_the_clipped_equations(B):
    free, x, state = made(9, B, 4, 6)
    for clip in (0.3, 0.01):
        cell = made(9, B, 4, 6, clip)[0]
        found = by_kernel(cell, x, state)
        close(found, in_double(cell, x, state), 1e-4)              # what is clipped is small beside what flows in the cells
        assert not torch.allclose(found[3], by_kernel(free, x, state)[3])
    cell = made(9, B, 4, 6, 1e9)[0]
    close(by_kernel(cell, x, state), in_double(free, x, state))


def test_a_gate_passes_no_more_than_the_clip():
    cell, x, state = made(4, 2, 3, 5, clip=0.01)
    bias = by_kernel(cell, x, state)[5]                            # what the gates passed, summed over 4 frames, 2 sequences
    assert 0.01 < bias.abs().max() <= 0.01 * 8 * 1.0001


def test_finite_differences_of_the_equations():
    cell, x, state = made(4, 2, 2, 3)
    inputs = [each.detach().double().requires_grad_() for each in (x, *cell.parameters(), *state)]
    assert torch.autograd.gradcheck(lambda *given: (lambda h, s: (h, *s))(*plain(*given)), inputs)


def test_finite_differences_of_the_kernel():
    """In float32: coarse, but it asks nobody else."""
    cell, x, state = made(5, 2, 3, 4, scale=0.7)
    weight = torch.randn(5, 2, 4, generator=torch.Generator().manual_seed(1))

    def loss():
        return (cell(x, state)[0] * weight).sum()

    given = [x, *cell.parameters(), *state]
    for each, gradient in zip(given, torch.autograd.grad(loss(), given), strict=True):
        direction = torch.randn(each.shape, generator=torch.Generator().manual_seed(2))
        direction /= direction.norm()
        with torch.no_grad():
            high, low = (float((each.add_(direction * move), loss())[1]) for move in (0.01, -0.02))
            each.add_(direction * 0.01)
        assert (high - low) / 0.02 == pytest.approx(float((gradient * direction).sum()), rel=2e-2, abs=2e-3)


@pytest.mark.parametrize("bidirectional", [True, False])
def test_without_peepholes_it_is_the_lstm_of_torch(bidirectional):
    torch.manual_seed(0)
    n = torch.tensor([9, 4, 1])
    ours, torchs = (LstmLayer(3, 6, bidirectional, cell) for cell in ("peephole", "lstm"))
    pairs = [(a, b) for a, b in ((ours.forwards, torchs.forwards), (ours.backwards, torchs.backwards)) if a is not None]
    for a, b in pairs:
        a.peepholes.data.zero_()
        a.weight_ih.data.copy_(b.weight_ih_l0.data)
        a.weight_hh.data.copy_(b.weight_hh_l0.data)
        a.bias.data.copy_(b.bias_ih_l0.data + b.bias_hh_l0.data)
    x, y = (torch.randn(9, 3, 3, generator=torch.Generator().manual_seed(1)).requires_grad_() for _ in range(2))
    real = (torch.arange(9)[:, None] < n)[:, :, None]
    pull = torch.randn(9, 3, ours.output_size) * real
    h, expected = ours(x, n), torchs(y, n)
    h.backward(pull)
    expected.backward(pull)
    oracles.close("peephole LSTM: torch, step by step", h * real, expected * real, 1e-5)
    oracles.close("peephole LSTM, gradients: torch, step by step", x.grad, y.grad, 1e-5)
    for a, b in pairs:
        for mine, other in ((a.weight_ih, b.weight_ih_l0), (a.weight_hh, b.weight_hh_l0),
                            (a.bias, b.bias_ih_l0), (a.bias, b.bias_hh_l0)):
            assert torch.allclose(mine.grad, other.grad, rtol=0, atol=1e-5)
        assert a.peepholes.grad.abs().max() > 1e-3                 # they would learn


def test_each_peephole_sees_what_it_should():
    """By hand: one cell, one step after c' = 2, all other weights zero."""
    cell = PeepholeLstm(1, 1)
    for weight in cell.parameters():
        weight.data.zero_()
    cell.bias.data[2] = 0.5                                        # g
    cell.peepholes.data[:, 0] = torch.tensor([0.3, -0.2, 0.7])     # i, f, o
    h, (_, c) = cell(torch.zeros(1, 1, 1), (torch.zeros(1, 1), torch.full((1, 1), 2.0)))

    def sigmoid(z):
        return 1 / (1 + np.exp(-z))

    new = sigmoid(-0.2 * 2) * 2 + sigmoid(0.3 * 2) * np.tanh(0.5)
    assert c.item() == pytest.approx(new, rel=1e-6)
    assert h.item() == pytest.approx(sigmoid(0.7 * new) * np.tanh(new), rel=1e-6)


def test_the_activation_functions():
    @cell.njit
    def all_of(x, t, s):
        for k in range(len(x)):
            t[k], s[k] = cell.tanh(x[k]), cell.sigmoid(x[k])

    x = [np.linspace(-20, 20, 100_001), np.geomspace(1e-30, 1, 1000), [0, np.inf, -np.inf, np.nan]]
    x = np.concatenate(x).astype(np.float32)
    t, s = np.empty_like(x), np.empty_like(x)
    all_of(x, t, s)
    true = x.astype(np.float64)
    with np.errstate(over="ignore"):
        np.testing.assert_allclose(t, np.tanh(true), rtol=4e-7)
        np.testing.assert_allclose(s, 1 / (1 + np.exp(-true)), rtol=0, atol=2e-7)
    assert (abs(t[:-1]) <= 1).all() and (0 <= s[:-1]).all() and (s[:-1] <= 1).all()


def test_what_is_not_a_number_does_not_vanish():
    for B in (1, 10):
        cell, x, state = made(B=B)
        x.data[3, 0, 0] = float("nan")
        h = cell(x, state)[0]
        assert h[3:, 0].isnan().any(1).all() and h[:3].isfinite().all() and h[:, 1:].isfinite().all()
        assert torch.autograd.grad(h.sum(), cell.bias)[0].isnan().any()


def test_the_weights_are_drawn_as_torch_draws_and_the_forget_gate_starts_open():
    torch.manual_seed(0)
    cell = LstmLayer(8, 100, cell="peephole").backwards
    i, f, g, o = cell.bias.detach().chunk(4)
    for drawn in (cell.weight_ih, cell.weight_hh, cell.peepholes, i, f - FORGET_BIAS, g, o):
        assert abs(drawn).max() <= 0.1 + 1e-6 and abs(drawn).max() > 0.09 and abs(drawn.mean()) < 0.02


def test_lower_precision_is_worked_in_float32():
    cell, x, state = made()
    expected = cell(x, state)[0]
    with torch.autocast("cpu", torch.bfloat16):
        h = cell(x.bfloat16().float(), state)[0]
        halves = cell(x.bfloat16(), state)[0]
    assert h.dtype == halves.dtype == torch.float32 and torch.equal(h, halves)
    assert torch.allclose(h, expected, atol=0.05) and not torch.equal(h, expected)


@pytest.mark.parametrize("B", [2, 9])
def test_frozen_weights_and_many_backwards(B):
    cell, x, state = made(B=B)
    cell.weight_hh.requires_grad_(False)
    h = cell(x, state)[0]
    h.sum().backward(retain_graph=True)
    once = cell.peepholes.grad.clone()
    h.sum().backward()
    assert torch.equal(cell.peepholes.grad, 2 * once) and cell.weight_hh.grad is None
    with torch.inference_mode():
        assert torch.equal(cell(x, state)[0], h)


def test_no_frames_leave_the_state_alone():
    cell, x, state = made()
    h, after = cell(x[:0], state)
    assert h.shape == (0, 3, 5) and all(torch.equal(a, b) for a, b in zip(after, state))


INTERPRETED = """
import torch
from recog.kernels import lstm_cuda
from recog.layers import peephole
import test_peephole as test
peephole._kernels = lambda device: lstm_cuda
for T, B, H, clip in ((5, 3, 4, 0.0), (3, 2, 150, 0.02)):
    given = test.made(T, B, 3, H, clip, scale=0.4)
    test.close(test.by_kernel(*given), test.in_double(*given))
"""


def test_the_triton_kernels_in_the_interpreter():
    oracles.interpreted(INTERPRETED)
