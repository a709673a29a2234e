"""The order in which an LSTM over images goes through their positions, as diagonals.py has it, in torch's operations: for any device.

All four directions at once, and nothing is read back from the device. A direction that goes against an axis begins at another corner, so
that places and neighbours in the order are the same for all; only which position of an image stands there differs.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

FLIPS = ((), (1,), (0,), (0, 1))         # the axes that each direction goes against


class Diagonals:
    """Sorted, each direction's positions lie by diagonals, in each by rows, in each by images: P = H * W * B places."""

    def __init__(self, n: Tensor, height: int, width: int):
        """n [B, 2]: true heights and widths."""
        rows, columns = torch.arange(height, device=n.device), torch.arange(width, device=n.device)
        order = ((rows[:, None] + columns) * height + rows[:, None]).flatten().argsort()
        grid = torch.arange(height * width, device=n.device).view(height, width)
        self.size, self.directions = (height, width), torch.arange(4, device=n.device)[:, None]
        self.order = torch.stack([grid.flip(flips).flatten()[order] for flips in FLIPS])       # [4, H * W]
        self.rank = self.order.argsort(1)
        place = order.argsort().view(height, width)
        none = height * width                                                   # beyond the image
        up = nn.functional.pad(place[:-1], (0, 0, 1, 0), value=none)
        left = nn.functional.pad(place[:, :-1], (1, 0), value=none)
        self.before = torch.stack([up.flatten()[order], left.flatten()[order]], 1)             # [H * W, 2]
        real = (rows < n[:, :1])[:, :, None] & (columns < n[:, 1:])[:, None]
        self.real = real[..., None, None]                                       # [B, H, W, 1, 1]

    def sorted(self, x: Tensor) -> Tensor:
        """x [B, H, W, 4 or 1, D], one for each direction or the same for all, as [4, P, D]."""
        rows = x.flatten(1, 2).permute(2, 1, 0, 3).expand(4, -1, -1, -1)
        return rows[self.directions, self.order].flatten(1, 2).contiguous()

    def inputs(self, x: Tensor) -> Tensor:
        """x [B, H, W, D] as [4, P, D], zeros for the padding."""
        return self.sorted(torch.where(self.real, x[:, :, :, None], 0))

    def laid(self, h: Tensor) -> Tensor:
        """h [4, P, D] as [B, H, W, 4, D]."""
        rows = h.unflatten(1, (self.order.shape[1], -1))[self.directions, self.rank]
        return rows.permute(2, 1, 0, 3).unflatten(1, self.size)

    def neighbours(self, h: Tensor) -> Tensor:
        """Of h [4, P, D], that of the position before each in rows and in columns, or zeros: [4, P, 2, D]."""
        rows = nn.functional.pad(h.unflatten(1, (len(self.before), -1)), (0, 0, 0, 0, 0, 1))
        return rows[:, self.before].transpose(2, 3).flatten(1, 2)               # [4, H * W, 2, B, D] before
