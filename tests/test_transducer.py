"""The transducer's loss: against all alignments written out, finite differences, torchaudio, float64; and its laws."""

from itertools import combinations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from oracles import close

from recog.errors import TrainError
from recog.heads.transducer import Transducer, TransducerConfig
from recog.kernels.transducer import best_frames
from recog.layers import lattice
from recog.layers import transducer as layer
from recog.types import Batch, Encoded

pytestmark = pytest.mark.usefixtures("one_thread")
V, J = 4, 5
search = settings(max_examples=25, deadline=None)
items = st.lists(st.tuples(st.integers(1, 5), st.integers(0, 4)), min_size=1, max_size=4)


def drawn(sizes, seed=0, scale=1.0, dtype=torch.float64, filler=7.0):
    """f, g, y, n, u, and f, g, weight, bias of a hidden joint, for [(frames, labels), ...]; padding would show."""
    generator = torch.Generator().manual_seed(seed)
    n, u = torch.tensor([t for t, _ in sizes]), torch.tensor([m for _, m in sizes])
    y = torch.randint(1, V, (len(sizes), max(1, int(u.max()))), generator=generator)

    def normal(*shape):
        return scale * torch.randn(*shape, generator=generator, dtype=torch.float64)

    tensors = []
    for width in (V, J):
        f, g = normal(len(sizes), int(n.max()), width), normal(len(sizes), y.shape[1] + 1, width)
        for b, (t, m) in enumerate(sizes):
            f[b, t:], g[b, m + 1:] = filler, -filler
        tensors.append((f.to(dtype).requires_grad_(), g.to(dtype).requires_grad_()))
    weight, bias = normal(V, J).to(dtype).requires_grad_(), normal(V).to(dtype).requires_grad_()
    return tensors[0], (*tensors[1], weight, bias), (y, n, u)


def logits(joint, inputs):
    """[B, T, U + 1, V], the tensor that the loss never forms."""
    f, g, *rest = inputs
    x = f[:, :, None] + g[:, None]
    return x if joint == "additive" else torch.tanh(x) @ rest[0].T + rest[1]


def loss(joint, inputs, y, n, u, memory_mb=128.0):
    return layer.additive(*inputs, y, n, u) if joint == "additive" else layer.hidden(*inputs, y, n, u, memory_mb)


def probability(log_probs, y):
    """The sum over all alignments: each is a choice of which of the T + U steps write a label; the last step is a blank."""
    frames, total = len(log_probs), 0.0
    for writes in combinations(range(frames - 1 + len(y)), len(y)):
        t = u = 0
        score = torch.zeros((), dtype=log_probs.dtype)
        for step in range(frames + len(y)):
            if step in writes:
                score, u = score + log_probs[t, u, y[u]], u + 1
            else:
                score, t = score + log_probs[t, u, 0], t + 1
        total = total + score.exp()
    return total


def brute(joint, inputs, y, n, u):
    rows = logits(joint, inputs).log_softmax(3)
    return sum(-probability(rows[b, :n[b]], y[b, :u[b]].tolist()).log() for b in range(len(n)))


def gradients(value, inputs):
    return torch.autograd.grad(value, inputs)


@pytest.mark.parametrize("joint", ["additive", "hidden"])
@search
@given(items, st.integers(0, 9))
def test_the_loss_and_all_gradients_are_those_of_the_sum_over_all_alignments(joint, sizes, seed):
    plain, hidden, rest = drawn(sizes, seed)
    inputs = plain if joint == "additive" else hidden
    found, expected = loss(joint, inputs, *rest), brute(joint, inputs, *rest)
    close(f"transducer loss, {joint}: sum over all alignments", found, expected, 1e-9)
    for a, b in zip(gradients(found, inputs), gradients(expected, inputs)):
        close(f"transducer gradient, {joint}: sum over all alignments", a, b, 1e-9)


def mask(x, at):
    found = torch.zeros_like(x, dtype=torch.bool)
    found[at] = True
    return found


