"""An LSTM's activation functions and one step of its cells, compiled, float32.

Loops over a row stand in small functions of their own, which the compiler turns into vector instructions: the activation
functions are fractions of polynomials for that reason.
"""

from __future__ import annotations

import numpy as np
from numba import njit

# tanh(x) / x as a fraction of polynomials in x^2 on [-9, 9], beyond which it is 1 in float32. Fitted by weighted least
# squares to a relative error of 2e-8; evaluated in float32 it is within 4e-7 (tests/test_peephole.py).
P0, P1, P2, P3, P4 = map(np.float32, (9.999999795e-01, 1.338101899e-01, 3.495580220e-03, 2.060895370e-05, 1.335448904e-08))
Q1, Q2, Q3, Q4 = map(np.float32, (4.671433458e-01, 2.587695211e-02, 3.285621931e-04, 7.776486354e-07))
ZERO, HALF, ONE, END = np.float32(0), np.float32(0.5), np.float32(1), np.float32(9)

options = {"nogil": True, "cache": True, "error_model": "numpy", "fastmath": {"contract", "nsz", "arcp"}}


@njit(inline="always", **options)
def tanh(x):
    x = -END if x < -END else x                     # written so that what is not a number stays so
    x = END if x > END else x
    s = x * x
    y = x * (P0 + s * (P1 + s * (P2 + s * (P3 + s * P4)))) / (ONE + s * (Q1 + s * (Q2 + s * (Q3 + s * Q4))))
    y = -ONE if y < -ONE else y
    return ONE if y > ONE else y


@njit(inline="always", **options)
def sigmoid(x):
    return HALF + HALF * tanh(HALF * x)


@njit(**options)
def cell(i_, f_, g_, o_, p_i, p_f, p_o, c_before, c_, h_):
    """One sequence, one step: fills c_ and h_ [H], and puts the gates' activations in the place of what they are given [H]."""
    for k in range(len(c_)):
        i = sigmoid(i_[k] + p_i[k] * c_before[k])
        f = sigmoid(f_[k] + p_f[k] * c_before[k])
        g = tanh(g_[k])
        c = f * c_before[k] + i * g
        o = sigmoid(o_[k] + p_o[k] * c)
        i_[k], f_[k], g_[k], o_[k], c_[k] = i, f, g, o, c
        h_[k] = o * tanh(c)


@njit(**options)
def tanh_sums(x, ys, out):
    """out[k] = tanh(x + ys[k]): x [E], ys and out [K, E]."""
    for k in range(len(ys)):
        _tanh_sum(x, ys[k], out[k])


@njit(**options)
def _tanh_sum(x, y, out):
    for e in range(len(x)):
        out[e] = tanh(x[e] + y[e])


@njit(**options)
def next_cells(given, rows, inputs, units, peepholes, cells, c, h):
    """The cells after one more label each: gates are given given[rows[k]] + inputs[units[k]], after cells[rows[k]].

    given, inputs [_, 4H], gates in the order i, f, g, o; peepholes [3, H]; cells [_, H]; fills c and h [K, H].
    """
    H = cells.shape[1]
    z = np.empty(4 * H, np.float32)
    for k in range(len(rows)):
        _sum(given[rows[k]], inputs[units[k]], z)
        cell(z[:H], z[H:2 * H], z[2 * H:3 * H], z[3 * H:], peepholes[0], peepholes[1], peepholes[2], cells[rows[k]], c[k], h[k])


@njit(**options)
def _sum(x, y, out):
    for k in range(len(x)):
        out[k] = x[k] + y[k]
