"""Back-propagation through time in bounded memory: Gruslys, Munos, Danihelka, Lanctot & Graves 2016, arXiv 1606.03401.

Going back through a recurrence needs what each step computed. Instead of keeping all of it, some states are kept, and some steps whole;
what lies between is computed again, from the state before it, when its turn comes. Which ones follow from a memory budget by dynamic
programming (kernels/policy.py), so that no other choice computes less again. A step here is a block of frames, so that large products stay large.

The gradients are those of full back-propagation: the same sums, those over frames added up block by block.
"""

from __future__ import annotations

import functools
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from itertools import chain
from typing import Any, Callable, Iterator, NamedTuple, Sequence

import torch
from torch import Tensor, nn

from ..errors import ConfigError

State = tuple[Tensor, ...]
Step = Callable[[Tensor, State, tuple[Tensor, ...]], tuple[Tensor, State]]     # x [T, ...], state before, weights to y [T, ...], state after

BLOCKS = (1, 2, 4, 8, 16, 32, 64, 128, 256)
STEPS = 128                              # blocks in a sequence, at most, where the budget allows it: a plan is then made in milliseconds
CALL = 3                                 # what it costs to begin a block, in frames: 0.2 ms at 16 sequences and 256 units
GRAIN = 256                              # parts into which a budget is divided, at most: the policy's table grows with it
MEGABYTE = 2 ** 20


class Sizes(NamedTuple):
    """Bytes that a recurrence takes up."""

    state: int                           # a state between two blocks
    first: int                           # what a block of one frame keeps to go backwards
    more: int                            # and each further frame of it

    def block(self, frames: int) -> int:
        return self.first + (frames - 1) * self.more


