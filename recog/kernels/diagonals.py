"""The order in which an LSTM over images goes through their positions: by diagonals, in each by rows, in each by images.

The loops are compiled. up, left: whether the way goes up instead of down, and left instead of right; that is another corner to begin at.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from torch import Tensor

from .cell import ONE, ZERO, options

TILE = 16                                # diagonals; then what is read and what is written both lie in a few short runs


@njit(**options)
def sort(height, width, up, left, n, borders, order, real, tiles):
    """Fills order [P] with the positions' places in [B, H, W], and real [P] with 1, or 0 in the padding. n [B, 2]: true heights and widths.

    borders: where the diagonals begin. tiles [P]: in which order to go through the positions, so that copies are fast.
    """
    q, batch = 0, len(n)
    for first in range(0, height + width - 1, TILE):
        for y in range(height):
            row = height - 1 - y if up else y
            for b in range(batch):
                for s in range(max(first, y), min(first + TILE, y + width)):
                    column = width - 1 - (s - y) if left else s - y
                    p = borders[s] + (y - max(0, s - width + 1)) * batch + b
                    order[p] = (b * height + row) * width + column
                    real[p] = ONE if row < n[b, 0] and column < n[b, 1] else ZERO
                    tiles[q] = p
                    q += 1


@njit(**options)
def take(x, order, real, tiles, found):
    """found [P, D or more]: the rows of x in their order, zeros for the padding."""
    D = x.shape[1]
    for p in tiles:
        at = order[p]
        if real[p] > ZERO:
            for k in range(D):
                found[p, k] = x[at, k]
        else:
            for k in range(D):
                found[p, k] = ZERO


@njit(**options)
def take_across(x, order, real, tiles, found):
    """found [D, P]."""
    D = x.shape[1]
    for p in tiles:
        at, is_real = order[p], real[p] > ZERO
        for k in range(D):
            found[k, p] = x[at, k] if is_real else ZERO


@njit(**options)
def put(h, order, tiles, x):
    """x[order]: the columns of h [D, P]."""
    D = len(h)
    for p in tiles:
        at = order[p]
        for k in range(D):
            x[at, k] = h[k, p]


@njit(**options)
def put_more(columns, order, real, tiles, x):
    D = x.shape[1]
    for p in tiles:
        if real[p] > ZERO:
            at = order[p]
            for k in range(D):
                x[at, k] += columns[k, p]


@njit(**options)
def take_neighbours(h, height, width, up, left, order, real, tiles, found):
    """The last columns of found [P, any + 2 units]: h of each position's neighbours before it in rows and in columns, or zeros."""
    units, down, right = h.shape[1], -width if up else width, -1 if left else 1
    first, top, side = found.shape[1] - 2 * units, height - 1 if up else 0, width - 1 if left else 0
    for p in tiles:
        at = order[p]
        rest = at // width
        has_row, has_column = real[p] > ZERO and rest % height != top, real[p] > ZERO and at - rest * width != side
        for k in range(units):
            found[p, first + k] = h[at - down, k] if has_row else ZERO
        for k in range(units):
            found[p, first + units + k] = h[at - right, k] if has_column else ZERO


class Diagonals:
    """The order of one direction in the images from `first` to `last`.

    direction: 0 down and to the right, 1 down and to the left, 2 up and to the right, 3 up and to the left.
    borders [diagonals + 1]: where they begin; slots [diagonals]: the first of their rows, times images.
    """

    def __init__(self, x: Tensor, n: Tensor, direction: int, first: int, last: int):
        self.height, self.width = x.shape[1:3]
        self.direction, self.batch, self.way = direction, last - first, (direction >= 2, direction % 2 == 1)
        self.places = slice(first * self.height * self.width, last * self.height * self.width)
        size = self.batch * self.height * self.width
        self.order, self.real, self.tiles = np.empty(size, np.int64), np.empty(size, np.float32), np.empty(size, np.int64)
        s = np.arange(self.height + self.width - 1)
        tops, ends = np.maximum(0, s - self.width + 1), np.minimum(self.height, s + 1)
        self.slots, self.borders = tops * self.batch, np.concatenate([[0], np.cumsum((ends - tops) * self.batch)])
        sort(self.height, self.width, *self.way, n[first:last].numpy(), self.borders, self.order, self.real, self.tiles)

    def _of(self, x: Tensor) -> np.ndarray:
        """Their part of [B, H, W, any] as [places, any]."""
        return x.flatten(0, 2)[self.places].numpy()

    def inputs(self, x: Tensor, h: Tensor | None = None) -> Tensor:
        """Rows of x, and of h where it is given: of the neighbours in rows, then in columns."""
        found = x.new_empty(len(self.order), x.shape[3] + (2 * h.shape[3] if h is not None else 0))
        take(self._of(x), self.order, self.real, self.tiles, found.numpy())
        if h is not None:
            take_neighbours(self._of(h), self.height, self.width, *self.way, self.order, self.real, self.tiles, found.numpy())
        return found

    def across(self, x: Tensor) -> Tensor:
        """x [B, H, W, D] as [D, positions]."""
        found = x.new_empty(x.shape[3], len(self.order))
        take_across(self._of(x), self.order, self.real, self.tiles, found.numpy())
        return found

    def put(self, columns: Tensor, x: Tensor) -> None:
        """columns [D, positions] into x [B, H, W, D]."""
        put(columns.numpy(), self.order, self.tiles, self._of(x))

    def add(self, columns: Tensor, x: Tensor) -> None:
        """As `put`, but what is there is added to."""
        put_more(columns.numpy(), self.order, self.real, self.tiles, self._of(x))
