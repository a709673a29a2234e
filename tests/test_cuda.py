"""What must hold where a CUDA device is present: the same numbers as on the CPU, and training in mixed precision."""

import pytest
import torch

from recog.config import build as build_config
from recog.layers import transducer
from recog.layers.lstm import CELLS
from recog.layers.peephole import PeepholeLstm, plain
from recog.models.handwriting import Handwriting, HandwritingConfig
from recog.models.recognizer import RecognizerConfig, build
from recog.batching import to_device
from recog.types import Batch

pytestmark = [pytest.mark.gpu, pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")]


@pytest.fixture(params=CELLS)
def model(request):
    torch.manual_seed(0)
    config = build_config(RecognizerConfig, {"encoder": {"kind": "blstm", "layers": 2, "units": 32, "subsample": [2, 1],
                                                         "cell": request.param}}, "test")
    return build(config, 12).eval()


def batch():
    torch.manual_seed(1)
    n, u = torch.tensor([60, 41, 17]), torch.tensor([9, 5, 2])
    x = torch.randn(3, 60, 40) * (torch.arange(60)[None] < n[:, None])[:, :, None]
    return Batch(("a", "b", "c"), x, n, torch.randint(1, 12, (3, 9)), u)


def test_loss_and_gradients_are_those_of_the_cpu(model):
    results = []
    for device in ("cpu", "cuda"):
        model.to(device).zero_grad()
        loss = model.loss(to_device(batch(), torch.device(device)))
        loss.total.backward()
        results.append((loss.total.item(), [w.grad.cpu().clone() for w in model.parameters()]))
    (cpu, cpu_grads), (cuda, cuda_grads) = results
    assert cuda == pytest.approx(cpu, rel=1e-4)
    for a, b in zip(cpu_grads, cuda_grads):
        torch.testing.assert_close(a, b, rtol=1e-3, atol=1e-3)


def learns_in_mixed_precision(model, rate):
    model.to("cuda").train()
    optimizer = torch.optim.Adam(model.parameters(), lr=rate)
    held, losses = to_device(batch(), torch.device("cuda")), []
    for _ in range(60):
        with torch.autocast("cuda", torch.bfloat16):
            loss = model.loss(held)
        optimizer.zero_grad()
        loss.total.backward()
        optimizer.step()
        losses.append(loss.total.item())
    assert losses[-1] < losses[0] / 3


def test_mixed_precision_learns(model):
    learns_in_mixed_precision(model, 5e-3)


@pytest.mark.parametrize("B, H, clip", [(1, 250, 0.0), (16, 250, 0.0), (3, 7, 0.05)])
def test_the_peephole_kernels_give_what_the_equations_give(B, H, clip):
    torch.manual_seed(0)
    cell = PeepholeLstm(9, H, clip).cuda()
    given = [torch.randn(40, B, 9).cuda(), *cell.parameters(), *torch.randn(2, B, H).cuda()]

    def results(run, inputs):
        inputs = [each.detach().requires_grad_() for each in inputs]
        h, (_, c) = run(inputs)
        weight = torch.linspace(-1, 1, h.numel()).to(h).view_as(h)
        return [h.detach(), c.detach(), *torch.autograd.grad((h * weight).sum() + c.sum(), inputs)]

    def by_kernel(inputs):
        return torch.func.functional_call(cell, dict(zip(dict(cell.named_parameters()), inputs[1:5])), (inputs[0], inputs[5:]))

    expected = results(lambda inputs: plain(*inputs, clip), [each.double() for each in given])
    for a, b in zip(results(by_kernel, given), expected, strict=True):
        assert float((a.double() - b).abs().max()) <= 1e-4 * float(b.abs().max())


@pytest.mark.parametrize("joint", ["additive", "hidden"])
def test_the_transducer_loss_and_gradients_are_those_of_the_cpu(joint):
    """Extreme logits in one utterance: the weak sums take their own way on the GPU too."""
    generator = torch.Generator().manual_seed(0)
    n, u, y = torch.tensor([50, 31, 7]), torch.tensor([9, 0, 4]), torch.randint(1, 20, (3, 9), generator=generator)
    width = 20 if joint == "additive" else 12
    inputs = [torch.randn(*shape, generator=generator) for shape in ((3, 50, width), (3, 10, width))]
    inputs[0][2] *= 60
    inputs[1][2] *= 60
    inputs += [torch.randn(20, 12, generator=generator), torch.randn(20, generator=generator)] if joint == "hidden" else []
    results = []
    for device in ("cpu", "cuda"):
        here = [each.detach().to(device).requires_grad_() for each in inputs]
        sizes = [each.to(device) for each in (y, n, u)]
        for memory_mb in (128, 0.05):
            loss = transducer.additive(*here, *sizes) if joint == "additive" else transducer.hidden(*here, *sizes, memory_mb)
            results.append((loss.item(), [each.cpu() for each in torch.autograd.grad(loss, here)]))
    for loss, gradients in results[1:]:
        assert loss == pytest.approx(results[0][0], rel=1e-5)
        for a, b in zip(gradients, results[0][1]):
            torch.testing.assert_close(a, b, rtol=1e-3, atol=1e-3)


def test_a_transducer_learns_in_mixed_precision():
    torch.manual_seed(0)
    config = build_config(RecognizerConfig, {"encoder": {"kind": "blstm", "layers": 1, "units": 32},
                                             "head": {"kind": "transducer", "prediction_units": 16, "joint_units": 32}}, "test")
    learns_in_mixed_precision(build(config, 12), 1e-2)


@pytest.mark.parametrize("gaussians", [0, 10])
def test_a_network_that_writes_learns_alike_on_both(gaussians):
    torch.manual_seed(0)
    model, n = Handwriting(HandwritingConfig(layers=2, units=32, gaussians=gaussians), 20), torch.tensor([120, 70, 9])
    x = torch.randn(3, 120, 3)
    x[..., 2] = (x[..., 2] > 1).float()
    lines = Batch(("a", "b", "c"), x, n, torch.randint(1, 20, (3, 40)), torch.tensor([40, 33, 2]))
    results = []
    for device in ("cpu", "cuda"):
        model.to(device).zero_grad()
        loss = model.loss(to_device(lines, torch.device(device)))
        loss.total.backward()
        results.append([loss.total.detach().cpu(), *(w.grad.cpu().clone() for w in model.parameters())])
    for a, b in zip(*results, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-3, atol=1e-3 * float(a.abs().max()))
