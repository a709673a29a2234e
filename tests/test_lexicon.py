"""Search restricted to a lexicon, against the sum over all paths; and the trie itself."""

import itertools

import numpy as np
import pytest

from recog.config import Component
from recog.decode import decode, make
from recog.decode.ctc_beam import CtcBeamConfig
from recog.decode.lexicon import Alphabet, build
from recog.errors import ConfigError, DataError
from recog.text import BLANK, Units

SYMBOLS = [BLANK, " ", "A", "B"]
WORDS = ["A", "AB", "BB"]
ALPHABET = Alphabet.of(Units("char", SYMBOLS))


def beam(**settings):
    return make(Component("beam", CtcBeamConfig(lexicon=True, **settings)), Units("char", SYMBOLS), WORDS)


def draw(seed, frames):
    x = 2 * np.random.default_rng(seed).normal(size=(frames, len(SYMBOLS)))
    return x - np.log(np.exp(x).sum(1, keepdims=True))


def best_by_brute_force(log_probs, length_bonus=0.0, word_bonus=0.0):
    """The best sequence of whole words and its score: log of the sum over all its paths, and the bonuses."""
    sums = {}
    for path in itertools.product(range(len(SYMBOLS)), repeat=len(log_probs)):
        units = tuple(unit for unit, _ in itertools.groupby(path) if unit)
        sums[units] = sums.get(units, 0) + np.exp(log_probs[np.arange(len(path)), path].sum())
    allowed = {units: p for units, p in sums.items()
               if not units or set("".join(SYMBOLS[u] for u in units).split(" ")) <= set(WORDS)}

    def score(units):
        words = len("".join(SYMBOLS[u] for u in units).split())
        return np.log(allowed[units]) + length_bonus * len(units) + word_bonus * words

    return max(((units, score(units)) for units in allowed), key=lambda pair: pair[1])


@pytest.mark.parametrize("seed", range(40))
def test_an_unlimited_beam_equals_brute_force(seed):
    log_probs = draw(seed, 1 + seed % 6)
    bonuses = {"length_bonus": (seed % 3 - 1) * 0.8, "word_bonus": (seed % 4 - 1) * 1.5}
    decoder = beam(beam=400, **bonuses)
    found = decode(decoder, log_probs)[0]
    units, score = best_by_brute_force(log_probs, **bonuses)
    assert found.units == units
    assert found.score == pytest.approx(score, abs=1e-9)


def test_a_narrow_beam_over_a_long_input_writes_only_words_in_any_chunks():
    decoder = beam(beam=8, nbest=3)
    log_probs = draw(7, 3000)
    found = decode(decoder, log_probs)
    for hypothesis in found:
        text = "".join(SYMBOLS[u] for u in hypothesis.units)
        assert len(text) > 100 and set(text.split(" ")) <= set(WORDS)
    state = decoder.begin()
    for part in np.array_split(log_probs, 11):
        state = decoder.step(state, part)
    assert decoder.finish(state)[0].units == found[0].units


def test_frames_that_nothing_of_the_lexicon_fits_are_named():
    log_probs = draw(3, 6)
    log_probs[2:5] = -np.inf
    log_probs[[2, 3, 4], [1, 0, 1]] = 0.0                       # two spaces, with no word between
    decoder = beam(beam=8)
    for parts in (1, 3):
        with pytest.raises(DataError, match="nothing that the lexicon allows has a probability above zero in frames"):
            state = decoder.begin()
            for part in np.array_split(log_probs, parts):
                state = decoder.step(state, part)


def test_the_trie_spells_each_word_and_nothing_else():
    lexicon = build(WORDS, ALPHABET)

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
        build(["A", "ABC"], ALPHABET)


def test_a_model_without_a_lexicon_says_so():
    units = Units("char", SYMBOLS)
    wanted = Component("beam", CtcBeamConfig(lexicon=True))
    assert make(wanted, units, WORDS).guide.lexicon is not None
    with pytest.raises(ConfigError, match="no lexicon"):
        make(wanted, units, ())
    with pytest.raises(ConfigError, match="no lexicon"):
        make(wanted, Units("phone", [BLANK, "aa", "b"]), WORDS)
    with pytest.raises(ValueError, match="word_bonus needs lexicon"):
        CtcBeamConfig(word_bonus=-1.0)


def test_words_of_phones_are_found_by_any_way_to_say_them():
    units = Units("phone", [BLANK, " ", "Z", "IY", "D"], lexicon={"Z": (("Z", "IY"), ("Z", "D")), "D": (("D", "IY"),)})
    decoder = make(Component("beam", CtcBeamConfig(lexicon=True)), units, ())
    likely = [[2], [4], [1], [4], [3, 2]]                  # "Z D", "D" but for a doubtful end: Z is no end of a word
    log_probs = np.full((len(likely), 5), np.log(0.01))
    for row, best in zip(log_probs, likely):
        row[best] = np.log(0.97 / len(best) + 0.0)
        row[:] -= np.log(np.exp(row).sum())
    assert units.decode(decode(decoder, log_probs)[0].units) == "Z D"
