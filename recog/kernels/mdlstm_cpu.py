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

from ..threads import at_once, shares
from .cell import ONE, ZERO, options, sigmoid, tanh
from .diagonals import Diagonals

FEW = 6                                  # up to so many units go without torch's products


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
def _standard_back(i_, f_, e_, g_, o_, p_i, p_f, p_e, p_o, up, left, real, c_, dh_, dh_up, dh_left, dc_up, dc_left,
                   di_, df_, de_, dg_, do_, to_up, to_left):
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
            _stable_back(i, f, e, g, o, p[0, k], p[1, k], p[2, k], p[3, k], up, left, of, c, dh[k, begin:end], dh_up, dh_left,
                         dc_up, dc_left, di, df, de, dg, do, to_up, to_left)
        else:
            _standard_back(i, f, e, g, o, p[0, k], p[1, k], p[2, k], p[3, k], up, left, of, c, dh[k, begin:end], dh_up, dh_left,
                           dc_up, dc_left, di, df, de, dg, do, to_up, to_left)
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
            _add_four(out, w[k], w[k + 1], w[k + 2], w[k + 3], x[k, begin:end], x[k + 1, begin:end], x[k + 2, begin:end],
                      x[k + 3, begin:end])
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


def _frames(units: int, height: int, batch: int, count: int) -> list[Tensor]:
    return list(torch.zeros(count, 2 * units, (height + 1) * batch).unbind())


def _forward(way: Diagonals, x: Tensor, weight_ih: Tensor, weight_hh: Tensor, bias: Tensor, peepholes: Tensor, stable: bool, out: Tensor
             ) -> tuple[Tensor, Tensor]:
    """Fills out [B, H, W, units]; gates [5 units, places] and cells [units, places]."""
    units = out.shape[3]
    z = torch.addmm(bias[:, None], weight_ih, way.inputs(x).t())
    cells, h = z.new_empty(units, z.shape[1]), z.new_empty(units, z.shape[1])
    cells_before, h_before = _frames(units, way.height, way.batch, 2)
    arrays = [part.numpy() for part in (cells, h, cells_before, h_before)]
    if units <= FEW:
        forward_few(way.borders, way.slots, way.batch, stable, z.numpy(), weight_hh.numpy(), peepholes.numpy(), way.real, *arrays)
    else:
        for begin, end, slot in zip(way.borders.tolist(), way.borders[1:].tolist(), way.slots.tolist()):
            z[:, begin:end].addmm_(weight_hh, h_before[:, slot:slot + end - begin])
            forward_step(begin, end, slot, way.batch, stable, z.numpy(), peepholes.numpy(), way.real, *arrays)
    way.put(h, out)
    return z, cells


def _backward(way: Diagonals, x: Tensor, weight_ih: Tensor, weight_hh: Tensor, peepholes: Tensor, stable: bool, h: Tensor, dh: Tensor,
              z: Tensor, cells: Tensor, dx: Tensor | None) -> tuple[Tensor, ...]:
    """The gradients of the weights; adds to dx [B, H, W, D]."""
    units, dz, dp = len(cells), torch.empty_like(z), np.zeros((4, len(cells)))
    frames = _frames(units, way.height, way.batch, 4)
    before, dh_after, dc_after, dc = (frame.numpy() for frame in frames)
    same, back = (stable, z.numpy()), weight_hh.t().contiguous()
    given = peepholes.numpy(), way.real, cells.numpy(), before, way.across(dh).numpy(), dh_after
    if units <= FEW:
        backward_few(way.borders, way.slots, way.batch, *same, back.numpy(), *given, dc_after, dc, dz.numpy(), dp)
    else:
        borders, slots = way.borders.tolist(), way.slots.tolist()
        for s in range(len(slots) - 1, -1, -1):
            begin, end, slot, previous = borders[s], borders[s + 1], slots[s], max(0, s - 1)
            backward_step(begin, end, slot, way.batch, borders[previous], slots[previous], *same, *given, dc_after, dc, dz.numpy(), dp)
            dc_after, dc = dc, dc_after
            torch.mm(back, dz[:, begin:end], out=frames[1][:, slot:slot + end - begin])
    if dx is not None:
        way.add(weight_ih.t() @ dz, dx)
    both = dz @ way.inputs(x, h)
    return both[:, :x.shape[3]], both[:, x.shape[3]:], dz.sum(1), torch.from_numpy(dp).float()


def _parts(batch: int, groups: int) -> list[tuple[int, int, int]]:
    """Direction, first image, and last, of each part of the work."""
    borders = [batch * part // groups for part in range(groups + 1)]
    return [(direction, *part) for direction in range(4) for part in zip(borders, borders[1:])]


def forward(x: Tensor, n: Tensor, weight_ih: Tensor, weight_hh: Tensor, bias: Tensor, peepholes: Tensor, stable: bool
            ) -> tuple[Tensor, ...]:
    """h [B, H, W, 4 units], and gates and cells of each part of the work. x [B, H, W, D], n [B, 2]; the weights as in MdLstm."""
    units = peepholes.shape[2]
    h = x.new_empty(*x.shape[:3], 4 * units)
    parts = _parts(len(x), max(1, min(len(x), torch.get_num_threads() // 4)))

    def run(begin: int, end: int) -> list[Tensor]:
        kept = []
        for k, first, last in parts[begin:end]:
            out = h[..., k * units:(k + 1) * units]
            kept += _forward(Diagonals(x, n, k, first, last), x, weight_ih[k], weight_hh[k], bias[k], peepholes[k], stable, out)
        return kept

    return h, *sum(at_once(run, *shares(len(parts), 1)), [])


def backward(x: Tensor, n: Tensor, weight_ih: Tensor, weight_hh: Tensor, bias: Tensor, peepholes: Tensor, h: Tensor, *rest
             ) -> tuple[Tensor | None, ...]:
    """The gradients of x (or None), weight_ih, weight_hh, bias and peepholes.

    rest: what `forward` kept, dh [B, H, W, 4 units], stable, and whether x needs a gradient.
    """
    *kept, dh, stable, wanted = rest
    units, parts = peepholes.shape[2], _parts(len(x), len(kept) // 8)

    def run(begin: int, end: int) -> tuple[Tensor | None, list]:
        dx, found = torch.zeros_like(x) if wanted else None, []
        for number in range(begin, end):
            k, first, last = parts[number]
            outs = [each[..., k * units:(k + 1) * units] for each in (h, dh)]
            found.append(_backward(Diagonals(x, n, k, first, last), x, weight_ih[k], weight_hh[k], peepholes[k], stable, *outs,
                                   *kept[2 * number:2 * number + 2], dx))
        return dx, found

    runs = at_once(run, *shares(len(parts), 1))
    weights = zip(*(found for _, several in runs for found in several))
    return (sum(dx for dx, _ in runs) if wanted else None, *(torch.stack(kind).unflatten(0, (4, -1)).sum(1) for kind in weights))
