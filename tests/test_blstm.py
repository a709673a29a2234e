"""The BLSTM on padded batches: every sequence as if alone, and the numbers of torch's packed LSTM."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from recog.encoders.blstm import Blstm, BlstmConfig
from recog.layers.lstm import CELLS, FORGET_BIAS, LstmLayer, reverse_within

pytestmark = pytest.mark.usefixtures("one_thread")
search = settings(max_examples=40, deadline=None)
lengths = st.lists(st.integers(1, 9), min_size=1, max_size=5)
stacks = st.sampled_from([{}, {"subsample": (2, 1)}, {"subsample": (2, 3)}, {"bidirectional": False},
                          {"bidirectional": False, "subsample": (1, 2)}, {"cell": "peephole"}, {"cell": "tanh"},
                          {"cell": "peephole", "bidirectional": False, "subsample": (2, 1)}])


def batch(lengths, width=3, seed=0, filler=0.0):
    """Random sequences in a padded batch [B, T, D] whose padding is `filler`, and their lengths."""
    generator = torch.Generator().manual_seed(seed)
    x = torch.full((len(lengths), max(lengths), width), filler)
    for row, n in zip(x, lengths):
        row[:n] = torch.randn(n, width, generator=generator)
    return x, torch.tensor(lengths)


def encoder(settings, seed=0):
    torch.manual_seed(seed)
    return Blstm(BlstmConfig(layers=2, units=4, **settings), 3).eval()


@search
@given(lengths, stacks, st.sampled_from([0.0, 1000.0]))
def test_each_sequence_of_a_padded_batch_is_as_alone(lengths, settings, filler):
    x, n = batch(lengths, filler=filler)
    model = encoder(settings)
    together = model(x, n)
    for row, length in enumerate(lengths):
        alone = model(x[row:row + 1, :length], n[row:row + 1])
        frames = -(-length // model.subsampling)
        assert together.n[row] == alone.n[0] == frames == alone.h.shape[1]
        assert torch.allclose(together.h[row, :frames], alone.h[0], rtol=0, atol=1e-6)


@search
@given(lengths, stacks, st.randoms())
def test_the_order_in_a_batch_changes_nothing(lengths, settings, random):
    x, n = batch(lengths)
    order = torch.tensor(random.sample(range(len(lengths)), len(lengths)))
    model = encoder(settings)
    straight, shuffled = model(x, n), model(x[order], n[order])
    assert torch.equal(straight.n[order], shuffled.n)
    for a, b, frames in zip(straight.h[order], shuffled.h, shuffled.n.tolist()):
        assert torch.allclose(a[:frames], b[:frames], rtol=0, atol=1e-6)


def twin(layers):
    """torch's own stacked LSTM with the weights of our layers."""
    reference = nn.LSTM(layers[0].forwards.input_size, layers[0].forwards.hidden_size, len(layers),
                        bidirectional=layers[0].backwards is not None)
    for number, layer in enumerate(layers):
        for ours, suffix in ((layer.forwards, ""), (layer.backwards, "_reverse")):
            for name, w in ours.named_parameters() if ours is not None else ():
                getattr(reference, name.replace("l0", f"l{number}{suffix}")).data.copy_(w.data)
    return reference


def gradients_of(reference, layers):
    for number, layer in enumerate(layers):
        for ours, suffix in ((layer.forwards, ""), (layer.backwards, "_reverse")):
            for name, w in ours.named_parameters() if ours is not None else ():
                yield w.grad, getattr(reference, name.replace("l0", f"l{number}{suffix}")).grad


@pytest.mark.parametrize("bidirectional", [True, False])
@pytest.mark.parametrize("lengths", [[9, 7, 7, 2, 1], [5], [1, 8, 3]])
def test_outputs_and_gradients_are_those_of_packed_sequences(bidirectional, lengths):
    torch.manual_seed(1)
    model = Blstm(BlstmConfig(layers=3, units=5, bidirectional=bidirectional), 3)
    reference = twin(list(model.layers))
    x, n = batch(lengths)
    ours, theirs = x.clone().requires_grad_(), x.clone().requires_grad_()
    h = model(ours, n).h
    packed = pack_padded_sequence(theirs, n, batch_first=True, enforce_sorted=False)
    expected = pad_packed_sequence(reference(packed)[0], batch_first=True)[0]
    real = (torch.arange(max(lengths)) < n[:, None])[:, :, None]
    assert torch.allclose(h * real, expected, rtol=0, atol=1e-5)
    weight = torch.randn(expected.shape) * real                    # what lies beyond the ends is nobody's business
    (h * weight).sum().backward()
    (expected * weight).sum().backward()
    assert torch.allclose(ours.grad, theirs.grad, rtol=0, atol=1e-5)
    assert (ours.grad * ~real == 0).all()
    pairs = list(gradients_of(reference, model.layers))
    assert len(pairs) == 3 * 4 * (1 + bidirectional)
    for mine, other in pairs:
        assert torch.allclose(mine, other, rtol=0, atol=1e-5)


@search
@given(lengths)
def test_reversing_within_the_length_twice_is_nothing_and_once_is_what_it_says(lengths):
    x, n = batch(lengths)
    x = x.transpose(0, 1)                                          # [T, B, D]
    once = reverse_within(x, n)
    assert torch.equal(reverse_within(once, n), x)
    for column, length in enumerate(lengths):
        assert torch.equal(once[:length, column], x[:length, column].flip(0))
        assert torch.equal(once[length:, column], x[length:, column])


