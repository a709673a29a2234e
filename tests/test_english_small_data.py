"""The data scripts of english_small: what they say, how engines are asked, and that a seed fixes it."""

import functools
import importlib
import random
import re
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest

RECIPE = Path(__file__).parent.parent / "recipes" / "english_small"
MODULES = ("words", "sentences", "kokoro", "voices", "make_corpus", "fetch_judges", "make_samples")


@pytest.fixture
def load(monkeypatch):
    """Imports a script of the recipe, and forgets it afterwards."""
    monkeypatch.syspath_prepend(str(RECIPE))
    yield importlib.import_module
    for name in MODULES:
        sys.modules.pop(name, None)


def said(load, count: int = 4000):
    sentence, rng = load("sentences").sentence, random.Random(1)
    return [sentence(rng) for _ in range(count)]


def test_sentences_stay_within_the_vocabulary_and_the_alphabet(load):
    known = load("sentences").vocabulary()
    for s in said(load):
        assert re.fullmatch(r"[A-Z]+( [A-Z]+)*", s.text), s
        assert set(s.text.split()) <= known, s
        assert s.text == s.say.replace(",", "")


def test_every_word_is_said(load):
    words = {word for s in said(load, 40_000) for word in s.text.split()}
    assert words == load("sentences").vocabulary()


def test_vocabulary_holds_letters_digits_and_commands(load):
    wanted = ("A Z ZERO OH NINE TWENTY HUNDRED THOUSAND MILLION POINT RUBOUT ENTER ERASE REPEAT "
              "HELP START STOP GO YES NO LEFT RIGHT UP DOWN FORWARD BACKWARD TEN METERS ON OFF "
              "OPEN CLOSE NEXT PREVIOUS THIRTIETH FEBRUARY APOSTROPHE").split()
    assert set(wanted) <= load("sentences").vocabulary()


def test_the_lexicon_has_every_word(load):
    from recog import pronounce

    lexicon = pronounce.read(RECIPE / "lexicon.txt")
    assert load("sentences").vocabulary() <= set(lexicon)


def test_isolated_words_are_about_two_fifths(load):
    share = np.mean([s.isolated for s in said(load)])
    assert 0.38 < share < 0.50


def test_an_isolated_vowel_is_the_letter(load):
    assert "OH" not in {s.text for s in said(load)}


def reading(voices, engine="flite", name="slt", **changes):
    values = {"rate": 1.0, "pitch": 0.5, "shift": 1.0, "gap": 0, "zed": False} | changes
    return voices.Reading(voices.Voice(engine, name), **values)


def test_letters_are_respelled_so_that_engines_name_them(load):
    voices = load("voices")
    say = "RUBOUT A, Z, B SEVEN"
    assert voices.spelled(say, reading(voices), voices.FLITE_SPELLING) == "rubout ay, zee, B seven"
    british = reading(voices, zed=True)
    assert voices.spelled(say, british, voices.ESPEAK_SPELLING) == "rub-out [['eI]], zed, B seven"


def test_held_out_voices_are_in_no_training_voice(load):
    voices = load("voices")
    everyone = [v for engine in voices.PACKAGES for v in voices.voices(engine)]
    train = [v for v in everyone if not v.held_out]
    assert 5 < len(everyone) - len(train) < len(train) / 3
    assert not {part for v in train for part in v.name.split("+")} & voices.HELD_OUT
    assert len({v.speaker for v in everyone}) == len(everyone)


def test_a_plan_is_fixed_by_seed_and_index(load):
    corpus = load("make_corpus")
    assert [corpus.plan(1, i) for i in range(50)] == [corpus.plan(1, i) for i in range(50)]
    assert corpus.plan(1, 3).id != corpus.plan(2, 3).id
    splits = {corpus.record(corpus.plan(1, i))["split"] for i in range(200)}
    assert splits == {"train", "dev"}


@pytest.mark.skipif(any(map(lambda e: shutil.which(e) is None, ("flite", "espeak-ng", "festival"))),
                    reason="needs flite, espeak-ng and festival")
