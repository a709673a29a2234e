"""Search with a language model, against every sequence there is, scored one by one from the ARPA file's own numbers."""

import numpy as np
import pytest
from oracles import close
from test_decode import random_log_probs, sums_by_labels

from recog.config import Component
from recog.decode import decode, make
from recog.decode.ctc_beam import CtcBeam, CtcBeamConfig
from recog.decode.guide import guide
from recog.errors import ConfigError
from recog.lm.arpa import write
from recog.lm.kneser_ney import KneserNeyConfig, train
from recog.lm.ngram import Ngram
from recog.text import BLANK, Units

CHARS = Units("char", [BLANK, " ", "A", "B"])
SPOKEN = ["A AB", "AB A A", "BB AB", "A", "A BB AB", "AB"]
PIECES = Units("piece", [BLANK, "\u2581A", "B", "\u2581", "\u2581AB"], None)
PHONES = Units("phone", [BLANK, " ", "a", "b"], lexicon={"ONE": (("a",), ("a", "b")), "TWO": (("b", "b"),), "WON": (("a",),)})


def model(folder, sentences, order=3):
    write(train("\n".join(sentences), KneserNeyConfig(order, discount_fallback=True)), folder / "lm.arpa")
    return Ngram.read(folder / "lm.arpa"), Plain(folder / "lm.arpa")


class Plain:
    """The file as dictionaries; the probability of a word by the back-off rule, word by word."""

    def __init__(self, path):
        self.prob, self.back = {}, {}
        for line in path.read_text().splitlines():
            fields = line.split("\t")
            if len(fields) >= 2:
                gram = tuple(fields[1].split())
                self.prob[gram] = float(fields[0]) * np.log(10)
                self.back[gram] = float(fields[2]) * np.log(10) if len(fields) > 2 else 0.0
        self.order = max(map(len, self.prob))

    def word(self, context, word):
        word = word if (word,) in self.prob else "<unk>"
        if (*context, word) in self.prob:
            return self.prob[(*context, word)]
        return self.back.get(tuple(context), 0.0) + self.word(context[1:], word)

    def sentence(self, words, weight=1.0, unknown=0.0):
        history, total = ["<s>"], 0.0
        for word in [*words, "</s>"]:
            total += weight * self.word(tuple(history[-(self.order - 1):]) if self.order > 1 else (), word)
            total -= unknown * ((word,) not in self.prob)
            history.append(word if (word,) in self.prob else "<unk>")
        return total


def spaced(units):
    """Between words stands one space, none at the ends."""
    text = "".join(CHARS.symbols[u] for u in units)
    return text == text.strip() and "  " not in text


def check(decoder, log_probs, allowed, lm):
    """The answers are the allowed sequences in the order of their scores, and the parts are right."""
    sums = {units: total for units, total in sums_by_labels(log_probs).items() if allowed(units)}
    scores = {units: total + lm(units) for units, total in sums.items()}
    expected = sorted(scores, key=scores.get, reverse=True)[:5]
    found = decode(decoder, log_probs)[:5]
    close("CTC beam with a language model: every sequence", [h.score for h in found], [scores[units] for units in expected], 1e-6)
    for h in found:
        close("CTC beam with a language model: acoustic part", h.parts["acoustic"], sums[h.units], 1e-9)
        assert sum(h.parts.values()) == h.score


@pytest.mark.parametrize("seed", range(25))
def test_a_model_of_units_equals_brute_force(tmp_path, seed):
    lm, plain = model(tmp_path, ["A <space> A B", "B B <space> A", "A B <space> A <space> B"], order=1 + seed % 4)
    config = CtcBeamConfig(beam=2000, nbest=5, lm=True, lm_weight=0.3 + seed % 3, length_bonus=(seed % 2) * 0.7)
    decoder = CtcBeam(config, guide(config, CHARS, (), lm))
    assert decoder.guide.lexicon is None

    def gain(units):
        return plain.sentence(["<space>" if u == 1 else CHARS.symbols[u] for u in units], config.lm_weight) + config.length_bonus * len(units)

    check(decoder, random_log_probs(seed, 1 + seed % 6, 4), lambda units: True, gain)


@pytest.mark.parametrize("seed", range(25))
@pytest.mark.parametrize("closed", [True, False], ids=["only words", "any words"])
def test_a_model_of_words_equals_brute_force(tmp_path, seed, closed):
    lm, plain = model(tmp_path, SPOKEN, order=1 + seed % 3)
    config = CtcBeamConfig(beam=2000, nbest=5, lm=True, lexicon=closed, lm_weight=0.3 + seed % 3, unknown=1.5, word_bonus=(seed % 3 - 1) * 0.9)
    decoder = CtcBeam(config, guide(config, CHARS, ["A", "AB", "BB"], lm))

    def words(units):
        return "".join(CHARS.symbols[u] for u in units).split()

    def allowed(units):
        return spaced(units) and (not closed or set(words(units)) <= {"A", "AB", "BB"})

    def gain(units):
        return plain.sentence(words(units), config.lm_weight, config.unknown) + config.word_bonus * len(words(units))

    check(decoder, random_log_probs(seed, 1 + seed % 6, 4), allowed, gain)


