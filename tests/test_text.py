"""Units: text to numbers and back, words in their places, inventories on disk."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recog.errors import ConfigError, DataError, ModelError
from recog.text import BLANK, Units, UnitsConfig, learn
from recog.types import Span

characters = st.characters(exclude_categories=["Cs"])
texts = st.lists(st.text(characters, max_size=15).filter(lambda text: BLANK not in text), min_size=1, max_size=6)
corpora = st.lists(st.lists(st.sampled_from(["one", "two", "oh", "ünf", "twenty"]), min_size=1, max_size=4).map(" ".join), min_size=1)


def normal(text):
    return " ".join(text.split())


@pytest.mark.parametrize("kind", ["char", "phone", "word"])
@settings(deadline=None)
@given(texts=texts)
def test_round_trip(kind, texts):
    units = learn(UnitsConfig(kind), texts)
    for text in texts:
        numbers = units.encode(text)
        assert units.decode(numbers) == normal(text) and 0 not in numbers
        assert len(numbers) == len(normal(text) if kind == "char" else text.split())
    assert list(units.symbols[1:]) == sorted({s for t in texts for s in (normal(t) if kind == "char" else t.split())})


@settings(deadline=None, max_examples=25)
@given(corpora, st.data())
def test_round_trip_of_pieces(texts, data):
    letters = {c for text in texts for c in normal(text)}
    try:
        units = learn(UnitsConfig("piece", data.draw(st.integers(2, len(letters) + 6))), texts)
    except ConfigError as error:
        assert "units.size" in str(error)
        return
    for text in texts:
        assert units.decode(units.encode(text)) == text and 0 not in units.encode(text)


def test_pieces_do_not_depend_on_the_day():
    texts = ["one two three", "two oh", "three three one"] * 4
    assert learn(UnitsConfig("piece", 12), texts).symbols == learn(UnitsConfig("piece", 12), texts).symbols
    assert len(learn(UnitsConfig("piece", 12), texts)) == 13


@pytest.mark.parametrize("kind, text, words", [
    ("char", "abz y", "' ', 'y', 'z' are not among the model's 2 char units"), ("word", "ab zz", "'zz' is not among the model's 2 word units"),
    ("piece", "abz", "'z' is not among")])
def test_unknown_symbols_are_named(kind, text, words):
    units = learn(UnitsConfig(kind, 4), ["ab", "ba"] * 5)
    with pytest.raises(DataError) as caught:
        units.encode(text, where="utterance 'u7'")
    assert str(caught.value).startswith("utterance 'u7': ") and words in str(caught.value)


def test_the_blank_cannot_be_said():
    with pytest.raises(DataError):
        Units("word", [BLANK, "a"]).encode(f"a {BLANK}")
    with pytest.raises(DataError, match="blank"):
        learn(UnitsConfig("word"), ["a", f"b {BLANK} c"])


@pytest.mark.parametrize("symbols", [[], ["a"], ["a", BLANK], [BLANK, "a", "a"]])
def test_inventories_that_cannot_be(symbols):
    with pytest.raises(ValueError):
        Units("char", symbols)


def spans(text, confidences=None):
    """A span of one second for each symbol of a list."""
    return tuple(Span(s, i, i + 1, confidences[i] if confidences else 0.5) for i, s in enumerate(text))


def test_words_from_characters():
    words = Units("char", [BLANK, *" abcd"]).words(spans("ab cda", [0.1, 0.3, 0.9, 1.0, 0.0, 0.5]))
    assert [(w.text, w.start, w.end) for w in words] == [("ab", 0, 2), ("cda", 3, 6)]
    assert [w.confidence for w in words] == pytest.approx([0.2, 0.5])


@pytest.mark.parametrize("text", ["", " ", "  ", " ab", "ab ", " a  b "])
def test_words_from_characters_with_odd_spaces(text):
    words = Units("char", [BLANK, *" ab"]).words(spans(text))
    assert [w.text for w in words] == text.split() and all(text[int(w.start):int(w.end)] == w.text for w in words)


def test_words_from_pieces():
    words = Units("piece", [BLANK, "\u2581"], None).words(spans(["\u2581tw", "o", "\u2581", "oh", "\u2581one"]))
    assert [(w.text, w.start, w.end) for w in words] == [("two", 0, 2), ("oh", 3, 4), ("one", 4, 5)]


@pytest.mark.parametrize("kind", ["phone", "word"])
def test_words_that_are_units(kind):
    units = spans(["aa", "b"])
    assert Units(kind, [BLANK, "aa", "b"]).words(units) == units


@pytest.mark.parametrize("config", [UnitsConfig("char"), UnitsConfig("phone"), UnitsConfig("word"), UnitsConfig("piece", 10)])
def test_saved_and_loaded(tmp_path, config):
    units = learn(config, ["one two", "two öne"] * 3)
    units.save(tmp_path / "units.json")
    loaded = Units.load(tmp_path / "units.json")
    assert (loaded.kind, loaded.symbols) == (units.kind, units.symbols)
    assert loaded.encode("öne two") == units.encode("öne two") and loaded.decode(loaded.encode("öne two")) == "öne two"


def test_what_is_no_inventory(tmp_path):
    for text, kind in (('{"kind": "char"}', ModelError), ("[", DataError)):
        (tmp_path / "units.json").write_text(text)
        with pytest.raises(kind, match="units.json"):
            Units.load(tmp_path / "units.json")


def test_too_many_pieces_is_a_setting_to_change():
    with pytest.raises(ConfigError, match="units.size: cannot learn 400 pieces"):
        learn(UnitsConfig("piece", 400), ["one two"])
    with pytest.raises(ValueError):
        UnitsConfig("piece", 1)
