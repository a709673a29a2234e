"""The log-probability of label sequences over all their CTC paths (Graves et al. 2006, equations 5 to 8), for many of one utterance."""

from __future__ import annotations

import numpy as np
from numba import njit

from .ctc_occupancy import occupancies

SMALL = 1e-300                               # smaller sums of paths may get lost
SCALED = 1e-100                              # sums are scaled before they are so small
SURE = 50.0                                  # nats by which what was lost must be less likely than what was found


@njit(cache=True, nogil=True)
def totals(log_probs, labels, lengths):
    """float64 [N], -inf where there are too few frames. log_probs float64 [T, V]; labels int64 [N, U], of which the first `lengths` count.

    Sums of probabilities rather than of logarithms, which is some thirty times as fast; where a part of them might have become too small
    for that, once more in logarithms.
    """
    probs, found = np.exp(log_probs), np.empty(len(labels))
    for n in range(len(labels)):
        own = labels[n, :lengths[n]]
        total, lost = _total(probs, own)
        found[n] = total if total > lost + SURE else _carefully(log_probs, own)
    return found


@njit(cache=True, nogil=True)
def _total(probs, labels):
    """Of one sequence; and what paths that got lost may have had in all, at most."""
    U, scale, lost = len(labels), 0.0, -np.inf
    at_label, at_blank, skips = np.zeros(U), np.zeros(U + 1), np.zeros(U)
    for u in range(1, U):
        skips[u] = 1.0 if labels[u] != labels[u - 1] else 0.0         # a path may come past the blank between them
    at_blank[0] = 1.0                                                  # before the first frame
    for p in probs:
        top, gone = _step(p, labels, skips, at_label, at_blank)
        if gone > 0:
            lost = max(lost, scale + np.log(SMALL) + np.log(gone * len(probs)))
        if top < SCALED:
            if top <= 0.0:
                return -np.inf, lost
            for u in range(U):
                at_label[u] /= top
                at_blank[u] /= top
            at_blank[U] /= top
            scale += np.log(top)
    end = at_blank[U] + (at_label[U - 1] if U else 0.0)
    return np.log(end) + scale if end > 0.0 else -np.inf, lost


@njit(cache=True, nogil=True)
def _step(p, labels, skips, at_label, at_blank):
    """One frame; gives the largest sum, and how many became so small that they may get lost."""
    U, blank, gone = len(labels), p[0], 0
    top = 0.0
    for u in range(U, -1, -1):
        before = at_label[u - 1] if u else 0.0
        if u < U:
            came = at_label[u] + at_blank[u] + skips[u] * before
            at_label[u] = came * p[labels[u]]
            gone += came > 0.0 and at_label[u] < SMALL
            top = max(top, at_label[u])
        came = at_blank[u] + before
        at_blank[u] = came * blank
        gone += came > 0.0 and at_blank[u] < SMALL
        top = max(top, at_blank[u])
    return top, gone


@njit(cache=True, nogil=True)
def _carefully(log_probs, labels):
    states = 2 * len(labels) + 1
    return occupancies(log_probs, labels, np.zeros(len(log_probs), np.int64), np.full(len(log_probs), states - 1))[1]