@pytest.mark.parametrize("settings", [{}, {"subsample": (2,)}, {"bidirectional": False}, {"cell": "peephole"}, {"cell": "tanh"}],
                         ids=["plain", "subsample", "forwards", "peephole", "tanh"])
def test_gradients_in_double_precision(settings):
    torch.manual_seed(0)
    model = Blstm(BlstmConfig(layers=1, units=2, **settings), 2).double()
    x, n = batch([4, 2, 1], width=2)
    names = [name for name, _ in model.named_parameters()]

    def outputs(x, *weights):
        encoded = torch.func.functional_call(model, dict(zip(names, weights)), (x, n))
        real = (torch.arange(encoded.h.shape[1]) < encoded.n[:, None])[:, :, None]
        return encoded.h * real

    inputs = (x.double().requires_grad_(), *(w.detach().requires_grad_() for w in model.parameters()))
    assert torch.autograd.gradcheck(outputs, inputs)


def test_subsampling_joins_frames_and_pads_with_zeros():
    torch.manual_seed(0)
    model = Blstm(BlstmConfig(layers=1, units=2, subsample=(3,)), 3).eval()
    x, n = batch([7, 4])
    h = model.layers[0](x.transpose(0, 1), n).transpose(0, 1)      # [B, T, 4]
    encoded = model(x, n)
    assert model.output_size == 12 and model.subsampling == 3 and encoded.n.tolist() == [3, 2]
    assert torch.equal(encoded.h[0, 0], h[0, :3].flatten())
    assert torch.equal(encoded.h[0, 2], torch.cat([h[0, 6], torch.zeros(8)]))
    assert torch.equal(encoded.h[1, 1], torch.cat([h[1, 3], torch.zeros(8)]))


def test_the_forget_gates_start_open_and_the_input_gates_do_not():
    torch.manual_seed(0)
    layer = LstmLayer(3, 4)
    for lstm in (layer.forwards, layer.backwards):
        i, f, g, o = lstm.bias_ih_l0.detach().chunk(4)             # torch's order; drawn from +-1 / sqrt(4)
        assert (abs(f - FORGET_BIAS) <= 0.5).all() and all((abs(b) <= 0.5).all() for b in (i, g, o))


def test_dropout_works_in_training_only_and_leaves_the_input_alone():
    torch.manual_seed(0)
    model = Blstm(BlstmConfig(layers=1, units=50, dropout=0.5), 3)
    x, n = batch([6])
    plain = model.eval()(x, n).h
    dropped = model.train()(x, n).h
    kept = dropped != 0
    assert 0.4 < kept.float().mean() < 0.6
    assert torch.allclose(dropped[kept], 2 * plain[kept])          # before the first layer nothing was dropped


@search
@given(st.sampled_from(CELLS), st.sampled_from([(1, 1), (2, 1), (2, 3)]), st.lists(st.integers(0, 7), min_size=1, max_size=5))
def test_a_stream_gives_the_numbers_of_the_whole(cell, subsample, chunks):
    model = encoder({"bidirectional": False, "cell": cell, "subsample": subsample})
    x, n = batch([max(1, sum(chunks))] * 2)
    state, parts = None, []
    for chunk in x.split([*chunks, x.shape[1] - sum(chunks)], dim=1):
        h, state = model.step(chunk, state)
        parts.append(h)
    parts.append(model.step(x[:, :0], state, last=True)[0])
    assert torch.allclose(torch.cat(parts, dim=1), model(x, n).h, rtol=0, atol=1e-6)


def test_a_layer_that_also_reads_backwards_cannot_stream():
    with pytest.raises(ValueError, match="both directions"):
        LstmLayer(3, 4).step(torch.zeros(2, 1, 3))


# Weights of recognizers in the papers. Graves, Mohamed & Hinton 2013, in millions: 123 inputs, 62 outputs.
# Liwicki, Graves et al. 2007 and Graves et al. 2009, to the last weight: 25 inputs, 81 outputs.
@pytest.mark.parametrize("settings, inputs, outputs, weights", [
    ({"layers": 1, "units": 250}, 123, 62, "0.8"), ({"layers": 1, "units": 622}, 123, 62, "3.8"),
    ({"layers": 2, "units": 250}, 123, 62, "2.3"), ({"layers": 3, "units": 250}, 123, 62, "3.8"),
    ({"layers": 5, "units": 250}, 123, 62, "6.8"), ({"layers": 3, "units": 421, "bidirectional": False}, 123, 62, "3.8"),
    ({"layers": 3, "units": 500, "cell": "tanh"}, 123, 62, "3.7"), ({"layers": 1, "units": 100}, 25, 81, 117681)],
    ids=["1l-250h", "1l-622h", "2l-250h", "3l-250h", "5l-250h", "3l-421h-uni", "3l-500h-tanh", "handwriting"])
def test_as_many_weights_as_in_the_papers(settings, inputs, outputs, weights):
    with torch.device("meta"):
        model = Blstm(BlstmConfig(**{"cell": "peephole"} | settings), inputs)
        head = nn.Linear(model.output_size, outputs)
    count = sum(w.numel() for part in (model, head) for w in part.parameters())
    assert (count if isinstance(weights, int) else f"{count / 1e6:.1f}") == weights


@pytest.mark.parametrize("wrong", [{"layers": 0}, {"units": 0}, {"dropout": 1.0}, {"dropout": -0.1}, {"subsample": (2,)},
                                   {"subsample": (1, 1, 0)}, {"cell": "gru"}, {"clip": 1.0}, {"cell": "peephole", "clip": -1.0}])
def test_settings_that_cannot_be_are_refused(wrong):
    with pytest.raises(ValueError):
        BlstmConfig(**wrong)
