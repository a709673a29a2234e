"""Stacked (bidirectional) LSTM: Graves, Mohamed & Hinton 2013, with dropout and time subsampling."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ..layers.lstm import LstmLayer, mask
from ..types import Encoded


@dataclass(frozen=True)
class BlstmConfig:
    """A stack of LSTM layers."""

    layers: int = 3                      # stacked layers
    units: int = 250                     # cells per direction
    bidirectional: bool = True           # false: the network reads forwards only, and can stream
    dropout: float = 0.0                 # share of values dropped before each layer but the first, and at the end
    subsample: tuple[int, ...] = ()      # per layer: successive outputs joined into one, 1 is none; () is all ones

    def __post_init__(self):
        if self.layers < 1 or self.units < 1:
            raise ValueError("layers and units must be at least 1")
        if not 0 <= self.dropout < 1:
            raise ValueError("dropout must be at least 0 and below 1")
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
        for factor in self.subsample:
            layer = LstmLayer(input_size, config.units, config.bidirectional)
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

    def step(self, x: Tensor, state: list | None = None, last: bool = False) -> tuple[Tensor, list]:
        """The outputs [B, T', D] that some more frames [B, T, D] settle, and the state to go on from; None begins.

        For one-directional networks, in evaluation. Each layer's state is its cells' and the outputs that wait to be
        joined with later ones; `last` joins them with zeros, as `forward` does at the end of a sequence.
        """
        h, after = x.transpose(0, 1), []
        for layer, factor, (cells, waiting) in zip(self.layers, self.subsample, state or [(None, None)] * len(self.layers)):
            h, cells = layer.step(h, cells) if len(h) else (h.new_zeros(0, h.shape[1], layer.output_size), cells)
            if factor > 1:
                h = h if waiting is None else torch.cat([waiting, h])
                whole = len(h) if last else len(h) - len(h) % factor
                h, waiting = h[:whole], h[whole:]
                h, _ = _joined(h, torch.full((h.shape[1],), whole, device=h.device), factor)
            after.append((cells, waiting))
        return h.transpose(0, 1), after


def _joined(h: Tensor, n: Tensor, factor: int) -> tuple[Tensor, Tensor]:
    """Joins each `factor` successive frames; what lies beyond a sequence's end counts as zeros. h [T, B, D]."""
    h = h * mask(n, h.shape[0])
    h = nn.functional.pad(h, (0, 0, 0, 0, 0, -h.shape[0] % factor))
    frames, batch, width = h.shape
    h = h.view(frames // factor, factor, batch, width).transpose(1, 2).reshape(frames // factor, batch, factor * width)
    return h, (n + factor - 1) // factor
