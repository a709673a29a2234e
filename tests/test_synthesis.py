"""`recog synthesize` and `recog style`: from a text to files, checked, in a hand; and all that can be wrong with what is given."""

import io
import json
import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from inks import written
from PIL import Image
from writers import UNITS, untrained

import cli
import recog
from recog import ink, writingmodel
from recog.errors import ConfigError, DataError, ModelError
from recog.kernels.writing import FINISH
from recog.synthesis import SUFFIXES, synthesize
from recog.types import Ink
from recog.writing import styles
from recog.writing.alphabet import checked
from recog.writing.styles import Style
from recog.writing.sampler import Wanted, sample
from recog.writing.writer import WriteOptions, _judged, write

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture
def folder(tmp_path):
    return untrained(tmp_path / "hand")


@pytest.fixture
def writer(folder):
    return writingmodel.load(folder)


@pytest.fixture(autouse=True)
def own_styles(tmp_path, monkeypatch):
    monkeypatch.setenv(styles.HOME, str(tmp_path / "styles"))


def run(*arguments):
    return cli.app([str(a) for a in arguments], standalone_mode=False)


# --- writing ---


def test_every_format_is_written_and_ink_is_read_back(tmp_path, folder):
    pages = {}
    for suffix in SUFFIXES:
        out = tmp_path / f"a{suffix}"
        assert run("synthesize", "abc de\n\nfg", "-o", out, "-m", folder, "--no-check") == 0
        if suffix in (".inkml", ".json"):
            pages[suffix] = ink.read(out)
    assert "<svg" in (tmp_path / "a.svg").read_text() and "M2" in (tmp_path / "a.gcode").read_text()
    assert Image.open(tmp_path / "a.gif").n_frames > 1 and Image.open(tmp_path / "a.png").size[1] > 50
    one, two = pages.values()
    assert [len(s) for s in one.strokes] == [len(s) for s in two.strokes]
    np.testing.assert_allclose(one.points[:, :2], two.points[:, :2], atol=1e-3)
    lines = json.loads((tmp_path / "a.json").read_text())["lines"]
    assert [line["text"] for line in lines] == ["abc de", "", "fg"] and all(line["read"] is None and line["error"] == 0 for line in lines)


def test_the_same_seed_writes_the_same_and_another_otherwise(writer):
    one, two, other = (write(writer, "abc de fgh", WriteOptions(seed=seed)) for seed in (1, 1, 2))
    np.testing.assert_array_equal(one.ink.points, two.ink.points)
    assert one.ink.points.shape != other.ink.points.shape or not np.allclose(one.ink.points, other.ink.points)


def test_lines_that_cannot_be_read_are_drawn_again_and_the_best_is_kept(writer):
    said = iter(["abx", "", "zz", "ab", "ab", "xyz", "abc"])
    page = write(writer, "abc", WriteOptions(tries=7, errors=0.0, bias=0.5), reader=lambda line: next(said))
    (line,) = page.lines
    assert (line.read, line.error, line.tries, line.bias) == ("abc", 0.0, 7, 0.5 + 6 * 0.25)
    said = iter(["abx", "", "ab", "zz"])
    (line,) = write(writer, "abc", WriteOptions(tries=4, errors=0.1), reader=lambda line: next(said)).lines
    assert line.read == "abx" and line.error == pytest.approx(1 / 3) and line.tries == 4
    calls = []
    write(writer, "abc de", WriteOptions(width=3), reader=lambda line: calls.append(1) or ["abc", "de"][len(calls) - 1])
    assert len(calls) == 2                                               # what is read well is not drawn again


def test_a_line_whose_window_does_not_come_to_its_end_is_drawn_again(writer):
    with torch.no_grad():
        writer.model.layers[0].bias_window[6:] = math.log(1e-3)
    (line,) = write(writer, "abc", WriteOptions(tries=2)).lines
    assert line.tries == 2 and 0.5 < line.error < 1 and line.read is None


