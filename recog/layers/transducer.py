"""The transducer's loss and its exact gradients, without the [B, T, U, V] tensor: Graves 2012, section 2; Graves 2013, section 3.

Both kinds of output go through the same three steps, utterance by utterance at its true size, so that padding costs
nothing: the log-probability of the blank and of the next label in each node of the lattice; the posterior of each way
through the lattice; from these the gradients, which are ready when the loss is.

The gradient of -log P by log p(k | t, u) is minus the posterior of k there; through the softmax, each node adds its
occupancy (the sum of its two posteriors) times p(. | t, u).
"""

from __future__ import annotations

from typing import Any, Iterator

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from . import lattice

WEAK = {torch.float32: 1e-20, torch.float64: 1e-200}      # normalizers below this are recomputed term by term
CHUNK = 1 << 20                                           # numbers at a time, when they are
BLOCK_MB = 6                                              # of rows of a lattice worked on at once: what a CPU's cache holds
NODE_BYTES = 24                                           # of a lattice's node: two ways out, forward variable in float64, slack


def additive(f: Tensor, g: Tensor, y: Tensor, n: Tensor, u: Tensor) -> Tensor:
    """-log P(labels), nats summed over the batch, for log p(k | t, u) = f[t, k] + g[u, k] - normalizer.

    f [B, T, V] of the frames, g [B, U + 1, V] of the labels so far, y [B, U] labels, n and u [B] true lengths.
    """
    return _Transduce.apply(_Additive, y, n, u, 0, f, g)


def hidden(f: Tensor, g: Tensor, weight: Tensor, bias: Tensor, y: Tensor, n: Tensor, u: Tensor, memory_mb: float) -> Tensor:
    """-log P(labels), nats summed over the batch, for p(. | t, u) = softmax(weight tanh(f[t] + g[u]) + bias).

    f [B, T, J], g [B, U + 1, J], weight [V, J], bias [V]. Beside inputs and gradients, at most about `memory_mb` are in
    use at once: what does not fit is computed twice, and a batch whose lattices do not fit is taken in parts.
    """
    return _Transduce.apply(_Hidden, y, n, u, int(memory_mb * 1e6), f, g, weight, bias)


def lattice_mb(frames: int, labels: int) -> float:
    """What an utterance needs in any case: it must be at most half of `memory_mb`."""
    return frames * (labels + 1) * NODE_BYTES / 1e6


class _Transduce(torch.autograd.Function):
    """The loss and, if any input wants them, its gradients, which `backward` only scales."""

    @staticmethod
    def forward(ctx: Any, kind: type, y: Tensor, n: Tensor, u: Tensor, budget: int, *inputs: Tensor) -> Tensor:
        wanted = any(ctx.needs_input_grad)
        sizes = list(zip(n.tolist(), u.tolist()))
        total = 0.0
        with torch.autocast(y.device.type, enabled=False):
            joint = kind(inputs, y, wanted, budget)
            for part in _parts(sizes, budget):
                ways = [joint.scores(b, *sizes[b]) for b in part]
                nats, stays, writes = lattice.posteriors([w[0] for w in ways], [w[1] for w in ways], wanted)
                total = total - nats.sum()
                del ways
                for b, stay, write in zip(part, stays, writes) if wanted else ():
                    joint.add_gradients(b, stay, write)
        if wanted:
            ctx.save_for_backward(*joint.gradients)
        return total.to(inputs[0].dtype)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        return None, None, None, None, None, *(grad * each for each in ctx.saved_tensors)


def _parts(sizes: list[tuple[int, int]], budget: int) -> Iterator[range]:
    """Runs of utterances whose lattices fit into half of the budget together; no budget: all at once."""
    begin, used = 0, 0.0
    for b, size in enumerate(sizes):
        need = lattice_mb(*size) * 1e6
        if budget and b > begin and used + need > budget / 2:
            yield range(begin, b)
            begin, used = b, 0.0
        used += need
    yield range(begin, len(sizes))


class _Additive:
    """The normalizer is a matrix product: sum_k exp(f[t, k]) exp(g[u, k]), each row scaled by its maximum.

    Where all products are tiny (f and g peak at different units), they are summed again without underflow.
    """

    def __init__(self, inputs: tuple[Tensor, ...], y: Tensor, wanted: bool, budget: int):
        self.f, self.g = inputs
        self.y, self.wanted = y, wanted
        self.gradients = [torch.zeros_like(each) for each in inputs] if wanted else []
        self._kept: dict[int, tuple[Tensor, ...]] = {}

    def scores(self, b: int, frames: int, labels: int) -> tuple[Tensor, Tensor]:
        f, g, y = self.f[b, :frames], self.g[b, :labels + 1], self.y[b, :labels]
        f_max, g_max = f.amax(1, keepdim=True), g.amax(1, keepdim=True)
        f_exp, g_exp = (f - f_max).exp_(), (g - g_max).exp_()
        sums = f_exp @ g_exp.T                                              # [T, U + 1]
        weak = (sums < WEAK[f.dtype]).nonzero().T                           # [2, how many]
        normalizer = sums.log().add_(f_max).add_(g_max.T)
        for t, u in _chunks(weak, f.shape[1]):
            normalizer[t, u] = (f[t] + g[u]).logsumexp(1)
        blank = (f[:, :1] + g[:, 0]).sub_(normalizer)
        label = torch.zeros_like(blank)
        label[:, :labels] = f[:, y] + g[torch.arange(labels, device=y.device), y] - normalizer[:, :labels]
        if self.wanted:
            self._kept[b] = f_exp, g_exp, sums, weak
        return blank, label

    def add_gradients(self, b: int, stay: Tensor, write: Tensor) -> None:
        f_exp, g_exp, sums, weak = self._kept.pop(b)
        (frames, nodes), y = stay.shape, self.y[b, :stay.shape[1] - 1]
        df, dg = self.gradients[0][b, :frames], self.gradients[1][b, :nodes]
        occupied = stay + write
        share = occupied / sums
        if weak.numel():
            share[weak[0], weak[1]] = 0.0
        torch.mul(f_exp, share @ g_exp, out=df)
        torch.mul(g_exp, share.T @ f_exp, out=dg)
        for t, u in _chunks(weak, df.shape[1]):
            part = (self.f[b, t] + self.g[b, u]).softmax(1).mul_(occupied[t, u, None])
            df.index_add_(0, t, part)
            dg.index_add_(0, u, part)
        df[:, 0] -= stay.sum(1)
        dg[:, 0] -= stay.sum(0)
        df.index_add_(1, y, write[:, :-1], alpha=-1)
        dg[torch.arange(nodes - 1, device=y.device), y] -= write[:, :-1].sum(0)


