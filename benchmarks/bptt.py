"""Back-propagation through 1,000 steps in bounded memory, against keeping everything: Gruslys et al. 2016 found 95 % less memory for a third more time."""

from __future__ import annotations

import os
from typing import Callable, Iterator

import torch
from torch import Tensor, nn

from recog.kernels.policy import policy
from recog.layers import bptt
from recog.layers.peephole import PeepholeLstm

from .table import PROCESSOR, Row, at_most, below, median, ratio, side_by_side, torch_threads

STEPS = 1000
SHARES = (0.5, 0.25, 0.1, 0.05)          # of what full back-propagation keeps
STEPS_ALONE = 10 ** 6                    # a size that is never kept


def rows(quick: bool = False) -> Iterator[Row]:
    yield from _by_the_policy()
    units, batch, frames = (64, 4, 150) if quick else (256, 16, STEPS)
    torch.manual_seed(1)
    with torch_threads(1):
        for name, rnn, state in (("torch's LSTM", nn.LSTM(units, units), torch.zeros(1, batch, units)),
                                 ("peephole LSTM", PeepholeLstm(units, units), torch.zeros(batch, units))):
            x = torch.randn(frames, batch, units, requires_grad=True)
            yield from _measured(f"{name}, 1 x {units}, {batch} sequences", rnn, x, (state, state), 1 if quick else 3)


def _by_the_policy() -> Iterator[Row]:
    """What the plan alone says of 1,000 steps, with a step back as dear as two forward."""
    for name, hidden, internal in (("whole steps", STEPS_ALONE, 1), ("states a fifth the size of steps", 1, STEPS_ALONE), ("both", 1, 5)):
        slots = (STEPS // 20 - 1) * (internal if internal < STEPS_ALONE else 5)           # one step is being worked
        forwards = int(policy(STEPS, slots, hidden, internal)[0][STEPS, slots])
        row = f"policy, {STEPS} steps in 5 % of the memory, {name} kept: time (the paper: a third more)", (forwards + 2 * STEPS) / (3 * STEPS), "of full"
        yield below(*row, 4 / 3) if hidden == STEPS_ALONE else Row(*row)


def _measured(name: str, rnn: nn.Module, x: Tensor, state: bptt.State, repeats: int) -> Iterator[Row]:
    step, weights = bptt.of_module(rnn)
    sizes = bptt.measure(step, x, state, weights)
    made = [bptt.plan(int(share * sizes.block(len(x))), len(x), sizes) for share in SHARES]
    steps = [_step(step, x, state, weights, each) for each in (None, *made)]
    full, *others = [work() for work in steps]                                            # warms up
    apart = max(float((a - b).abs().max() / b.abs().max()) for other in others for a, b in zip(other, full))
    yield at_most(f"{name}: gradients differ by, of the largest", apart, "", 1e-4)
    times = side_by_side(steps, repeats, PROCESSOR)
    kept = [kept_at_most(step, x, state, weights, each) / bptt.MEGABYTE for each in (None, *made)]
    peaks = [peak_of(work) / bptt.MEGABYTE for work in steps]
    titles = ("all kept", *(f"{100 * share:.0f} % ({each.block} frames a step, {each.forwards / each.steps:.2f} times forward)" if each
                            else f"{100 * share:.0f} % (all)" for share, each in zip(SHARES, made)))
    for number, title in enumerate(titles):
        yield Row(f"{name}, {title}: kept to go back, at most", kept[number], "MB")
        yield Row(f"{name}, {title}: peak of all that torch allocates in a step", peaks[number], "MB")
        yield Row(f"{name}, {title}: processor time, one core", 1000 * median(times, number), "ms/step")
        if number:
            yield at_most(f"{name}, {title}: kept, of full", 100 * kept[number] / kept[0], "%", 100 * SHARES[number - 1])
            yield Row(f"{name}, {title}: time, of full", ratio(times, number, 0), "times")


def _step(step: bptt.Step, x: Tensor, state: bptt.State, weights: tuple[Tensor, ...], plan: bptt.Plan | None) -> Callable[[], tuple[Tensor, ...]]:
    def work() -> tuple[Tensor, ...]:
        y, _ = bptt.recurrence(step, x, state, weights, plan, random=False) if plan else step(x, state, weights)
        return torch.autograd.grad(y, [x, *weights], torch.full_like(y, 0.01))

    return work


def kept_at_most(step: bptt.Step, x: Tensor, state: bptt.State, weights: tuple[Tensor, ...], plan: bptt.Plan | None) -> int:
    """Bytes that graphs hold at any moment of a pass forwards and back, each piece of memory counted once, and states kept beside them.

    Input, first state, weights and the output that the layer above takes do not count: they are there in any case.
    """
    held, most = _Held({t.untyped_storage().data_ptr() for t in (x, *state, *weights)}), [0]
    runs: list[bptt._Run] = []

    def watched(x: Tensor, before: bptt.State, weights: tuple[Tensor, ...]) -> tuple[Tensor, bptt.State]:
        y, after = step(x, before, weights)
        states = sum(s.numel() * s.element_size() for run in runs for begin, (kept, _) in run.states.items()
                     if begin and begin - 1 not in run.graphs for s in kept)
        most[0] = max(most[0], held.bytes + states)
        return y, after

    class Watched(bptt._Run):
        def __init__(self, *given: object):
            super().__init__(*given)
            runs.append(self)

    original, bptt._Run = bptt._Run, Watched
    try:
        with torch.autograd.graph.saved_tensors_hooks(held.take, lambda pack: pack.tensor):
            y, _ = bptt.recurrence(watched, x, state, weights, plan, random=False) if plan else watched(x, state, weights)
            most[0] = max(most[0], held.bytes)
            y.backward(torch.full_like(y, 0.01), inputs=[x, *weights])
    finally:
        bptt._Run = original
    for t in (x, *weights):
        t.grad = None
    return most[0]


class _Held:
    """Counts the memory of tensors that graphs hold."""

    def __init__(self, apart: set[int]):
        self.apart, self.counts, self.bytes = apart, {}, 0

    def take(self, tensor: Tensor) -> _Pack:
        return _Pack(self, tensor)


class _Pack:
    def __init__(self, held: _Held, tensor: Tensor):
        self.held, self.tensor, storage = held, tensor, tensor.untyped_storage()
        self.place, self.size = storage.data_ptr(), 0 if storage.data_ptr() in held.apart else storage.nbytes()
        held.counts[self.place] = held.counts.get(self.place, 0) + 1
        if held.counts[self.place] == 1:
            held.bytes += self.size

    def __del__(self):
        self.held.counts[self.place] -= 1
        if not self.held.counts[self.place]:
            self.held.bytes -= self.size


def peak_of(work: Callable[[], object]) -> int:
    """Bytes that torch has allocated and not freed, at most, since `work` began: every allocation, as torch's profiler reports it."""
    os.environ.setdefault("KINETO_LOG_LEVEL", "99")                                       # it looks for GPUs and complains
    with torch.autograd.profiler.profile(profile_memory=True) as seen:
        work()
    live = most = 0
    for event in sorted((e for e in seen.kineto_results.events() if e.name() == "[memory]"), key=lambda e: e.start_ns()):
        live += event.nbytes()
        most = max(most, live)
    return most
