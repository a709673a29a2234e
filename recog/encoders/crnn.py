"""Convolutions over a picture, then stacked LSTMs along its columns: Puigcerver 2017, "Are multidimensional recurrent layers really
necessary for handwritten text recognition?" The networks of that paper normalize over the batch; these do not (see `ConvBlock`).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from torch import Tensor, nn
from torch.nn import functional

from ..layers.pictures import ConvBlock, check_blocks, shortened, upright
from ..types import Encoded
from .blstm import Blstm, BlstmConfig


@dataclass(frozen=True)
class CrnnConfig(BlstmConfig):
    """A stack of convolutions, and one of LSTM layers on the columns that they leave."""

    channels: tuple[int, ...] = (16, 32, 48, 64, 80)     # filters of each convolution, 3 x 3
    down: tuple[int, ...] = (2, 2, 2, 2, 1)              # after each the largest of every block is kept: rows of the block
    along: tuple[int, ...] = (2, 2, 1, 1, 1)             # and its columns
    channel_dropout: float = 0.0                         # share of channels dropped before each convolution but the first, and at the end

    def __post_init__(self):
        super().__post_init__()
        check_blocks(self.channels, self.down, self.along)
        if not 0 <= self.channel_dropout < 1:
            raise ValueError("channel_dropout must be at least 0 and below 1")


class Crnn(nn.Module):
    """x [B, T, height], columns of pixels, and lengths [B] to Encoded with h [B, ceil(T / subsampling), output_size]."""

    Config = CrnnConfig

    def __init__(self, config: CrnnConfig, input_size: int):
        super().__init__()
        self.shape, self.dropout = (math.prod(config.down), math.prod(config.along)), config.channel_dropout
        self.blocks, size = nn.ModuleList(), 1
        for channels, down, along in zip(config.channels, config.down, config.along):
            self.blocks.append(ConvBlock(size, channels, down, along))
            size = channels
        self.blstm = Blstm(config, -(-input_size // self.shape[0]) * size)
        self.output_size = self.blstm.output_size

    @property
    def subsampling(self) -> int:
        """Input frames per output frame."""
        return self.shape[1] * self.blstm.subsampling

    def forward(self, x: Tensor, x_len: Tensor) -> Encoded:
        h, n = upright(x, x_len, *self.shape), x_len
        for block in self.blocks:
            h, n = self._dropped(block(h, n)), shortened(n, block.shape[1])
        return self.blstm(h.transpose(1, 2).flatten(2), n)

    def _dropped(self, h: Tensor) -> Tensor:
        if not self.dropout:
            return h
        return functional.dropout2d(h.permute(0, 3, 1, 2), self.dropout, self.training).permute(0, 2, 3, 1)