def _chunks(weak: Tensor, width: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Rows and columns, so many at a time that rows of `width` numbers stay small."""
    if weak.numel():
        yield from (tuple(part) for part in weak.split(max(1, CHUNK // width), dim=1))


class _Hidden:
    """In blocks of whole frames: tanh of sums and the softmax for the scores, and once more for the gradients.

    The log-probabilities of a block are kept for the second time while there is room for them; the hidden layer, which
    is wider, never is.
    """

    def __init__(self, inputs: tuple[Tensor, ...], y: Tensor, wanted: bool, budget: int):
        self.f, self.g, self.weight, self.bias = inputs
        self.y, self.wanted, self.room = y, wanted, budget // 4
        self.block = budget // 4 if y.is_cuda else min(budget // 4, int(BLOCK_MB * 1e6))
        self.gradients = [torch.zeros_like(each) for each in inputs] if wanted else []
        self._space = [self.f.new_empty(0), self.f.new_empty(0)]
        self._kept: dict[tuple[int, int], Tensor] = {}

    def scores(self, b: int, frames: int, labels: int) -> tuple[Tensor, Tensor]:
        y = self.y[b, :labels]
        blank = self.f.new_zeros(frames, labels + 1)
        label = torch.zeros_like(blank)
        for start, end in self._blocks(frames, labels + 1):
            found = self._log_probs(self._tanh(b, start, end, labels + 1))
            rows = found.view(end - start, labels + 1, -1)
            blank[start:end] = rows[:, :, 0]
            label[start:end, :labels] = rows[:, :labels].gather(2, y[:, None].expand(end - start, labels, 1))[:, :, 0]
            size = found.numel() * found.element_size()
            if self.wanted and size <= self.room:
                self._kept[b, start] = found
                self.room -= size
        return blank, label

    def add_gradients(self, b: int, stay: Tensor, write: Tensor) -> None:
        (frames, nodes), y = stay.shape, self.y[b, :stay.shape[1] - 1]
        df, dg, dw, db = self.gradients
        for start, end in self._blocks(frames, nodes):
            h = self._tanh(b, start, end, nodes)
            kept = self._kept.pop((b, start), None)
            if kept is not None:
                self.room += kept.numel() * kept.element_size()
            d = (self._log_probs(h) if kept is None else kept).exp_().view(end - start, nodes, -1)   # by the softmax's input
            stays, writes = stay[start:end], write[start:end]
            d.mul_((stays + writes)[:, :, None])
            d[:, :, 0] -= stays
            d[:, :-1].scatter_add_(2, y[:, None].expand(end - start, nodes - 1, 1), -writes[:, :-1, None])
            d = d.view(len(h), -1)
            dw.addmm_(d.T, h)
            db += d.sum(0)
            dh = torch.mm(d, self.weight, out=self._room(1, h.shape))
            torch.ops.aten.tanh_backward.grad_input(dh, h, grad_input=dh)
            dh = dh.view(end - start, nodes, -1)
            torch.sum(dh, 1, out=df[b, start:end])
            dg[b, :nodes] += dh.sum(0)

    def _blocks(self, frames: int, nodes: int) -> Iterator[tuple[int, int]]:
        row = nodes * 2 * (self.f.shape[2] + len(self.bias)) * self.f.element_size()
        step = max(1, self.block // row)
        return ((start, min(start + step, frames)) for start in range(0, frames, step))

    def _tanh(self, b: int, start: int, end: int, nodes: int) -> Tensor:
        """The hidden layer [frames * nodes, J], valid until the next call."""
        h = self._room(0, (end - start, nodes, self.f.shape[2]))
        return torch.add(self.f[b, start:end, None], self.g[b, None, :nodes], out=h).tanh_().view(-1, h.shape[2])

    def _log_probs(self, h: Tensor) -> Tensor:
        return torch.addmm(self.bias, h, self.weight.T).log_softmax(1)

    def _room(self, which: int, shape: tuple[int, ...]) -> Tensor:
        """Space that is used again and again, [shape]."""
        size = torch.Size(shape).numel()
        if self._space[which].numel() < size:
            self._space[which] = self.f.new_empty(size)
        return self._space[which][:size].view(shape)
