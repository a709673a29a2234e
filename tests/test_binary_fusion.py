"""KenLM's binary files in the beam: the same search as with the ARPA file that they were made from."""

from pathlib import Path

import numpy as np
import pytest
from oracles import close
from test_decode import random_log_probs
from test_fusion import CHARS, PHONES, SPOKEN, model

from recog.config import Component
from recog.decode import decode, make
from recog.decode.ctc_beam import CtcBeamConfig
from recog.errors import ConfigError, DataError
from recog.lm.binary import Binary
from recog.lmfile import open_guide

FILES = Path(__file__).parent / "kenlm"
LETTERS = ["A <space> A B", "B B <space> A", "A B <space> A <space> B"]
WORDS = ["A", "AB", "BB"]


def pair(folder, kind, layout):
    return open_guide(FILES / f"{kind}.{layout}.bin"), model(folder, SPOKEN if kind == "words" else LETTERS)[0]


def compare(config, binary, arpa, log_probs, units=CHARS, words=WORDS):
    asked, read = (decode(make(Component("beam", config), units, words, lm=lm), log_probs) for lm in (binary, arpa))
    assert [h.units for h in asked] == [h.units for h in read]
    close("KenLM's binary in the beam: scores by ARPA", [h.score for h in asked], [h.score for h in read], 1e-3)
    for a, b in zip(asked, read):
        close("KenLM's binary in the beam: its part", a.parts["lm"], b.parts["lm"], 1e-3)
    return asked


@pytest.mark.parametrize("layout", ["probing", "trie"])
@pytest.mark.parametrize("beam", [1, 4, 30])
@pytest.mark.parametrize("closed", [True, False], ids=["only words", "any words"])
def test_of_words(tmp_path, layout, beam, closed):
    binary, arpa = pair(tmp_path, "words", layout)
    for seed in range(3):
        config = CtcBeamConfig(beam=beam, nbest=min(beam, 4), lm=True, lexicon=closed, lm_weight=0.4 + seed / 2, unknown=1.5, word_bonus=0.5 * seed)
        compare(config, binary, arpa, random_log_probs(seed, 200, 4))


@pytest.mark.parametrize("layout", ["probing", "trie"])
@pytest.mark.parametrize("beam", [1, 4, 30])
def test_of_characters(tmp_path, layout, beam):
    binary, arpa = pair(tmp_path, "chars", layout)
    for seed in range(3):
        config = CtcBeamConfig(beam=beam, nbest=min(beam, 4), lm=True, lexicon=seed == 1, lm_weight=0.4 + seed / 2, length_bonus=0.2)
        compare(config, binary, arpa, random_log_probs(seed, 200, 4))


def test_of_words_that_are_spelled_in_phones(tmp_path):
    binary, arpa = pair(tmp_path, "words", "probing")
    units = type(PHONES)("phone", PHONES.symbols, lexicon={"A": (("a",),), "AB": (("a", "b"),), "BB": (("b", "b"),)})
    compare(CtcBeamConfig(beam=12, nbest=3, lm=True, lexicon=True), binary, arpa, random_log_probs(7, 120, 4), units)


def test_chunks_change_nothing(tmp_path):
    decoder = make(Component("beam", CtcBeamConfig(beam=9, nbest=3, lm=True)), CHARS, WORDS, lm=pair(tmp_path, "words", "trie")[0])
    log_probs = random_log_probs(5, 300, 4)
    state = decoder.begin()
    for part in np.array_split(log_probs, 7):
        state = decoder.step(state, part)
    assert decoder.finish(state) == decode(decoder, log_probs)


def test_a_file_without_its_words_is_refused(tmp_path):
    data = (FILES / "words.probing.bin").read_bytes()
    (tmp_path / "bare.bin").write_bytes(data[:data.rindex(b"<unk>\0")])
    try:
        assert Binary(tmp_path / "bare.bin").words == []
        with pytest.raises(ConfigError, match="holds no list of its words"):
            open_guide(tmp_path / "bare.bin")
    except DataError as error:                             # KenLM may refuse it first
        assert "KenLM cannot read it" in str(error)
