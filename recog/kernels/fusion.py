"""What a language model makes of the next unit of a prefix, compiled: of each unit, or of whole words where they end.

Gains are nats, at most 0, weighted. A state is the language model's: int32.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

from .ngram import Automaton, ngram_step

NONE, UNITS, WORDS = 0, 1, 2


class Fusion(NamedTuple):
    """A language model as a search sees it."""

    kind: int
    weight: float
    unknown: float                       # nats that a word outside the model costs beside its probability
    space: int                           # the unit that ends a word; -1: there is none
    words: np.ndarray                    # int32: the model's number of each unit [V], or of the word that a lexicon state spells [S]
    other: int                           # its number of words that it does not know
    end: int                             # ... and of the end of a sentence
    model: Automaton


def nothing() -> Fusion:
    """Where there is no language model."""
    none, nowhere = np.zeros(0, np.float32), np.zeros(0, np.int32)
    arcs = np.zeros((0, 4), np.int32)
    return Fusion(NONE, 0.0, 0.0, -1, np.zeros(1, np.int32), -1, -1, Automaton(none, nowhere, arcs, arcs.view(np.float32), none, nowhere))


@njit(cache=True, nogil=True)
def said(fusion, state, spelled, unit):
    """What `unit` gains after `state` and the lexicon's state `spelled`, and the language model's next state."""
    if fusion.kind == UNITS:
        gain, state = ngram_step(fusion.model, state, fusion.words[unit])
        return fusion.weight * gain, state
    if fusion.kind == WORDS and unit == fusion.space:
        return word(fusion, state, spelled)
    return 0.0, state


@njit(cache=True, nogil=True)
def word(fusion, state, spelled):
    """The same for the whole word that is spelled."""
    number = fusion.words[spelled]
    gain, state = ngram_step(fusion.model, state, number)
    return fusion.weight * gain - (fusion.unknown if number == fusion.other else 0.0), state


@njit(cache=True, nogil=True)
def ended(fusion, state, spelled):
    """What a prefix gains when nothing follows it."""
    if fusion.kind == NONE:
        return 0.0
    gain = 0.0
    if fusion.kind == WORDS and spelled != 0:
        gain, state = word(fusion, state, spelled)
    return gain + fusion.weight * ngram_step(fusion.model, state, fusion.end)[0]
