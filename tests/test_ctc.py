"""The CTC head's loss against the sum over all paths, written out; and how many frames labels need."""

from itertools import groupby, product

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from oracles import close

from recog.heads.ctc import Ctc, CtcConfig, frames_needed
from recog.types import Batch, Encoded

pytestmark = pytest.mark.usefixtures("one_thread")
UNITS = 3                                     # the blank and two labels
search = settings(max_examples=60, deadline=None)
labels = st.lists(st.integers(1, UNITS - 1), max_size=4).map(tuple)
items = st.lists(st.tuples(st.integers(1, 5), labels).filter(lambda item: frames_needed(item[1]) <= item[0]), min_size=1, max_size=4)


def head():
    torch.manual_seed(3)
    return Ctc(CtcConfig(), 4, UNITS)


def example(items, seed=0, filler=5.0):
    """Encoded and Batch for [(frames, labels), ...], with padding that would show if it were read."""
    generator = torch.Generator().manual_seed(seed)
    frames, y_len = torch.tensor([n for n, _ in items]), torch.tensor([len(y) for _, y in items])
    h = torch.full((len(items), int(frames.max()), 4), filler)
    y = torch.full((len(items), max(1, int(y_len.max()))), UNITS - 1)
    for row, (n, sequence) in enumerate(items):
        h[row, :n] = torch.randn(n, 4, generator=generator)
        y[row, :len(sequence)] = torch.tensor(sequence, dtype=torch.long)
    return Encoded(h, frames), Batch(tuple(f"u{i}" for i in range(len(items))), h, frames, y, y_len)


def collapsed(path):
    return tuple(unit for unit, _ in groupby(path) if unit)


def probability(log_probs, sequence):
    """Sum over all paths that spell the sequence. log_probs [T, V]."""
    return sum(torch.stack([log_probs[t, unit] for t, unit in enumerate(path)]).sum().exp()
               for path in product(range(UNITS), repeat=len(log_probs)) if collapsed(path) == sequence)


@search
@given(items)
def test_the_loss_is_the_sum_over_all_paths(items):
    encoded, batch = example(items)
    layer = head().double()
    encoded = Encoded(encoded.h.double(), encoded.n)
    loss = layer.loss(encoded, batch)
    rows = encoded.h.double() @ layer.output.weight.T + layer.output.bias
    expected = sum(-probability(row[:n].log_softmax(1), y).log() for row, (n, y) in zip(rows, items))
    assert loss.count == len(items) and loss.parts == {"ctc": pytest.approx(loss.total.item())}
    close("CTC loss: sum over all paths, float32", loss.total, expected, 1e-4)


@search
@given(items)
def test_padding_and_company_change_nothing(items):
    encoded, batch = example(items)
    layer = head()
    alone = sum(layer.loss(Encoded(encoded.h[i:i + 1, :n], encoded.n[i:i + 1]),
                           Batch((batch.ids[i],), encoded.h[i:i + 1, :n], encoded.n[i:i + 1], batch.y[i:i + 1, :max(1, len(y))],
                                 batch.y_len[i:i + 1])).total.item() for i, (n, y) in enumerate(items))
    assert layer.loss(encoded, batch).total.item() == pytest.approx(alone, rel=1e-5, abs=1e-5)


def test_the_gradient_reaches_no_padding():
    encoded, batch = example([(5, (1, 2)), (2, (1,)), (3, ())])
    h = encoded.h.clone().requires_grad_()
    head().loss(Encoded(h, encoded.n), batch).total.backward()
    for row, n in zip(h.grad, encoded.n.tolist()):
        assert (row[:n] != 0).any(1).all() and (row[n:] == 0).all()


@search
@given(labels, st.integers(1, 8))
def test_the_loss_is_finite_exactly_when_there_are_frames_enough(sequence, frames):
    encoded, batch = example([(frames, sequence)])
    assert torch.isfinite(head().loss(encoded, batch).total) == (frames >= frames_needed(sequence))


@pytest.mark.parametrize("sequence, frames", [((), 0), ((1,), 1), ((1, 2), 2), ((1, 1), 3), ((1, 1, 1), 5), ((1, 2, 1), 3), ((2, 2, 1, 1), 6)])
def test_frames_needed_by_hand(sequence, frames):
    assert frames_needed(sequence) == frames


def test_rows_are_log_probabilities_also_from_half_precision():
    encoded, _ = example([(5, (1,)), (3, (2,))])
    log_probs = head().emissions(encoded)
    assert log_probs.dtype == torch.float32 and log_probs.shape == (2, 5, UNITS)
    assert torch.allclose(log_probs.exp().sum(2), torch.ones(2, 5), atol=1e-6)
    half = head().to(torch.bfloat16).emissions(Encoded(encoded.h.bfloat16(), encoded.n))
    assert half.dtype == torch.float32 and torch.allclose(half.exp().sum(2), torch.ones(2, 5), atol=1e-6)