@pytest.mark.parametrize("joint", ["additive", "hidden"])
def test_finite_differences_of_every_input_and_weight(joint):
    plain, hidden, rest = drawn([(5, 3), (3, 0), (1, 2)], seed=1)
    inputs = plain if joint == "additive" else hidden
    assert torch.autograd.gradcheck(lambda *inputs: loss(joint, inputs, *rest), inputs)
    found = gradients(loss(joint, inputs, *rest), inputs)
    with torch.no_grad():
        for x, gradient in zip(inputs, found):
            for at in np.ndindex(x.shape):
                ends = [loss(joint, [torch.where(mask(x, at), x + step, x) if y is x else y for y in inputs], *rest).item() for step in (1e-5, -1e-5)]
                close(f"transducer gradient, {joint}: finite differences", gradient[at], (ends[0] - ends[1]) / 2e-5, 1e-7)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("joint", ["additive", "hidden"])
def test_torchaudio_agrees(joint, seed):
    from torchaudio.functional import rnnt_loss

    plain, hidden, (y, n, u) = drawn([(20, 6), (13, 4), (7, 1)], seed, dtype=torch.float32)
    inputs = plain if joint == "additive" else hidden
    other = rnnt_loss(logits(joint, inputs), y.int(), n.int(), u.int(), blank=0, reduction="sum")
    found = loss(joint, inputs, y, n, u)
    close(f"transducer loss, {joint}: torchaudio, float32", found, other, 1e-5)
    for a, b in zip(gradients(found, inputs), gradients(other, inputs)):
        close(f"transducer gradient, {joint}: torchaudio, float32", a, b, 2e-4)


@pytest.mark.parametrize("joint", ["additive", "hidden"])
def test_float32_is_near_float64_at_full_size(joint):
    generator = torch.Generator().manual_seed(0)
    n, u, y = torch.tensor([300, 220]), torch.tensor([50, 40]), torch.randint(1, 62, (2, 50), generator=generator)
    width = 62 if joint == "additive" else 32
    inputs = [torch.randn(*shape, generator=generator) for shape in ((2, 300, width), (2, 51, width))]
    inputs += [torch.randn(62, 32, generator=generator), torch.randn(62, generator=generator)] if joint == "hidden" else []
    single, double = ([each.to(dtype).requires_grad_() for each in inputs] for dtype in (torch.float32, torch.float64))
    a, b = loss(joint, single, y, n, u), loss(joint, double, y, n, u)
    close(f"transducer loss, {joint}: float64 at 300 x 51 x 62", a, b, 1e-6)
    for x, z in zip(gradients(a, single), gradients(b, double)):
        assert float((x - z).abs().max() / z.abs().max()) < 2e-5


@pytest.mark.parametrize("joint", ["additive", "hidden"])
@search
@given(items, st.integers(0, 9))
def test_padding_company_and_order_change_nothing(joint, sizes, seed):
    plain, hidden, (y, n, u) = drawn(sizes, seed)
    inputs = plain if joint == "additive" else hidden
    whole = gradients(loss(joint, inputs, y, n, u), inputs)
    total, weights = 0.0, [torch.zeros_like(w) for w in inputs[2:]]
    for b in reversed(range(len(sizes))):
        alone = [inputs[0][b:b + 1, :n[b]].detach().requires_grad_(), inputs[1][b:b + 1, :u[b] + 1].detach().requires_grad_(), *inputs[2:]]
        value = loss(joint, alone, y[b:b + 1, :u[b]], n[b:b + 1], u[b:b + 1])
        df, dg, *rest = gradients(value, alone)
        torch.testing.assert_close(whole[0][b, :n[b]], df[0])
        torch.testing.assert_close(whole[1][b, :u[b] + 1], dg[0])
        assert not whole[0][b, n[b]:].any() and not whole[1][b, u[b] + 1:].any()
        total, weights = total + value.item(), [w + d for w, d in zip(weights, rest)]
    assert loss(joint, inputs, y, n, u).item() == pytest.approx(total)
    for a, b in zip(whole[2:], weights):
        torch.testing.assert_close(a, b)


