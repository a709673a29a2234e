"""The order in which an LSTM over images goes through their positions: by diagonals, in each by rows, in each by images.

A direction and the one against it share an order, and go through it from its two ends. The loops are compiled. They copy by runs: a few
successive positions of a row, which lie in as many successive diagonals. left: whether the way goes to the left (and down) instead of right.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from torch import Tensor

from .cell import ONE, ZERO, options

LONGEST = 16                             # diagonals of a run; then what is read and what is written both lie in a few short stretches


@njit(**options)
def sort(height, width, left, n, bases, real, runs):
    """Fills real [P] with 1, or 0 in the padding, and runs [_, 5]; gives how many there are. n [B, 2]: true heights and widths.

    bases: the position at diagonal s, row y, image b is bases[s] + y * B + b. A run is: first diagonal and the
    one after the last; what to add to their bases; the first position's place in [B, H, W]; 1, or 0 for padding.
    """
    q, batch = 0, len(n)
    for first in range(0, height + width - 1, LONGEST):
        for y in range(max(0, first - width + 1), min(height, first + LONGEST)):
            begin, end = max(first, y), min(first + LONGEST, y + width)
            for b in range(batch):
                true = n[b, 1] if y < n[b, 0] else 0
                middle = min(end, max(begin, y + (width - true if left else true)))           # there the padding ends, or begins
                for s, stop in ((begin, middle), (middle, end)):
                    if s < stop:
                        within = (s < middle) != left
                        column = width - 1 - (s - y) if left else s - y
                        runs[q, 0], runs[q, 1], runs[q, 2], runs[q, 3] = s, stop, y * batch + b, (b * height + y) * width + column
                        runs[q, 4] = within
                        q += 1
                        for diagonal in range(s, stop):
                            real[bases[diagonal] + y * batch + b] = ONE if within else ZERO
    return q


@njit(**options)
def take(x, left, bases, runs, found):
    """found [P, D + 1]: the rows of x in their order and a 1; zeros for the padding."""
    D, step = x.shape[1], -1 if left else 1
    for begin, end, more, at, within in runs:
        for s in range(begin, end):
            p = bases[s] + more
            for k in range(D):
                found[p, k] = x[at, k] if within else ZERO
            found[p, D] = ONE if within else ZERO
            at += step


@njit(**options)
def take_across(x, left, bases, runs, found):
    """found [D, P]."""
    D, step = x.shape[1], -1 if left else 1
    for begin, end, more, at, within in runs:
        for s in range(begin, end):
            p = bases[s] + more
            for k in range(D):
                found[k, p] = x[at, k] if within else ZERO
            at += step


@njit(**options)
def put(columns, left, bases, runs, x):
    """The columns of [D, P] into the rows of x."""
    D, step = len(columns), -1 if left else 1
    for begin, end, more, at, _ in runs:
        for s in range(begin, end):
            p = bases[s] + more
            for k in range(D):
                x[at, k] = columns[k, p]
            at += step


@njit(**options)
def put_more(columns, left, bases, runs, x):
    """As `put`, but what is there is added to, and the padding stays."""
    D, step = x.shape[1], -1 if left else 1
    for begin, end, more, at, within in runs:
        if within:
            for s in range(begin, end):
                p = bases[s] + more
                for k in range(D):
                    x[at, k] += columns[k, p]
                at += step


class Diagonals:
    """The order of a direction, and of the one against it, which goes through the same diagonals from the last to the first.

    left: the direction is down and to the left, or against that up and to the right; else down and to the right, or up and to the left.
    Of the images from `first` to `last`. borders [diagonals + 1]: where the diagonals begin; slots [diagonals]: the first of their rows,
    times images, after one row that there is not.
    """

    def __init__(self, x: Tensor, n: Tensor, left: bool, first: int, last: int):
        self.height, self.width = x.shape[1:3]
        self.batch, self.left = last - first, left
        self.places = slice(first * self.height * self.width, last * self.height * self.width)
        s = np.arange(self.height + self.width - 1)
        tops, ends = np.maximum(0, s - self.width + 1), np.minimum(self.height, s + 1)
        self.slots, self.borders = (1 + tops) * self.batch, np.concatenate([[0], np.cumsum((ends - tops) * self.batch)])
        self.bases, self.real = self.borders[:-1] - tops * self.batch, np.empty(self.borders[-1], np.float32)
        runs = np.empty((self.batch * self.height * (self.width // LONGEST + 3), 5), np.int64)
        self.runs = runs[:sort(self.height, self.width, left, n[first:last].numpy(), self.bases, self.real, runs)]

    def steps(self, against: bool) -> np.ndarray:
        """[diagonals, 6], in the order of the way: begin, end and slot of each, and of the one before it; before the first is an empty one."""
        each = np.stack([self.borders[:-1], self.borders[1:], self.slots], 1)[::-1 if against else 1]
        return np.concatenate([each, np.concatenate([each[:1, [0, 0, 2]], each[:-1]])], 1)

    def move(self, against: bool) -> int:
        """From the slot of a row to that of the next row on the way."""
        return -self.batch if against else self.batch

    def _of(self, x: Tensor) -> np.ndarray:
        """Their part of [B, H, W, any] as [places, any]."""
        return x.flatten(0, 2)[self.places].numpy()

    def rows(self, x: Tensor) -> Tensor:
        """x [B, H, W, D] as [positions, D + 1], with a 1 at the end of each row, for biases; zeros in the padding."""
        found = x.new_empty(len(self.real), x.shape[3] + 1)
        take(self._of(x), self.left, self.bases, self.runs, found.numpy())
        return found

    def columns(self, x: Tensor) -> Tensor:
        """x [B, H, W, D] as [D, positions]; zeros in the padding."""
        found = x.new_empty(x.shape[3], len(self.real))
        take_across(self._of(x), self.left, self.bases, self.runs, found.numpy())
        return found

    def put(self, columns: Tensor, x: Tensor) -> None:
        """columns [D, positions] into x [B, H, W, D]."""
        put(columns.numpy(), self.left, self.bases, self.runs, self._of(x))

    def add(self, columns: Tensor, x: Tensor) -> None:
        """As `put`, but what is there is added to."""
        put_more(columns.numpy(), self.left, self.bases, self.runs, self._of(x))
