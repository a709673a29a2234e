"""CTC prefix beam search (Graves 2012, chapter 7; Hannun et al. 2014), compiled.

The prefixes form a tree, one row per node. A prefix grows out of one parent only, so paths meet in
two ways: a live child takes what its live parent emits, and a node that was dropped and is born
again is found in a hash table, so that its own children know it.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit

from .fusion import NONE, begins, said
from .roles import INSIDE

# Columns of the tree. SLOT: place in the beam, or -1. The last three: states of what guides the search, see fusion.py.
PARENT, UNIT, DEPTH, SLOT, SPELLED, SAID, MEANT = 0, 1, 2, 3, 4, 5, 6
COLUMNS = 7


def empty_tree(said: int = 0, room: int = 1024):
    """The tree with its root (node 0, no unit), its hash table, and what each node has earned beyond its probability."""
    tree, table = np.zeros((room, COLUMNS), np.int32), np.full(2 * room, -1, np.int32)
    tree[0] = -1, 0, 0, 0, 0, said, 0
    return tree, table, np.zeros(room)


@njit(cache=True, nogil=True)
def logadd(a, b):
    low, high = min(a, b), max(a, b)
    return high if low == -np.inf else high + math.log1p(math.exp(low - high))


@njit(cache=True, nogil=True)
def place(tree, table, parent, unit):
    """Where in `table` the child of `parent` by `unit` is, or would be. The table is a power of two long."""
    mask = len(table) - 1
    key = np.int64(parent) * 0x9E3779B1 + np.int64(unit) * 0x85EBCA77
    at = (key ^ (key >> 17)) & mask
    while table[at] >= 0 and (tree[table[at], PARENT] != parent or tree[table[at], UNIT] != unit):
        at = (at + 1) & mask
    return at


@njit(cache=True, nogil=True)
def make_room(tree, table, earned, count, nodes, room):
    """Drops the nodes that no live prefix needs, and leaves space for `room` more. Exact: a dropped
    node has no living descendants. Renumbers `nodes` in place."""
    new = np.full(count, -1, np.int32)
    new[0] = 0
    for node in nodes:
        while new[node] < 0:
            new[node] = 0
            node = tree[node, PARENT]
    live = 0
    for node in range(count):
        if new[node] == 0:
            new[node] = live
            live += 1
    size = len(tree)
    while size < 2 * (live + room):
        size *= 2
    smaller, table, sums = np.zeros((size, COLUMNS), np.int32), np.full(2 * size, -1, np.int32), np.zeros(size)
    for node in range(count):
        if new[node] >= 0:
            smaller[new[node]], sums[new[node]] = tree[node], earned[node]
            if node > 0:
                parent = new[tree[node, PARENT]]
                smaller[new[node], PARENT] = parent
                table[place(smaller, table, parent, tree[node, UNIT])] = new[node]
    for k in range(len(nodes)):
        nodes[k] = new[nodes[k]]
    return smaller, table, sums, live


@njit(cache=True, nogil=True)
def sink(heap, rank, size):
    """Restores a heap, lowest rank on top, whose top was replaced."""
    at, moving = 0, heap[0]
    while 2 * at + 1 < size:
        child = 2 * at + 1
        if child + 1 < size and rank[heap[child + 1]] < rank[heap[child]]:
            child += 1
        if rank[heap[child]] >= rank[moving]:
            break
        heap[at] = heap[child]
        at = child
    heap[at] = moving


@njit(cache=True, nogil=True)
def rise(heap, rank, size):
    """Restores a heap, lowest rank on top, to whose end an entry was added."""
    at, moving = size - 1, heap[size - 1]
    while at > 0 and rank[heap[(at - 1) // 2]] > rank[moving]:
        heap[at] = heap[(at - 1) // 2]
        at = (at - 1) // 2
    heap[at] = moving


@njit(cache=True, nogil=True)
def sort(heap, rank, size):
    """Turns a heap, lowest rank on top, into a list, highest rank first."""
    for left in range(size - 1, 0, -1):
        lowest = heap[0]
        heap[0] = heap[left]
        sink(heap, rank, left)
        heap[left] = lowest


@njit(cache=True, nogil=True)
def advance(log_probs, beam, token_threshold, beam_threshold, fusion, tree, table, earned, count, nodes,
            blank, label):
    """The beam after the frames of `log_probs` (float64 [T, V]).

    fusion: what guides the search besides, see fusion.py.
    tree [N, 7], table, earned [N], count: the prefixes known; nodes, blank, label [K]: the live ones, best
    first, with the log of the summed probability of their paths that end in a blank and in their
    last unit. Returns the last seven anew; what came in is left as it was.
    """
    T, V = log_probs.shape
    K = len(nodes)
    lexicon, most, roles, length_bonus, word_bonus = fusion.lexicon, fusion.most, fusion.roles, fusion.length_bonus, fusion.word_bonus
    guided, hope, inside = fusion.kind != NONE or len(fusion.hopes) > 1, most - length_bonus - max(word_bonus, 0.0), fusion.inside
    tree, table, earned = tree.copy(), table.copy(), earned.copy()
    node_of, old_blank, old_label = np.zeros(beam, np.int64), np.zeros(beam), np.zeros(beam)
    node_of[:K], old_blank[:K], old_label[:K] = nodes, blank, label
    total = np.zeros(beam)
    # the candidates for the next beam: a live prefix that stays (unit 0), or a child of `source`
    rank, new_blank, new_label = np.zeros(beam), np.zeros(beam), np.zeros(beam)
    source, unit_of = np.zeros(beam, np.int64), np.zeros(beam, np.int64)
    heap, tried = np.zeros(beam, np.int64), np.zeros(V, np.int64)

    for t in range(T):
        row = log_probs[t]
        for k in range(K):
            total[k] = logadd(old_blank[k], old_label[k])

        n, best = 0, -np.inf
        for k in range(K):
            node = node_of[k]
            parent, unit = tree[node, PARENT], tree[node, UNIT]
            b, nb = total[k] + row[0], -np.inf
            if parent >= 0:
                nb = old_label[k] + row[unit]
                p = tree[parent, SLOT]
                if p >= 0:
                    nb = logadd(nb, row[unit] + (old_blank[p] if tree[parent, UNIT] == unit else total[p]))
            r = logadd(b, nb) + earned[node]
            if r > -np.inf:
                rank[n], new_blank[n], new_label[n], source[n], unit_of[n], heap[n] = r, b, nb, node, 0, n
                n += 1
                rise(heap, rank, n)
                best = max(best, r)

        cut = best - beam_threshold
        floor = max(cut, rank[heap[0]]) if n == beam else cut      # what is no better cannot get in
        unlikely = row.max() - token_threshold
        lead = total[0] + earned[node_of[0]] + most
        m = 0
        for v in range(1, V):
            if row[v] > unlikely and lead + row[v] > floor:
                tried[m] = v
                m += 1
                rise(tried, row, m)
        sort(tried, row, m)
        for k in range(K):
            node = node_of[k]
            if m == 0 or total[k] + row[tried[0]] + earned[node] + most <= floor:
                break                                              # both lists are sorted
            last, spelled, so_far = tree[node, UNIT], tree[node, SPELLED], earned[node]
            for j in range(m):
                v = tried[j]
                if total[k] + row[v] + so_far + most <= floor:
                    break
                if lexicon[spelled, v] < 0:
                    continue
                nb = row[v] + (old_blank[k] if v == last else total[k])
                r = nb + so_far + length_bonus
                if word_bonus != 0.0 and begins(roles[last], roles[v]):
                    r += word_bonus
                if r + (inside if roles[v] == INSIDE else hope) <= floor:
                    continue
                if guided:
                    r += said(fusion, spelled, tree[node, SAID], tree[node, MEANT], v)[0]
                    if r <= floor:
                        continue
                child = table[place(tree, table, node, v)]
                if child >= 0 and tree[child, SLOT] >= 0:
                    continue                                       # counted above
                at = heap[0] if n == beam else n
                rank[at], new_blank[at], new_label[at], source[at], unit_of[at] = r, -np.inf, nb, node, v
                if n == beam:
                    sink(heap, rank, n)
                else:
                    heap[n] = n
                    n += 1
                    rise(heap, rank, n)
                best = max(best, r)
                cut = best - beam_threshold
                floor = max(cut, rank[heap[0]]) if n == beam else cut

        for k in range(K):
            tree[node_of[k], SLOT] = -1
        sort(heap, rank, n)
        K = 0
        while K < n and (K == 0 or rank[heap[K]] > cut):
            c = heap[K]
            node_of[K], old_blank[K], old_label[K] = source[c], new_blank[c], new_label[c]
            K += 1
        if count + K > len(tree):
            tree, table, earned, count = make_room(tree, table, earned, count, node_of[:K], K)
        for k in range(K):
            if unit_of[heap[k]] > 0:
                parent, unit = node_of[k], unit_of[heap[k]]
                at = place(tree, table, parent, unit)
                if table[at] < 0:
                    tree[count, PARENT], tree[count, UNIT], tree[count, DEPTH] = parent, unit, tree[parent, DEPTH] + 1
                    spelled, gain = tree[parent, SPELLED], length_bonus
                    tree[count, SPELLED] = lexicon[spelled, unit]
                    if word_bonus != 0.0 and begins(roles[tree[parent, UNIT]], roles[unit]):
                        gain += word_bonus
                    if guided:
                        more, tree[count, SAID], tree[count, MEANT] = said(fusion, spelled, tree[parent, SAID], tree[parent, MEANT], unit)
                        gain += more
                    earned[count] = earned[parent] + gain
                    table[at] = count
                    count += 1
                node_of[k] = table[at]
            tree[node_of[k], SLOT] = k
    return tree, table, earned, count, node_of[:K].copy(), old_blank[:K].copy(), old_label[:K].copy()


@njit(cache=True, nogil=True)
def spell(tree, node):
    """The units from the root to a node."""
    units = np.zeros(tree[node, DEPTH], np.int64)
    for at in range(len(units) - 1, -1, -1):
        units[at] = tree[node, UNIT]
        node = tree[node, PARENT]
    return units


@njit(cache=True, nogil=True)
def shared(tree, nodes):
    """The last node that all of these descend from."""
    found = nodes[0]
    for node in nodes[1:]:
        while node != found:
            if tree[node, DEPTH] >= tree[found, DEPTH]:
                node = tree[node, PARENT]
            else:
                found = tree[found, PARENT]
    return found