def test_the_memory_setting_changes_nothing(monkeypatch):
    _, inputs, rest = drawn([(40, 9), (33, 4), (21, 9), (5, 0)], seed=2)
    expected = loss("hidden", inputs, *rest)
    parts, blocks = [], []
    whole_parts, whole_blocks = layer._parts, layer._Hidden._blocks

    def counted(sizes, budget):
        found = list(whole_parts(sizes, budget))
        parts.append(len(found))
        return found

    def listed(self, frames, nodes):
        found = list(whole_blocks(self, frames, nodes))
        blocks.append(len(found))
        return found

    monkeypatch.setattr(layer, "_parts", counted)
    monkeypatch.setattr(layer._Hidden, "_blocks", listed)
    for memory_mb in (0.03, 0.02, 0.01):
        found = loss("hidden", inputs, *rest, memory_mb)
        assert found.item() == pytest.approx(expected.item(), rel=1e-12)
        for a, b in zip(gradients(found, inputs), gradients(expected, inputs) if memory_mb == 0.01 else
                        gradients(loss("hidden", inputs, *rest), inputs)):
            torch.testing.assert_close(a, b, rtol=1e-10, atol=1e-12)
    assert max(parts) > 1 and max(blocks) > 5                       # it did come to parts and blocks


@pytest.mark.parametrize("scale", [30.0, 300.0, 3000.0])
def test_extreme_logits(scale):
    """f and g peak at different units, so that all products of exponentials underflow: to be summed again."""
    (f, g), _, (y, n, u) = drawn([(6, 3), (4, 2)], seed=3, scale=scale)
    with torch.no_grad():
        f[:, :, 1], g[:, :, 2] = scale, scale
        f[:, :, 2], g[:, :, 1], f[:, :, 0], g[:, :, 3] = -scale, -scale, -scale, -scale
    for dtype in (torch.float32, torch.float64):
        inputs = [each.detach().to(dtype).requires_grad_() for each in (f, g)]
        found, exact = loss("additive", inputs, y, n, u), [each.detach().clone().requires_grad_() for each in (f, g)]
        rows = logits("additive", exact).log_softmax(3)
        blank = [rows[b, :n[b], :u[b] + 1, 0] for b in range(2)]
        label = [torch.nn.functional.pad(torch.stack([rows[b, :n[b], i, y[b, i]] for i in range(u[b])], 1), (0, 1)) for b in range(2)]
        total, stays, writes = lattice.diagonals([x.detach() for x in blank], [x.detach() for x in label])
        surrogate = -sum((s * x).sum() + (w * z).sum() for s, x, w, z in zip(stays, blank, writes, label))
        tolerance = 1e-4 if dtype == torch.float32 else 1e-9
        assert found.item() == pytest.approx(-total.sum().item(), rel=tolerance)
        for a, b in zip(gradients(found, inputs), gradients(surrogate, exact)):
            assert torch.isfinite(a).all()
            torch.testing.assert_close(a.double(), b, rtol=tolerance, atol=0.05 if (dtype, scale) == (torch.float32, 3000.0) else 1e-3)


def test_the_weak_sums_are_what_the_extreme_logits_reach(monkeypatch):
    seen = []
    chunks = layer._chunks
    monkeypatch.setattr(layer, "_chunks", lambda weak, width: seen.append(weak.numel()) or chunks(weak, width))
    test_extreme_logits(3000.0)
    assert max(seen) > 0


@search
@given(items, st.integers(0, 9))
def test_the_two_lattices_agree(sizes, seed):
    generator = torch.Generator().manual_seed(seed)
    blank = [-torch.rand(t, m + 1, generator=generator, dtype=torch.float64) * 9 for t, m in sizes]
    label = [-torch.rand(t, m + 1, generator=generator, dtype=torch.float64) * 9 for t, m in sizes]
    total, stays, writes = lattice.diagonals(blank, label)
    again, stays2, writes2 = lattice.posteriors([x.clone() for x in blank], [x.clone() for x in label], True)
    torch.testing.assert_close(total, again)
    for a, b in zip([*stays, *writes], [*stays2, *writes2]):
        torch.testing.assert_close(a, b, rtol=1e-9, atol=1e-12)
    for t, m, stay, write in zip(*zip(*sizes), stays2, writes2):
        torch.testing.assert_close(stay.sum(), torch.tensor(float(t), dtype=torch.float64))       # a blank for each frame
        torch.testing.assert_close(write.sum(0)[:m], torch.ones(m, dtype=torch.float64))          # each label once
        assert not write[:, m].any()


