"""Units that are phones of words: a dictionary is read, used both ways, kept in the model, and its faults are named."""

import pytest

from recog import pronounce
from recog.errors import DataError, ModelError
from recog.files import write_json
from recog.text import BLANK, Units, UnitsConfig, learn
from recog.types import Span

TEXT = ";;; a comment\nO OW\nOH OW\nZED(2) Z EH D\nZED Z IY\n\nMAY M EY\nMAY M EY\n"


@pytest.fixture
def units(tmp_path):
    (tmp_path / "lexicon.txt").write_text(TEXT)
    return learn(UnitsConfig("phone", lexicon="lexicon.txt"), ["O"], tmp_path)


def test_the_inventory_is_all_phones_of_the_dictionary(units):
    assert units.symbols == (BLANK, " ", "D", "EH", "EY", "IY", "M", "OW", "Z")
    assert units.lexicon["MAY"] == (("M", "EY"),)


def test_words_there_and_back(units):
    assert [units.symbols[i] for i in units.encode("MAY O")] == ["M", "EY", " ", "OW"]
    assert units.decode(units.encode(" MAY  O MAY ")) == "MAY O MAY"
    assert units.decode(units.encode("OH")) == "O"                      # the first of those that sound alike
    assert units.encode("") == [] and units.decode([]) == ""
    both = [[units.symbols.index(phone) for phone in way.split()] for way in ("Z IY", "Z EH D")]
    assert [units.decode(way) for way in both] == ["ZED", "ZED"]


def test_phones_that_are_no_word_are_written_as_they_are(units):
    assert units.decode([6, 7, 1, 6, 4]) == "M-OW MAY"


def test_words_have_times_and_confidence(units):
    spans = [Span("M", 0.0, 0.1, 0.9), Span("EY", 0.1, 0.2, 0.7), Span(" ", 0.2, 0.3, 1.0), Span("OW", 0.3, 0.4, 0.5)]
    may, o = units.words(spans)
    assert (may.text, may.start, may.end, may.confidence) == ("MAY", 0.0, 0.2, pytest.approx(0.8))
    assert (o.text, o.start, o.end) == ("O", 0.3, 0.4)


def test_saved_and_loaded(units, tmp_path):
    units.save(tmp_path / "units.json")
    again = Units.load(tmp_path / "units.json")
    assert again.symbols == units.symbols and again.lexicon == units.lexicon and again.decode([6, 4]) == "MAY"
    write_json(tmp_path / "units.json", {"kind": "phone", "symbols": [BLANK, " "], "lexicon": ["no table"]})
    with pytest.raises(ModelError, match="not a list of units"):
        Units.load(tmp_path / "units.json")


def test_a_word_that_the_dictionary_lacks_is_named(units):
    with pytest.raises(DataError, match="u1.*'JUNE'"):
        units.encode("MAY JUNE", where="u1")


@pytest.mark.parametrize("text, complaint", [("A\n", "line 1: 'A' has no phones"), ("A EY\n(2) EY EY\n", "line 2: '.2.' says that it is another way"), (";;; none\n", "no words")])
def test_faults_of_the_dictionary_are_named(tmp_path, text, complaint):
    (tmp_path / "d.txt").write_text(text)
    with pytest.raises(DataError, match=complaint):
        pronounce.read(tmp_path / "d.txt")
    with pytest.raises(DataError, match="cannot be read.*units.lexicon"):
        pronounce.read(tmp_path / "missing.txt")
    with pytest.raises(ValueError, match="lexicon needs"):
        UnitsConfig("char", lexicon="d.txt")
