"""Search restricted to a lexicon, against the sum over all paths; and the trie itself."""

import itertools

import numpy as np
import pytest

from recog.config import Component
from recog.decode import decode, make
from recog.decode.ctc_beam import CtcBeam, CtcBeamConfig
from recog.decode.lexicon import build
from recog.errors import ConfigError, DataError
from recog.text import BLANK, Units

SYMBOLS = [BLANK, " ", "A", "B"]
WORDS = ["A", "AB", "BB"]


def draw(seed, frames):
    x = 2 * np.random.default_rng(seed).normal(size=(frames, len(SYMBOLS)))
    return x - np.log(np.exp(x).sum(1, keepdims=True))


def best_by_brute_force(log_probs):
    """The likeliest sequence of whole words and its log-probability, summed over all its paths."""
    sums = {}
    for path in itertools.product(range(len(SYMBOLS)), repeat=len(log_probs)):
        units = tuple(unit for unit, _ in itertools.groupby(path) if unit)
        sums[units] = sums.get(units, 0) + np.exp(log_probs[np.arange(len(path)), path].sum())
    allowed = {units: p for units, p in sums.items()
               if not units or set("".join(SYMBOLS[u] for u in units).split(" ")) <= set(WORDS)}
    units = max(allowed, key=allowed.get)
    return units, np.log(allowed[units])


@pytest.mark.parametrize("seed", range(40))
def test_an_unlimited_beam_equals_brute_force(seed):
    log_probs = draw(seed, 1 + seed % 6)
    decoder = CtcBeam(CtcBeamConfig(beam=400, lexicon=True), lexicon=build(WORDS, SYMBOLS))
    found = decode(decoder, log_probs)[0]
    units, score = best_by_brute_force(log_probs)
    assert found.units == units
    assert found.score == pytest.approx(score, abs=1e-9)


def test_a_narrow_beam_over_a_long_input_writes_only_words_in_any_chunks():
    decoder = CtcBeam(CtcBeamConfig(beam=8, nbest=3, lexicon=True), lexicon=build(WORDS, SYMBOLS))
    log_probs = draw(7, 3000)
    found = decode(decoder, log_probs)
    for hypothesis in found:
        text = "".join(SYMBOLS[u] for u in hypothesis.units)
        assert len(text) > 100 and set(text.split(" ")) <= set(WORDS)
    state = decoder.begin()
    for part in np.array_split(log_probs, 11):
        state = decoder.step(state, part)
    assert decoder.finish(state)[0].units == found[0].units


def test_the_trie_spells_each_word_and_nothing_else():
    lexicon = build(WORDS, SYMBOLS)

    def accepts(text):
        state = 0
        for letter in text:
            state = lexicon.next[state, SYMBOLS.index(letter)]
            if state < 0:
                return False
        return bool(lexicon.final[state])

    for n in range(1, 6):
        for text in map("".join, itertools.product(" AB", repeat=n)):
            assert accepts(text) == (set(text.split(" ")) <= set(WORDS))


def test_words_that_the_units_cannot_spell_are_named():
    with pytest.raises(DataError, match="'ABC'"):
        build(["A", "ABC"], SYMBOLS)


def test_a_model_without_a_lexicon_says_so():
    units = Units("char", SYMBOLS)
    wanted = Component("beam", CtcBeamConfig(lexicon=True))
    assert make(wanted, units, WORDS).lexicon is not None
    with pytest.raises(ConfigError, match="no lexicon"):
        make(wanted, units, ())
    with pytest.raises(ConfigError, match="no lexicon"):
        make(wanted, Units("phone", [BLANK, "aa", "b"]), WORDS)