def test_poor_lines_are_named_on_standard_error(tmp_path, folder, capsys, monkeypatch):
    monkeypatch.setattr("recog.synthesis.reading", lambda name: lambda line: "zzz")
    assert run("synthesize", "abc", "-o", tmp_path / "a.svg", "-m", folder, "--tries", 2) == 0
    assert capsys.readouterr().err == "recog: 'abc' was read as 'zzz'\n"


def test_text_comes_from_a_file_or_standard_input(tmp_path, folder, monkeypatch):
    (tmp_path / "note.txt").write_text("ab c\n")
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"ab c\n")))
    for number, text in enumerate((tmp_path / "note.txt", "-", "ab c")):
        assert run("synthesize", text, "-o", tmp_path / f"{number}.json", "-m", folder, "--no-check") == 0
    assert len({(tmp_path / f"{n}.json").read_text() for n in range(3)}) == 1


def test_samples_stand_one_below_the_other(tmp_path, folder):
    run("synthesize", "abc", "-o", tmp_path / "a.json", "-m", folder, "--no-check", "--samples", 3)
    table = json.loads((tmp_path / "a.json").read_text())
    assert [line["text"] for line in table["lines"]] == ["abc"] * 3
    times = np.concatenate([stroke["t"] for stroke in table["strokes"]])
    assert (np.diff(times) >= 0).all()


def test_from_python(folder):
    page = recog.synthesize("abc", model=folder, check=False, bias=2.0, seed=5)
    assert page._repr_svg_().startswith("<svg") and page.lines[0].bias == 2.0 and isinstance(page.ink, Ink)


# --- styles ---


