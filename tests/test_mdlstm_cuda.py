"""The LSTM over images on CUDA devices: its order in torch, its kernels in Triton's interpreter and compiled for devices that are not here;
and, where one is, on that."""

import pytest
import torch
from oracles import interpreted
from races import Races
from test_mdlstm import alike, by_kernel, in_double, made

from recog.kernels import diagonals, diagonals_cuda
from recog.layers import mdlstm
from recog.layers.mdlstm import CELLS, MdLstm, plain

SIZES = [(1, 1), (1, 5), (4, 1), (3, 4), (5, 2), (20, 3)]


@pytest.mark.parametrize("height, width", SIZES)
def test_the_order_is_that_of_the_compiled_loops(height, width):
    """Where a direction and the one against it share an order, and go through it from its ends."""
    x, n = torch.randn(3, height, width, 2), torch.tensor([[height, width], [1, width], [(height + 1) // 2, 1]])
    found = diagonals_cuda.Diagonals(n, height, width).inputs(x).unflatten(1, (-1, 3))
    for k in range(4):
        rows = diagonals.Diagonals(x, n, k in (1, 2), 0, 3).rows(x).unflatten(0, (-1, 3))
        rows = rows[..., :x.shape[-1]]                             # on a CPU a 1 for the bias follows
        assert torch.equal(found[k], rows.flip(0) if k >= 2 else rows)


@pytest.mark.parametrize("height, width", SIZES)
def test_neighbours_are_those_one_step_before(height, width):
    h = torch.randn(2, height, width, 4, 3)
    up, left = torch.zeros_like(h), torch.zeros_like(h)
    up[:, 1:, :, :2], up[:, :-1, :, 2:] = h[:, :-1, :, :2], h[:, 1:, :, 2:]
    left[:, :, 1:, ::2], left[:, :, :-1, 1::2] = h[:, :, :-1, ::2], h[:, :, 1:, 1::2]
    way = diagonals_cuda.Diagonals(torch.tensor([[height, width]] * 2), height, width)
    for found, expected in zip(way.neighbours(way.sorted(h)).unbind(2), (up, left), strict=True):
        assert torch.equal(found, way.sorted(expected))


@pytest.mark.parametrize("height, width", SIZES)
def test_what_is_sorted_is_laid_where_it_was(height, width):
    h = torch.randn(2, height, width, 4, 3)
    way = diagonals_cuda.Diagonals(torch.tensor([[height, width]] * 2), height, width)
    assert torch.equal(way.laid(way.sorted(h)), h) and torch.equal(way.laid(way.inputs(h[..., 0, :])), h[..., :1, :].expand_as(h))


def ragged(sizes, n, cell, units=3):
    """With what is not a number in the padding."""
    layer, x, n = made(sizes, n=n, cell=cell, units=units)
    for image, (height, width) in zip(x, n.tolist()):
        image[height:], image[:, width:] = float("nan"), float("inf")
    return layer, x, n


def compare(what, layer, x, n, tolerance):
    found, expected = by_kernel(layer, x, n), in_double(plain, layer, x, n)
    alike(f"LSTM over images, {what}: plain torch in float64", [each.cpu() for each in found], [each.cpu() for each in expected], tolerance)


def interpreted_kernels():
    """Called where Triton interprets: few cells at a time, so that a diagonal takes several programs or rounds, the last in part."""
    from recog.kernels import mdlstm_cuda

    torch.set_num_threads(1)
    races = Races()
    mdlstm._kernels = lambda device: mdlstm_cuda
    for few, at_a_time, cases in (
            (16, 8, [((3, 4), [[3, 3], [2, 4]], "standard"), ((4, 2), [[3, 2]], "stable")]),
            (0, 16, [((4, 2), [[4, 2], [1, 2], [2, 1]], "standard"), ((3, 4), [[3, 4], [2, 1], [1, 3]], "stable")])):
        mdlstm_cuda.FEW, mdlstm_cuda.LEAST, mdlstm_cuda.MOST = few, at_a_time, at_a_time
        for case in cases:
            compare("Triton interpreted", *ragged(*case), 1e-6)
    assert not races.found()
    layer, x, n = made((1, 2), units=3)
    mdlstm_cuda.FEW, races.heeds = 16, False
    *_, kept = mdlstm_cuda.forward(x, n, *(weight.detach() for weight in layer.parameters()), False)
    assert races.found()                                                        # there would be, if the threads did not wait
    assert sum(each.untyped_storage().nbytes() for each in kept) == 4 * 7 * 2 * 4 * 3          # 7 floats for each position, direction and unit


def test_the_triton_kernels_in_the_interpreter():
    interpreted("import test_mdlstm_cuda as test; test.interpreted_kernels()")


@pytest.mark.parametrize("name, units", [("_forward_all", 2), ("_backward_all", 2), ("_forward_step", 50), ("_backward_step", 50)])
def test_the_triton_kernels_compile_for_devices_that_are_not_here(name, units, tmp_path, monkeypatch):
    """And there the threads of those that go through all diagonals wait for each other."""
    triton = pytest.importorskip("triton")
    from triton.backends.compiler import GPUTarget
    from triton.compiler import ASTSource

    from recog.kernels import mdlstm_cuda

    monkeypatch.setenv("TRITON_CACHE_DIR", str(tmp_path))
    kernel, settings = getattr(mdlstm_cuda, name), mdlstm_cuda._settings(units, 40, stable=True)
    options = {"num_warps": settings.pop("num_warps")}
    kinds = {"n": "*i64"} | dict.fromkeys(mdlstm_cuda.SIZES, "i32") | dict.fromkeys(settings, "constexpr")
    source = ASTSource(kernel, {each: kinds.get(each, "*fp32") for each in kernel.arg_names}, settings)
    code = triton.compile(source, target=GPUTarget("cuda", 80, 32), options=options).asm["ptx"]
    if "all" in name:
        assert code.count("bar.sync") == 1 and "cp.async" not in code                    # none reads ahead


gpu = [pytest.mark.gpu, pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")]


def new(sizes, units, cell, n):
    """A new network, which is finite on large images, on the device."""
    torch.manual_seed(0)
    return MdLstm(12, units, cell).cuda(), torch.randn(len(n), *sizes, 12, device="cuda"), torch.tensor(n)


LARGE = [(2, (40, 375), [[40, 375], [31, 200], [7, 375], [1, 1]]), (10, (20, 188), [[20, 188], [3, 90]]),
         (50, (10, 94), [[10, 94], [9, 11], [1, 60]]), (1, (700, 6), [[700, 6], [513, 2]]), (16, (33, 31), [[33, 31], [32, 30]]), (17, (90, 40), [[90, 40], [5, 33]]), (150, (3, 9), [[3, 9]])]


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("units, sizes, n", LARGE)
class TestOnADevice:
    pytestmark = gpu

    def test_the_kernels_give_what_plain_torch_gives(self, units, sizes, n, cell):
        compare("CUDA", *new(sizes, units, cell, n), 1e-4)

    def test_again_gives_the_same_to_the_bit(self, units, sizes, n, cell):
        """Threads that did not wait for each other would give now this, now that."""
        layer, x, n = new(sizes, units, cell, n)
        h = layer(x, n)
        dx, = torch.autograd.grad(h.square().sum(), x.requires_grad_())
        for _ in range(10):
            again = layer(x, n)
            assert torch.equal(again, h) and torch.equal(torch.autograd.grad(again.square().sum(), x)[0], dx)

    def test_an_image_gives_the_same_alone_and_in_any_batch(self, units, sizes, n, cell):
        layer, x, n = new(sizes, units, cell, n)
        h = layer(x, n)
        for b, (height, width) in enumerate(n.tolist()):
            alone = layer(x[b:b + 1, :height, :width], n[b:b + 1])[0]
            torch.testing.assert_close(h[b, :height, :width], alone, atol=1e-5, rtol=1e-5)
            assert not h[b, height:].any() and not h[b, :, width:].any()


@pytest.mark.parametrize("units", [2, 50])
class TestOnADeviceInMixedPrecision:
    pytestmark = gpu

    def test_the_cells_stay_exact(self, units):
        layer, x, n = new((10, 30), units, "stable", [[10, 30], [7, 8]])
        x = x.bfloat16().float()
        with torch.autocast("cuda", torch.bfloat16):
            h = layer(x.bfloat16(), n)
        assert h.dtype == torch.float32 and torch.equal(h, layer(x, n))
