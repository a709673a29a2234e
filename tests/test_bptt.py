"""Back-propagation through time in bounded memory: optimal, within its bounds, and with the gradients of the full one."""

import heapq
import itertools
from collections import Counter

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from recog.encoders.blstm import Blstm, BlstmConfig
from recog.errors import ConfigError
from recog.kernels.policy import policy
from recog.layers import bptt
from recog.layers.bptt import Plan, Sizes, moves, plan
from recog.layers.peephole import PeepholeLstm
from recog.precision import mixed

pytestmark = pytest.mark.usefixtures("one_thread")
search = settings(max_examples=25, deadline=None)


# --- the policy ---


def least(steps, slots, hidden, internal):
    """The fewest steps forward, over everything that can be done at all: the shortest path through what may be kept and is left to do.

    A place: states kept, by how many steps they come after; steps kept whole, by number; steps left to go back through.
    """
    queue, tie, done = [(0, 0, (frozenset(), frozenset(), steps))], itertools.count(1), set()
    while True:
        cost, _, place = heapq.heappop(queue)
        if place in done:
            continue
        done.add(place)
        states, wholes, left = place
        if not left:
            return cost
        options = [(0, (states - {s}, wholes, left)) for s in states] + [(0, (states, wholes - {w}, left)) for w in wholes]
        if left - 1 in wholes:
            options.append((0, (states, wholes - {left - 1}, left - 1)))
        for source in {0} | states | {w + 1 for w in wholes}:
            for end in range(source + 1, left + 1):
                options += [(end - source, (states | {end}, wholes, left)), (end - source, (states, wholes | {end - 1}, left))]
            if source < left:
                options.append((left - source, (states, wholes, left - 1)))
        for more, (states, wholes, left) in options:
            if hidden * len(states) + internal * len(wholes) <= slots:
                heapq.heappush(queue, (cost + more, next(tie), (states, wholes, left)))


@pytest.mark.parametrize("hidden, internal", [(1, 99), (99, 1), (1, 2), (1, 3), (2, 3)])
def test_no_other_way_takes_fewer_steps(hidden, internal):
    cost, _ = policy(6, 6, hidden, internal)
    for steps in range(1, 7):
        for slots in range(0, 7 if steps < 6 else 4):
            assert cost[steps, slots] == least(steps, slots, hidden, internal), (steps, slots)


