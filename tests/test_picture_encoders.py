"""What holds for every encoder of pictures: a line is read alike alone and in any batch, frames are counted rightly, all weights learn."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from test_blstm import batch, lengths

from recog import modeldir
from recog.components import find
from recog.config import Component, build as build_config, plain
from recog.features import FeatureConfig
from recog.heads.ctc import CtcConfig
from recog.models.recognizer import RecognizerConfig, build
from recog.text import Units
from recog.types import Batch

pytestmark = pytest.mark.usefixtures("one_thread")
HEIGHT = 7                                                                     # of the pictures; no block divides it
SMALL = [("mdrnn", {"units": (2, 3), "along": (2, 3), "down": (3, 2), "between": (2,)}),
         ("mdrnn", {"units": (3,), "along": (1,), "down": (2,), "between": (), "cell": "stable"}),
         ("conv_mdrnn", {"channels": (3, 4), "down": (2, 2), "along": (2, 3), "units": (2, 3)}),
         ("conv_mdrnn", {"channels": (3, 4, 5), "down": (2, 1, 1), "along": (1, 2, 1), "units": (0, 3, 0), "cell": "standard"}),
         ("crnn", {"channels": (3, 4), "down": (2, 2), "along": (2, 1), "layers": 1, "units": 3}),
         ("crnn", {"channels": (4, 3, 5), "down": (3, 1, 2), "along": (1, 3, 2), "layers": 2, "units": 2, "subsample": (2, 1)})]
encoders = pytest.mark.parametrize("kind, shape", SMALL)


def made(kind, shape, height=HEIGHT, **more):
    torch.manual_seed(0)
    encoder = find("encoder", kind)
    return encoder(encoder.Config(**shape, **more), height).eval()


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(SMALL), lengths, st.sampled_from([0.0, 1000.0, float("nan")]), st.randoms())
def test_padding_and_order_change_nothing(kind_and_shape, lengths, filler, random):
    model, (x, n) = made(*kind_and_shape), batch(lengths, width=HEIGHT, filler=filler)
    order = torch.tensor(random.sample(range(len(lengths)), len(lengths)))
    before = x.clone()
    together = model(x[order], n[order])
    assert torch.equal(x.nan_to_num(), before.nan_to_num())                    # nothing is cleared in what was given
    for place, row in enumerate(order.tolist()):
        alone = model(x[row:row + 1, :lengths[row]], n[row:row + 1])
        assert together.n[place] == alone.n[0]
        assert torch.allclose(together.h[place, :alone.n[0]], alone.h[0], rtol=0, atol=1e-5)


@encoders
def test_gradients_are_those_of_each_line_alone(kind, shape):
    model, (x, n) = made(kind, shape), batch([9, 4, 1], width=HEIGHT, filler=5.0)
    def gradients(x, n):
        model.zero_grad()
        x = x.clone().requires_grad_()
        encoded = model(x, n)
        sum((h[:m] ** 2).sum() for h, m in zip(encoded.h, encoded.n)).backward()
        return x.grad, [weight.grad.clone() for weight in model.parameters()]
    together, weights = gradients(x, n)
    apart = [gradients(x[b:b + 1, :m], n[b:b + 1]) for b, m in enumerate(n.tolist())]
    for b, m in enumerate(n.tolist()):
        assert torch.allclose(together[b, :m], apart[b][0][0], atol=1e-5, rtol=1e-4) and not together[b, m:].any()
    for weight, *each in zip(weights, *(found for _, found in apart)):
        assert torch.allclose(weight, sum(each), atol=1e-4, rtol=1e-4)


@encoders
def test_frames_of_every_small_width(kind, shape):
    model = made(kind, shape)
    for width in range(1, 26):
        encoded = model(torch.rand(1, width, HEIGHT), torch.tensor([width]))
        assert encoded.n.tolist() == [-(-width // model.subsampling)]
        assert encoded.h.shape == (1, encoded.n[0], model.output_size)


@encoders
@pytest.mark.parametrize("height", [1, 5, 12])
def test_any_height(kind, shape, height):
    model = made(kind, shape, height)
    assert model(torch.rand(2, 8, height), torch.tensor([8, 3])).h.isfinite().all()


@encoders
def test_where_ink_lies_matters(kind, shape):
    """In both coordinates, far from the frame that is looked at: each network sees all of the line."""
    model = made(kind, shape)
    x = torch.rand(1, 6 * model.subsampling, HEIGHT).requires_grad_()
    gradient, = torch.autograd.grad(model(x, torch.tensor([x.shape[1]])).h[0, 3].sum(), x)
    seen = gradient[0].abs().sum(1) > 0
    assert seen[0] and seen[-1] and (gradient[0].abs().sum(0) > 0).all()


@encoders
def test_all_weights_learn(kind, shape):
    """A few lines by heart: one label for each, told by where in the picture the ink is."""
    torch.manual_seed(0)
    model = build(RecognizerConfig(Component(kind, find("encoder", kind).Config(**shape)), features=FeatureConfig(mels=HEIGHT)), 4)
    first = {name: weight.detach().clone() for name, weight in model.named_parameters()}
    x = torch.zeros(3, 15, HEIGHT)
    x[0, 2:4], x[1, 8:10, :3], x[2, 3:9, 4:] = 1.0, 1.0, 1.0
    lines = Batch(("a", "b", "c"), x, torch.tensor([15, 15, 13]), torch.tensor([[1], [2], [3]]), torch.tensor([1, 1, 1]))
    optimizer, losses = torch.optim.Adam(model.parameters(), 0.04), []
    for _ in range(80):
        optimizer.zero_grad()
        loss = model.loss(lines).total
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.5 * losses[0]
    assert not [name for name, weight in model.named_parameters() if torch.equal(weight, first[name])]


@encoders
def test_a_model_folder_gives_the_same(kind, shape, tmp_path):
    config = RecognizerConfig(Component(kind, find("encoder", kind).Config(**shape)), Component("ctc", CtcConfig()),
                              features=FeatureConfig(mels=HEIGHT, normalize="none"))
    assert build_config(RecognizerConfig, plain(config), "a file") == config
    units = Units("char", ["<blank>", *"abc"])
    torch.manual_seed(3)
    model = build(config, len(units)).eval()
    modeldir.save(tmp_path / "model", "line", config, model, units, None, {"medium": "image", "data_licence": "none", "provenance": {},
                                                                           "scores": {}})
    loaded = modeldir.load(tmp_path / "model")
    x, n = batch([9, 5], width=HEIGHT)
    for found, expected in zip(loaded.model.log_probs(x, n), model.log_probs(x, n)):
        assert torch.equal(found, expected)
    assert loaded.config == config and loaded.model.encoder.subsampling == model.encoder.subsampling


DROPS = [("mdrnn", {"dropout": 0.5}), ("conv_mdrnn", {"dropout": 0.5}), ("crnn", {"dropout": 0.5}), ("crnn", {"channel_dropout": 0.5})]


@pytest.mark.parametrize("kind, dropout", DROPS)
def test_dropout_is_for_training_alone(kind, dropout):
    shape = next(shape for name, shape in SMALL if name == kind)
    x, n = torch.rand(1, 12, HEIGHT), torch.tensor([12])
    plainly = made(kind, shape)(x, n).h
    model = made(kind, shape, **dropout)
    assert torch.equal(model(x, n).h, plainly)
    model.train()
    assert not torch.allclose(model(x, n).h, plainly) and not torch.allclose(model(x, n).h, model(x, n).h)
