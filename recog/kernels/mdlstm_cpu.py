"""The recurrence of an LSTM over images on a CPU, float32, one diagonal after the other.

Each direction of each group of images is worked alone, in a thread. Its positions are sorted by diagonals, in each by rows, then images:
gates and cells lie as [features, positions], so that the independent cells of a diagonal are neighbours in memory and fill the vectors
however few units there are, and the products of all positions, and of each diagonal, are matrix products as they lie. A direction that
goes against an axis only sorts the other way round.

What the cells of a diagonal need of the one before stands in frames [2 units, (H + 1) * B]: slot y of the first half holds what came from
row y - 1, of the second half from row y. A slot that was never written is beyond the image, and zero.
"""

from __future__ import annotations

import numpy as np
import torch
from numba import njit
from torch import Tensor

from ..threads import at_once
from .cell import ONE, ZERO, options, sigmoid, tanh

FEW = 6                                  # up to so many units go without torch's products


@njit(**options)
def sort(height, width, up, left, n, order, real):
    """Fills order [P] with the positions' places in [B, H, W] by diagonals, and real [P] with 1, or 0 in the padding."""
    p = 0
    for s in range(height + width - 1):
        for y in range(max(0, s - width + 1), min(height, s + 1)):
            row, column = height - 1 - y if up else y, width - 1 - (s - y) if left else s - y
            for b in range(len(n)):
                order[p] = (b * height + row) * width + column
                real[p] = ONE if row < n[b, 0] and column < n[b, 1] else ZERO
                p += 1


@njit(**options)
def take(x, order, real, found):
    """found [P, D]: the rows of x in their order, zeros for the padding."""
    for p in range(len(order)):
        if real[p] > ZERO:
            found[p] = x[order[p]]
        else:
            found[p] = ZERO


@njit(**options)
def take_across(x, order, real, found):
    """found [D, P]."""
    for p in range(len(order)):
        row = x[order[p]]
        for k in range(len(row)):
            found[k, p] = row[k] if real[p] > ZERO else ZERO


@njit(**options)
def put(h, order, x):
    """x[order]: the columns of h [D, P]."""
    for p in range(len(order)):
        row = x[order[p]]
        for k in range(len(row)):
            row[k] = h[k, p]


@njit(**options)
def put_more(rows, order, real, x):
    for p in range(len(order)):
        if real[p] > ZERO:
            x[order[p]] += rows[p]


@njit(**options)
def take_neighbours(h, height, width, up, left, order, real, found):
    """found [P, 2 units]: of each position, h of the neighbours before it in rows and in columns; zeros beyond the image."""
    units, down, right = h.shape[1], -width if up else width, -1 if left else 1
    for p in range(len(order)):
        row, column = order[p] // width % height, order[p] % width
        first, second = found[p, :units], found[p, units:]
        first[:], second[:] = ZERO, ZERO
        if real[p] > ZERO:
            if row != (height - 1 if up else 0):
                first[:] = h[order[p] - down]
            if column != (width - 1 if left else 0):
                second[:] = h[order[p] - right]


@njit(**options)
def _standard(i_, f_, e_, g_, o_, p_i, p_f, p_e, p_o, up, left, real, c_, h_):
    for k in range(len(c_)):
        i = sigmoid(i_[k] + p_i * (up[k] + left[k]))
        f, e, g = sigmoid(f_[k] + p_f * up[k]), sigmoid(e_[k] + p_e * left[k]), tanh(g_[k])
        c = f * up[k] + e * left[k] + i * g
        o = sigmoid(o_[k] + p_o * c)
        i_[k], f_[k], e_[k], g_[k], o_[k] = i, f, e, g, o
        h = o * tanh(c)
        c_[k], h_[k] = c if real[k] > ZERO else ZERO, h if real[k] > ZERO else ZERO


@njit(**options)
def _stable(i_, f_, l_, g_, o_, p_i, p_f, p_l, p_o, up, left, real, c_, h_):
    for k in range(len(c_)):
        apart = up[k] - left[k]
        l = sigmoid(l_[k] + p_l * apart)
        mean = left[k] + l * apart
        i, f, g = sigmoid(i_[k] + p_i * mean), sigmoid(f_[k] + p_f * mean), tanh(g_[k])
        c = f * mean + i * g
        o = sigmoid(o_[k] + p_o * c)
        i_[k], f_[k], l_[k], g_[k], o_[k] = i, f, l, g, o
        h = o * tanh(c)
        c_[k], h_[k] = c if real[k] > ZERO else ZERO, h if real[k] > ZERO else ZERO