def test_states_only_are_the_paper_s_hsm():
    """Its recurrence, with its bounds; its slots count the state before the first step too."""
    T = 24
    C = {(t, 1): t * (t + 1) // 2 for t in range(T + 1)}
    for t in range(T + 1):
        for m in range(2, T + 1):
            C[t, m] = max(2 * t - 1, 0) if m >= t else min(y + C[t - y, m - 1] + C[y, m] for y in range(1, t))
    cost, _ = policy(T, T, 1, 10 ** 6)
    assert all(cost[t, m - 1] == c for (t, m), c in C.items())


def test_whole_steps_only_are_the_paper_s_ism():
    """Its slots count the step that is being worked too."""
    T = 24
    C = {(t, 1): t * (t + 1) // 2 for t in range(T + 1)}
    for t in range(T + 1):
        for m in range(2, T + 1):
            C[t, m] = t if m >= t else min(y + C[t - y, m - 1] + C[y - 1, m] for y in range(1, t + 1) if (t - y, m - 1) in C)
    cost, _ = policy(T, T, 10 ** 6, 1)
    assert all(cost[t, m - 1] == c for (t, m), c in C.items())


def test_a_thousand_steps_in_a_twentieth_of_the_memory_are_computed_twice():
    """The paper's figure: with a step back as dear as two forward, a third more time."""
    cost, _ = policy(1000, 49, 10 ** 6, 1)
    assert cost[1000, 49] + 2 * 1000 <= 3 * 1000 * 4 / 3


plans = st.builds(Plan, st.integers(1, 60), st.integers(1, 7), st.integers(0, 12), st.integers(1, 3), st.integers(2, 9))


@search
@given(plans)
def test_moves_keep_to_the_plan(made):
    kept, left, forwards, sweep = Counter(), made.steps, 0, []
    for move in moves(made):
        if move.back:
            assert move.begin == left - 1 and kept.pop(("whole", move.begin))
            left -= 1
            kept = Counter({key: n for key, n in kept.items() if key != ("state", move.begin)})
            continue
        assert move.begin == 0 or ("state", move.begin) in kept or ("whole", move.begin - 1) in kept
        forwards += move.end - move.begin
        sweep += range(move.begin, move.end) if left == made.steps else ()
        if move.whole:
            kept["whole", move.end - 1] = made.internal if move.end < left else 0       # the last step goes back at once
            assert move.end < left or sum(kept.values()) <= made.slots
            kept["whole", move.end - 1] = kept["whole", move.end - 1] or 10 ** -9
        else:
            kept["state", move.end] = made.hidden
        assert sum(kept.values()) <= made.slots + 1e-6
    assert left == 0 and sweep == list(range(made.steps)) and forwards == made.forwards


@search
@given(st.integers(1, 300), st.integers(0, 40_000), st.integers(1, 100), st.integers(0, 500), st.integers(1, 300))
def test_plans_fit_their_budget(frames, budget, state, first, more):
    sizes = Sizes(state, first + state, more)
    if budget < sizes.first:
        with pytest.raises(ConfigError, match="hold one frame"):
            plan(budget, frames, sizes)
        return
    made = plan(budget, frames, sizes)
    if made is None:
        assert sizes.block(frames) <= budget
        return
    unit = (budget - sizes.block(min(made.block, frames))) / made.slots if made.slots else 0
    assert made.hidden * unit >= state and made.internal * unit >= sizes.block(made.block) or not made.slots


def test_more_memory_never_takes_more_steps():
    sizes = Sizes(100, 400, 300)
    took = [made.forwards * (made.block + bptt.CALL) for mb in range(2_000, 290_000, 4_000) if (made := plan(mb, 1000, sizes))]
    assert len(took) > 50 and all(b <= 1.1 * a for a, b in zip(took, took[1:])) and took[-1] < 1.7 * 1000


# --- what is computed ---


class Cell(nn.Module):
    """A recurrent layer that drops at random in each step; counts the frames that it reads."""

    def __init__(self, size, units, dropout=0.0):
        super().__init__()
        self.rnn, self.dropout, self.read = nn.LSTM(size, units), dropout, 0

    def forward(self, x, state):
        self.read += len(x)
        h, state = self.rnn(nn.functional.dropout(x, self.dropout), state)
        return nn.functional.dropout(h, self.dropout), state


def start(batch, units, dtype=torch.float64):
    torch.manual_seed(3)
    return tuple(torch.randn(1, batch, units, dtype=dtype, requires_grad=True) for _ in range(2))


def full(step, x, state, weights, block):
    """As autograd does it: block after block, all kept."""
    found = []
    for part in x.split(block):
        y, state = step(part, state, weights)
        found.append(y)
    return torch.cat(found), state


def gradients(run, x, state, weights):
    torch.manual_seed(5)
    y, after = run()
    scale = torch.linspace(0.5, 2, y.numel(), dtype=y.dtype).view_as(y)
    total = (y * scale).sum() + sum((a * a).sum() for a in after)
    return [y.detach(), *torch.autograd.grad(total, [x, *state, *weights])]


def alike(found, expected, within=1e-10):
    for a, b in zip(found, expected, strict=True):
        assert (a - b).abs().max() <= within * (1 + b.abs().max())


@search
@given(st.integers(1, 30), st.integers(1, 5), st.integers(0, 9), st.integers(1, 2), st.integers(2, 4), st.sampled_from([0.0, 0.4]))
def test_gradients_are_those_of_full_back_propagation(frames, block, slots, hidden, internal, dropout):
    made = Plan(frames, block, slots, hidden, internal)
    cell = Cell(3, 4, dropout).double()
    step, weights = bptt.of_module(cell)
    x, state = torch.randn(frames, 2, 3, dtype=torch.float64, requires_grad=True), start(2, 4)
    expected = gradients(lambda: full(step, x, state, weights, block), x, state, weights)
    drawn, cell.read = torch.rand(1), 0
    found = gradients(lambda: bptt.recurrence(step, x, state, weights, made, random=dropout > 0), x, state, weights)
    assert torch.equal(drawn, torch.rand(1))                       # the generator stands where it would have stood
    alike(found, expected)
    assert torch.equal(found[0], expected[0])
    if frames % block == 0:
        assert cell.read == made.forwards * block


def test_a_step_that_draws_random_numbers_draws_them_again_alike():
    cell = Cell(3, 4, 0.5).double()
    step, weights = bptt.of_module(cell)
    x, state = torch.randn(12, 2, 3, dtype=torch.float64, requires_grad=True), start(2, 4)
    expected = gradients(lambda: full(step, x, state, weights, 2), x, state, weights)
    careless = gradients(lambda: bptt.recurrence(step, x, state, weights, Plan(12, 2, 1, 1, 9), random=False), x, state, weights)
    assert (careless[1] - expected[1]).abs().max() > 1e-3


def test_gradients_are_those_of_small_differences():
    rnn = PeepholeLstm(2, 3).double()
    step, weights = bptt.of_module(rnn)
    x, h = torch.randn(7, 2, 2, dtype=torch.float64, requires_grad=True), torch.zeros(2, 3, dtype=torch.float64, requires_grad=True)

    def run(x, h, *weights):
        y, (last, _) = bptt.recurrence(step, x, (h, h), weights, Plan(7, 2, 1, 1, 2), random=False)
        return y, last

    assert torch.autograd.gradcheck(run, (x, h, *weights))


def test_only_what_needs_gradients_gets_them():
    step, weights = bptt.of_module(nn.LSTM(2, 3))
    x, state = torch.randn(8, 1, 2), (torch.zeros(1, 1, 3),) * 2
    weights[1].requires_grad_(False)
    y, _ = bptt.recurrence(step, x, state, weights, Plan(8, 2, 1, 1, 2), random=False)
    y.sum().backward()
    assert x.grad is None and weights[1].grad is None and all(w.grad is not None for w in (weights[0], *weights[2:]))


def test_several_ways_back():
    """Right where the graph is to be kept, and refused as torch refuses it where not; and there are no second derivatives."""
    step, weights = bptt.of_module(nn.LSTM(2, 3))
    x, state = torch.randn(8, 1, 2, requires_grad=True), (torch.zeros(1, 1, 3),) * 2
    y, _ = bptt.recurrence(step, x, state, weights, Plan(8, 2, 1, 1, 2))
    once, again, last = (torch.autograd.grad(y.sum(), [x, *weights], retain_graph=more) for more in (True, True, False))
    assert all(torch.equal(a, b) and torch.equal(a, c) for a, b, c in zip(once, again, last))
    with pytest.raises(RuntimeError, match="second time"):
        torch.autograd.grad(y.sum(), [x])
    y, _ = bptt.recurrence(step, x, state, weights, Plan(8, 2, 1, 1, 2))
    (dx,) = torch.autograd.grad(y.square().sum(), [x], create_graph=True)
    with pytest.raises(RuntimeError):
        dx.sum().backward()


def test_gradients_that_share_memory_are_added_up_apart():
    """A step whose gradient for a weight is the very gradient of its output, and the same for two weights."""
    weights = [torch.randn(2, 3, dtype=torch.float64, requires_grad=True) for _ in range(2)]
    x, state = torch.randn(8, 2, 3, dtype=torch.float64, requires_grad=True), (torch.randn(2, 3, dtype=torch.float64, requires_grad=True),)

    def step(x, state, weights):
        h = state[0] * x[0] + weights[0] + weights[1]
        return h[None].expand(len(x), 2, 3), (h,)

    expected = gradients(lambda: full(step, x, state, weights, 1), x, state, weights)
    alike(gradients(lambda: bptt.recurrence(step, x, state, weights, Plan(8, 1, 2, 1, 2)), x, state, weights), expected)


def test_weights_that_changed_in_between_are_noticed():
    rnn = nn.LSTM(2, 3)
    step, weights = bptt.of_module(rnn)
    y, _ = bptt.recurrence(step, torch.randn(8, 1, 2), (torch.zeros(1, 1, 3),) * 2, weights, Plan(8, 2, 1, 1, 2))
    with torch.no_grad():
        rnn.weight_hh_l0.mul_(2)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        y.sum().backward()


@pytest.mark.parametrize("kind", ["lstm", "peephole"])
@pytest.mark.parametrize("share", [0.05, 0.3])
def test_what_is_kept_stays_within_the_budget(kind, share):
    """Measured: all that torch's graphs hold at any moment, and the states."""
    from benchmarks.bptt import kept_at_most

    rnn = nn.LSTM(32, 64) if kind == "lstm" else PeepholeLstm(32, 64)
    step, weights = bptt.of_module(rnn)
    x = torch.randn(200, 8, 32, requires_grad=True)
    state = tuple(torch.zeros((1, 8, 64) if kind == "lstm" else (8, 64)) for _ in range(2))
    sizes = bptt.measure(step, x, state, weights)
    everything = kept_at_most(step, x, state, weights, None)
    assert 0.95 < everything / sizes.block(200) <= 1.05
    budget = int(share * sizes.block(200))
    made = plan(budget, 200, sizes)
    assert 0.3 * budget < kept_at_most(step, x, state, weights, made) <= budget


def test_within_takes_a_budget():
    cell = Cell(3, 4, 0.3).double()
    step, weights = bptt.of_module(cell)
    x, state = torch.randn(40, 2, 3, dtype=torch.float64, requires_grad=True), start(2, 4)
    plain = gradients(lambda: step(x, state, weights), x, state, weights)
    large = gradients(lambda: bptt.within(10 ** 8, step, x, state, weights), x, state, weights)
    assert all(torch.equal(a, b) for a, b in zip(plain, large, strict=True))            # and measuring has drawn nothing
    cell.read = 0
    found = gradients(lambda: bptt.within(12_000, step, x, state, weights), x, state, weights)
    assert cell.read > 60 and all(a.shape == b.shape for a, b in zip(found, large, strict=True))


# --- networks ---


def trained(memory_mb, steps=3, **more):
    """Weights of a network after some steps of training on a padded batch, with dropout."""
    torch.manual_seed(0)
    model = Blstm(BlstmConfig(layers=2, units=8, dropout=0.3, memory_mb=memory_mb, **more), 5).double()
    optimizer, n = torch.optim.Adam(model.parameters(), 0.01), torch.tensor([90, 64, 1])
    x = torch.randn(3, 90, 5, dtype=torch.float64)
    for _ in range(steps):
        optimizer.zero_grad()
        (model(x, n).h * (torch.arange(90) < n[:, None])[:, :, None]).square().sum().backward()
        optimizer.step()
    return model, list(model.parameters())


@pytest.mark.parametrize("more", [{}, {"cell": "peephole", "clip": 1.0}, {"cell": "tanh"}, {"bidirectional": False},
                                  {"cell": "peephole", "bidirectional": False}], ids=str)
def test_a_network_trains_to_the_same_weights(more):
    (_, plain), (model, bounded) = trained(0.0, **more), trained(0.12, **more)
    assert all(plan(layer.budget, 90, sizes) for layer in model.layers for sizes in layer.sizes.values())
    assert all(layer.sizes for layer in model.layers)
    alike(bounded, plain, 1e-9)


def test_two_threads_give_the_same(monkeypatch):
    before = trained(0.12)[1]
    torch.set_num_threads(2)
    alike(trained(0.12)[1], before, 0)


def test_layers_share_the_memory_by_their_frames():
    model = Blstm(BlstmConfig(layers=3, units=4, subsample=(2, 2, 1), memory_mb=7), 3)
    assert [layer.budget * 2 / bptt.MEGABYTE for layer in model.layers] == pytest.approx([4, 2, 1], rel=1e-5)


def test_without_gradients_nothing_is_planned():
    model = Blstm(BlstmConfig(layers=1, units=8, memory_mb=1e-6), 5)
    x, n = torch.randn(2, 50, 5), torch.tensor([50, 9])
    with torch.no_grad():
        assert model(x, n).h.shape == (2, 50, 16)
    with pytest.raises(ConfigError, match="memory_mb: .* allow more"):
        model(x, n)


def test_mixed_precision_rounds_alike():
    torch.manual_seed(0)
    x, n, found = torch.randn(4, 120, 16), torch.full((4,), 120), []
    for memory_mb, precision in ((0.0, "float32"), (0.0, "bfloat16"), (1.2, "bfloat16")):
        torch.manual_seed(1)
        model = Blstm(BlstmConfig(layers=1, units=48, memory_mb=memory_mb), 16)
        with mixed(precision, x.device):
            model(x, n).h.square().sum().backward()
        found.append(torch.cat([w.grad.flatten() for w in model.parameters()]))
    assert all(plan(layer.budget, 120, sizes) for layer in model.layers for sizes in layer.sizes.values())
    exact, rounded, bounded = found
    assert 0 < (bounded - exact).norm() < 2 * (rounded - exact).norm()


def test_a_negative_memory_is_refused():
    with pytest.raises(ValueError, match="memory_mb"):
        BlstmConfig(memory_mb=-1)
