"""Phrases to listen for: their file, what a model without their words says, and that they are heard. The sums: test_fusion."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from test_decode import random_log_probs

from recog.config import Component
from recog.decode import decode, make
from recog.decode.ctc_beam import CtcBeamConfig
from recog.decode.greedy import GreedyConfig
from recog.decode.phrases import read
from recog.errors import ConfigError, DataError
from recog.pronounce import read as read_dictionary
from recog.text import BLANK, Units

SAMPLES = Path(__file__).resolve().parent.parent / "data" / "samples"
CHARS = Units("char", [BLANK, " ", "A", "N", "T"])
PHONES = Units("phone", [BLANK, " ", "AE", "N", "T"], lexicon={"AN": (("AE", "N"),), "AT": (("AE", "T"),)})


def heard(*rows):
    """Log-probabilities in which these units are likely, in this order."""
    probs = np.full((len(rows), 5), 0.02)
    for row, likely in zip(probs, rows):
        row[list(likely)] = 0.9 / len(likely)
    return np.log(probs / probs.sum(1, keepdims=True))


def test_a_file_of_phrases(tmp_path):
    file = tmp_path / "names.txt"
    file.write_text("  Ann   Smith\nBob\t2\n\nEve\t-0.5\n", encoding="utf-8")
    assert read(file) == {"Ann Smith": 1.0, "Bob": 2.0, "Eve": -0.5}
    for wrong, message in (("Ann\tmuch\n", "line 1: 'much' is not a number"), ("\n \n", "holds no phrase"), ("Ann\tinf\n", "line 1: 'inf'"),
                           ("Ann\n" + "a b " * 2500 + "\n", "line 2: the phrase has 9,999 letters")):
        file.write_text(wrong, encoding="utf-8")
        with pytest.raises(DataError, match=message):
            read(file)


@pytest.mark.parametrize("beam", [2, 16])
def test_a_phrase_is_heard_where_the_sound_allows_it(beam):
    """The last unit is N or T, and T a little likelier: with the phrase it is N; a phrase that nothing sounds like is not heard."""
    log_probs = heard([2], [0], [3, 4], [0])
    log_probs[2, 4] += 0.3
    log_probs[2] -= np.logaddexp.reduce(log_probs[2])
    for units, words in ((CHARS, ()), (PHONES, ())):
        component = Component("beam", CtcBeamConfig(beam=beam, lexicon=units is PHONES, boost=0.4))
        answers = [units.decode(decode(make(component, units, words, phrases=phrases), log_probs)[0].units)
                   for phrases in (None, {"AN": 1.0}, {"TAN" if units is CHARS else "AN AT": 1.0})]
        assert answers == ["AT", "AN", "AT"]


def test_a_word_that_nobody_told_the_lexicon(tmp_path):
    file = tmp_path / "names.dict"
    file.write_text("NAT  N AE T\nAT(2)  T AE\n", encoding="utf-8")
    taught = PHONES.knowing(read_dictionary(file), file)
    log_probs = heard([3], [2], [4])
    component = Component("beam", CtcBeamConfig(lexicon=True))
    assert PHONES.decode(decode(make(component, PHONES, ()), log_probs)[0].units) != "NAT"
    assert taught.decode(decode(make(component, taught, ()), log_probs)[0].units) == "NAT"
    assert taught.lexicon["AT"] == (("AE", "T"), ("T", "AE")) and "NAT" not in PHONES.lexicon
    stressed = {"ANNA": (("AE1", "N", "AE0"), ("AE2", "N", "AE"))}
    assert PHONES.knowing(stressed, file).lexicon["ANNA"] == (("AE", "N", "AE"),)
    with pytest.raises(DataError, match="the phone 'AE' of 'ANNA'"):                  # this model tells stress apart
        Units("phone", [BLANK, " ", "AE0", "N"], lexicon={"AN": (("AE0", "N"),)}).knowing(stressed, file)
    with pytest.raises(DataError, match="the phone 'NG' of 'ANG' is none of the model's: AE N T"):
        PHONES.knowing({"ANG": (("AE", "NG"),)}, file)
    with pytest.raises(ConfigError, match="writes char units, and needs no lexicon"):
        CHARS.knowing({"ANG": (("AE", "NG"),)}, file)


@pytest.mark.parametrize("units, phrase, message", [
    (CHARS, "ANNA B", "cannot write 'B' in 'ANNA B'"), (PHONES, "AN TAN", "does not say how 'TAN' is spoken")])
def test_what_cannot_be_written_is_named(units, phrase, message):
    with pytest.raises(ConfigError, match=message):
        make(Component("beam", CtcBeamConfig()), units, (), phrases={phrase: 1.0})
    with pytest.raises(ConfigError, match="'greedy' cannot listen for phrases"):
        make(Component("greedy", GreedyConfig()), units, (), phrases={"AN": 1.0})


@pytest.mark.parametrize("phrases", [{"A": -1.0, "N": -2.0, "T": -1.0}, {"AN": 1.0, "A": -0.7, "T A": 2.0}])
def test_what_a_narrow_beam_leaves_out_could_not_have_got_in(phrases):
    """The bounds by which prefixes are not tried, against none."""
    for seed in range(40):
        log_probs = random_log_probs(seed, 30, 5)
        decoder = make(Component("beam", CtcBeamConfig(beam=2)), CHARS, (), phrases=phrases)
        answer = decode(decoder, log_probs)
        decoder.fusion = decoder.fusion._replace(most=1e6, inside=1e6)
        assert decode(decoder, log_probs) == answer


def test_a_beam_of_any_width_is_as_good_in_chunks():
    decoder = make(Component("beam", CtcBeamConfig(beam=7, nbest=3)), CHARS, (), phrases={"AN A": 1.0, "TAN": 0.5})
    log_probs = random_log_probs(3, 500, 5)
    state = decoder.begin()
    for part in np.array_split(log_probs, 9):
        state = decoder.step(state, part)
    assert decoder.finish(state) == decode(decoder, log_probs)
    assert sum(decoder.finish(state)[0].parts.values()) == pytest.approx(decoder.finish(state)[0].score)


def test_the_bundled_model_learns_a_word_and_listens_for_it(tmp_path):
    (tmp_path / "more.dict").write_text("SEVEM  S EH V AH M\n", encoding="utf-8")
    (tmp_path / "names.txt").write_text("SEVEM\n", encoding="utf-8")
    said = ["-m", "recog", "transcribe", str(SAMPLES / "seven.wav")]
    taught = ["--lexicon", str(tmp_path / "more.dict"), "--phrases", str(tmp_path / "names.txt"), "--boost", "5"]
    answers = [subprocess.run([sys.executable, *said, *more], capture_output=True, text=True, cwd=SAMPLES.parent.parent, check=True).stdout.strip()
               for more in ([], taught)]
    assert answers == ["SEVEN", "SEVEM"]
