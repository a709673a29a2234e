"""CTC prefix search (Graves et al. 2006; Graves 2008, algorithm 1): best-first, exact, compiled."""

from __future__ import annotations

import heapq

import numpy as np
from numba import njit


@njit(cache=True, nogil=True)
def search(probs, limit):
    """The most probable labelling of some frames: (units, its probability, expansions made, whether it is surely the best).

    probs: float64 [V, T], the units' probabilities; a frame's may all be scaled by one number, which then scales the
    answer too. At most `limit` prefixes are expanded. A prefix p has two probabilities: that the labelling is p, and
    that it goes on beyond p. The prefix likeliest to go on is expanded, until none is likelier than the best labelling.
    """
    V, T = probs.shape
    order = np.argsort(-probs[1:].sum(axis=1)) + 1                 # likely units first: the loop over them ends sooner
    room = 64
    ends_label, ends_blank = np.zeros((room, T + 1)), np.zeros((room, T + 1))      # gamma(p_n, t) and gamma(p_b, t)
    parent, unit = np.full(room, -1), np.zeros(room, np.int64)
    ends_blank[0, 0] = 1.0
    rest = np.ones(T + 1)                                          # all paths through the frames from t on
    for t in range(T):
        ends_blank[0, t + 1] = ends_blank[0, t] * probs[0, t]
        rest[T - 1 - t] = rest[T - t] * probs[:, T - 1 - t].sum()
    best, best_node, best_unit = ends_blank[0, T], 0, 0            # the labelling: that of a node and one unit more, or 0
    heap = [(-(rest[0] - best), 0, 0)]                               # (minus the probability of going on, parent, unit)
    count = 0                                                      # prefixes expanded: these are kept, with their gammas
    while len(heap):
        goes_on, node, last = heapq.heappop(heap)
        goes_on = -goes_on
        if goes_on <= best:
            return _spelled(parent, unit, best_node, best_unit), best, count, True
        if count == limit:
            return _spelled(parent, unit, best_node, best_unit), best, count, False
        if count == room:
            ends_label, ends_blank = _longer(ends_label), _longer(ends_blank)
            parent, unit = np.append(parent, np.full(room, -1)), np.append(unit, np.zeros(room, np.int64))
            room *= 2
        if count:                                                  # a child is kept as (parent, unit): its gammas are found anew
            parent[count], unit[count] = node, last
            for t in range(T):
                new = ends_blank[node, t] + (ends_label[node, t] if unit[node] != last else 0.0)
                ends_label[count, t + 1] = probs[last, t] * (new + ends_label[count, t])
                ends_blank[count, t + 1] = probs[0, t] * (ends_blank[count, t] + ends_label[count, t])
        here = count
        count += 1
        left = goes_on
        for k in order:
            label = blank = begun = 0.0
            for t in range(T):
                new = ends_blank[here, t] + (ends_label[here, t] if unit[here] != k else 0.0)
                label, blank = probs[k, t] * (new + label), probs[0, t] * (blank + label)
                begun += probs[k, t] * new * rest[t + 1]
            left -= begun
            if label + blank > best:
                best, best_node, best_unit = label + blank, here, k
            if begun - (label + blank) > best:
                heapq.heappush(heap, (-(begun - (label + blank)), here, k))
            if left <= best:
                break                                              # all the other units together are not likelier
    return _spelled(parent, unit, best_node, best_unit), best, count, True


@njit(cache=True, nogil=True)
def _longer(rows):
    longer = np.zeros((2 * rows.shape[0], rows.shape[1]))
    longer[:rows.shape[0]] = rows
    return longer


@njit(cache=True, nogil=True)
def _spelled(parent, unit, node, last):
    found = [last] if last > 0 else [0][:0]
    while node > 0:
        found.append(unit[node])
        node = parent[node]
    return np.array(found[::-1], dtype=np.int64)
