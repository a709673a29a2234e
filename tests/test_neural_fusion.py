"""A neural language model in the beam: against every sequence there is, and against the same search with an n-gram model."""

import numpy as np
import pytest
import torch
from oracles import close
from test_decode import random_log_probs
from test_fusion import CHARS, check, model
from test_rnn_lm import by_loops

from recog.config import Component
from recog.decode import decode, make
from recog.decode.ctc_beam import CtcBeam, CtcBeamConfig
from recog.decode.guide import guide
from recog.errors import ConfigError
from recog.lm.rnn import BREAK, CharRnn, Rnn, RnnConfig
from recog.text import BLANK, Units

pytestmark = pytest.mark.usefixtures("one_thread")
LM_UNITS = Units("char", [BLANK, "B", "C", " ", "A"])              # in another order, and more than the model writes


def network(seed=0, layers=2):
    torch.manual_seed(seed)
    model = CharRnn(RnnConfig(layers=layers, units=5), len(LM_UNITS)).eval()
    for w in model.parameters():
        torch.nn.init.normal_(w, std=0.8)
    return Rnn(model, LM_UNITS)


class Twin:
    """An n-gram model that is asked as a network is."""

    def __init__(self, ngram):
        self.ngram, self.eos, self.unk = ngram, len(ngram.words), ngram.unk
        self.id, self.knows = ngram.id, ngram.knows

    def total(self, numbers):
        return self.ngram.total(numbers)

    def follow(self, states, numbers):
        before = [None] * len(numbers) if states is None else states[0][0][0, :, 0].tolist()
        after = [self.ngram.start() if state is None else self.ngram.score(int(state), number)[1] for state, number in zip(before, numbers)]
        rows = [[self.ngram.score(state, word)[0] for word in range(len(self.ngram.words))] + [self.ngram.end(state)] for state in after]
        state = torch.tensor(after, dtype=torch.float64)[None, :, None]
        return np.array(rows, np.float32), ((state, state),)


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("closed", [True, False], ids=["only words", "any"])
def test_it_equals_brute_force(seed, closed):
    lm, words = network(seed, 1 + seed % 2), ["A", "AB", "BB"]
    config = CtcBeamConfig(beam=2000, nbest=5, lm=True, lexicon=closed, lm_weight=0.3 + seed % 3, length_bonus=(seed % 2) * 0.7)
    decoder = CtcBeam(config, guide(config, CHARS, words, lm))

    def text(units):
        return "".join(CHARS.symbols[u] for u in units)

    def allowed(units):
        return not closed or (text(units) == " ".join(text(units).split()) and set(text(units).split()) <= set(words))

    def gain(units):
        spoken = [LM_UNITS.symbols.index(letter) for letter in text(units)]
        return config.lm_weight * sum(by_loops(lm.model, [BREAK, *spoken, BREAK])) + config.length_bonus * len(units)

    check(decoder, random_log_probs(seed, 1 + seed % 5, 4), allowed, gain)


@pytest.mark.parametrize("beam", [1, 3, 12, 100])
@pytest.mark.parametrize("seed", range(4))
def test_a_narrow_beam_keeps_what_it_keeps_with_an_ngram_model_of_the_same_numbers(tmp_path, beam, seed):
    lm, _ = model(tmp_path, ["A <space> A B", "B B <space> A", "A B <space> A <space> B"], order=3)
    config = CtcBeamConfig(beam=beam, nbest=min(beam, 5), lm=True, lm_weight=0.8, lexicon=seed % 2 == 0, beam_threshold=6.0 if seed > 1 else None)
    log_probs, words = random_log_probs(seed, 300, 4), ["A", "AB", "BB"]
    asked, looked_up = (decode(make(Component("beam", config), CHARS, words, lm=each), log_probs) for each in (Twin(lm), lm))
    assert [h.units for h in asked] == [h.units for h in looked_up]
    close("neural language model in the beam: the same numbers from an n-gram", [h.score for h in asked], [h.score for h in looked_up], 1e-4)


def test_chunks_change_nothing_and_old_states_stay_as_they_were():
    decoder = make(Component("beam", CtcBeamConfig(beam=9, nbest=3, lm=True, lm_weight=0.8)), CHARS, (), lm=network())
    log_probs = random_log_probs(5, 200, 4)
    whole, state, states = decode(decoder, log_probs), decoder.begin(), []
    for part in np.array_split(log_probs, 7):
        states.append((state, decoder.finish(state)))
        state = decoder.step(state, part)
    assert decoder.finish(state) == whole
    assert all(decoder.finish(state) == answers for state, answers in states)
    plain = decode(make(Component("beam", CtcBeamConfig(beam=9)), CHARS, ()), log_probs)[0]
    assert whole[0].units != plain.units and whole[0].parts["lm"] < 0


def test_a_model_that_does_not_fit_is_refused_in_one_line():
    with pytest.raises(ConfigError, match="reads characters, and does not know D, which this model writes"):
        guide(CtcBeamConfig(lm=True), Units("char", [BLANK, " ", "A", "D"]), (), network())
