"""Convolutions in front of an LSTM: against nested loops, and every sequence of a padded batch as if alone."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from oracles import close
from test_blstm import batch, lengths

from recog.encoders.conv_blstm import ConvBlstm, ConvBlstmConfig
from recog.errors import ConfigError

pytestmark = pytest.mark.usefixtures("one_thread")
shapes = st.sampled_from([{}, {"strides": (2, 3)}, {"channels": (4,), "strides": (1,)}, {"planes": 2}, {"subsample": (1, 2)}])


def encoder(**settings):
    torch.manual_seed(0)
    return ConvBlstm(ConvBlstmConfig(**{"layers": 2, "units": 4, "channels": (4, 3), **settings}), 10).eval()


@settings(max_examples=40, deadline=None)
@given(lengths, shapes, st.sampled_from([0.0, 1000.0]), st.randoms())
def test_padding_and_order_change_nothing(lengths, shape, filler, random):
    model, (x, n) = encoder(**shape), batch(lengths, width=10, filler=filler)
    order = torch.tensor(random.sample(range(len(lengths)), len(lengths)))
    together = model(x[order], n[order])
    for place, row in enumerate(order.tolist()):
        alone = model(x[row:row + 1, :lengths[row]], n[row:row + 1])
        frames = -(-lengths[row] // model.subsampling)
        assert together.n[place] == alone.n[0] == frames == alone.h.shape[1]
        assert alone.h.shape[2] == model.output_size
        assert torch.allclose(together.h[place, :frames], alone.h[0], rtol=0, atol=1e-5)


@pytest.mark.parametrize("frames", [1, 6, 7])
@pytest.mark.parametrize("planes", [1, 2])
def test_what_the_lstm_sees_is_what_loops_compute(frames, planes):
    model, (x, n) = encoder(planes=planes), batch([frames], width=10)
    h = x[0].reshape(frames, planes, 10 // planes).double().numpy()                    # [T, C, F]
    for layer in model.convolutions:
        weight, bias, step = layer.weight.double().detach().numpy(), layer.bias.double().detach().numpy(), layer.stride[0]
        new = np.zeros((-(-len(h) // step), len(weight), -(-h.shape[2] // 2)))
        for t, channel, band in np.ndindex(new.shape):
            new[t, channel, band] = bias[channel]
            for dt, plane, df in np.ndindex(3, h.shape[1], 3):
                at, where = t * step + dt - 1, 2 * band + df - 1
                if 0 <= at < len(h) and 0 <= where < h.shape[2]:
                    new[t, channel, band] += weight[channel, plane, dt, df] * h[at, plane, where]
        h = np.maximum(new, 0)
    expected = model.blstm(torch.from_numpy(h.reshape(1, len(h), -1)).float(), torch.tensor([len(h)])).h
    close("convolutions before the LSTM", model(x, n).h.detach().numpy(), expected.detach().numpy(), 1e-5)


def test_frames_that_are_not_planes_times_bands_are_refused():
    with pytest.raises(ConfigError, match="frames of 10 values are not 3 per band"):
        encoder(planes=3)
    for wrong in ({"channels": ()}, {"strides": (2,)}, {"planes": 0}, {"strides": (0, 1)}):
        with pytest.raises(ValueError, match="channels|strides"):
            ConvBlstmConfig(**wrong)
