"""Convolutions with LSTM levels over the image between them: deep networks after Voigtlaender, Doetsch & Ney 2016, with dropout after
each level as in Pham, Bluche, Kermorvant & Louradour 2014. The rows of the last are added up, as in `mdrnn`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from ..layers.mdlstm import CELLS, MdLstm
from ..layers.pictures import ConvBlock, check_blocks, shortened, upright
from ..types import Encoded


@dataclass(frozen=True)
class ConvMdrnnConfig:
    """A stack of convolutions, each with a level of LSTM cells after it, or without."""

    channels: tuple[int, ...] = (16, 32, 64, 96)         # filters of each convolution, 3 x 3
    down: tuple[int, ...] = (2, 2, 2, 2)                 # after each the largest of every block is kept: rows of the block
    along: tuple[int, ...] = (2, 2, 1, 1)                # and its columns
    units: tuple[int, ...] = (0, 24, 40, 64)             # then a level of so many cells in each of four directions; 0: none
    cell: str = "stable"                                 # "stable", or "standard", the paper's of 2009
    dropout: float = 0.0                                 # share of values dropped after each level

    def __post_init__(self):
        check_blocks(self.channels, self.down, self.along)
        if len(self.units) != len(self.channels) or min(self.units) < 0 or not any(self.units):
            raise ValueError(f"units needs {len(self.channels)} whole numbers of at least 0, one per convolution, and not all of them 0")
        if self.cell not in CELLS:
            raise ValueError(f"cell must be one of: {', '.join(CELLS)}")
        if not 0 <= self.dropout < 1:
            raise ValueError("dropout must be at least 0 and below 1")


class ConvMdrnn(nn.Module):
    """x [B, T, height], columns of pixels, and lengths [B] to Encoded with h [B, ceil(T / subsampling), output_size]."""

    Config = ConvMdrnnConfig

    def __init__(self, config: ConvMdrnnConfig, input_size: int):
        super().__init__()
        self.shape, self.dropout = (math.prod(config.down), math.prod(config.along)), config.dropout
        self.blocks, self.levels, size = nn.ModuleList(), nn.ModuleList(), 1
        for channels, down, along, units in zip(config.channels, config.down, config.along, config.units):
            self.blocks.append(ConvBlock(size, channels, down, along))
            self.levels.append(MdLstm(channels, units, config.cell) if units else nn.Identity())
            size = self.levels[-1].output_size if units else channels
        self.output_size = size

    @property
    def subsampling(self) -> int:
        """Input frames per output frame."""
        return self.shape[1]

    def forward(self, x: Tensor, x_len: Tensor) -> Encoded:
        h, n = upright(x, x_len, *self.shape), x_len
        for block, level in zip(self.blocks, self.levels):
            h, n = block(h, n), shortened(n, block.shape[1])
            if isinstance(level, MdLstm):
                h = functional.dropout(level(h, torch.stack([torch.full_like(n, h.shape[1]), n], 1)), self.dropout, self.training)
        return Encoded(h.sum(1), n)
