"""Encoders of pictures as TorchScript can have them: see scripted.py; LSTM layers over images go through them diagonal by diagonal."""

from typing import List, Tuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from ..encoders.conv_mdrnn import ConvMdrnn
from ..encoders.crnn import Crnn
from ..encoders.mdrnn import Mdrnn
from ..kernels.bounds import LARGEST_CELL
from ..layers.mdlstm import MdLstm
from ..layers.pictures import SLOPE, ConvBlock
from .scripted import Stack, cut


def upright(x: Tensor, n: Tensor, down: int, along: int) -> Tensor:
    """Columns of pixels [B, T, height] as pictures [B, H, W, 1], filled up with zeros to multiples."""
    return filled_up(cut(x[:, None], n).permute(0, 3, 2, 1), down, along)


def filled_up(h: Tensor, down: int, along: int) -> Tensor:
    """Zeros at the ends of [B, H, W, C], up to multiples."""
    return functional.pad(h, [0, 0, 0, (along - h.size(2) % along) % along, 0, (down - h.size(1) % down) % down])


class Block(nn.Module):
    """`ConvBlock`: h [B, H, W, C] and widths n [B]."""

    def __init__(self, block: ConvBlock):
        super().__init__()
        self.convolution, self.norm, self.shape, self.slope = block.convolution, block.norm, list(block.shape), SLOPE

    def forward(self, h: Tensor, n: Tensor) -> Tensor:
        h = self.convolution(h.permute(0, 3, 1, 2))
        beyond = torch.arange(h.size(3), device=h.device)[None] >= n[:, None]
        h = functional.max_pool2d(h.masked_fill(beyond[:, None, None], 0.0), self.shape)
        return functional.leaky_relu(self.norm(h.permute(0, 2, 3, 1)), self.slope)


class PictureStack(nn.Module):
    """`Crnn`: x [B, T, height] and lengths n [B] to h [B, T', output_size] and lengths."""

    def __init__(self, encoder: Crnn):
        super().__init__()
        self.down, self.along = encoder.shape
        self.widths = [block.shape[1] for block in encoder.blocks]
        self.blocks, self.stack = nn.ModuleList([Block(block) for block in encoder.blocks]), Stack(encoder.blstm)

    def forward(self, x: Tensor, n: Tensor) -> Tuple[Tensor, Tensor]:
        h = upright(x, n, self.down, self.along)
        for i, block in enumerate(self.blocks):
            h = block(h, n)
            n = (n + self.widths[i] - 1) // self.widths[i]
        return self.stack(h.transpose(1, 2).flatten(2), n)


def turned(h: Tensor, direction: int) -> Tensor:
    """A picture [B, H, W, D] against the axes that the direction goes against."""
    axes: List[int] = []
    if direction >= 2:
        axes.append(1)
    if direction % 2 == 1:
        axes.append(2)
    return h.flip(axes)


def sheared(x: Tensor) -> Tensor:
    """[K, B, H, W, D] to [K, B, H, W + H - 1, D]: row r begins r columns later, with zeros around it."""
    rows, wide = x.size(2), x.size(3)
    x = functional.pad(x, [0, 0, 0, rows]).flatten(2, 3)
    return x[:, :, :rows * (wide + rows - 1)].view(x.size(0), x.size(1), rows, wide + rows - 1, x.size(3))


def unsheared(x: Tensor) -> Tensor:
    """Back again."""
    rows, wide = x.size(2), x.size(3)
    x = functional.pad(x.flatten(2, 3), [0, 0, 0, rows])
    return x.view(x.size(0), x.size(1), rows, wide + 1, x.size(3))[:, :, :, :wide + 1 - rows]


def above(x: Tensor) -> Tensor:
    """[K, B, H, units]: of each row what is in the row above."""
    return functional.pad(x, [0, 0, 1, 0])[:, :, :x.size(2)]


