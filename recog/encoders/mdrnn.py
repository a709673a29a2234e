"""A hierarchy of LSTM levels over an image, coarser from one to the next: Graves & Schmidhuber 2009 (with dropout: Pham et al. 2014).

The pixels of each block of the image are the first level's input; of each block of a level's positions, the outputs of all directions
together go through tanh units to the next level. The rows of the last level are added up: what is left are frames along the writing.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ..layers.mdlstm import CELLS, SPREAD, MdLstm
from ..layers.pictures import cut, shortened
from ..types import Encoded


@dataclass(frozen=True)
class MdrnnConfig:
    """The defaults are the network of 2009."""

    units: tuple[int, ...] = (2, 10, 50)     # LSTM cells of each level, in each of four directions
    along: tuple[int, ...] = (3, 3, 2)       # the block before each level, along the writing: of pixels, then of the level before
    down: tuple[int, ...] = (4, 4, 4)        # and across it, from top to bottom
    between: tuple[int, ...] = (6, 20)       # tanh units between each two levels
    cell: str = "standard"                   # "standard", the paper's; "stable", for many levels or large images
    dropout: float = 0.0                     # share of values dropped after each level

    def __post_init__(self):
        levels = len(self.units)
        if not levels or min(self.units) < 1:
            raise ValueError("units needs at least one number, and these must be at least 1")
        for name in ("along", "down"):
            if len(getattr(self, name)) != levels or min(getattr(self, name)) < 1:
                raise ValueError(f"{name} needs {levels} whole numbers of at least 1, one per level")
        if len(self.between) != levels - 1 or min(self.between, default=1) < 1:
            raise ValueError(f"between needs {levels - 1} whole numbers of at least 1, one for each level but the last")
        if self.cell not in CELLS:
            raise ValueError(f"cell must be one of: {', '.join(CELLS)}")
        if not 0 <= self.dropout < 1:
            raise ValueError("dropout must be at least 0 and below 1")


class Mdrnn(nn.Module):
    """x [B, T, height], columns of pixels, and lengths [B] to Encoded with h [B, ceil(T / subsampling), output_size]."""

    Config = MdrnnConfig

    def __init__(self, config: MdrnnConfig, input_size: int):
        super().__init__()
        self.shapes = list(zip(config.down, config.along))
        self.dropout = nn.Dropout(config.dropout)
        self.levels, self.between, size = nn.ModuleList(), nn.ModuleList(), 1
        for number, (units, (down, along)) in enumerate(zip(config.units, self.shapes)):
            size *= down * along
            if number:
                layer = nn.Linear(size, config.between[number - 1], bias=False)      # so that padding, all zeros, stays so
                nn.init.normal_(layer.weight, std=SPREAD)
                self.between.append(layer)
                size = layer.out_features
            self.levels.append(MdLstm(size, units, config.cell))
            size = self.levels[-1].output_size
        self.output_size = size

    @property
    def subsampling(self) -> int:
        """Input frames per output frame."""
        return math.prod(along for _, along in self.shapes)

    def forward(self, x: Tensor, x_len: Tensor) -> Encoded:
        h, n = cut(x, x_len)[..., None], x_len
        for number, (level, (down, along)) in enumerate(zip(self.levels, self.shapes)):
            if number:
                h = self.between[number - 1](blocks(h, down, along)).tanh()
            else:
                h = blocks(h, along, down, turned=True)                      # from columns to [B, H, W, D]
            n = shortened(n, along)
            h = self.dropout(level(h, torch.stack([torch.full_like(n, h.shape[1]), n], 1)))
        return Encoded(h.sum(1), n)


def blocks(h: Tensor, first: int, second: int, turned: bool = False) -> Tensor:
    """[B, R, C, D] to [B, ceil(R / first), ceil(C / second), first * second * D]; what a block lacks at the edge is zeros.

    turned: the blocks by their columns, then rows.
    """
    batch, rows, columns, size = h.shape
    if rows % first or columns % second:
        h = nn.functional.pad(h, (0, 0, 0, -columns % second, 0, -rows % first))
    h = h.view(batch, h.shape[1] // first, first, h.shape[2] // second, second, size)
    return h.permute(0, 3, 1, 2, 4, 5).flatten(3) if turned else h.transpose(2, 3).flatten(3)
