"""The LSTM over images: kernels and plain torch against nested loops written from the equations, finite differences, and what must hold."""

import itertools

import numpy as np
import pytest
import torch
from oracles import close

from recog.kernels import mdlstm_cpu
from recog.kernels.bounds import LARGEST_CELL
from recog.layers.mdlstm import CELLS, FORGET_BIAS, MdLstm, cells, plain
from recog.layers.peephole import PeepholeLstm

pytestmark = pytest.mark.usefixtures("one_thread")


def made(sizes, inputs=3, units=2, cell="standard", n=None, seed=0, scale=4.0):
    """A layer with weights that matter, and a batch: of the sizes [axes], or of those in n [B, axes]."""
    torch.manual_seed(seed)
    layer = MdLstm(inputs, units, cell, axes=len(sizes))
    with torch.no_grad():
        for weight in layer.parameters():
            weight.normal_(std=0.1 * scale)
    n = torch.tensor([sizes] if n is None else n)
    return layer, torch.randn(len(n), *sizes, inputs), n


def sigmoid(z):
    return 1 / (1 + torch.exp(-z))


def loops(x, weight_ih, weight_hh, bias, peepholes, n, cell):
    """The equations, position by position; each image alone, at its true size, each direction from its own corner."""
    axes, H = x.dim() - 2, peepholes.shape[2]
    images = []
    for image, true in zip(x, n.tolist()):
        found = {}
        for k, way in enumerate(itertools.product((1, -1), repeat=axes)):
            W, U, b, p, h, c = weight_ih[k], weight_hh[k], bias[k], peepholes[k], {}, {}
            for place in itertools.product(*(range(size)[::step] for size, step in zip(true, way))):
                before = [tuple(at - step * (d == axis) for d, (at, step) in enumerate(zip(place, way))) for axis in range(axes)]
                hs = [h.get(other, x.new_zeros(H)) for other in before]
                cs = [c.get(other, x.new_zeros(H)) for other in before]
                z = W @ image[place] + b
                for axis in range(axes):
                    z = z + U[:, axis * H:(axis + 1) * H] @ hs[axis]
                gate = [z[number * H:(number + 1) * H] for number in range(3 + axes)]
                g, o = torch.tanh(gate[1 + axes]), gate[2 + axes]
                if cell == "standard":
                    i = sigmoid(gate[0] + p[0] * sum(cs))
                    new = i * g
                    for axis in range(axes):
                        new = new + sigmoid(gate[1 + axis] + p[1 + axis] * cs[axis]) * cs[axis]
                else:
                    powers = [torch.exp(gate[2 + axis] + p[2 + axis] * (cs[axis] - cs[-1])) for axis in range(axes - 1)] + [torch.ones(H)]
                    mean = sum(power * each for power, each in zip(powers, cs)) / sum(powers)
                    new = sigmoid(gate[1] + p[1] * mean) * mean + sigmoid(gate[0] + p[0] * mean) * g
                c[place] = new
                h[place] = sigmoid(o + p[1 + axes] * new) * torch.tanh(new)
            found[k] = h
        places = itertools.product(*map(range, image.shape[:-1]))
        rows = [torch.cat([found[k].get(place, x.new_zeros(H)) for k in found]) for place in places]
        images.append(torch.stack(rows).view(*image.shape[:-1], -1))
    return torch.stack(images)


def results(run, inputs):
    """What comes out, and the gradients of a sum in which each value has a weight of its own."""
    inputs = [each.detach().clone().requires_grad_() for each in inputs]
    h = run(*inputs)
    pull = torch.randn(h.shape, generator=torch.Generator().manual_seed(9)).to(h)
    return [h.detach(), *torch.autograd.grad((h * pull).sum(), inputs)]


def by_kernel(layer, x, n):
    return results(lambda x, *weights: torch.func.functional_call(layer, dict(zip(dict(layer.named_parameters()), weights)), (x, n)),
                   [x, *layer.parameters()])


def in_double(run, layer, x, n):
    return results(lambda *given: run(*given, n, layer.cell), [each.detach().double() for each in (x, *layer.parameters())])


def alike(what, found, expected, tolerance):
    """Apart by little, of the largest of each."""
    for a, b in zip(found, expected, strict=True):
        largest = 1 + b.abs().max()
        close(what, a.double() / largest, b / largest, tolerance)


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("sizes, n", [((3, 4), [[3, 4], [2, 1], [1, 3]]), ((1, 5), None), ((4, 1), None), ((5,), [[5], [2]]),
                                      ((2, 3, 2), [[2, 3, 2], [1, 2, 2]])])
def test_plain_torch_gives_what_nested_loops_give(sizes, n, cell):
    given = made(sizes, n=n, cell=cell)
    alike("LSTM over images, plain torch: nested loops in float64", in_double(plain, *given), in_double(loops, *given), 1e-12)


