"""A training step of the peephole LSTM at the size of Graves 2013, against torch's LSTM, which has no peepholes."""

from __future__ import annotations

from typing import Callable, Iterator

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from recog.encoders.blstm import Blstm, BlstmConfig

from .table import PROCESSOR, WALL, Clock, Row, at_least, at_most, median, ratio, side_by_side, torch_threads

INPUT = 123                          # 40 mel filters and the energy, with deltas and double deltas


def rows(quick: bool = False) -> Iterator[Row]:
    """Forward and backward through the stack; the weights are drawn alike, with peepholes only where there are some."""
    layers, units, frames = (1, 8, 20) if quick else (5, 250, 300)
    torch.manual_seed(1)
    peephole, plain = (Blstm(BlstmConfig(layers, units, cell=cell), INPUT) for cell in ("peephole", "lstm"))
    packed = nn.LSTM(INPUT, units, layers, bidirectional=True)
    yield from _same_numbers(peephole, plain, frames)
    repeats = 1 if quick else 3
    for name, batch, threads, clock, others in (
            ("16 sequences, one core, processor time", 16, 1, PROCESSOR, [plain, packed]),
            ("16 sequences", 16, torch.get_num_threads(), WALL, [plain]),
            ("1 sequence, one core, processor time", 1, 1, PROCESSOR, [plain])):
        with torch_threads(threads):
            yield from _timed(name, [peephole, *others], torch.randn(batch, frames, INPUT), clock, repeats)


def _timed(name: str, models: list[nn.Module], x: Tensor, clock: Clock, repeats: int) -> Iterator[Row]:
    steps = [_step(model, x) for model in models]
    for step in steps[:2]:
        step()                                                              # warms up
    times = side_by_side(steps, repeats, clock)
    for number, title in enumerate(("peephole", "cell 'lstm'", "torch, packed")[:len(models)]):
        yield Row(f"{name}: {title}", median(times, number) * 1000, "ms/step")
        if number:
            yield at_least(f"{name}: speed of peephole, {title} is 1", ratio(times, number, 0), "", 0.6)


def _step(model: nn.Module, x: Tensor) -> Callable[[], Tensor]:
    n = torch.full((len(x),), x.shape[1])

    def step() -> Tensor:
        model.zero_grad(set_to_none=True)
        if isinstance(model, Blstm):
            h = model(x, n).h
        else:
            h = pad_packed_sequence(model(pack_padded_sequence(x, n, batch_first=True))[0], batch_first=True)[0]
        h.backward(torch.full_like(h, 0.01))
        return h.detach()

    return step


def _same_numbers(peephole: Blstm, plain: Blstm, frames: int) -> Iterator[Row]:
    """Without its peepholes it is torch's LSTM."""
    pairs = [(mine, other) for a, b in zip(peephole.layers, plain.layers)
             for mine, other in ((a.forwards, b.forwards), (a.backwards, b.backwards))]
    held = [mine.peepholes.detach().clone() for mine, _ in pairs]
    with torch.no_grad():
        for mine, other in pairs:
            mine.weight_ih.copy_(other.weight_ih_l0)
            mine.weight_hh.copy_(other.weight_hh_l0)
            mine.bias.copy_(other.bias_ih_l0 + other.bias_hh_l0)
            mine.peepholes.zero_()
    x = torch.randn(2, frames, INPUT)
    yield at_most("peepholes at zero: outputs differ by", float((_step(peephole, x)() - _step(plain, x)()).abs().max()), "", 1e-5)
    largest = max(float(other.weight_hh_l0.grad.abs().max()) for _, other in pairs)
    apart = max(float((mine.weight_hh.grad - other.weight_hh_l0.grad).abs().max()) for mine, other in pairs)
    yield at_most("peepholes at zero: gradients differ by, of the largest", apart / largest, "", 1e-5)
    with torch.no_grad():
        for (mine, _), weights in zip(pairs, held):
            mine.peepholes.copy_(weights)
