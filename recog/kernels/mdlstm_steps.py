"""The steps of an LSTM over images, compiled: the cells of one diagonal after those of the diagonal before, and the way back.

Gates, cells and outputs lie as [units, positions]. What the cells of a diagonal need of the one before stands in frames
[2 units, (H + 2) * B], so that it lies beside what they have of their own: a slot of the first half holds what came from the row before,
of the second half what came from the same row, the column before. A slot that was never written is beyond the image, and zero. move: from
the slot of a row to that of the next row on the way, B or -B. steps: as of `Diagonals`.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from .bounds import LARGEST_CELL
from .cell import ONE, ZERO, options, sigmoid, tanh

MOST = np.float32(LARGEST_CELL)


@njit(**options)
def _standard(i_, f_, e_, g_, o_, p_i, p_f, p_e, p_o, up, left, real, c_, h_):
    for k in range(len(c_)):
        i = sigmoid(i_[k] + p_i * (up[k] + left[k]))
        f, e, g = sigmoid(f_[k] + p_f * up[k]), sigmoid(e_[k] + p_e * left[k]), tanh(g_[k])
        c = f * up[k] + e * left[k] + i * g
        c = -MOST if c < -MOST else c                   # written so that what is not a number stays so
        c = MOST if c > MOST else c
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
def forward_step(begin, end, slot, move, stable, z, p, real, cells, h, cells_before, h_before):
    """One diagonal, positions from `begin` to `end`, whose first row has this slot.

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
        _copy(c, cells_before[k, slot + move:stop + move], left)
        _copy(out, h_before[k, slot + move:stop + move], h_before[units + k, slot:stop])


@njit(**options)
def _standard_back(i_, f_, e_, g_, o_, p_i, p_f, p_e, p_o, up, left, real, c_, dh_, dh_up, dh_left, dc_up, dc_left,
                   di_, df_, de_, dg_, do_, to_up, to_left):
    for k in range(len(c_)):
        i, f, e, g, o, m = i_[k], f_[k], e_[k], g_[k], o_[k], tanh(c_[k])
        dh, dc = dh_[k] + dh_up[k] + dh_left[k], dc_up[k] + dc_left[k]
        do = dh * m * o * (ONE - o)
        dc += dh * o * (ONE - m * m) + do * p_o
        dc = dc if real[k] > ZERO and abs(c_[k]) != MOST else ZERO
        di, df, de = dc * g * i * (ONE - i), dc * up[k] * f * (ONE - f), dc * left[k] * e * (ONE - e)
        di_[k], df_[k], de_[k], dg_[k], do_[k] = di, df, de, dc * i * (ONE - g * g), do if real[k] > ZERO else ZERO
        to_up[k], to_left[k] = dc * f + di * p_i + df * p_f, dc * e + di * p_i + de * p_e


@njit(**options)
def _stable_back(i_, f_, l_, g_, o_, p_i, p_f, p_l, p_o, up, left, real, c_, dh_, dh_up, dh_left, dc_up, dc_left,
                 di_, df_, dl_, dg_, do_, to_up, to_left):
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
def backward_step(begin, end, slot, previous, previous_end, previous_slot, move, stable, z, p, real, cells, before, dh, dh_after, dc_after,
                  dc, dz, dp):
    """The gradients of one diagonal.

    z, cells: as `forward_step` left them; before [2 units, slots]: to work in; dh [units, P]: from above; dh_after, dc_after: frames that
    the diagonal after left. Fills dz [5 units, P] and the frame dc; adds to dp [4, units], in float64.
    """
    units, stop = len(dh), slot + end - begin
    of = real[begin:end]
    for k in range(units):
        i, f, e, g, o = (z[k, begin:end], z[units + k, begin:end], z[2 * units + k, begin:end], z[3 * units + k, begin:end],
                         z[4 * units + k, begin:end])
        di, df, de, dg, do = (dz[k, begin:end], dz[units + k, begin:end], dz[2 * units + k, begin:end], dz[3 * units + k, begin:end],
                              dz[4 * units + k, begin:end])
        c, up, left = cells[k, begin:end], before[k, slot:stop], before[units + k, slot:stop]
        _shift(cells[k, previous:previous_end], previous_slot + move - slot, up)
        _shift(cells[k, previous:previous_end], previous_slot - slot, left)
        dh_up, dh_left = dh_after[k, slot + move:stop + move], dh_after[units + k, slot:stop]
        dc_up, dc_left = dc_after[k, slot + move:stop + move], dc_after[units + k, slot:stop]
        to_up, to_left = dc[k, slot:stop], dc[units + k, slot:stop]
        if stable:
            _stable_back(i, f, e, g, o, p[0, k], p[1, k], p[2, k], p[3, k], up, left, of, c, dh[k, begin:end], dh_up, dh_left,
                         dc_up, dc_left, di, df, de, dg, do, to_up, to_left)
        else:
            _standard_back(i, f, e, g, o, p[0, k], p[1, k], p[2, k], p[3, k], up, left, of, c, dh[k, begin:end], dh_up, dh_left,
                           dc_up, dc_left, di, df, de, dg, do, to_up, to_left)
        for gate, part in enumerate(_peephole_sums(stable, di, df, de, do, e, up, left, c)):
            dp[gate, k] += part