@pytest.mark.parametrize("cell", CELLS)
def test_the_kernel_gives_what_nested_loops_give(cell):
    for units, sizes, n in ((1, (1, 1), None), (2, (3, 4), [[3, 4], [2, 1], [1, 3]]), (7, (4, 3), [[2, 3], [4, 1]])):
        given = made(sizes, n=n, units=units, cell=cell)
        alike("LSTM over images, kernel: nested loops in float64", by_kernel(*given), in_double(loops, *given), 1e-6)


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("units, scale", [(1, 4.0), (2, 4.0), (7, 3.0), (50, 1.0)])
def test_the_kernel_gives_what_plain_torch_gives(units, scale, cell):
    for sizes, n in (((1, 9), None), ((9, 1), None), ((1, 6), [[1, 2], [1, 6]]), ((6, 11), [[6, 4], [2, 11], [5, 5], [1, 1]]),
                     ((12, 5), [[12, 5], [7, 3]])):
        given = made(sizes, n=n, units=units, cell=cell, scale=scale)
        alike("LSTM over images, kernel: plain torch in float64", by_kernel(*given), in_double(plain, *given), 3e-6)


@pytest.mark.parametrize("cell", CELLS)
def test_parts_worked_side_by_side_give_the_same(cell, monkeypatch):
    """As on a machine of many cores: each direction of each few images in a thread."""
    layer, x, n = made((5, 7), n=[[5, 7], [3, 2], [4, 7], [1, 1], [5, 1]], cell=cell)
    expected = by_kernel(layer, x, n)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 9)
    assert len(mdlstm_cpu._parts(len(x))) == 8
    for a, b in zip(by_kernel(layer, x, n), expected):
        torch.testing.assert_close(a, b, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("axes", [1, 2, 3])
def test_finite_differences_of_plain_torch(axes, cell):
    sizes, n = ((3,), [[3], [2]]) if axes == 1 else ((2, 3), [[2, 3], [2, 1]]) if axes == 2 else ((2, 1, 2), None)
    layer, x, n = made(sizes, inputs=2, units=1, n=n, cell=cell)
    inputs = [each.detach().double().requires_grad_() for each in (x, *layer.parameters())]
    assert torch.autograd.gradcheck(lambda *given: plain(*given, n, cell), inputs, atol=1e-7)


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("units", [2, 9])
def test_finite_differences_of_the_kernel(units, cell):
    """In float32: coarse, but it asks nobody else."""
    layer, x, n = made((3, 4), units=units, n=[[3, 4], [2, 2]], cell=cell)
    pull = torch.randn(2, 3, 4, layer.output_size)
    x.requires_grad_()
    given = [x, *layer.parameters()]
    for each, gradient in zip(given, torch.autograd.grad((layer(x, n) * pull).sum(), given)):
        direction = torch.randn_like(each)
        direction /= direction.norm()
        with torch.no_grad():
            high, low = (float((each.add_(direction * move), (layer(x, n) * pull).sum())[1]) for move in (0.01, -0.02))
            each.add_(direction * 0.01)
        assert (high - low) / 0.02 == pytest.approx(float((gradient * direction).sum()), rel=2e-2, abs=2e-2)


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("units", [2, 8])
def test_an_image_gives_the_same_alone_and_in_any_batch(units, cell):
    """Whatever stands in the padding; which gives zeros, and takes no gradient."""
    layer, x, n = made((6, 9), units=units, n=[[6, 9], [3, 9], [6, 2], [1, 1], [4, 5]], cell=cell)
    for image, (height, width) in zip(x, n.tolist()):
        image[height:], image[:, width:] = float("nan"), float("inf")
    x.requires_grad_()
    h = layer(x, n)
    gradient, = torch.autograd.grad(h.square().sum(), x)
    for b, (height, width) in enumerate(n.tolist()):
        alone = x.detach()[b:b + 1, :height, :width].clone().requires_grad_()
        expected = layer(alone, n[b:b + 1])
        close("LSTM over images: an image alone", h[b, :height, :width], expected[0], 1e-6)
        wanted = torch.autograd.grad(expected.square().sum(), alone)[0]
        close("LSTM over images: its gradient", gradient[b, :height, :width], wanted[0], 1e-5)
        for padded in (h[b], gradient[b]):
            assert not padded[height:].any() and not padded[:, width:].any()


def test_what_is_not_a_number_stays_in_its_image():
    for units in (2, 8):
        layer, x, n = made((4, 5), units=units, n=[[4, 5]] * 3)
        x[1, 2, 2] = float("nan")
        h = layer(x, n)
        assert h[[0, 2]].isfinite().all() and h[1, 2:, 2:, :units].isnan().all() and h[1, :2, :2, :units].isfinite().all()


@pytest.mark.parametrize("units", [2, 8])
def test_a_flipped_image_gives_the_directions_in_another_order(units):
    layer, x, n = made((4, 5), units=units)
    directions = layer(x, n).unflatten(-1, (4, units))
    for axis, order in ((1, [2, 3, 0, 1]), (2, [1, 0, 3, 2])):
        other = MdLstm(3, units)
        other.load_state_dict({name: weight[order] for name, weight in layer.state_dict().items()})
        flipped = other(x.flip(axis), n).unflatten(-1, (4, units))[..., order, :].flip(axis)
        close("LSTM over images: flipped", flipped, directions, 1e-6)


@pytest.mark.parametrize("cell", CELLS)
def test_each_direction_sees_what_came_before_it_and_all_of_that(cell):
    layer, x, n = made((4, 5), units=2, cell=cell)
    x.requires_grad_()
    h = layer(x, n)[0].unflatten(-1, (4, 2))
    rows, columns = torch.meshgrid(torch.arange(4), torch.arange(5), indexing="ij")
    ways = itertools.product((rows <= 2, rows >= 2), (columns <= 1, columns >= 1))
    for k, seen in enumerate(row & column for row, column in ways):
        gradient, = torch.autograd.grad(h[2, 1, k].sum(), x, retain_graph=True)
        assert torch.equal(gradient[0].abs().sum(-1) > 0, seen)


@pytest.mark.parametrize("cell", CELLS)
def test_with_one_axis_it_is_the_peephole_lstm_both_ways(cell):
    layer, x, n = made((7,), units=4, cell=cell)
    h = layer(x, n).unflatten(-1, (2, 4))
    for k in range(2):
        other = PeepholeLstm(3, 4)
        other.load_state_dict({name: weight[k] for name, weight in layer.state_dict().items()})
        way = x.flip(1) if k else x
        expected = other(way.transpose(0, 1))[0].transpose(0, 1)
        close("LSTM over images, one axis: peephole LSTM", h[..., k, :], expected.flip(1) if k else expected, 1e-6)


def test_the_stable_cell_grows_by_one_a_step_at_most_and_the_standard_one_to_its_bound():
    torch.manual_seed(0)
    p, grown = torch.zeros(4, 1, dtype=torch.float64), {}
    for cell in CELLS:
        z = torch.full((5,), 9.0, dtype=torch.float64)                     # all gates open
        if cell == "stable":
            z[2] = 0.0                                                     # both axes alike
        c = {}
        for y, x in itertools.product(range(40), repeat=2):
            before = torch.stack([c.get(at, torch.zeros(1, dtype=torch.float64)) for at in ((y - 1, x), (y, x - 1))])
            c[y, x] = cells(z, before, p, cell)[1]
            if cell == "stable":
                assert c[y, x] <= y + x + 1
        grown[cell] = c[39, 39].item()
    assert grown["stable"] <= 79 and grown["standard"] == LARGEST_CELL


@pytest.mark.parametrize("units", [2, 14])
def test_cells_that_would_grow_beyond_all_numbers_stay_numbers(units):
    """All forget gates open and inputs of both signs: without a bound, infinities meet, and are nothing. Then as plain torch does it."""
    layer, x, n = made((40, 180), units=units, n=[[40, 180], [33, 140]])
    with torch.no_grad():
        layer.weight_hh.zero_()
        layer.peepholes.zero_()
        layer.weight_ih[:, units:3 * units] = 0.0
        layer.bias[:, units:3 * units] = 9.0
    found, expected = by_kernel(layer, x, n), in_double(plain, layer, x, n)
    assert all(each.isfinite().all() for each in found)
    close("LSTM over images, cells at their bound: plain torch in float64", found[0], expected[0], 0.05)


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("height, width", [(8, 3000), (40, 375)])
def test_new_networks_are_finite_on_long_images(height, width, cell):
    torch.manual_seed(1)
    layer = MdLstm(12, 2, cell)
    x, n = torch.randn(1, height, width, 12, requires_grad=True), torch.tensor([[height, width]])
    h = layer(x, n)
    h.sum().backward()
    assert h.isfinite().all() and x.grad.isfinite().all() and all(weight.grad.isfinite().all() for weight in layer.parameters())


def test_frozen_weights_many_backwards_and_lower_precision():
    layer, x, n = made((3, 4), units=8)
    layer.weight_hh.requires_grad_(False)
    h = layer(x, n)
    h.sum().backward(retain_graph=True)
    once = layer.peepholes.grad.clone()
    h.sum().backward()
    assert torch.equal(layer.peepholes.grad, 2 * once) and layer.weight_hh.grad is None
    with torch.inference_mode():
        assert torch.equal(layer(x, n), h)
    with torch.autocast("cpu", torch.bfloat16):
        halves = layer(x.bfloat16(), n)
    assert halves.dtype == torch.float32 and torch.allclose(halves, h, atol=0.05)


def test_no_images_and_images_of_nothing():
    layer, x, n = made((3, 4))
    assert layer(x[:0], n[:0]).shape == (0, 3, 4, 8) and layer(x[:, :0], n).shape == (1, 0, 4, 8)
    assert not layer(x, torch.tensor([[0, 0]])).any()


def test_weights_begin_small_and_cells_have_names():
    layer = MdLstm(8, 50)
    bias = layer.bias.detach().unflatten(1, (5, 50))
    bias[:, 1:3] -= FORGET_BIAS
    for weight in layer.parameters():
        assert 0.09 < weight.detach().std().item() < 0.11
    assert np.prod(layer.weight_hh.shape) == 4 * 250 * 100
    with pytest.raises(ValueError, match="standard, stable"):
        MdLstm(3, 2, "leaky")
