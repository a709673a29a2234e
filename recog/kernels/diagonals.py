"""The positions of images in the order in which an LSTM over images goes through them, compiled: by diagonals, in each by rows, then images.

up, left: whether the way goes up instead of down, and left instead of right: the diagonals then begin in another corner.
"""

from __future__ import annotations

from numba import njit

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
    """found [P, .. + 2 units]: in its last columns, of each position, h of the neighbours before it in rows and in columns, zeros beyond the
    image.
    """
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