@njit(**options)
def _shift(x, by, y):
    """y[k] = x[k - by], zero where x has none."""
    first, last = min(max(by, 0), len(y)), max(min(len(x) + by, len(y)), 0)
    y[:first] = ZERO
    for k in range(first, last):
        y[k] = x[k - by]
    y[max(first, last):] = ZERO


@njit(**options)
def neighbours(steps, move, h, found):
    """found [2 units, P]: h [units, P] of the position before each in its column, and in its row; zeros where there is none."""
    units = len(h)
    for begin, end, slot, previous, previous_end, previous_slot in steps:
        for k in range(units):
            _shift(h[k, previous:previous_end], previous_slot + move - slot, found[k, begin:end])
            _shift(h[k, previous:previous_end], previous_slot - slot, found[units + k, begin:end])


@njit(**options)
def _add_eight(one, two, v0, v1, v2, v3, w0, w1, w2, w3, x0, x1, x2, x3):
    for k in range(len(one)):
        one[k] += (v0 * x0[k] + v1 * x1[k]) + (v2 * x2[k] + v3 * x3[k])
        two[k] += (w0 * x0[k] + w1 * x1[k]) + (w2 * x2[k] + w3 * x3[k])


@njit(**options)
def _add_two(one, two, v, w, x):
    for k in range(len(one)):
        one[k] += v * x[k]
        two[k] += w * x[k]


@njit(**options)
def _add_one(one, v, x):
    for k in range(len(one)):
        one[k] += v * x[k]


@njit(**options)
def add_product(weights, x, begin, end, total, first, last):
    """total[:, first:last] += weights @ x[:, begin:end]."""
    many = len(x) - len(x) % 4
    for row in range(0, len(weights) - 1, 2):
        v, w, one, two = weights[row], weights[row + 1], total[row, first:last], total[row + 1, first:last]
        for k in range(0, many, 4):
            _add_eight(one, two, v[k], v[k + 1], v[k + 2], v[k + 3], w[k], w[k + 1], w[k + 2], w[k + 3], x[k, begin:end],
                       x[k + 1, begin:end], x[k + 2, begin:end], x[k + 3, begin:end])
        for k in range(many, len(x)):
            _add_two(one, two, v[k], w[k], x[k, begin:end])
    if len(weights) % 2:
        for k in range(len(x)):
            _add_one(total[-1, first:last], weights[-1, k], x[k, begin:end])


@njit(**options)
def forward_all(steps, move, stable, z, weights, p, real, cells, h, cells_before, h_before):
    """All diagonals, without calls of torch. weights [5 units, 2 units]."""
    for begin, end, slot, _, _, _ in steps:
        add_product(weights, h_before, slot, slot + end - begin, z, begin, end)
        forward_step(begin, end, slot, move, stable, z, p, real, cells, h, cells_before, h_before)


@njit(**options)
def backward_all(steps, move, stable, z, weights, p, real, cells, before, dh, dh_after, dc_after, dc, dz, dp):
    """All diagonals, without calls of torch. weights [2 units, 5 units]."""
    for begin, end, slot, previous, previous_end, previous_slot in steps[::-1]:
        backward_step(begin, end, slot, previous, previous_end, previous_slot, move, stable, z, p, real, cells, before, dh, dh_after,
                      dc_after, dc, dz, dp)
        dc_after, dc = dc, dc_after
        dh_after[:, slot:slot + end - begin] = ZERO
        add_product(weights, dz, begin, end, dh_after, slot, slot + end - begin)
