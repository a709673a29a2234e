"""Forward-backward through the CTC states of a label sequence (Graves et al. 2006, equations 5 to 16), kept to a band."""

from __future__ import annotations

import numpy as np
from numba import njit

from .ctc_beam import logadd


@njit(cache=True, nogil=True)
def occupancies(log_probs, labels, first, last):
    """The probability of each state at each frame, over all paths through the band: (float64 [T, W], log of the sum of paths).

    log_probs: float64 [T, V]; labels: int64 [U], none of them 0; state 2u+1 is label u, even states are blanks. At
    frame t the states are first[t] to last[t] (int64 [T], neither ever falls); column w is state first[t] + w. W is the
    widest frame's count. The sum is -inf when no path stays in the band.
    """
    T, S = log_probs.shape[0], 2 * len(labels) + 1
    W = (last - first).max() + 1
    alpha = np.full((T, W), -np.inf)                               # paths up to and with frame t
    for t in range(T):
        for s in range(first[t], last[t] + 1):
            total = 0.0 if t == 0 and s < 2 else -np.inf
            if t > 0:
                for move in range(3 if _skips(labels, s) else 2):
                    if first[t - 1] <= s - move <= last[t - 1]:
                        total = logadd(total, alpha[t - 1, s - move - first[t - 1]])
            alpha[t, s - first[t]] = total + log_probs[t, labels[s // 2] if s % 2 == 1 else 0]
    score = -np.inf
    for s in range(max(first[T - 1], S - 2), last[T - 1] + 1):
        score = logadd(score, alpha[T - 1, s - first[T - 1]])
    if score == -np.inf:
        return alpha, score

    beta, later = np.full(W, -np.inf), np.full(W, -np.inf)         # paths after frame t: of this frame, and of the next
    for t in range(T - 1, -1, -1):
        for s in range(first[t], last[t] + 1):
            total = 0.0 if t == T - 1 and s >= S - 2 else -np.inf
            if t < T - 1:
                for move in range(3):
                    to = s + move
                    if first[t + 1] <= to <= last[t + 1] and (move < 2 or _skips(labels, to)):
                        emitted = log_probs[t + 1, labels[to // 2] if to % 2 == 1 else 0]
                        total = logadd(total, later[to - first[t + 1]] + emitted)
            beta[s - first[t]] = total
        for w in range(W):
            alpha[t, w] = np.exp(alpha[t, w] + beta[w] - score) if w <= last[t] - first[t] else 0.0
        beta, later = later, beta
    return alpha, score


@njit(cache=True, nogil=True)
def _skips(labels, s):
    """Whether a path may come to state s past the blank before it."""
    return s % 2 == 1 and s > 1 and labels[s // 2] != labels[s // 2 - 1]