@njit(**options)
def _copy(x, y, z):
    for k in range(len(x)):
        y[k] = x[k]
        z[k] = x[k]


@njit(**options)
def forward_step(begin, end, slot, batch, stable, z, p, real, cells, h, cells_before, h_before):
    """One diagonal, positions from `begin` to `end`, whose first row begins at `slot`.

    z [5 units, P]: what the gates are given, peepholes apart, and afterwards their activations; p [4, units]: peepholes; fills
    cells, h [units, P] and moves the frames on.
    """
    units, stop = len(h), slot + end - begin
    of = real[begin:end]
    for k in range(units):
        i, f, e, g, o = (z[k, begin:end], z[units + k, begin:end], z[2 * units + k, begin:end], z[3 * units + k, begin:end],
                         z[4 * units + k, begin:end])
        c, out, up, left = cells[k, begin:end], h[k, begin:end], cells_before[k, slot:stop], cells_before[units + k, slot:stop]
        if stable:
            _stable(i, f, e, g, o, p[0, k], p[1, k], p[2, k], p[3, k], up, left, of, c, out)
        else:
            _standard(i, f, e, g, o, p[0, k], p[1, k], p[2, k], p[3, k], up, left, of, c, out)
        _copy(c, cells_before[k, slot + batch:stop + batch], left)
        _copy(out, h_before[k, slot + batch:stop + batch], h_before[units + k, slot:stop])


@njit(**options)
def _standard_back(i_, f_, e_, g_, o_, p_i, p_f, p_e, p_o, up, left, real, c_, dh_, dh_up, dh_left, dc_up, dc_left, di_, df_, de_, dg_, do_,
                   to_up, to_left):
    for k in range(len(c_)):
        i, f, e, g, o, m = i_[k], f_[k], e_[k], g_[k], o_[k], tanh(c_[k])
        dh, dc = dh_[k] + dh_up[k] + dh_left[k], dc_up[k] + dc_left[k]
        do = dh * m * o * (ONE - o)
        dc += dh * o * (ONE - m * m) + do * p_o
        dc = dc if real[k] > ZERO else ZERO
        di, df, de = dc * g * i * (ONE - i), dc * up[k] * f * (ONE - f), dc * left[k] * e * (ONE - e)
        di_[k], df_[k], de_[k], dg_[k], do_[k] = di, df, de, dc * i * (ONE - g * g), do if real[k] > ZERO else ZERO
        to_up[k], to_left[k] = dc * f + di * p_i + df * p_f, dc * e + di * p_i + de * p_e


@njit(**options)
def _stable_back(i_, f_, l_, g_, o_, p_i, p_f, p_l, p_o, up, left, real, c_, dh_, dh_up, dh_left, dc_up, dc_left, di_, df_, dl_, dg_, do_,
                 to_up, to_left):
    for k in range(len(c_)):
        i, f, l, g, o, m = i_[k], f_[k], l_[k], g_[k], o_[k], tanh(c_[k])
        apart = up[k] - left[k]
        mean = left[k] + l * apart
        dh, dc = dh_[k] + dh_up[k] + dh_left[k], dc_up[k] + dc_left[k]
        do = dh * m * o * (ONE - o)
        dc += dh * o * (ONE - m * m) + do * p_o
        dc = dc if real[k] > ZERO else ZERO
        di, df = dc * g * i * (ONE - i), dc * mean * f * (ONE - f)
        dmean = dc * f + di * p_i + df * p_f
        dl = dmean * apart * l * (ONE - l)
        di_[k], df_[k], dl_[k], dg_[k], do_[k] = di, df, dl, dc * i * (ONE - g * g), do if real[k] > ZERO else ZERO
        to_up[k], to_left[k] = dmean * l + dl * p_l, dmean * (ONE - l) - dl * p_l


@njit(**options | {"fastmath": {"contract", "nsz", "arcp", "reassoc"}})         # so that sums become vectors
def _peephole_sums(stable, di_, df_, de_, do_, l_, up, left, c_):
    i, f, e, o = ZERO, ZERO, ZERO, ZERO
    for k in range(len(c_)):
        mean = left[k] + l_[k] * (up[k] - left[k])
        i += di_[k] * (mean if stable else up[k] + left[k])
        f += df_[k] * (mean if stable else up[k])
        e += de_[k] * (up[k] - left[k] if stable else left[k])
        o += do_[k] * c_[k]
    return i, f, e, o


