"""Directions, and shares of a batch, at once, each in a thread: the same as one after the other, and nothing else changed."""

import os
import threading

import pytest
import torch

from recog.layers.lstm import CELLS, LstmLayer
from recog.layers.peephole import PeepholeLstm
from recog.layers.window import Text, WindowLstm
from recog.threads import at_once, shares

N = torch.tensor([9, 4, 1])


@pytest.fixture(autouse=True)
def two_threads():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


@pytest.fixture(params=CELLS)
def layer(request):
    torch.manual_seed(0)
    return LstmLayer(5, 7, cell=request.param)


def sound():
    return torch.randn(9, 3, 5, generator=torch.Generator().manual_seed(1))


def gradients(layer, threads):
    torch.set_num_threads(threads)
    layer.zero_grad()
    x = sound().requires_grad_()
    h = layer(x, N)
    h.backward(torch.ones_like(h).cumsum(0))
    return [h.detach(), x.grad, *(w.grad.clone() for w in layer.parameters())]


def test_outputs_and_gradients_are_those_of_one_thread(layer):
    for a, b in zip(gradients(layer, 1), gradients(layer, 2), strict=True):
        assert torch.equal(a, b)


def test_the_number_of_threads_is_left_alone(layer):
    gradients(layer, 2)
    seen = []
    thread = threading.Thread(target=lambda: seen.append(torch.get_num_threads()))
    thread.start()
    thread.join()
    assert torch.get_num_threads() == 2 and seen == [2]


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_inference_needs_no_gradient(layer, mode):
    expected = layer(sound(), N).detach()
    with mode():
        found = layer(sound(), N)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-6)          # inference has a kernel of its own
    assert not found.requires_grad
    assert found.is_inference() == (mode is torch.inference_mode)


def test_gradients_add_up_and_frozen_weights_get_none(layer):
    frozen, other = (dict(part.named_parameters()) for part in (layer.forwards, layer.backwards))
    name = next(name for name in frozen if name.startswith("weight_hh"))
    frozen[name].requires_grad_(False)
    layer(sound(), N).sum().backward()
    once = other[name].grad.clone()
    layer(sound(), N).sum().backward()
    assert torch.equal(other[name].grad, 2 * once)
    assert frozen[name].grad is None


def test_an_error_in_a_thread_is_raised_here_and_the_next_call_works(layer):
    with pytest.raises(RuntimeError):
        layer(torch.randn(9, 3, 6), N)
    assert layer(sound(), N).shape == (9, 3, 14)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_forked_process_makes_threads_of_its_own(layer):
    layer(sound(), N)
    child = os.fork()
    if not child:
        layer(sound(), N)
        os._exit(7)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7


# --- shares of a batch ---


def of_peephole(batch):
    torch.manual_seed(0)
    layer, x = PeepholeLstm(3, 7, clip=0.05), torch.randn(6, batch, 3)
    return layer, lambda: (layer(x)[0],)


def of_window(batch):
    torch.manual_seed(0)
    layer, x = WindowLstm(3, 7, symbols=5, gaussians=2, clip=0.05), torch.randn(6, batch, 3)
    text = Text(torch.randint(0, 5, (batch, 9)), torch.randint(1, 10, (batch,)))
    return layer, lambda: layer(x, text)[:2]


@pytest.mark.parametrize("made", [of_peephole, of_window])
def test_a_large_batch_is_shared_and_gives_the_same(made):
    layer, run = made(30)
    assert shares(30, 12) == ((0, 15), (15, 30))
    results = []
    for threads in (1, 2):
        torch.set_num_threads(threads)
        layer.zero_grad()
        found = run()
        sum((each * torch.linspace(-1, 1, each.numel()).view_as(each)).sum() for each in found).backward()
        results.append([*(each.detach() for each in found), *(w.grad.clone() for w in layer.parameters())])
        for mode in (torch.no_grad, torch.inference_mode):
            with mode():
                for a, b in zip(run(), found):
                    torch.testing.assert_close(a, b.detach(), rtol=0, atol=1e-6)
    for a, b in zip(*results, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-5)


def test_a_direction_that_is_held_fast_takes_no_gradient():
    torch.manual_seed(0)
    layer = LstmLayer(5, 7)
    layer.forwards.requires_grad_(False)
    layer(sound(), N).sum().backward()
    assert layer.forwards.weight_ih_l0.grad is None and layer.backwards.weight_ih_l0.grad.abs().sum() > 0


# --- calls at once ---


def test_calls_see_the_modes_of_their_caller_and_their_errors_are_told():
    seen = []
    for mode in (torch.no_grad, torch.inference_mode, torch.enable_grad):
        with mode():
            at_once(lambda part: seen.append((torch.is_grad_enabled(), torch.is_inference_mode_enabled())), (0, 1))
    assert seen == [(False, False)] * 2 + [(False, True)] * 2 + [(True, False)] * 2
    for wrong in (0, 1):
        with pytest.raises(ZeroDivisionError):
            at_once(lambda part: 1 / (part - wrong), (0, 1))
    assert at_once(lambda part: part + 1, (1,)) == [2] and torch.get_num_threads() == 2


def test_calls_within_calls_do_not_wait_for_each_other():
    def deep(level, part):
        return [part] if not level else sum(at_once(deep, (level - 1,) * 3, (part, part + 1, part + 2)), [])

    assert len(deep(5, 0)) == 3 ** 5                                     # more than there are threads


def test_no_thread_is_left_without_work():
    for threads, rows, expected in ((1, 30, [(0, 30)]), (4, 30, [(0, 15), (15, 30)]), (2, 11, [(0, 11)]), (2, 0, [(0, 0)])):
        torch.set_num_threads(threads)
        assert list(zip(*shares(rows, 12))) == expected
