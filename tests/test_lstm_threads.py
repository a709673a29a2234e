"""Both directions at once, each in a thread: the same bits as one after the other, and nothing else changed."""

import os
import threading

import pytest
import torch

from recog.layers.lstm import CELLS, LstmLayer

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