class Level(nn.Module):
    """`MdLstm`: [B, H, W, D] and widths n to [B, H, W, 4 * units], all four directions at once, each from its own upper left corner."""

    def __init__(self, level: MdLstm):
        super().__init__()
        self.units, self.gates, self.stable, self.largest = level.units, level.weight_ih.shape[1], level.cell == "stable", float(LARGEST_CELL)
        self.given = nn.Linear(level.weight_ih.shape[2], 4 * self.gates)
        self.given.weight, self.given.bias = nn.Parameter(level.weight_ih.detach().flatten(0, 1)), nn.Parameter(level.bias.detach().flatten())
        self.recurrent, self.peepholes = nn.Parameter(level.weight_hh.detach().mT.contiguous()), level.peepholes

    def forward(self, x: Tensor, n: Tensor) -> Tensor:
        batch, rows, wide = x.size(0), x.size(1), x.size(2)
        z = self.given(x).view(batch, rows, wide, 4, self.gates).permute(3, 0, 1, 2, 4)
        z = sheared(torch.stack([turned(z[k], k) for k in range(4)]))                       # [4, B, H, W + H - 1, gates]
        real = (torch.arange(wide, device=n.device)[None] < n[:, None])[:, None, :, None].expand(batch, rows, wide, 1).to(x.dtype)
        real = sheared(torch.stack([turned(real, k) for k in range(4)]))
        h, c = x.new_zeros(4, batch, rows, self.units), x.new_zeros(4, batch, rows, self.units)
        found: List[Tensor] = []
        for s in range(wide + rows - 1):
            recurrent = torch.cat([above(h), h], 3).flatten(1, 2) @ self.recurrent
            h, c = self.cells(z[:, :, :, s] + recurrent.view(4, batch, rows, self.gates), above(c), c)
            h, c = h * real[:, :, :, s], c * real[:, :, :, s]
            found.append(h)
        laid = unsheared(torch.stack(found, 3))
        return torch.cat([turned(laid[k], k) for k in range(4)], 3)

    def cells(self, z: Tensor, c_above: Tensor, c_beside: Tensor) -> Tuple[Tensor, Tensor]:
        i, first, second, new, o = z.chunk(5, 3)
        p = self.peepholes[:, :, None, None]
        if self.stable:
            seen = c_beside + torch.sigmoid(second + p[:, 2] * (c_above - c_beside)) * (c_above - c_beside)
            kept = torch.sigmoid(first + p[:, 1] * seen) * seen
        else:
            seen = c_above + c_beside
            kept = torch.sigmoid(first + p[:, 1] * c_above) * c_above + torch.sigmoid(second + p[:, 2] * c_beside) * c_beside
        c = (kept + torch.sigmoid(i + p[:, 0] * seen) * torch.tanh(new)).clamp(-self.largest, self.largest)
        return torch.sigmoid(o + p[:, 3] * c) * torch.tanh(c), c


class Nothing(nn.Module):
    """In the place of a level that is not there."""

    def forward(self, x: Tensor, n: Tensor) -> Tensor:
        return x


class ConvLevels(nn.Module):
    """`ConvMdrnn`."""

    def __init__(self, encoder: ConvMdrnn):
        super().__init__()
        self.down, self.along = encoder.shape
        self.widths = [block.shape[1] for block in encoder.blocks]
        self.blocks = nn.ModuleList([Block(block) for block in encoder.blocks])
        self.levels = nn.ModuleList([Level(level) if isinstance(level, MdLstm) else Nothing() for level in encoder.levels])

    def forward(self, x: Tensor, n: Tensor) -> Tuple[Tensor, Tensor]:
        h = upright(x, n, self.down, self.along)
        for i, (block, level) in enumerate(zip(self.blocks, self.levels)):
            h = block(h, n)
            n = (n + self.widths[i] - 1) // self.widths[i]
            h = level(h, n)
        return h.sum(1), n


class Between(nn.Module):
    """What stands before a level of `Mdrnn`: blocks, and but for the first tanh units. [B, H, W, D]."""

    def __init__(self, shape: Tuple[int, int], between: nn.Module, first: bool):
        super().__init__()
        self.down, self.along, self.between, self.first = shape[0], shape[1], between, first

    def forward(self, h: Tensor) -> Tensor:
        h = filled_up(h, self.down, self.along)
        h = h.reshape(h.size(0), h.size(1) // self.down, self.down, h.size(2) // self.along, self.along, h.size(3))
        if self.first:                                                                      # pixels lie by columns
            return h.permute(0, 1, 3, 4, 2, 5).flatten(3)
        return torch.tanh(self.between(h.transpose(2, 3).flatten(3)))


class Levels(nn.Module):
    """`Mdrnn`."""

    def __init__(self, encoder: Mdrnn):
        super().__init__()
        self.widths = [along for _, along in encoder.shapes]
        self.befores = nn.ModuleList([Between(shape, before, not number) for number, (shape, before) in
                                      enumerate(zip(encoder.shapes, [nn.Identity(), *encoder.between]))])
        self.levels = nn.ModuleList([Level(level) for level in encoder.levels])

    def forward(self, x: Tensor, n: Tensor) -> Tuple[Tensor, Tensor]:
        h = upright(x, n, 1, 1)                                                             # [B, height, T, 1]
        for i, (before, level) in enumerate(zip(self.befores, self.levels)):
            n = (n + self.widths[i] - 1) // self.widths[i]
            h = level(before(h), n)
        return h.sum(1), n
