"""An n-gram model as a finite-state automaton, compiled: built from its n-grams, asked by decoders.

A state is a context: an n-gram that some longer n-gram extends, or that has a back-off weight. State 0 is the empty context.
Other n-grams need no state: they neither extend a history nor charge for leaving it.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

STATE, WORD, NEXT, PROB = 0, 1, 2, 3          # columns of an arc; PROB holds the bits of a float32


class Automaton(NamedTuple):
    """S states, V words, and a table with room for H arcs. Log probabilities and weights are natural, float32."""

    first: np.ndarray                         # [V] after the empty context: log probability
    first_next: np.ndarray                    # [V] int32, and the state behind
    arcs: np.ndarray                          # [H, 4] int32: open-addressed by (state, word); state -1: free
    probs: np.ndarray                         # [H, 4] float32, the same memory
    weights: np.ndarray                       # [S] what it costs to leave a state for
    lower: np.ndarray                         # [S] int32, the longest shorter context that is a state


@njit(cache=True, nogil=True, inline="always")
def slot_of(state, word, size):
    """The first slot for (state, word) in a table of this size, less than 2 ** 31."""
    key = (np.uint64(state) << np.uint64(32)) | np.uint64(word)
    key = (key ^ (key >> np.uint64(31))) * np.uint64(0x9E3779B97F4A7C15)
    key = (key ^ (key >> np.uint64(29))) * np.uint64(0xBF58476D1CE4E5B9)
    return np.int64(((key >> np.uint64(32)) * np.uint64(size)) >> np.uint64(32))


@njit(cache=True, nogil=True)
def find_arc(arcs, state, word):
    """The slot that holds the arc, or ~slot where it would be put."""
    at = slot_of(state, word, len(arcs))
    while arcs[at, STATE] >= 0:
        if arcs[at, STATE] == state and arcs[at, WORD] == word:
            return at
        at += 1
        if at == len(arcs):
            at = 0
    return ~at


@njit(cache=True, nogil=True)
def ngram_step(automaton, state, word):
    """Log probability of `word` (a number below V) after `state`, and the state behind it."""
    total = 0.0
    while state > 0:
        at = find_arc(automaton.arcs, state, word)
        if at >= 0:
            return total + automaton.probs[at, PROB], automaton.arcs[at, NEXT]
        total += automaton.weights[state]
        state = automaton.lower[state]
    return total + automaton.first[word], automaton.first_next[word]


@njit(cache=True, nogil=True)
def ngram_scores(automaton, state, words, out):
    """Log probability of each word of a sequence into `out`, and the state behind the last."""
    for k in range(len(words)):
        out[k], state = ngram_step(automaton, state, words[k])
    return state


@njit(cache=True, nogil=True)
def link(table, parents, lasts, begins, order, grams):
    """Enters the n-grams [K, order] into a tree: node `begins[n - 1] + row` is row of order n, its parent is its context.

    `table` is open-addressed by (parent, last word). Gives -1; or the row whose context is no n-gram; or
    -2 - row for a row that stands twice.
    """
    for row in range(len(grams)):
        node = -1                             # the root
        for k in range(order):
            word = grams[row, k]
            if k == 0:
                found, at = word, 0           # unigrams are the first nodes, in order
            else:
                at = slot_of(node, word, len(table))
                while table[at] >= 0 and (parents[table[at]] != node or lasts[table[at]] != word):
                    at = at + 1 if at + 1 < len(table) else 0
                found = table[at]
            if k == order - 1:
                if k > 0 and found >= 0:
                    return -2 - row
                new = begins[order - 1] + row
                parents[new], lasts[new] = node, word
                if k > 0:
                    table[at] = new
            elif found < 0:
                return row
            node = found
    return -1


@njit(cache=True, nogil=True)
def fill(automaton, parents, lasts, states, begin, end, probs):
    """Puts in the nodes `begin` to `end` of one order; those of the lower orders are in. `states` [nodes]: -1 for none."""
    for node in range(begin, end):
        word, value = lasts[node], probs[node - begin]
        if parents[node] < 0:
            shorter = np.int32(0)
        else:
            _, shorter = ngram_step(automaton, automaton.lower[states[parents[node]]], word)
        behind = states[node] if states[node] >= 0 else shorter
        if states[node] >= 0:
            automaton.lower[behind] = shorter
        if parents[node] < 0:
            automaton.first[word], automaton.first_next[word] = value, behind
        else:
            state = states[parents[node]]
            at = ~find_arc(automaton.arcs, state, word)
            automaton.arcs[at, STATE], automaton.arcs[at, WORD], automaton.arcs[at, NEXT] = state, word, behind
            automaton.probs[at, PROB] = value
