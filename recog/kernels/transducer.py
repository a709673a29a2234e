"""The transducer's lattice, compiled: Graves 2012, equations 16 to 20, one utterance at a time, in float64 inside.

Node (t, u): frame t is being read and u labels are written. A blank leads to (t + 1, u), a label to (t, u + 1).
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit

from .ctc_beam import logadd


@njit(cache=True, nogil=True)
def forwards(blank, label):
    """Log-probability of reaching each node, float64 [T, U + 1]; what is written and the last blank follow from it."""
    T, N = blank.shape
    alpha = np.empty((T, N))
    alpha[0, 0] = 0.0
    for u in range(1, N):
        alpha[0, u] = alpha[0, u - 1] + label[0, u - 1]
    for t in range(1, T):
        alpha[t, 0] = alpha[t - 1, 0] + blank[t - 1, 0]
        for u in range(1, N):
            alpha[t, u] = logadd(alpha[t - 1, u] + blank[t - 1, u], alpha[t, u - 1] + label[t, u - 1])
    return alpha


@njit(cache=True, nogil=True)
def posteriors(blank, label, wanted):
    """Log-probability of the labels. blank, label [T, U + 1]: log-probabilities of each node's two ways on.

    With `wanted`, the probability that a path which writes the labels goes each way takes their place, in the same arrays.
    The last column of `label` leads nowhere and counts for nothing.
    """
    T, N = blank.shape
    if T == 0:
        return 0.0 if N == 1 else -np.inf
    alpha = forwards(blank, label)
    total = alpha[T - 1, N - 1] + blank[T - 1, N - 1]
    if not wanted:
        return total
    beta = np.full(N + 1, -np.inf)                                 # of the frame below, then of this one
    for t in range(T - 1, -1, -1):
        for u in range(N - 1, -1, -1):
            stays = blank[t, u] + (beta[u] if t < T - 1 else 0.0 if u == N - 1 else -np.inf)
            writes = label[t, u] + beta[u + 1] if u < N - 1 else -np.inf
            reached = alpha[t, u] - total if total > -np.inf else -np.inf
            blank[t, u], label[t, u] = math.exp(reached + stays), math.exp(reached + writes)
            beta[u] = logadd(stays, writes)
    return total


@njit(cache=True, nogil=True)
def best_frames(blank, label):
    """The likeliest path: its log-probability, and the frame in which it writes each label [U]."""
    T, N = blank.shape
    if T == 0:
        return 0.0 if N == 1 else -np.inf, np.zeros(N - 1, np.int64)
    score = np.empty((T, N))
    wrote = np.zeros((T, N), np.bool_)
    for t in range(T):
        for u in range(N):
            stayed = 0.0 if t == 0 and u == 0 else -np.inf
            if t > 0:
                stayed = score[t - 1, u] + blank[t - 1, u]
            written = score[t, u - 1] + label[t, u - 1] if u > 0 else -np.inf
            wrote[t, u] = written > stayed
            score[t, u] = written if wrote[t, u] else stayed
    frames = np.zeros(N - 1, np.int64)
    t, u = T - 1, N - 1
    while u > 0:
        if wrote[t, u]:
            u -= 1
            frames[u] = t
        elif t > 0:
            t -= 1
        else:
            return -np.inf, frames                                 # every path has probability zero
    return score[T - 1, N - 1] + blank[T - 1, N - 1], frames
