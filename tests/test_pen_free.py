"""recipes/pen_free: a corpus of handwriting from fonts, letters and digits that this test makes up."""

import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest

from recog import ink, recipe
from recog.errors import DataError

HOME = Path(__file__).parents[1] / "recipes" / "pen_free"
LATIN = "abcdefghijklmnopqrstuvwxyz"
FLAT, TALL = "acemnorsuvwxz", "bdfhklt"


@pytest.fixture
def glyphs(monkeypatch):
    monkeypatch.syspath_prepend(str(HOME))
    import compose
    import glyphs

    glyphs.compose = compose
    return glyphs


def coordinate(value):
    return chr(ord("R") + value)


def jhf(path):
    """A font in which every character is a hill and a stroke beside it; small letters are 14 high on the baseline 9; long glyphs are
    wrapped."""
    rows = []
    for code in range(32, 127):
        top = -5 if chr(code) in FLAT else -12
        points = [] if code == 32 else [(-4, 9), (0, top), (4, 9), None, (4, top), (4, top + 2)]
        pairs = [coordinate(-6) + coordinate(6), *(" R" if p is None else coordinate(p[0]) + coordinate(p[1]) for p in points)]
        row = f"{code:5}{len(pairs):3}" + "".join(pairs)
        rows += [row[:14], row[14:]] if chr(code) == "W" else [row]
    path.write_text("\n".join(rows) + "\n")


def omniglot(path, drawers=20):
    with zipfile.ZipFile(path, "w") as zipped:
        for number, _ in enumerate(LATIN, 1):
            for drawer in range(1, drawers + 1):
                text = f"START\n10,-20,0\n{30 + drawer},-60,40\nBREAK\n12,-60,90\n12,-20,130\nBREAK\n"
                zipped.writestr(f"strokes_background_small1/Latin/character{number:02}/0001_{drawer:02}.txt", text)
                zipped.writestr(f"strokes_background_small1/Greek/character{number:02}/0002_{drawer:02}.txt", "START\n1,-1,0\nBREAK\n")


def unipen(path, copies=12):
    text, component = ".VERSION 1.0\n.COORD X Y\n.HIERARCHY DIGIT\n", 0
    for _ in range(copies):
        for digit in range(10):
            text += f'.SEGMENT DIGIT {component} ? "{digit}"\n.PEN_DOWN\n10 {50 + digit}\n20 20\n30 10\n.PEN_UP\n'
            component += 1
    path.write_text(text)


@pytest.fixture
def data(tmp_path, glyphs):
    for folder in ("hershey_fonts", "omniglot", "pendigits/data", "text"):
        (tmp_path / folder).mkdir(parents=True)
    for font in glyphs.FONTS:
        jhf(tmp_path / "hershey_fonts" / f"{font}.jhf")
    omniglot(tmp_path / "omniglot" / "strokes_background_small1.zip")
    for name in ("train", "test"):
        unipen(tmp_path / "pendigits" / "data" / f"pendigits-{name}")
    (tmp_path / "text" / "book.txt").write_text("The quick brown fox jumps over the lazy dog and others.\n\n" * 30)
    return tmp_path


def test_a_font_is_brought_to_one_measure(data, glyphs):
    font = glyphs.hershey(data / "hershey_fonts" / "scripts.jhf")
    assert len(font) == 95 and font[" "].strokes == [] and font["W"].width == pytest.approx(12 / 14)
    np.testing.assert_allclose(font["a"].strokes[0], [[2 / 14, 0], [6 / 14, -1], [10 / 14, 0]], atol=1e-12)
    np.testing.assert_allclose(font["W"].strokes[1], [[10 / 14, -1.5], [10 / 14, -19 / 14]], atol=1e-12)


def test_letters_and_digits_stand_where_their_kind_stands(data, glyphs):
    drawers = glyphs.latin(data / "omniglot" / "strokes_background_small1.zip")
    assert set(drawers) == set(range(1, 21)) and all(set(letters) == set(LATIN) for letters in drawers.values())
    for letter, low, high in (("a", -1, 0), ("l", -1.9, 0), ("p", -1, 0.8), ("j", -1.5, 0.8)):
        points = np.concatenate(drawers[3][letter].strokes)
        assert (points[:, 1].min(), points[:, 1].max()) == (pytest.approx(low), pytest.approx(high)) and points[:, 0].min() == pytest.approx(0.1)
        assert points[0, 1] == pytest.approx(low)                      # y grows upwards in Omniglot, downwards in ink
    digits = glyphs.digits(data / "pendigits" / "data" / "pendigits-train")
    assert {digit: len(drawings) for digit, drawings in digits.items()} == {str(digit): 12 for digit in range(10)}


