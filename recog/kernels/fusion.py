"""What guides a search besides the network, compiled: bonuses, a lexicon, a language model, phrases to listen for.

Gains are nats. What guides has three states, int32, which a prefix keeps: SPELLED (the lexicon's), SAID (the language
model's) and MEANT (the phrases').
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

from .ngram import Automaton, ngram_step
from .roles import CLOSES, INSIDE, OPENS

NONE, UNITS, WORDS, ROWS, ENDS = 0, 1, 2, 3, 4     # what the language model reads; ROWS and ENDS: units and words, and others ask it
UNASKED = -1                                 # its state where nobody has asked it yet


class Fusion(NamedTuple):
    """V units, S states of the lexicon, P of the phrases."""

    roles: np.ndarray                        # int8 [V], what each unit does to words
    most: float                              # what one more unit can gain, at most
    inside: float                            # ... of language model and phrases, if it neither ends a word nor begins one
    length_bonus: float
    word_bonus: float
    lexicon: np.ndarray                      # int32 [S, V]: the state after a unit, or -1 where it may not come
    kind: int                                # of language model: it reads nothing, units, or words where they end
    weight: float
    unknown: float                           # nats that a word outside the model costs beside its probability
    words: np.ndarray                        # int32: the model's number of each unit [V], or of the word that a lexicon state spells [S]
    ahead: np.ndarray                        # [S] what the likeliest word that may come of a lexicon state will cost, at best; charged at once
    other: int                               # its number of words that it does not know
    end: int                                 # ... and of the end of a sentence
    model: Automaton
    rows: np.ndarray                         # float32 [K, U], its answers in each of its states: for ROWS the log-probability of each
                                             # of its units; for ENDS what is gained if a word ends here, and if the text does
    phrases: np.ndarray                      # int32 [P, V]: the state after a unit
    hopes: np.ndarray                        # [P] what a phrase under way was given, and gives back if it is none
    kept: np.ndarray                         # [P] and what it keeps if its last word ends here


def no_model() -> Automaton:
    none, nowhere = np.zeros(0, np.float32), np.zeros(0, np.int32)
    arcs = np.zeros((0, 4), np.int32)
    return Automaton(none, nowhere, arcs, arcs.view(np.float32), none, nowhere)


@njit(cache=True, nogil=True, inline="always")
def begins(last, role):
    """Whether a word begins with a unit of this role after one of the role `last`. The blank's, CLOSES, is before all."""
    return role == OPENS or (role == INSIDE and last == CLOSES)


@njit(cache=True, nogil=True)
def said(fusion, spelled, said, meant, unit):
    """What `unit` gains by language model and phrases in these states, and their states after it."""
    gain = 0.0
    if fusion.kind == UNITS:
        gain, said = ngram_step(fusion.model, said, fusion.words[unit])
        gain *= fusion.weight
    elif fusion.kind == ROWS:
        gain, said = fusion.weight * fusion.rows[said, fusion.words[unit]], UNASKED
    elif fusion.kind == WORDS:
        if spelled != 0 and fusion.roles[unit] != INSIDE:
            gain, said = word(fusion, spelled, said)
        gain += fusion.ahead[fusion.lexicon[spelled, unit]] - fusion.ahead[spelled]
    elif fusion.kind == ENDS:
        if spelled != 0 and fusion.roles[unit] != INSIDE:
            gain = np.float64(fusion.rows[said, 0])
        gain += fusion.ahead[fusion.lexicon[spelled, unit]] - fusion.ahead[spelled]
        said = UNASKED
    if len(fusion.hopes) > 1:
        after = fusion.phrases[meant, unit]
        gain += fusion.hopes[after] - fusion.hopes[meant] + (fusion.kept[meant] if fusion.roles[unit] != INSIDE else 0.0)
        meant = after
    return gain, said, meant


@njit(cache=True, nogil=True)
def word(fusion, spelled, said):
    """What the whole word that is spelled gains by the language model, and the model's state behind it."""
    number = fusion.words[spelled]
    gain, said = ngram_step(fusion.model, said, number)
    return fusion.weight * gain - (fusion.unknown if number == fusion.other else 0.0), said


@njit(cache=True, nogil=True)
def ended(fusion, spelled, said, meant):
    """What a prefix gains when nothing follows it."""
    gain = fusion.kept[meant] - fusion.hopes[meant]
    if fusion.kind == NONE:
        return gain
    if fusion.kind == ROWS:
        return gain + fusion.weight * fusion.rows[said, fusion.end]
    if fusion.kind == ENDS:
        return gain + fusion.rows[said, 1] - fusion.ahead[spelled]
    if fusion.kind == WORDS and spelled != 0:
        last, said = word(fusion, spelled, said)
        gain += last - fusion.ahead[spelled]
    return gain + fusion.weight * ngram_step(fusion.model, said, fusion.end)[0]
