"""The synthesis network of Graves 2013: a training step against a plain loop over time in torch, and the pen's points a second."""

from __future__ import annotations

from typing import Iterator

import torch
from torch import Tensor, nn

from recog import memory
from recog.layers.window import Text, gathered, phi
from recog.models.handwriting import Handwriting, HandwritingConfig
from recog.types import Batch
from recog.writing.sampler import Wanted, sample

from .table import PROCESSOR, WALL, Row, at_least, at_most, median, ratio, side_by_side, torch_threads

SYMBOLS, LETTERS = 83, 25


def rows(quick: bool = False) -> Iterator[Row]:
    memory.keep()                                                    # as training does
    config = HandwritingConfig(units=8, components=2) if quick else HandwritingConfig()
    lines, points = (3, 12) if quick else (32, 300)
    torch.manual_seed(1)
    model = Handwriting(config, SYMBOLS)
    batch = _batch(lines, points)
    yield from _same_numbers(model, batch)
    for name, threads, clock in (("", torch.get_num_threads(), WALL), (", one core, processor time", 1, PROCESSOR)):
        with torch_threads(threads):
            steps = [lambda: _step(model, batch, model), lambda: _step(model, batch, lambda x, text: plain(model, x, text))]
            steps[0]()
            times = side_by_side(steps, 1 if quick else 3, clock)
        speed = lines * points / median(times, 0)
        yield Row(f"{lines} lines of {points} points{name}: recog", speed, "points/s")
        if clock is WALL:
            yield Row(f"{lines} lines of {points} points: in products of matrices, of what large ones reach", speed * _work(model) / _peak(), "")
        yield Row(f"{lines} lines of {points} points{name}: plain loop", lines * points / median(times, 1), "points/s")
        factor = f"{lines} lines of {points} points{name}: speed, the plain loop's is 1", ratio(times, 1, 0), ""
        yield Row(*factor) if clock is PROCESSOR else at_least(*factor, 3)
    for name, config in (("3 x 400", config), ("2 x 256", HandwritingConfig(layers=2, units=8 if quick else 256, components=2 if quick else 12))):
        yield from _sampling(name, config, quick)


def _work(model: Handwriting) -> int:
    """Floating-point operations for each point of a training step: each weight of a matrix is multiplied and added three times."""
    return sum(6 * w.numel() for w in model.parameters() if w.dim() == 2) - 2 * model.layers[0].weight_ih.numel()      # no gradient of the points


def _peak(size: int = 2000) -> float:
    """Floating-point operations a second in the product of two large matrices."""
    a = torch.randn(size, size)
    times = side_by_side([lambda: a @ a], 5)
    return 2 * size ** 3 / min(row[0] for row in times)


def _sampling(name: str, config: HandwritingConfig, quick: bool) -> Iterator[Row]:
    torch.manual_seed(1)
    model, points = Handwriting(config, SYMBOLS), 20 if quick else 300
    weights = torch.cat([w.detach().flatten() for w in model.parameters()])
    lines = [Wanted(tuple(_batch(1, 2).y[0].tolist()), (number,), most=points) for number in range(4 if quick else 64)]
    with torch_threads(1):
        alone = side_by_side([lambda: sample(model, lines[:1]), lambda: [weights.sum() for _ in range(points)]], 1 if quick else 5)
    together = side_by_side([lambda: sample(model, lines, threads=torch.get_num_threads())], 1 if quick else 3)
    yield Row(f"{name}, one line", points / median(alone, 0), "points/s")
    yield Row(f"{name}, reading every weight once a point", points / median(alone, 1), "points/s")
    yield at_least(f"{name}, one line: part of that", ratio(alone, 1, 0), "", 0.5)
    yield at_least(f"{name}, {len(lines)} lines", len(lines) * points / median(together, 0), "points/s", 20_000)


def _batch(lines: int, points: int) -> Batch:
    x = torch.randn(lines, points, 3)
    x[..., 2] = (x[..., 2] > 2).float()
    y = torch.randint(1, SYMBOLS, (lines, LETTERS))
    return Batch(tuple(map(str, range(lines))), x, torch.full((lines,), points), y, torch.full((lines,), LETTERS))


def _step(model: Handwriting, batch: Batch, forward) -> list[Tensor]:
    """Gradients of a step; `forward` runs the network."""
    model.zero_grad(set_to_none=True)
    before = model.forward
    model.forward = forward if forward is not model else before
    try:
        model.loss(batch).total.backward()
    finally:
        model.forward = before
    return [w.grad for w in model.parameters()]


def plain(model: Handwriting, x: Tensor, text: Text) -> Tensor:
    """The three layers step by step, as programs for this paper do it: the same network, without the clipping of derivatives."""
    first, state = model.layers[0], [(x.new_zeros(x.shape[1], model.config.units),) * 2 for _ in model.layers]
    w, kappa, found = x.new_zeros(x.shape[1], first.symbols), x.new_zeros(x.shape[1], first.gaussians), []
    for point in x:
        h, c = _cell(first, torch.cat([point, w], 1), torch.cat([first.weight_ih, first.weight_wh], 1), *state[0])
        state[0] = h, c
        alpha, beta, step = nn.functional.linear(h, first.weight_window, first.bias_window).exp().chunk(3, dim=1)
        kappa = kappa + step
        w, outputs = gathered(phi(alpha, beta, kappa, text), text, first.symbols), [h]
        for number, layer in enumerate(model.layers[1:], 1):
            state[number] = _cell(layer, torch.cat([point, w, outputs[-1]], 1), layer.weight_ih, *state[number])
            outputs.append(state[number][0])
        found.append(torch.cat(outputs, 1))
    return model.output(torch.stack(found))


def _cell(layer: nn.Module, x: Tensor, weight_ih: Tensor, h: Tensor, c: Tensor) -> tuple[Tensor, Tensor]:
    i, f, g, o = (nn.functional.linear(x, weight_ih, layer.bias) + h @ layer.weight_hh.t()).chunk(4, dim=1)
    c = (f + layer.peepholes[1] * c).sigmoid() * c + (i + layer.peepholes[0] * c).sigmoid() * g.tanh()
    return (o + layer.peepholes[2] * c).sigmoid() * c.tanh(), c


def _same_numbers(model: Handwriting, batch: Batch) -> Iterator[Row]:
    clips, model.config = model.config, HandwritingConfig(**{**vars(model.config), "clip": 0.0, "output_clip": 0.0})
    ours, theirs = (_step(model, batch, forward) for forward in (model, lambda x, text: plain(model, x, text)))
    model.config = clips
    worst = max(((a - b).abs().max() / b.abs().max().clamp(min=1e-9)).item() for a, b in zip(ours, theirs))
    yield at_most("gradients differ by, at most, of the largest of each weight", worst, "", 1e-3)