@dataclass(frozen=True)
class Plan:
    """What is kept of a recurrence over `frames` frames. Made by `plan`."""

    frames: int
    block: int                           # frames in a step; the last may have fewer
    slots: int                           # what may be kept, in units of memory,
    hidden: int                          # of which a state takes this many,
    internal: int                        # and what goes back through a step this many

    @property
    def steps(self) -> int:
        return -(-self.frames // self.block)

    @property
    def forwards(self) -> int:
        """Steps forward until all have been gone back through; without a bound on memory they are `steps`."""
        return int(_policy(self.steps, self.slots, self.hidden, self.internal)[0][self.steps, self.slots])


@functools.lru_cache(maxsize=8)          # of up to half a megabyte each
def _policy(steps: int, slots: int, hidden: int, internal: int) -> tuple[Any, Any]:
    from ..kernels.policy import policy

    return policy(steps, slots, hidden, internal)


@functools.lru_cache(maxsize=1024)
def plan(budget: int, frames: int, sizes: Sizes) -> Plan | None:
    """The plan that is expected to be fastest within `budget` bytes; None when everything may be kept.

    They hold what is kept and the step that goes backwards, not the recurrence's input, output, first state and weights.
    Raises ConfigError for a budget that does not hold a single frame.
    """
    if sizes.block(frames) <= budget:
        return None
    possible = [block for block in BLOCKS if block < frames and sizes.block(block) <= budget] or [1]
    found: list[tuple[int, Plan]] = []
    for block in [block for block in possible if block * STEPS >= frames] or possible[-1:]:
        left = budget - sizes.block(block)
        if left < 0:
            raise ConfigError(f"{budget / MEGABYTE:.3g} MB do not hold one frame of a layer in one direction", where="memory_mb",
                              hint=f"that needs {sizes.first / MEGABYTE:.3g} MB: allow more, or make the batches smaller")
        unit = max(sizes.state, -(-left // GRAIN), 1)                                  # of memory, in bytes
        made = Plan(frames, block, left // unit, -(-sizes.state // unit), -(-sizes.block(block) // unit))
        found.append((made.forwards * (block + CALL), made))
    return min(found, key=lambda pair: pair[0])[1]


class Move(NamedTuple):
    """One move of a plan: from the state kept at `begin` to that after `end` steps; or, `back`, back through step `begin`."""

    begin: int
    end: int
    whole: bool = False                  # of the last step all is kept, to go back through it; otherwise the state after it is
    back: bool = False


def moves(plan: Plan) -> Iterator[Move]:
    """All that is to be done, in order. The first ones pass over all steps once; then each step is gone back through, from the last."""
    choice = _policy(plan.steps, plan.slots, plan.hidden, plan.internal)[1]
    left: list[Move | tuple[int, int, int]] = [(0, plan.steps, plan.slots)]            # a stack: moves, and stretches with what they may keep
    while left:
        item = left.pop()
        if isinstance(item, Move):
            yield item
            continue
        begin, end, slots = item
        if begin == end:
            continue
        y = int(choice[end - begin, slots])
        middle = begin + abs(y)
        if y > 0:
            left += [(begin, middle, slots), (middle, end, slots - plan.hidden), Move(begin, middle)]
        else:
            kept = plan.internal if middle < end else 0                                # the last step goes backwards at once
            left += [(begin, middle - 1, slots), Move(middle - 1, middle, back=True), (middle, end, slots - kept), Move(begin, middle, whole=True)]


def measure(step: Step, x: Tensor, state: State, weights: tuple[Tensor, ...]) -> Sizes:
    """What the step's graph keeps, from running it on the first frames of x [T, ...], at least 1."""
    found, some = [], min(17, len(x))
    for frames in (1, some):
        part, kept = x[:frames], []
        given = {t.untyped_storage().data_ptr() for t in (part, *state, *weights)}
        with torch.enable_grad(), torch.autograd.graph.saved_tensors_hooks(lambda t: kept.append(t) or t, lambda t: t):
            states = tuple(s.detach().requires_grad_() for s in state)
            y, after = step(part.detach().requires_grad_(), states, tuple(w.detach().requires_grad_(w.requires_grad) for w in weights))
        storages = {s.data_ptr(): s.nbytes() for t in (*kept, y, *after) for s in [t.untyped_storage()]}       # y is held while the graph is
        found.append(sum(size for place, size in storages.items() if place not in given))
    more = -(-(found[1] - found[0]) // (some - 1)) if some > 1 else found[0]
    return Sizes(sum(s.numel() * s.element_size() for s in after), found[0], max(more, 0))


def of_module(module: nn.Module) -> tuple[Step, tuple[Tensor, ...]]:
    """A module that is called with x and a state, and gives y and the state after it: as a step, with its weights."""
    names, weights = zip(*module.named_parameters())

    def step(x: Tensor, state: State, weights: tuple[Tensor, ...]) -> tuple[Tensor, State]:
        y, after = torch.func.functional_call(module, dict(zip(names, weights)), (x, state if len(state) > 1 else state[0]))
        return y, after if isinstance(after, tuple) else (after,)

    return step, weights


def within(budget: int, step: Step, x: Tensor, state: State, weights: tuple[Tensor, ...], random: bool = True) -> tuple[Tensor, State]:
    """`recurrence` in `budget` bytes, by the fastest plan for it; or `step` as it is, where that fits. Measures its sizes each time."""
    with _restored(x) if random else nullcontext():
        sizes = measure(step, x, state, weights)
    made = plan(budget, len(x), sizes)
    return recurrence(step, x, state, weights, made, random) if made else step(x, state, weights)


def recurrence(step: Step, x: Tensor, state: State, weights: tuple[Tensor, ...], plan: Plan, random: bool = True) -> tuple[Tensor, State]:
    """`step` over all frames of x [T, ...]: y [T, ...] and the state after them, with gradients for x, state and weights.

    random: whether the step draws random numbers, which it then draws again alike. Nobody else may draw at the same time; false allows
    several recurrences in as many threads.
    """
    y, *after = _Recurrence.apply(step, plan, random, len(state), x, *state, *weights)
    return y, tuple(after)


class _Recurrence(torch.autograd.Function):
    """With retain_graph=True it can be gone back through several times: each goes forward anew. Second derivatives are refused."""

    @staticmethod
    def forward(ctx: Any, step: Step, plan: Plan, random: bool, states: int, x: Tensor, *given: Tensor) -> tuple[Tensor, ...]:
        ctx.save_for_backward(x, *given)
        ctx.settings, ctx.noise = (step, plan, states, ctx.needs_input_grad[4:], _precision(x)), _noise(x) if random else None
        ctx.run = _Run(*ctx.settings, x, given, ctx.noise)
        y, after = ctx.run.forwards(True)
        return y, *after

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, dy: Tensor, *dstate: Tensor) -> tuple[Tensor | None, ...]:
        x, *given = ctx.saved_tensors
        run, ctx.run = ctx.run, None
        with _restored(x) if ctx.noise else nullcontext():
            if run is None:                                                            # a further time
                run = _Run(*ctx.settings, x, given, ctx.noise)
                run.forwards(False)
            gradients = run.backwards(dy, dstate)
        return None, None, None, None, *gradients


class _Run:
    """A plan under way: what is kept at present."""

    def __init__(self, step: Step, plan: Plan, states: int, needed: tuple[bool, ...], precision: dict[str, Any], x: Tensor,
                 given: Sequence[Tensor], noise: Noise | None):
        self.step, self.plan, self.precision, self.x, self.needed, self.random = step, plan, precision, x, needed, noise is not None
        self.states = {0: (tuple(given[:states]), noise)}
        self.weights = tuple(w.detach().requires_grad_(need) for w, need in zip(given[states:], needed[1 + states:]))
        self.graphs: dict[int, tuple[list[Tensor], list[Tensor]]] = {}                 # of a step: what went in, what came out
        self.moves = moves(plan)
        self.next = next(self.moves)

    def _place(self, step: int) -> slice:
        return slice(step * self.plan.block, min((step + 1) * self.plan.block, self.plan.frames))

    def forwards(self, wanted: bool) -> tuple[Tensor | None, State]:
        """The moves that pass over all steps; y, if it is wanted, and the last state."""
        y: Tensor | None = None
        while not self.next.back:
            for place, found in self._go(self.next, again=not wanted):
                if wanted:
                    y = found.new_empty(len(self.x), *found.shape[1:]) if y is None else y
                    y[place] = found.detach()
            self.next = next(self.moves)
        return y, tuple(s.clone() for s in self.states[self.plan.steps][0])

    def _go(self, move: Move, again: bool) -> Iterator[tuple[slice, Tensor]]:
        """From a kept state forwards: gives each step's y, and leaves what is to be kept."""
        state, noise = self.states[move.begin]
        if noise and again:
            noise.set()
        for step in range(move.begin, move.end):
            place, whole = self._place(step), move.whole and step == move.end - 1
            x = self.x[place].detach()
            with torch.set_grad_enabled(whole), torch.autocast(**self.precision):
                if whole:
                    x, state = x.requires_grad_(self.needed[0]), tuple(s.detach().requires_grad_() for s in state)
                y, after = self.step(x, state, self.weights)
            if whole:
                self.graphs[step] = [x, *state], [y, *after]
            state = tuple(s.detach() for s in after)
            yield place, y
        if not move.whole:
            state = tuple(s.clone() for s in state)                                    # as views they would hold a whole block
        self.states[move.end] = state, _noise(self.x) if self.random else None

    def backwards(self, dy: Tensor, dstate: tuple[Tensor, ...]) -> list[Tensor | None]:
        """The moves that are left. Gradients of x, the first state and the weights; None for what needs none."""
        dx = torch.empty_like(self.x) if self.needed[0] else None
        sums: list[Tensor | None] = [None] * len(self.weights)
        for move in chain([self.next], self.moves):
            if not move.back:
                for _ in self._go(move, again=True):
                    pass
                continue
            (x, *state), found = self.graphs.pop(move.begin)
            for border in move[:2]:                                                    # nobody will start from these again
                self.states.pop(border, None)
            place, given = self._place(move.begin), [x, *state, *self.weights]
            dx_step, *rest = _gradients(found, [dy[place], *dstate], given)
            if dx is not None:
                dx[place] = 0 if dx_step is None else dx_step
            dstate = tuple(torch.zeros_like(s) if d is None else d for s, d in zip(state, rest))
            for number, more in enumerate(rest[len(state):]):
                if more is not None:
                    sums[number] = more.clone() if sums[number] is None else sums[number].add_(more)       # it may share its memory
            del found, given, x, state
        return [dx, *(d if need else None for d, need in zip(dstate, self.needed[1:])), *sums]


def _gradients(found: list[Tensor], grads: list[Tensor], given: list[Tensor]) -> list[Tensor | None]:
    """Of each of `given`; None for what needs none or has none. The graph is freed."""
    outputs = [(f, g) for f, g in zip(found, grads) if f.requires_grad]
    taken = iter(torch.autograd.grad([f for f, _ in outputs], [t for t in given if t.requires_grad], [g for _, g in outputs], allow_unused=True))
    return [next(taken) if t.requires_grad else None for t in given]


def _precision(x: Tensor) -> dict[str, Any]:
    """torch's autocast as it is now. Nothing is cached: what is rounded without gradients must not be taken for what needs them."""
    kind = x.device.type
    return {"device_type": kind, "dtype": torch.get_autocast_dtype(kind), "enabled": torch.is_autocast_enabled(kind), "cache_enabled": False}


class Noise(NamedTuple):
    """Where the generators of random numbers stand."""

    cpu: Tensor
    cuda: Tensor | None

    def set(self) -> None:
        torch.set_rng_state(self.cpu)
        if self.cuda is not None:
            torch.cuda.set_rng_state(self.cuda)


def _noise(x: Tensor) -> Noise:
    return Noise(torch.get_rng_state(), torch.cuda.get_rng_state() if x.is_cuda else None)


@contextmanager
def _restored(x: Tensor) -> Iterator[None]:
    """What is drawn inside was not drawn."""
    before = _noise(x)
    try:
        yield
    finally:
        before.set()
