"""An LSTM over images, all four directions: forward and backward against a plain scan of diagonals in torch, and what limits it; and the
whole network of 2009 on lines, of which RNNLIB, in C++, trains on 12.4 a second and reads 30.3 on one core of the machine of these bars.
"""

from __future__ import annotations

import functools
from typing import Callable, Iterator

import torch
from torch import Tensor

from recog import memory
from recog.encoders.mdrnn import Mdrnn, MdrnnConfig
from recog.heads.ctc import Ctc, CtcConfig
from recog.layers.mdlstm import MdLstm, plain
from recog.models.recognizer import Recognizer
from recog.types import Batch

from .table import PROCESSOR, WALL, Row, at_least, at_most, median, ratio, side_by_side, torch_threads

SIZES = (("40 x 375, 12 inputs, 2 units", 40, 375, 12, 2, 20), ("10 x 94, 24 inputs, 50 units", 10, 94, 24, 50, 4))      # the last: the bar
BATCH = 8


def rows(quick: bool = False) -> Iterator[Row]:
    memory.keep()                                                    # as training does
    for name, height, width, inputs, units, bar in SIZES:
        height, width = (3, 5) if quick else (height, width)
        for cell in ("standard", "stable"):
            torch.manual_seed(1)
            layer = MdLstm(inputs, units, cell)
            x, n = torch.randn(BATCH, height, width, inputs, requires_grad=True), torch.tensor([[height, width]] * BATCH)
            yield from _one_size(f"{name}, {cell}", layer, x, n, bar, 1 if quick else 5)
        yield from _memory(name, x, units)
    yield from _network(quick)


def _one_size(name: str, layer: MdLstm, x: Tensor, n: Tensor, bar: float, repeats: int) -> Iterator[Row]:
    ours = functools.partial(_step, lambda: layer(x, n), layer, x)
    theirs = functools.partial(_step, lambda: plain(x, *layer.parameters(), n, layer.cell), layer, x)
    worst = max(((a - b).abs().max() / b.abs().max()).item() for a, b in zip(ours(), theirs()))
    yield at_most(f"{name}: gradients differ by, at most, of the largest of each", worst, "", 1e-4)
    with torch_threads(1):
        fast, slow = side_by_side([ours], 3 * repeats, PROCESSOR), side_by_side([ours, theirs], max(1, repeats // 2), PROCESSOR)
        large = side_by_side([_large_product], 5, PROCESSOR)
    seconds = median(fast, 0)
    yield Row(f"{name}: forward and backward, one core, processor time", 1000 * seconds, "ms")
    yield Row(f"{name}: plain scan, one core, processor time", 1000 * median(slow, 1), "ms")
    yield at_least(f"{name}: speed, the plain scan's is 1", ratio(slow, 1, 0), "", bar)
    if layer.units > 10:
        reached = _work(layer, x) / seconds / (2 * LARGE ** 3 / min(row[0] for row in large))
        yield Row(f"{name}: in products of matrices, of what large ones reach", reached, "")
    if torch.get_num_threads() > 1:
        with torch_threads(2):
            two = side_by_side([ours], 3 * repeats, WALL)
        with torch_threads(1):
            one = side_by_side([ours], 3 * repeats, WALL)
        yield at_least(f"{name}: speed with two threads, with one it is 1", median(one, 0) / median(two, 0), "", 1.6)


def _step(forward: Callable[[], Tensor], layer: MdLstm, x: Tensor) -> list[Tensor]:
    layer.zero_grad(set_to_none=True)
    x.grad = None
    forward().sum().backward()
    return [each.grad for each in (x, *layer.parameters())]


def _work(layer: MdLstm, x: Tensor) -> int:
    """Floating-point operations of a step: each weight of a matrix is multiplied and added three times for each position."""
    return 6 * (layer.weight_ih.numel() + layer.weight_hh.numel()) * x[..., 0].numel()


LARGE = 1500


def _large_product() -> Tensor:
    return _large() @ _large()


@functools.cache
def _large() -> Tensor:
    return torch.randn(LARGE, LARGE)


def _memory(name: str, x: Tensor, units: int) -> Iterator[Row]:
    """What the graph keeps from forward to backward, beside x: five gates and a cell for each unit, and the output, each once."""
    kept: dict[int, int] = {}

    def keep(tensor: Tensor) -> Tensor:
        kept[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    layer = MdLstm(x.shape[3], units)
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        layer(x, torch.tensor([x.shape[1:3]] * len(x)))
    weights = sum(each.numel() for each in layer.parameters())
    values = (sum(kept.values()) / 4 - weights) / x[..., 0].numel() - x.shape[3]
    yield at_most(f"{name}: values kept for the backward pass, for each position, direction and unit", values / (4 * units), "", 7.05)


PIXELS, LINES, LABELS, UNITS = (120, 1500), 16, 40, 81                      # of a line, in a batch, of a line, with the blank
BARS = {"training": 60, "reading": 180}                                     # lines a second on two cores


def _network(quick: bool) -> Iterator[Row]:
    """Training: forward, CTC, backward and the optimizer's step; reading: to log-probabilities."""
    (height, width), lines, labels = ((9, 20), 2, 2) if quick else (PIXELS, LINES, LABELS)
    torch.manual_seed(1)
    encoder = Mdrnn(MdrnnConfig(), height)
    model = Recognizer(encoder, Ctc(CtcConfig(), encoder.output_size, UNITS))
    batch = Batch(tuple(map(str, range(lines))), torch.rand(lines, width, height), torch.full((lines,), width),
                  torch.randint(1, UNITS, (lines, labels)), torch.full((lines,), labels))
    optimizer = torch.optim.SGD(model.parameters(), 1e-4, momentum=0.9)
    works = {"training": lambda: _update(model, batch, optimizer), "reading": lambda: model.emissions(batch.x, batch.x_len)}
    name = f"network of 2009, {height} x {width} pixels, {labels} labels of {UNITS - 1}, batch {lines}"
    for work, run in works.items():
        run()
        for threads, clock, what in ((1, PROCESSOR, "one core, processor time"), (2, WALL, "two threads, wall time")):
            with torch_threads(threads):
                speed = lines / median(side_by_side([run], 1 if quick else 7, clock), 0)
            yield at_least(f"{name}: {work}, {what}", speed, "lines/s", BARS[work] * threads / 2)


def _update(model: Recognizer, batch: Batch, optimizer: torch.optim.Optimizer) -> None:
    optimizer.zero_grad()
    loss = model.loss(batch)
    (loss.total / loss.count).backward()
    optimizer.step()