def test_the_corpus_is_made_and_resumed(load, tmp_path, monkeypatch):
    soundfile = pytest.importorskip("soundfile")
    corpus = load("make_corpus")
    monkeypatch.setattr(corpus, "BLOCK", 12)
    def make():
        corpus.make(tmp_path, "manifest.jsonl", 0.001, functools.partial(corpus.plan, 1), corpus.speak, jobs=1)

    make()
    files = sorted((tmp_path / "wav").glob("*.flac"))
    assert len(files) == len((tmp_path / "manifest.jsonl").read_text().splitlines()) >= 10
    for path in files:
        info = soundfile.info(path)
        assert (info.samplerate, info.channels) == (16000, 1)
    times = [path.stat().st_mtime_ns for path in files]
    first = files[0].read_bytes()
    files[0].unlink()
    make()
    assert files[0].read_bytes() == first
    assert [path.stat().st_mtime_ns for path in files[1:]] == times[1:]


SAID = {"SEVEN": "S EH1 V AH0 N", "THIRTY": "TH ER1 D IY2", "FOUR": "F AO1 R", "OFF": "AO1 F", "STAR": "S T AA1 R", "STOP": "S T AA1 P",
        "HOURS": "AW1 ER0 Z", "AREA": "EH1 R IY0 AH0", "Z": "Z IY1", "ZED": "Z EH1 D", "GO": "G OW1"}


@pytest.mark.parametrize("say, american, british", [
    ("SEVEN, Z", "sˈɛvən, zˈi.", "sˈɛvən, zˈɛd."), ("THIRTY FOUR", "θˈɜɹdi fˈɔɹ.", "θˈɜːdiː fˈɔː."), ("GO OFF", "ɡˈO ˈɔf.", "ɡˈQ ˈɔːf."),
    ("STAR STOP", "stˈɑɹ stˈɑp.", "stˈɑː stˈɒp."), ("HOURS AREA", "ˈWəɹz ˈɛɹiə.", "ˈWəz ˈɛɹiːə.")])
def test_kokoro_reads_phones_in_two_accents(load, monkeypatch, say, american, british):
    kokoro = load("kokoro")
    monkeypatch.setattr(kokoro, "stressed", lambda: SAID)
    assert kokoro.phones(say, zed=False, british=False) == american
    assert kokoro.phones(say, zed=True, british=True) == british


def test_kokoro_s_voices_are_mixed_and_those_held_out_are_in_no_mixture(load, tmp_path):
    kokoro, corpus = load("kokoro"), load("make_corpus")
    for number, name in enumerate(["af_heart", "am_adam", "bm_daniel", "hf_beta", "af_nicole", *kokoro.HELD_OUT]):
        np.full((3, 256), number, "<f4").tofile(tmp_path / f"{name}.bin")
    plans = [corpus.plan_kokoro(tmp_path, 1, i) for i in range(300)]
    assert plans == [corpus.plan_kokoro(tmp_path, 1, i) for i in range(300)]
    parts = {split: {re.sub(r"[*].*", "", part) for p in plans for part in p.reading.voice.name.split("+")
                     if corpus.record(p)["split"] == split} for split in ("train", "dev")}
    assert parts == {"train": {"af_heart", "am_adam", "bm_daniel", "hf_beta"}, "dev": kokoro.HELD_OUT}
    assert not any(p.reading.voice.name.startswith("hf") for p in plans)                # accents are only mixed in
    assert any(p.reading.voice.british for p in plans) and any("+" in p.reading.voice.name for p in plans)
    engine = object.__new__(kokoro.Kokoro)
    engine.folder = tmp_path
    assert (engine.style("hf_beta") == 3).all() and np.allclose(engine.style("am_adam*0.25+bm_daniel"), 1.75)


def test_a_missing_engine_names_its_package(load, monkeypatch):
    voices = load("voices")
    monkeypatch.setattr(voices.shutil, "which", lambda name: None)
    assert "flite is not installed: apt-get install flite" in voices.missing_engines()


def test_kinds_of_judges(load):
    kind = load("fetch_judges").kind
    assert [kind(text) for text in ("B", "NINE", "TEN", "GO ON")] == [
        "letter", "digit", "word", "phrase"]
    assert load("fetch_judges").FIGURES["40"] == "FORTY"


def test_sphere_files_are_read_back(load, tmp_path):
    soundfile = pytest.importorskip("soundfile")
    x = np.linspace(-1, 0.9, 777, dtype=np.float32)
    load("make_samples").write_sphere(tmp_path / "x.sph", x, 8000)
    y, rate = soundfile.read(tmp_path / "x.sph", dtype="float32")
    assert rate == 8000
    assert np.abs(x - y).max() < 2 ** -15
    assert (tmp_path / "x.sph").stat().st_size == 1024 + 2 * 777
