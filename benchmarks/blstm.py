"""A training step of our BLSTM stack against torch.nn.LSTM on packed sequences: the same weights, the same numbers."""

from __future__ import annotations

from typing import Callable, Iterator

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from recog.encoders.blstm import Blstm, BlstmConfig

from .table import PROCESSOR, WALL, Clock, Row, at_least, at_most, median, ratio, side_by_side, torch_threads

INPUT = 120                          # 40 log-mel filters, three frames joined


def rows(quick: bool = False) -> Iterator[Row]:
    """Outputs and gradients compared at all real frames; padding counts for nothing in either."""
    layers, units, batch, frames = (2, 8, 4, 20) if quick else (3, 256, 16, 250)
    torch.manual_seed(1)
    ours = Blstm(BlstmConfig(layers, units), INPUT)
    packed = nn.LSTM(INPUT, units, layers, bidirectional=True)
    _copy_weights(ours, packed)
    varied, equal = torch.linspace(frames * 4 // 5, frames, batch).long().flip(0), torch.full((batch,), frames)
    settings = {f"lengths {frames * 4 // 5} to {frames}": (varied, torch.get_num_threads(), WALL, 5),
                f"all of length {frames}": (equal, torch.get_num_threads(), WALL, 3),
                f"lengths {frames * 4 // 5} to {frames}, one core, processor time": (varied, 1, PROCESSOR, 3)}
    for name, (n, threads, clock, repeats) in settings.items():
        with torch_threads(threads):
            yield from _compared(name, ours, packed, n, clock, 1 if quick else repeats)


def _compared(name: str, ours: Blstm, packed: nn.LSTM, n: Tensor, clock: Clock, repeats: int) -> Iterator[Row]:
    real = (torch.arange(int(n.max())) < n[:, None])[:, :, None]
    x = torch.randn(len(n), int(n.max()), INPUT) * real
    pull = torch.randn(len(n), int(n.max()), ours.output_size) * real / 100     # the largest gradients are then about 1

    def our_step() -> Tensor:
        return _step(ours, lambda: ours(x, n).h, pull)

    def packed_step() -> Tensor:
        return _step(packed, lambda: _run_packed(packed, x, n), pull)

    outputs = float(((our_step() - packed_step()) * real).abs().max())          # warms both up, too
    pairs = [(a.grad, b.grad) for a, b in _pairs(ours, packed)]
    yield at_most(f"{name}: outputs differ by", outputs, "", 1e-5)
    yield at_most(f"{name}: gradients differ by", max(float((a - b).abs().max()) for a, b in pairs), "", 1e-5)
    yield Row(f"{name}: the largest gradient is", max(float(b.abs().max()) for _, b in pairs), "")
    times = side_by_side([packed_step, our_step], repeats, clock)
    yield Row(f"{name}: packed", median(times, 0) * 1000, "ms/step")
    yield Row(f"{name}: ours", median(times, 1) * 1000, "ms/step")
    yield at_least(f"{name}: ours is faster by", ratio(times), "times", 3.5)


def _step(model: nn.Module, run: Callable[[], Tensor], pull: Tensor) -> Tensor:
    model.zero_grad(set_to_none=True)
    h = run()
    h.backward(pull)
    return h.detach()


def _run_packed(lstm: nn.LSTM, x: Tensor, n: Tensor) -> Tensor:
    sequence = pack_padded_sequence(x, n, batch_first=True, enforce_sorted=False)
    return pad_packed_sequence(lstm(sequence)[0], batch_first=True)[0]


def _pairs(ours: Blstm, packed: nn.LSTM) -> Iterator[tuple[nn.Parameter, nn.Parameter]]:
    """Each weight of ours with its twin."""
    for number, layer in enumerate(ours.layers):
        for lstm, suffix in ((layer.forwards, ""), (layer.backwards, "_reverse")):
            for kind in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"):
                yield getattr(lstm, f"{kind}_l0"), getattr(packed, f"{kind}_l{number}{suffix}")


@torch.no_grad()
def _copy_weights(ours: Blstm, packed: nn.LSTM) -> None:
    for a, b in _pairs(ours, packed):
        b.copy_(a)
