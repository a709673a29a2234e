"""The transducer's beam search within one frame: Graves 2012, algorithm 1, compiled.

The prefixes whose prediction state is known form a tree, one row per node, with the columns of the CTC search; a node's slot is
its place among the frame's live prefixes (or -1). A candidate for expansion is a live prefix, or the child of a node by a unit; the second
may have no node yet, and then the search stops and asks for it.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from .ctc_beam import COLUMNS, DEPTH, MEANT, PARENT, SAID, SLOT, SPELLED, UNIT, logadd, place
from .fusion import begins, said


def empty_tree(room: int, said: int = 0):
    """The tree with its root (node 0, no unit), and its hash table. `room` is a power of two; `said`: the language model's state."""
    tree, table = np.zeros((room, COLUMNS), np.int32), np.full(2 * room, -1, np.int32)
    tree[0] = -1, 0, 0, 0, 0, said, 0
    return tree, table


@njit(cache=True, nogil=True)
def follow(fusion, tree, nodes):
    """Gives new nodes the states of what guides the search; a parent comes before its child."""
    for node in nodes:
        parent, unit = tree[node, PARENT], tree[node, UNIT]
        spelled = tree[parent, SPELLED]
        _, tree[node, SAID], tree[node, MEANT] = said(fusion, spelled, tree[parent, SAID], tree[parent, MEANT], unit)
        tree[node, SPELLED] = fusion.lexicon[spelled, unit]


@njit(cache=True, nogil=True)
def guided(fusion, tree, nodes):
    """What each unit gains after these nodes: [K, V] float32; minus infinity where it may not come."""
    V = len(fusion.roles)
    gains = np.zeros((len(nodes), V), np.float32)
    for k in range(len(nodes)):
        node = nodes[k]
        last, spelled = fusion.roles[tree[node, UNIT]], tree[node, SPELLED]
        for v in range(1, V):
            if fusion.lexicon[spelled, v] < 0:
                gains[k, v] = -np.inf
                continue
            gain = fusion.length_bonus + said(fusion, spelled, tree[node, SAID], tree[node, MEANT], v)[0]
            gains[k, v] = gain + (fusion.word_bonus if begins(last, fusion.roles[v]) else 0.0)
    return gains


@njit(cache=True, nogil=True)
def needed(tree, live):
    """The live nodes, then those that lie between a live node and its nearest live ancestor."""
    mark = np.zeros(live.max() + 1, np.bool_)
    found = np.empty(len(mark) + len(live), np.int64)
    found[:len(live)] = live
    count = len(live)
    for node in live:
        above = tree[node, PARENT]
        while above >= 0 and tree[above, SLOT] < 0:
            above = tree[above, PARENT]
        if above >= 0:
            between = tree[node, PARENT]
            while between != above and not mark[between]:
                mark[between] = True
                found[count] = between
                count += 1
                between = tree[between, PARENT]
    return found[:count]


@njit(cache=True, nogil=True)
def merge(tree, live, scores, log_probs):
    """Adds to each live prefix what its live prefixes could have become within this frame. Scores [K] to new scores [K]."""
    merged = scores.copy()
    for k in np.argsort(tree[live, DEPTH]):                        # an ancestor's sum is whole before it is passed on
        node, gained = live[k], 0.0
        while node > 0:
            gained += log_probs[tree[node, PARENT], tree[node, UNIT]]
            node = tree[node, PARENT]
            if tree[node, SLOT] >= 0:
                merged[k] = logadd(merged[k], merged[tree[node, SLOT]] + gained)
                break
    return merged


@njit(cache=True, nogil=True)
def start(live, merged, log_probs, beam, room):
    """The frame's candidates (a heap, best first), and a score that whatever enters the next beam must exceed."""
    rank, source, unit = np.empty(room), np.empty(room, np.int64), np.zeros(room, np.int32)
    size = 0
    stayed = np.empty(len(live))
    for k in range(len(live)):
        size = _push(rank, source, unit, size, merged[k], live[k], 0)
        stayed[k] = merged[k] + log_probs[live[k], 0]
    cut = -np.inf if len(live) < beam else np.sort(stayed)[len(live) - beam]
    return rank, source, unit, size, cut


@njit(cache=True, nogil=True)
def expand(tree, table, log_probs, stamp, frame, rank, source, unit, size, cut, kept, done, out, out_node, beam):
    """Takes the best candidate again and again: with a blank it goes to `out`, with each unit it is a new candidate.

    Ends when `beam` of `out` are better than any candidate, or `out` is full: then `size` is 0. Stops before a
    candidate whose log-probabilities in this frame are not known (its node's stamp is not `frame`).
    kept: the best scores of `out`, a heap with the worst on top, `done` numbers in `out` so far.
    """
    V = log_probs.shape[1]
    while size > 0:
        held = min(done, beam)
        if done == len(out) or (held == beam and rank[0] <= kept[0]):
            size = 0
            break
        node = source[0]
        if unit[0] > 0:
            node = np.int64(table[place(tree, table, source[0], unit[0])])
            if node < 0 or stamp[node] != frame:
                break
        score = rank[0]
        size = _pop(rank, source, unit, size)
        stayed = score + log_probs[node, 0]
        out[done], out_node[done] = stayed, node
        _keep(kept, held, stayed, beam)
        done += 1
        floor = max(cut, kept[0]) if done >= beam else cut
        for v in range(1, V):
            written = score + log_probs[node, v]
            if written <= floor:
                continue
            child = table[place(tree, table, node, v)]
            if child >= 0 and tree[child, SLOT] >= 0:
                continue                                           # live itself: `merge` has counted this
            if size == len(rank):
                rank, source, unit = _longer(rank), _longer(source), _longer(unit)
            size = _push(rank, source, unit, size, written, node, v)
    return rank, source, unit, size, done