@pytest.mark.parametrize("seed", range(15))
def test_words_of_phones_are_those_that_are_written(tmp_path, seed):
    lm, plain = model(tmp_path, ["ONE TWO", "TWO ONE ONE", "ONE"], order=2)
    config = CtcBeamConfig(beam=2000, nbest=5, lm=True, lexicon=True)
    decoder = make(Component("beam", config), PHONES, (), lm=lm)
    words = {"a": "ONE", "ab": "ONE", "bb": "TWO"}

    def spelled(units):
        return "".join(PHONES.symbols[u] for u in units)

    check(decoder, random_log_probs(seed, 1 + seed % 6, 4), lambda units: spaced(units) and set(spelled(units).split()) <= set(words),
          lambda units: plain.sentence([words[word] for word in spelled(units).split()]))


def pieced(units):
    """The words of these pieces; None where one is empty."""
    words = "".join(PIECES.symbols[u] for u in units).split("\u2581")
    words = words if words[0] else words[1:]
    return None if "" in words else words


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("closed", [True, False], ids=["only words", "any words"])
def test_words_of_pieces_however_they_are_cut(tmp_path, seed, closed):
    lm, plain = model(tmp_path, SPOKEN, order=1 + seed % 3)
    config = CtcBeamConfig(beam=4000, nbest=5, lm=True, lexicon=closed, lm_weight=0.3 + seed % 3, unknown=1.5, word_bonus=(seed % 3 - 1) * 0.9)

    def allowed(units):
        whole = pieced(units)
        return whole is not None and (not closed or set(whole) <= {"A", "AB", "BB", "ABB"})

    def gain(units):
        return plain.sentence(pieced(units), config.lm_weight, config.unknown) + config.word_bonus * len(pieced(units))

    check(make(Component("beam", config), PIECES, ["A", "AB", "BB", "ABB"], lm=lm), random_log_probs(seed, 1 + seed % 6, 5), allowed, gain)


@pytest.mark.parametrize("seed", range(30))
@pytest.mark.parametrize("units", [CHARS, PIECES], ids=["characters", "pieces"])
@pytest.mark.parametrize("guided", [False, True], ids=["alone", "with a model of words"])
def test_phrases_gain_where_they_are_written_whole(tmp_path, seed, units, guided):
    lm, plain = model(tmp_path, SPOKEN, order=2)
    phrases = [{"AB": 1.0}, {"A B": 1.0, "B": -0.5}, {"B AB": 1.0, "AB": 0.7, "A": 0.2}][seed % 3]
    config = CtcBeamConfig(beam=4000, nbest=5, boost=1.3, lm=guided)
    decoder = make(Component("beam", config), units, ["A", "AB", "BB", "ABB"], lm=lm, phrases=phrases)

    def allowed(numbers):
        return not guided or (pieced(numbers) is not None if units is PIECES else spaced(numbers))

    def gain(numbers):
        text = "".join(units.symbols[u] for u in numbers).replace("\u2581", " ").join("  ")
        total = plain.sentence(text.split()) if guided else 0.0
        for phrase, factor in phrases.items():
            found = sum(text.startswith(f" {phrase} ", i) for i in range(len(text)))
            total += found * config.boost * factor * len(phrase.replace(" ", ""))
        return total

    check(decoder, random_log_probs(seed, 1 + seed % 5, len(units)), allowed, gain)


def test_weight_zero_is_no_model(tmp_path):
    lm, _ = model(tmp_path, SPOKEN)
    for seed in range(5):
        log_probs = random_log_probs(seed, 40, 4)
        for lexicon in (True, False):
            with_lm = make(Component("beam", CtcBeamConfig(beam=8, lm=True, lexicon=True, lm_weight=0.0)), CHARS, ["A", "AB", "BB"], lm=lm)
            without = make(Component("beam", CtcBeamConfig(beam=8, lexicon=True)), CHARS, ["A", "AB", "BB"])
            assert decode(with_lm, log_probs)[0].units == decode(without, log_probs)[0].units


@pytest.mark.parametrize("lexicon", [True, False])
def test_chunks_change_nothing_and_the_model_is_heard(tmp_path, lexicon):
    lm, _ = model(tmp_path, SPOKEN)
    config = CtcBeamConfig(beam=12, nbest=3, lm=True, lexicon=lexicon, lm_weight=0.8)
    decoder = make(Component("beam", config), CHARS, ["A", "AB", "BB"], lm=lm)
    log_probs = random_log_probs(5, 1500, 4)
    whole, state = decode(decoder, log_probs), decoder.begin()
    for part in np.array_split(log_probs, 13):
        state = decoder.step(state, part)
    assert decoder.finish(state) == whole
    plain = decode(make(Component("beam", CtcBeamConfig(beam=12)), CHARS, ()), log_probs)[0]
    assert whole[0].units != plain.units and whole[0].parts["lm"] < 0


def test_a_model_that_does_not_fit_is_refused_in_one_line(tmp_path):
    lm, _ = model(tmp_path, ["Q R", "R Q Q"])
    with pytest.raises(ConfigError, match="has no language model"):
        make(Component("beam", CtcBeamConfig(lm=True)), CHARS, ())
    with pytest.raises(ConfigError, match="knows neither these char units nor a word"):
        make(Component("beam", CtcBeamConfig(lm=True)), CHARS, (), lm=lm)
    for wrong in ({"lm_weight": -1.0}, {"unknown": -1.0}, {"lm_weight": float("nan")}):
        with pytest.raises(ValueError, match="lm_weight|unknown"):
            CtcBeamConfig(lm=True, **wrong)