def test_a_hand_is_kept_listed_shown_followed_and_compared(tmp_path, folder, capsys):
    hand = written("nvo lin", height=40.0, slope=0.05)
    said = "nv " * (len(styles.offsets(hand, writingmodel.load(folder))) // 9) + "lin"      # the window goes a third of a character a point
    ink.write(hand, tmp_path / "me.inkml")
    run("style", "add", tmp_path / "me.inkml", "--text", said.replace(" ", "  "), "-m", folder)
    assert "me: in" in capsys.readouterr().out
    run("style", "list")
    assert "me" in [line.split()[0] for line in capsys.readouterr().out.splitlines()]
    run("style", "show", "me", "-o", tmp_path / "me.svg")
    assert capsys.readouterr().out.startswith(f"me: {said}\n") and (tmp_path / "me.svg").exists()
    run("synthesize", "abc", "-o", tmp_path / "a.json", "-m", folder, "--no-check", "--style", "me")
    run("synthesize", "abc", "-o", tmp_path / "b.json", "-m", folder, "--no-check", "--style", tmp_path / "styles" / "me.json", "--strength", 0.5)
    run("synthesize", "abc", "-o", tmp_path / "c.json", "-m", folder, "--no-check")
    assert len({(tmp_path / f"{n}.json").read_text() for n in "abc"}) == 3
    run("style", "compare", "me", "abc", "-o", tmp_path / "c.svg", "-m", folder)
    assert (tmp_path / "c.svg").read_text().count("<path") > len(written("nvo lin").strokes)
    with pytest.raises(ConfigError, match="is there already"):
        run("style", "add", tmp_path / "me.inkml", "--text", "nvo lin", "-m", folder)


def test_a_style_is_brought_to_the_size_and_steps_that_the_network_knows(writer):
    for height in (10.0, 40.0, 200.0):
        points = styles.offsets(written("nvo lin pot", height=height, slope=0.1), writer)
        assert (points[0, :2] == 0).all() and points[-1, 2] == 1 and points[:, 2].sum() == len(written("nvo lin pot").strokes)
        lengths = np.hypot(*(points[1:, :2] * writer.model.scale.numpy()).T)[points[:-1, 2] == 0]
        assert np.median(lengths) == pytest.approx(5.0, rel=0.1)


def test_a_style_that_says_when_its_points_were_made_is_brought_to_even_times(writer):
    timed = replace(writer, info={**writer.info, "ink": {"height": 20.0, "step": 5.0, "by": "time", "seconds": 0.025}})
    hand = written("nvo lin pot")
    slow = Ink(tuple(np.column_stack([s[:, :2], 2 * s[:, 2]]) for s in hand.strokes))
    without = Ink(tuple(np.column_stack([s[:, :2], np.full(len(s), np.nan)]) for s in hand.strokes))
    quick, twice, length = (len(styles.offsets(each, timed)) - len(hand.strokes) for each in (hand, slow, without))
    assert twice == pytest.approx(2 * quick, rel=0.1)
    assert length == len(styles.offsets(hand, writer)) - len(hand.strokes)


def test_whether_the_window_follows_is_told(writer):
    hand = written("nvo")
    letters = len(styles.offsets(hand, writer)) // 3                     # as many as the window passes
    assert styles.follows(Style("me", "n" * letters, hand), writer)[0]
    well, at, letters = styles.follows(Style("me", "nvo lin " * 20, hand), writer)
    assert not well and at < letters - styles.LEFT


def test_a_window_far_beyond_a_text_is_not_at_its_beginning(writer):
    """Where all that it looks at is too little for float32."""
    points = np.zeros((300, 3), np.float32)
    at = styles.window(writer, "ab", points)
    assert (np.diff(at) >= 0).all() and (at[20:] == 2).all()
    found = writer.model.layers[0].bias_window.data
    found[3:6] = 6.0                                                     # narrower windows
    assert (styles.window(writer, "ab", points)[20:] == 2).all()


def test_a_style_of_which_the_network_writes_nothing_is_named(tmp_path, writer):
    style = Style("me", "nv", written("nvo lin"))                        # the window has left the text before the ink ends
    with pytest.raises(ConfigError, match="style me: nothing is written"):
        write(writer, "a", WriteOptions(tries=1), style)


@pytest.mark.parametrize("never", [False, True])
def test_a_line_ends_with_the_stroke_of_its_last_character(writer, never):
    if never:
        writer.model.output.bias.data[0] = 50.0                          # the pen is not lifted: then it may go on for some points
    lines = sample(writer.model, [Wanted(tuple(UNITS.encode("abc", where="")), (seed,)) for seed in range(20)])
    for line in lines:
        left = int((line.looked.argmax(1) == 3).argmax())                # when the window has left the text
        more = len(line.points) - 1 - left
        assert line.ended and not line.points[left:-1, 2].any()
        assert more == FINISH if never else line.points[-1, 2] == 1 and more < FINISH
    assert never or len({len(line.points) for line in lines}) > 1


def test_what_is_left_out_is_counted_in_the_line_s_own_characters(writer):
    """Not in those of the style, which is there already."""
    hand = written("nvo")
    style = Style("me", "n" * (len(styles.offsets(hand, writer)) // 3), hand)
    drawn = write(writer, "abcdef", WriteOptions(tries=1), style)
    assert drawn.lines[0].error == 0
    wanted = Wanted(tuple(UNITS.encode("n" * 50 + " abc", where="")), (1,), prime=np.zeros((75, 3), np.float32), most=80)
    line = _judged("abc", wanted, sample(writer.model, [wanted])[0], writer, None, 1, 0.0)
    assert line.error == 1.0


# --- what cannot be written ---


def test_characters_that_are_not_known_are_named_with_what_could_stand_for_them():
    symbols = UNITS.symbols[1:]
    assert checked("a\r\nb\tc", symbols) == "a\nb c"
    with pytest.raises(ConfigError, match=r"'\u00e9' \(as 'e'\).*--transliterate"):
        checked("caf\u00e9", symbols, False)
    with pytest.raises(ConfigError, match=r"a style: .*'\u00e9' \(as 'e'\) \(leave it out"):
        checked("caf\u00e9", symbols, where="a style")
    assert checked("cafe\u0301 co\u00adop\u200b", symbols, True) == "cafe coop"                # an accent of its own; what nobody sees
    assert checked("Caf\u00e9 \u2013 na\u00efve\u2026", symbols, True) == "Cafe - naive..."
    for text, shown in (("\u4e2d", "'\u4e2d'"), ("a\x07", r"U\+0007")):
        with pytest.raises(ConfigError, match=shown):
            checked(text, symbols, True)


@pytest.mark.parametrize("arguments, what", [
    (["", "-o", "a.svg"], "nothing to write"), (["abc", "-o", "a.doc"], "not written as '.doc'"), (["abc", "-o", "a"], "has no suffix"),
    (["abc", "-o", "nowhere/a.svg"], "no such folder"), (["abc", "-o", "a.svg", "--bias", "-1"], "bias must be"),
    (["abc", "-o", "a.svg", "--bias", "nan"], "bias must be"), (["a\x00b", "-o", "a.svg"], r"U\+0000"), (["abc", "-o", "a.svg", "--samples", "0"], "from 1 to 100"),
    (["abc", "-o", "a.gif", "--animate"], "is for SVG"), (["abc", "-o", "a.svg", "--style", "nobody"], "no style 'nobody'"),
    (["a" * 100_001, "-o", "a.svg"], "100,001 characters"), (["abc", "-o", "a.svg", "--width", "0"], "width must be"),
    (["abc", "-o", "a.svg", "--seed", "-1"], "seed must be"), (["nofile.txt", "-o", "a.svg"], "nofile.txt: there is no such file"),
    (["abc", "-o", "a.svg", "--strength", "0.5"], "--strength: would do nothing"), (["abc", "-o", "a.svg", "--points", "9"], "--points: would do"),
    (["abc", "-o", "a.svg", "--reader", "pen"], "--reader: would do nothing"), (["--free", "-o", "a.svg", "--style", "me"], "--style: would do"),
    (["--free", "-o", "a.svg", "--transliterate"], "--transliterate: would do nothing")])
def test_bad_wishes_are_one_line_and_leave_nothing(tmp_path, folder, monkeypatch, arguments, what):
    monkeypatch.chdir(tmp_path)
    before = sorted(tmp_path.iterdir())
    with pytest.raises(ConfigError, match=what):
        run("synthesize", *arguments, "-m", folder, "--no-check")
    assert sorted(tmp_path.iterdir()) == before


def test_bad_styles_are_named_and_not_kept(tmp_path, folder):
    ink.write(Ink((np.array([[0.0, 0, 0], [1, 1, 0.1]]),)), tmp_path / "dot.json")
    (tmp_path / "empty.json").write_text('{"strokes": []}')
    for name, text, what in (("dot", "a", "too little ink"), ("empty", "a", "holds no ink"), ("dot", " ", "needs what is written")):
        with pytest.raises((ConfigError, DataError), match=what):
            run("style", "add", tmp_path / f"{name}.json", "--text", text, "-m", folder)
    ink.write(written("nvo lin"), tmp_path / "me.json")
    with pytest.raises(ConfigError, match="cannot write"):
        run("style", "add", tmp_path / "me.json", "--text", "\u4e2d", "-m", folder)
    with pytest.raises(DataError, match="does not say what is written"):
        styles.find(str(tmp_path / "me.json"))
    assert "me" not in styles.available()
    (tmp_path / "list.json").write_text("[[[0, 0], [9, 9]], [[10, 0], [19, 9]]]")
    with pytest.raises(DataError, match="does not say what is written"):
        styles.find(str(tmp_path / "list.json"))


def test_other_models_are_refused(tmp_path, folder):
    with pytest.raises(ModelError, match="no model that writes"):
        synthesize("abc", model="english_small")
    with pytest.raises(ConfigError, match="does not read ink"):
        synthesize("abc", model=folder, reader="english_small")


def test_ten_thousand_characters_are_written(writer):
    text = " ".join(["abcde fghij"] * 833)
    page = write(replace(writer), text, WriteOptions(tries=1))
    assert len(text) > 9900 and " ".join(line.text for line in page.lines) == text and (np.diff([s[0, 2] for s in page.ink.strokes]) > 0).all()
