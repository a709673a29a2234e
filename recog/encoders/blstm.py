"""Stacked (bidirectional) LSTM: Graves, Mohamed & Hinton 2013, with dropout and time subsampling."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ..layers.lstm import CELLS, LstmLayer, State, mask
from ..types import Encoded

LayerState = tuple[State | None, Tensor | None]      # of the recurrent layer, and its outputs that wait for others to join


@dataclass(frozen=True)
class BlstmConfig:
    """A stack of LSTM layers."""

    layers: int = 3                      # stacked layers
    units: int = 250                     # cells per direction
    bidirectional: bool = True           # false: the network reads forwards only, and can stream
    cell: str = "lstm"                   # "lstm"; "peephole", as in Graves' papers; "tanh": no LSTM, plain recurrent units
    clip: float = 0.0                    # peephole cells: bound on a gate's gradient at each time step; 0: none
    dropout: float = 0.0                 # share of values dropped before each layer but the first, and at the end
    subsample: tuple[int, ...] = ()      # per layer: successive outputs joined into one, 1 is none; () is all ones
    memory_mb: float = 0.0               # training: megabytes that all layers may keep of cells and gates, the rest is computed again; 0: any

    def __post_init__(self):
        if self.layers < 1 or self.units < 1:
            raise ValueError("layers and units must be at least 1")
        if self.cell not in CELLS:
            raise ValueError(f"cell must be one of: {', '.join(CELLS)}")
        if self.clip < 0 or (self.clip and self.cell != "peephole"):
            raise ValueError("clip must not be negative, and needs cell = 'peephole'")
        if not 0 <= self.dropout < 1:
            raise ValueError("dropout must be at least 0 and below 1")
        if self.memory_mb < 0:
            raise ValueError("memory_mb must not be negative")
        if self.subsample and (len(self.subsample) != self.layers or min(self.subsample) < 1):
            raise ValueError(f"subsample needs {self.layers} whole numbers of at least 1, one per layer")


class Blstm(nn.Module):
    """x [B, T, D] and lengths [B] to Encoded with h [B, ceil(T / subsampling), output_size]."""

    Config = BlstmConfig

    def __init__(self, config: BlstmConfig, input_size: int):
        super().__init__()
        self.subsample = config.subsample or (1,) * config.layers
        self.dropout = nn.Dropout(config.dropout)
        self.layers = nn.ModuleList()
        shares = [1 / math.prod(self.subsample[:number]) for number in range(config.layers)]       # as their frames
        for factor, share in zip(self.subsample, shares):
            memory_mb = config.memory_mb * share / sum(shares)
            layer = LstmLayer(input_size, config.units, config.bidirectional, config.cell, config.clip, memory_mb)
            self.layers.append(layer)
            input_size = layer.output_size * factor
        self.output_size = input_size

    @property
    def subsampling(self) -> int:
        """Input frames per output frame."""
        return math.prod(self.subsample)

    def forward(self, x: Tensor, x_len: Tensor) -> Encoded:
        h, n = x.transpose(0, 1), x_len                       # [T, B, D]: time first, as the LSTM kernels want it
        for i, (layer, factor) in enumerate(zip(self.layers, self.subsample)):
            h = layer(self.dropout(h) if i else h, n)
            if factor > 1:
                h, n = _joined(h, n, factor)
        return Encoded(self.dropout(h).transpose(0, 1), n)

    def step(self, x: Tensor, state: tuple[LayerState, ...] | None = None, last: bool = False
             ) -> tuple[Tensor, tuple[LayerState, ...]]:
        """The next frames x [B, T, D], none of them padding, of a stream whose earlier ones left `state` (None: it begins).

        Gives h [B, T', output_size] and the state after it. All steps together give what `forward` gives, for any T of each;
        outputs that subsampling has not completed wait for the next step, and come with the `last`. Forwards only.
        """
        h, after = x.transpose(0, 1), []
        before = state or len(self.layers) * ((None, None),)
        for i, (layer, factor, (rnn, waiting)) in enumerate(zip(self.layers, self.subsample, before)):
            h, rnn = layer.step(self.dropout(h) if i else h, rnn)
            h = h if waiting is None else torch.cat([waiting, h])
            whole = len(h) if last else len(h) // factor * factor
            h, waiting = h[:whole], h[whole:]
            if factor > 1:
                h, _ = _joined(h, torch.full((h.shape[1],), whole, device=h.device), factor)
            after.append((rnn, waiting))
        return self.dropout(h).transpose(0, 1), tuple(after)


def _joined(h: Tensor, n: Tensor, factor: int) -> tuple[Tensor, Tensor]:
    """Joins each `factor` successive frames; what lies beyond a sequence's end counts as zeros. h [T, B, D]."""
    h = h * mask(n, h.shape[0])
    h = nn.functional.pad(h, (0, 0, 0, 0, 0, -h.shape[0] % factor))
    frames, batch, width = h.shape
    h = h.view(frames // factor, factor, batch, width).transpose(1, 2).reshape(frames // factor, batch, factor * width)
    return h, (n + factor - 1) // factor