@njit(cache=True, nogil=True)
def wanted(tree, table, stamp, frame, rank, source, unit, size, floor, most):
    """The best candidates, `most` at most, whose log-probabilities are not known: their parents and units."""
    parents, units = np.empty(most, np.int64), np.empty(most, np.int64)
    front = np.empty(2 * most + 64, np.int64)                      # the heap from its top down: places whose parents were taken
    front[0] = 0
    count, n, looked = 0, 1 if size > 0 else 0, 0
    while n > 0 and count < most and looked < most + 32:
        looked += 1
        best = 0
        for j in range(1, n):
            if rank[front[j]] > rank[front[best]]:
                best = j
        at = front[best]
        n -= 1
        front[best] = front[n]
        if rank[at] <= floor:
            break
        if unit[at] > 0:
            node = table[place(tree, table, source[at], unit[at])]
            if node < 0 or stamp[node] != frame:
                parents[count], units[count] = source[at], unit[at]
                count += 1
        for child in (2 * at + 1, 2 * at + 2):
            if child < size:
                front[n] = child
                n += 1
    return parents[:count], units[:count]


@njit(cache=True, nogil=True)
def nodes_of(tree, table, count, parents, units):
    """The nodes of these children, made where there are none yet, and how many nodes there then are."""
    nodes = np.empty(len(parents), np.int64)
    for i in range(len(parents)):
        at = place(tree, table, parents[i], units[i])
        if table[at] < 0:
            tree[count, PARENT], tree[count, UNIT], tree[count, SLOT] = parents[i], units[i], -1
            tree[count, DEPTH] = tree[parents[i], DEPTH] + 1
            table[at] = count
            count += 1
        nodes[i] = table[at]
    return nodes, count


@njit(cache=True, nogil=True)
def rooted(tree, count, live):
    """The nodes that live prefixes need, in order, and a tree and table of these alone; what is dropped has no live descendants."""
    new = np.full(count, -1, np.int32)
    new[0] = 0
    for node in live:
        while new[node] < 0:
            new[node] = 0
            node = tree[node, PARENT]
    old = np.flatnonzero(new == 0)
    smaller, table = np.zeros_like(tree), np.full(2 * len(tree), -1, np.int32)
    for number in range(len(old)):
        node = old[number]
        new[node] = number
        smaller[number] = tree[node]
        if number > 0:
            parent = new[tree[node, PARENT]]                       # a parent is older than its child
            smaller[number, PARENT] = parent
            table[place(smaller, table, parent, tree[node, UNIT])] = number
    return old, smaller, table


@njit(cache=True, nogil=True)
def retable(tree, count):
    """The hash table of a tree that has grown."""
    table = np.full(2 * len(tree), -1, np.int32)
    for node in range(1, count):
        table[place(tree, table, tree[node, PARENT], tree[node, UNIT])] = node
    return table


@njit(cache=True, nogil=True)
def _longer(x):
    longer = np.zeros(2 * len(x), x.dtype)
    longer[:len(x)] = x
    return longer


@njit(cache=True, nogil=True)
def _push(rank, source, unit, size, r, s, v):
    at = size
    while at > 0 and rank[(at - 1) // 2] < r:
        above = (at - 1) // 2
        rank[at], source[at], unit[at] = rank[above], source[above], unit[above]
        at = above
    rank[at], source[at], unit[at] = r, s, v
    return size + 1


@njit(cache=True, nogil=True)
def _pop(rank, source, unit, size):
    size -= 1
    r, s, v, at = rank[size], source[size], unit[size], 0
    while 2 * at + 1 < size:
        child = 2 * at + 1
        if child + 1 < size and rank[child + 1] > rank[child]:
            child += 1
        if rank[child] <= r:
            break
        rank[at], source[at], unit[at] = rank[child], source[child], unit[child]
        at = child
    rank[at], source[at], unit[at] = r, s, v
    return size


@njit(cache=True, nogil=True)
def _keep(kept, held, score, beam):
    """Puts a score among the best; they are a heap with the worst on top."""
    if held < beam:
        at = held
        while at > 0 and kept[(at - 1) // 2] > score:
            kept[at] = kept[(at - 1) // 2]
            at = (at - 1) // 2
        kept[at] = score
    elif score > kept[0]:
        at = 0
        while 2 * at + 1 < beam:
            child = 2 * at + 1
            if child + 1 < beam and kept[child + 1] < kept[child]:
                child += 1
            if kept[child] >= score:
                break
            kept[at] = kept[child]
            at = child
        kept[at] = score