@njit(**options)
def backward_step(begin, end, slot, batch, previous, first, stable, z, p, real, cells, cells_before, dh, dh_after, dc_after, dc, dz, dp):
    """The gradients of one diagonal. previous, first: where the diagonal before and its first row begin.

    z, cells: as `forward_step` left them; cells_before: a frame to work in; dh [units, P]: from above; dh_after, dc_after: frames that the
    diagonal after left. Fills dz [5 units, P] and the frame dc; adds to dp [4, units], in float64.
    """
    units, stop, last = len(dh), slot + end - begin, first + begin - previous
    of = real[begin:end]
    for k in range(units):
        _copy(cells[k, previous:begin], cells_before[k, first + batch:last + batch], cells_before[units + k, first:last])
        cells_before[units + k, last:max(last, stop)] = ZERO                    # a diagonal that has one row more than the one before
        i, f, e, g, o = (z[k, begin:end], z[units + k, begin:end], z[2 * units + k, begin:end], z[3 * units + k, begin:end],
                         z[4 * units + k, begin:end])
        di, df, de, dg, do = (dz[k, begin:end], dz[units + k, begin:end], dz[2 * units + k, begin:end], dz[3 * units + k, begin:end],
                              dz[4 * units + k, begin:end])
        c, up, left = cells[k, begin:end], cells_before[k, slot:stop], cells_before[units + k, slot:stop]
        dh_up, dh_left = dh_after[k, slot + batch:stop + batch], dh_after[units + k, slot:stop]
        dc_up, dc_left = dc_after[k, slot + batch:stop + batch], dc_after[units + k, slot:stop]
        to_up, to_left = dc[k, slot:stop], dc[units + k, slot:stop]
        if stable:
            _stable_back(i, f, e, g, o, p[0, k], p[1, k], p[2, k], p[3, k], up, left, of, c, dh[k, begin:end], dh_up, dh_left, dc_up, dc_left,
                         di, df, de, dg, do, to_up, to_left)
        else:
            _standard_back(i, f, e, g, o, p[0, k], p[1, k], p[2, k], p[3, k], up, left, of, c, dh[k, begin:end], dh_up, dh_left, dc_up, dc_left,
                           di, df, de, dg, do, to_up, to_left)
        for gate, part in enumerate(_peephole_sums(stable, di, df, de, do, e, up, left, c)):
            dp[gate, k] += part


@njit(**options)
def _add_four(total, w0, w1, w2, w3, x0, x1, x2, x3):
    for k in range(len(total)):
        total[k] += (w0 * x0[k] + w1 * x1[k]) + (w2 * x2[k] + w3 * x3[k])


@njit(**options)
def _add_one(total, w, x):
    for k in range(len(total)):
        total[k] += w * x[k]


@njit(**options)
def add_product(weights, x, begin, end, total, first, last):
    """total[:, first:last] += weights @ x[:, begin:end]."""
    many = len(x) - len(x) % 4
    for row in range(len(weights)):
        w, out = weights[row], total[row, first:last]
        for k in range(0, many, 4):
            _add_four(out, w[k], w[k + 1], w[k + 2], w[k + 3], x[k, begin:end], x[k + 1, begin:end], x[k + 2, begin:end], x[k + 3, begin:end])
        for k in range(many, len(x)):
            _add_one(out, w[k], x[k, begin:end])


@njit(**options)
def forward_few(borders, slots, batch, stable, z, weights, p, real, cells, h, cells_before, h_before):
    """All diagonals without calls of torch."""
    for s in range(len(slots)):
        begin, end, slot = borders[s], borders[s + 1], slots[s]
        add_product(weights, h_before, slot, slot + end - begin, z, begin, end)
        forward_step(begin, end, slot, batch, stable, z, p, real, cells, h, cells_before, h_before)


@njit(**options)
def backward_few(borders, slots, batch, stable, z, weights, p, real, cells, cells_before, dh, dh_after, dc_after, dc, dz, dp):
    """All diagonals without calls of torch. weights [2 units, 5 units]."""
    for s in range(len(slots) - 1, -1, -1):
        begin, end, slot = borders[s], borders[s + 1], slots[s]
        previous, first = borders[max(0, s - 1)], slots[max(0, s - 1)]
        backward_step(begin, end, slot, batch, previous, first, stable, z, p, real, cells, cells_before, dh, dh_after, dc_after, dc, dz, dp)
        dc_after, dc = dc, dc_after
        dh_after[:, slot:slot + end - begin] = ZERO
        add_product(weights, dz, begin, end, dh_after, slot, slot + end - begin)