@search
@given(st.integers(1, 5), st.integers(0, 4), st.integers(0, 9))
def test_the_best_path_is_the_best_of_all(frames, labels, seed):
    blank, label = np.log(np.random.default_rng(seed).random((2, frames, labels + 1)))
    best = -np.inf, None
    for writes in combinations(range(frames - 1 + labels), labels):
        at = [step - u for u, step in enumerate(writes)]            # the frame of label u: the blanks before it
        score = sum(label[t, u] for u, t in enumerate(at))
        score += sum(blank[t, sum(w <= t for w in at)] for t in range(frames))
        best = max(best, (score, at))
    score, found = best_frames(blank, label)
    assert score == pytest.approx(best[0]) and found.tolist() == best[1]


def head(joint, **more):
    torch.manual_seed(3)
    return Transducer(TransducerConfig(joint=joint, prediction_units=6, joint_units=5, **more), 3, V)


def example(sizes):
    generator = torch.Generator().manual_seed(0)
    _, _, (y, n, u) = drawn(sizes)
    h = torch.randn(len(sizes), int(n.max()), 3, generator=generator)
    return Encoded(h, n), Batch(tuple(f"u{i}" for i in range(len(n))), h, n, y, u)


@pytest.mark.parametrize("joint", ["additive", "hidden"])
def test_the_head_has_a_gradient_for_every_weight(joint):
    model, (encoded, batch) = head(joint).double(), example([(5, 3), (4, 1), (6, 0)])
    encoded = Encoded(encoded.h.double().requires_grad_(), encoded.n)
    weights = [encoded.h, *model.parameters()]
    found = model.loss(encoded, batch)
    f, g = model.from_frames(encoded.h), model.from_labels(model.predicted(batch.y))
    x = f[:, :, None] + g[:, None]
    rows = (x if joint == "additive" else model.to_units(x.tanh())).log_softmax(3)
    expected = sum(-probability(rows[b, :n], batch.y[b, :u].tolist()).log()
                   for b, (n, u) in enumerate(zip(encoded.n.tolist(), batch.y_len.tolist())))
    assert found.count == 3 and found.parts == {"transducer": pytest.approx(found.total.item())}
    for a, b in zip(gradients(found.total, weights), gradients(expected, weights)):
        assert a.any()
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-5)      # the loss itself is float32


def test_what_cannot_be_learned_is_named():
    encoded, batch = example([(5, 3), (4, 1)])
    with pytest.raises(TrainError, match="'u1' cannot be learned: 0 frames"):
        head("additive").loss(Encoded(encoded.h, torch.tensor([5, 0])), batch)
    tight = head("hidden", memory_mb=1.0)
    assert tight.unfit(400, range(40)) == "" and head("additive").unfit(10 ** 6, range(1000)) == ""
    assert tight.unfit(1000, range(30)) == "1000 frames and 30 labels take 0.744 MB, half of memory_mb is 0.5"


def test_the_weight_count_of_the_2013_paper():
    """3 x 250 cells both ways with peepholes, 123 inputs, and 62 outputs: 4.3 M; without the head's share, 3.8 M as CTC."""
    encoder = sum(2 * (4 * 250 * (inputs + 250 + 1) + 3 * 250) for inputs in (123, 500, 500))
    model = Transducer(TransducerConfig(), 500, 62)
    weights = sum(w.numel() for name, w in model.named_parameters() if "bias_hh" not in name) + 3 * 250     # one bias; peepholes
    assert encoder == 3_756_500 and encoder + weights == 4_272_562
