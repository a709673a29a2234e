"""Convolutions over time and frequency in front of stacked LSTMs (Amodei et al. 2016, section 3.4).

A filter that sees a few neighbouring bands finds the same sound a little higher or lower, as another speaker says it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ..errors import ConfigError
from ..types import Encoded
from .blstm import Blstm, BlstmConfig

REACH = 3                                # frames and bands that a filter sees


@dataclass(frozen=True)
class ConvBlstmConfig(BlstmConfig):
    """A stack of convolutions, and one of LSTM layers on it."""

    channels: tuple[int, ...] = (32, 32)     # filters of each convolution; each halves the number of bands
    strides: tuple[int, ...] = (2, 1)        # of each, in time: frames in per frame out
    planes: int = 1                          # values per band in a frame: 3 with two orders of differences, times features.stack

    def __post_init__(self):
        super().__post_init__()
        if not self.channels or min(self.channels) < 1 or self.planes < 1:
            raise ValueError("channels needs at least one number, and these and planes must be at least 1")
        if len(self.strides) != len(self.channels) or min(self.strides) < 1:
            raise ValueError(f"strides needs {len(self.channels)} whole numbers of at least 1, one per convolution")


class ConvBlstm(nn.Module):
    """x [B, T, planes * bands] and lengths [B] to Encoded with h [B, ceil(T / subsampling), output_size]."""

    Config = ConvBlstmConfig

    def __init__(self, config: ConvBlstmConfig, input_size: int):
        """Raises ConfigError when the frames are not `planes` times a number of bands."""
        super().__init__()
        if input_size % config.planes:
            raise ConfigError(f"frames of {input_size} values are not {config.planes} per band", where="encoder.planes")
        self.planes, self.bands = config.planes, input_size // config.planes
        self.convolutions, planes, bands = nn.ModuleList(), self.planes, self.bands
        for channels, stride in zip(config.channels, config.strides):
            layer = nn.Conv2d(planes, channels, REACH, (stride, 2), REACH // 2)
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
            nn.init.zeros_(layer.bias)
            self.convolutions.append(layer)
            planes, bands = channels, -(-bands // 2)
        self.blstm = Blstm(config, planes * bands)
        self.output_size = self.blstm.output_size

    @property
    def subsampling(self) -> int:
        """Input frames per output frame."""
        return math.prod(layer.stride[0] for layer in self.convolutions) * self.blstm.subsampling

    def forward(self, x: Tensor, x_len: Tensor) -> Encoded:
        batch, frames, _ = x.shape
        h, n = _cut(x.view(batch, frames, self.planes, self.bands).transpose(1, 2), x_len), x_len      # [B, planes, T, bands]
        for layer in self.convolutions:
            n = (n + layer.stride[0] - 1) // layer.stride[0]
            h = _cut(torch.relu(layer(h)), n)
        return self.blstm(h.transpose(1, 2).flatten(2), n)


def _cut(h: Tensor, n: Tensor) -> Tensor:
    """Zeros beyond each sequence's end, as a convolution has them before its beginning. h [B, C, T, F]."""
    real = torch.arange(h.shape[2], device=h.device) < n[:, None]
    return h.masked_fill(~real[:, None, :, None], 0.0)
