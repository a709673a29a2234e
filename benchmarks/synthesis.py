"""A training step of the synthesis network of Graves 2013 against a plain loop over time in torch."""

from __future__ import annotations

from typing import Iterator

import torch
from torch import Tensor, nn

from recog import memory
from recog.layers.window import Text, gathered, phi
from recog.models.handwriting import Handwriting, HandwritingConfig
from recog.types import Batch

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
        yield Row(f"{lines} lines of {points} points{name}: recog", lines * points / median(times, 0), "points/s")
        yield Row(f"{lines} lines of {points} points{name}: plain loop", lines * points / median(times, 1), "points/s")
        speed = f"{lines} lines of {points} points{name}: speed, the plain loop's is 1", ratio(times, 1, 0), ""
        yield Row(*speed) if clock is PROCESSOR else at_least(*speed, 3)


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
    clips, model.config = model.config, HandwritingConfig(**{**vars(model.config), "output_clip": 0.0})
    for layer in model.layers:
        layer.clip = 0.0
    ours, theirs = (_step(model, batch, forward) for forward in (model, lambda x, text: plain(model, x, text)))
    model.config = clips
    for layer in model.layers:
        layer.clip = clips.clip
    worst = max(((a - b).abs().max() / b.abs().max().clamp(min=1e-9)).item() for a, b in zip(ours, theirs))
    yield at_most("gradients differ by, at most, of the largest of each weight", worst, "", 1e-3)
