"""Mixed precision on a CPU: what it rounds, and what it leaves as it was."""

import pytest
import torch
from torch import nn

from recog.encoders.conv_blstm import ConvBlstm, ConvBlstmConfig
from recog.layers.lstm import LstmLayer
from recog.layers.peephole import PeepholeLstm
from recog.precision import mixed

CPU = torch.device("cpu")


def gradients(layer, x, precision, *more):
    layer.zero_grad()
    with mixed(precision, CPU):
        h = layer(x, *more)
        (h[0] if isinstance(h, tuple) else h).float().square().sum().backward()
    return torch.cat([w.grad.flatten() for w in layer.parameters()])


@pytest.mark.parametrize("kind", ["lstm", "peephole", "linear"])
def test_gradients_are_those_of_float32_but_for_rounding(kind):
    torch.manual_seed(0)
    x = torch.randn(20, 8, 48)
    layer = {"lstm": lambda: LstmLayer(48, 32), "peephole": lambda: PeepholeLstm(48, 32), "linear": lambda: nn.Linear(48, 32)}[kind]()
    more = (torch.full((8,), 20),) if kind == "lstm" else ()
    exact, rounded = (gradients(layer, x, precision, *more) for precision in ("float32", "bfloat16"))
    away = (exact - rounded).norm() / exact.norm()
    assert away < 0.02
    if kind == "lstm":                           # single products stay in float32 where the CPU has no instructions for bfloat16
        assert away > 0


def test_convolutions_stay_in_float32():
    torch.manual_seed(2)
    layer = ConvBlstm(ConvBlstmConfig(channels=(64, 128), strides=(2, 2), planes=4, layers=1, units=16), 4)
    x, n = torch.randn(4, 90, 4), torch.full((4,), 90)
    with mixed("bfloat16", CPU):
        h = layer(x, n).h
        h.square().sum().backward()
    assert h.isfinite().all() and all(w.grad.isfinite().all() for w in layer.parameters())


def test_two_threads_round_as_one_does():
    torch.manual_seed(1)
    layer, x, n, threads = LstmLayer(16, 24), torch.randn(12, 6, 16), torch.full((6,), 12), torch.get_num_threads()
    found = []
    try:
        for count in (1, 2):
            torch.set_num_threads(count)
            found.append(gradients(layer, x, "bfloat16", n))
    finally:
        torch.set_num_threads(threads)
    exact = gradients(layer, x, "float32", n)
    assert (found[0] - found[1]).norm() < 0.1 * (found[0] - exact).norm()


def test_nothing_stays_behind():
    before = torch.backends.mkldnn.matmul.fp32_precision
    with pytest.raises(RuntimeError), mixed("bfloat16", CPU):
        assert torch.backends.mkldnn.matmul.fp32_precision == "bf16"
        raise RuntimeError
    assert torch.backends.mkldnn.matmul.fp32_precision == before
    with mixed("float32", CPU):
        assert torch.backends.mkldnn.matmul.fp32_precision == before
    assert torch.equal(gradients(layer := nn.Linear(4, 4), x := torch.randn(2, 4), "float32"), gradients(layer, x, "float32"))