@pytest.mark.parametrize("spoil", ["font", "zip", "drawer", "digits"])
def test_data_that_is_something_else_is_named(data, glyphs, spoil):
    font, archive, numbers = (data / "hershey_fonts" / "scripts.jhf", data / "omniglot" / "strokes_background_small1.zip",
                              data / "pendigits" / "data" / "pendigits-train")
    if spoil == "font":
        font.write_text(font.read_text()[:2000])
    elif spoil == "zip":
        archive.write_bytes(archive.read_bytes()[:500])
    elif spoil == "drawer":
        omniglot(archive, drawers=19)
    else:
        numbers.write_text(numbers.read_text().replace('"7"', '"8"'))
    with pytest.raises(DataError) as caught:
        glyphs.hershey(font), glyphs.latin(archive), glyphs.digits(numbers)
    assert str(caught.value).startswith(str({"font": font, "digits": numbers}.get(spoil, archive)))


def make(data, out, *more):
    return subprocess.run([sys.executable, HOME / "make_corpus.py", "--data", data, "--out", out, "--lines", "40", *more],
                          capture_output=True, text=True, cwd=data)


def test_the_corpus_is_what_the_recipe_reads_and_the_same_each_time(data, tmp_path):
    for out in ("one", "two"):
        done = make(data, tmp_path / out)
        assert done.returncode == 0 and done.stdout == "train: 40 lines\ndev: 2 lines\n", done.stderr
    files = sorted(p.relative_to(tmp_path / "one") for p in (tmp_path / "one").rglob("*.*"))
    assert len(files) == 45 and all((tmp_path / "one" / f).read_bytes() == (tmp_path / "two" / f).read_bytes() for f in files)
    found = recipe.find(HOME)
    utterances = list(found.prepare()(tmp_path / "one"))
    assert [u.split for u in utterances] == ["train"] * 40 + ["dev"] * 2
    free = list(found.texts(tmp_path / "one"))
    assert free and all(12 <= len(line) <= 30 for line in free)
    for u in utterances:
        strokes = ink.read(Path(u.source)).strokes
        assert all((np.diff(s[:, 2]) > 0).all() for s in strokes) and all(b[0, 2] > a[-1, 2] for a, b in zip(strokes, strokes[1:]))
    with pytest.raises(DataError, match="make_corpus"):
        list(found.prepare()(data))
    (data / "hershey_fonts" / "cursive.jhf").unlink()
    done = make(data, tmp_path / "three")
    assert done.returncode == 1 and "cursive.jhf" in done.stderr and done.stderr.count("\n") == 1 and not (tmp_path / "three").exists()


def test_a_joined_hand_does_not_lift_the_pen_within_a_word_and_writes_marks_late(data, glyphs):
    letters = {c: (g,) for c, g in glyphs.hershey(data / "hershey_fonts" / "scripts.jhf").items()}
    hand = glyphs.compose.Hand(letters, 30.0, 0.0, 0.0, 1.0, -4 / 14, 0.8, 0.0, 1.0, 1.0)      # one letter begins where the other ends
    rng = np.random.default_rng(0)
    written = [len(glyphs.compose.write(text, hand, rng).strokes) for text in ("i", "ii", "iti", "i i")]
    assert written == [2, 3, 4, 4]                                     # a body for each word, a mark for each letter
    apart = glyphs.compose.Hand(letters, 30.0, 0.0, 0.0, 1.0, 0.0, 0.8, 0.0, 0.0, 0.0)
    inks = glyphs.compose.write("io", apart, rng).strokes
    assert len(inks) == 4 and [round(float(s[0, 0] - inks[0][0, 0]) / 30, 2) for s in inks] == [0, 0.57, 0.86, 1.43]
    with pytest.raises(KeyError):
        glyphs.compose.write("é", apart, rng)


def test_a_page_begins_where_it_is_told_and_when(data, glyphs):
    letters = {c: (g,) for c, g in glyphs.hershey(data / "hershey_fonts" / "rowmans.jhf").items()}
    hand = glyphs.compose.Hand(letters, 10.0, 0.0, 0.0, 1.0, 0.0, 0.8, 0.0, 0.0, 0.0)
    stroke = glyphs.compose.write("x", hand, np.random.default_rng(0), (100, 200), 5.0).strokes[0]
    np.testing.assert_allclose(stroke[0], [100 + 20 / 14, 200, 5.0], atol=1e-9)
    np.testing.assert_allclose(stroke[-1, :2], [100 + 100 / 14, 200], atol=1e-9)


def test_its_lines_are_written_too(tmp_path):
    """The recipe handwriting_free takes those that pen_free learns from, and not the judge."""
    for split in ("train", "dev"):
        (tmp_path / f"{split}.tsv").write_text(f"{split}/00000\tabc\n")
    free = recipe.find("handwriting_free")
    assert [(u.split, u.text) for u in free.prepare()(tmp_path)] == [("train", "abc"), ("dev", "abc")]
    assert free.config.medium == "writing"
    assert free.experiment("free").network == recipe.find("handwriting").experiment("synthesis_small").network
