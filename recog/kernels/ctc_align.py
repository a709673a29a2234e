"""Viterbi through the CTC states of a label sequence, kept to a band that provably holds the answer."""

from __future__ import annotations

import numpy as np
from numba import njit


@njit(cache=True, nogil=True)
def best_states(log_probs, labels, slack):
    """The best state of each frame [T]; state 2u+1 is label u, even states are blanks.

    log_probs: float64 [T, V]; labels: int64 [U], none of them 0. A path costs what it loses against
    the best unit of each frame. Cost never falls along a path, so states that cost more than `slack`
    may be dropped without losing a path that costs less. Empty when no path costs as little.
    """
    T, V = log_probs.shape
    S = 2 * len(labels) + 1
    cost, new = np.full(S, np.inf), np.full(S, np.inf)
    lows, rows = np.zeros(T, np.int64), np.zeros(T, np.int64)      # a frame's first state; its place in `back`
    back = np.zeros(4 * T + 64, np.uint8)                          # how many states were advanced
    used = 0
    low, high = 0, -1                                              # the band of the frame before
    for t in range(T):
        top = log_probs[t].max()
        first = max(low, S - 2 - 2 * (T - 1 - t))                  # from earlier states the end is out of reach
        last = min(1 if t == 0 else high + 2, S - 1)
        if used + last - first + 1 > len(back):
            longer = np.zeros(2 * len(back) + S, np.uint8)
            longer[:used] = back[:used]
            back = longer
        lows[t], rows[t] = first, used
        for s in range(first, last + 1):
            best, moved = np.inf, 0
            if t == 0:
                best, moved = 0.0, s
            else:
                if low <= s <= high:
                    best = cost[s]
                if low <= s - 1 <= high and cost[s - 1] < best:
                    best, moved = cost[s - 1], 1
                if (s % 2 == 1 and s > 1 and labels[s // 2] != labels[s // 2 - 1]
                        and low <= s - 2 <= high and cost[s - 2] < best):
                    best, moved = cost[s - 2], 2
            new[s] = best + (top - log_probs[t, labels[s // 2] if s % 2 == 1 else 0])
            back[used + s - first] = moved
        used += max(0, last - first + 1)
        while first <= last and not new[first] <= slack:
            first += 1
        while first <= last and not new[last] <= slack:
            last -= 1
        if first > last:
            return np.zeros(0, np.int64)
        low, high = first, last
        cost, new = new, cost

    states = np.zeros(T, np.int64)
    end = -1
    for s in range(max(0, S - 2), S):
        if low <= s <= high and cost[s] <= slack and cost[s] < np.inf and (end < 0 or cost[s] < cost[end]):
            end = s
    if end < 0:
        return np.zeros(0, np.int64)
    for t in range(T - 1, -1, -1):
        states[t] = end
        end -= back[rows[t] + end - lows[t]]
    return states
