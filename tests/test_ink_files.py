"""Ink in and out of files: what was written is read back, content counts and not the name, and bad files are one clear line."""

import json
import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recog import ink
from recog.errors import ConfigError, DataError, DiskError
from recog.ink import checks, source
from recog.sources import expand, medium_of
from recog.types import Ink

UNKNOWN = float("nan")
IAM = '<WhiteboardCaptureSession><StrokeSet><Stroke><Point x="1" y="2" time="3.5"/></Stroke></StrokeSet></WhiteboardCaptureSession>'
SVG = '<svg xmlns="http://www.w3.org/2000/svg"><path d="M1 2L3 4"/></svg>'
INKML = '<ink xmlns="http://www.w3.org/2003/InkML"><trace>1 2, 3 4</trace></ink>'
UNIPEN = ".COMMENT nothing\n.PEN_DOWN\n1 -2\n3 -4\n.PEN_UP\n"
JSON = '{"strokes": [[[1, 2], [3, 4]]]}'


def read(tmp_path, content, name="some.file"):
    """What a file of this content holds."""
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode("utf-8"))
    return ink.read(path)


def same(found, expected, tolerance=0.0):
    """Strokes, given as rows of x, y and seconds (or x, y alone), are these; unknown times are unknown."""
    strokes = found.strokes if isinstance(found, Ink) else found
    assert len(strokes) == len(expected)
    for stroke, rows in zip(strokes, expected):
        rows = np.array([[*row, UNKNOWN][:3] for row in rows], np.float64)
        assert stroke.dtype == np.float64 and stroke.shape == rows.shape
        np.testing.assert_allclose(stroke, rows, rtol=0, atol=tolerance, equal_nan=True)


def says(path, *parts):
    """Reading fails with one line that names the file and holds these parts."""
    with pytest.raises(DataError) as failure:
        ink.read(path)
    line = str(failure.value)
    assert "\n" not in line and line.startswith(f"{path}: ") and len(line) < len(str(path)) + 250, line
    for part in parts:
        assert part in line, line


@st.composite
def inks(draw):
    """Strokes of every length, some with times, some without; some points the same."""
    places = st.floats(-checks.FARTHEST, checks.FARTHEST) | st.integers(-20, 20).map(float)
    strokes = []
    for points in draw(st.lists(st.lists(st.tuples(places, places), min_size=1, max_size=6), min_size=1, max_size=5)):
        steps = st.floats(0, 1e5) | st.just(0.0)
        times = np.cumsum(draw(st.lists(steps, min_size=len(points), max_size=len(points)))) if draw(st.booleans()) else UNKNOWN
        strokes.append(np.column_stack([points, np.broadcast_to(times, len(points))]))
    return Ink(tuple(strokes))


@settings(max_examples=60)
@given(inks())
@pytest.mark.parametrize("suffix", [".inkml", ".json", ".svg"])
def test_what_was_written_is_read_back(suffix, tmp_path_factory, written):
    path = tmp_path_factory.getbasetemp() / f"round{suffix}"
    ink.write(written, path)
    same(ink.read(path), [stroke.tolist() for stroke in written.strokes], 1e-6)
    assert not path.with_name(path.name + ".partial").exists()


@pytest.mark.parametrize("content", [IAM, SVG, INKML, UNIPEN, JSON, "[[[1, 2], [3, 4]]]"])
@pytest.mark.parametrize("name", ["page.png", "page", "page.xml", "page.json"])
def test_content_counts_and_not_the_name(tmp_path, content, name):
    same(read(tmp_path, content, name), [[(1, 2, 3.5)]] if content == IAM else [[(1, 2), (3, 4)]])


@pytest.mark.parametrize("code", ["utf-8-sig", "utf-16"])
@pytest.mark.parametrize("content", [IAM, SVG, INKML, JSON, "\n \n" + JSON])
def test_marks_of_encodings(tmp_path, code, content):
    assert len(read(tmp_path, content.encode(code)).points) == (1 if content == IAM else 2)


def test_strokes_without_points_are_left_out_and_dots_stay(tmp_path):
    same(read(tmp_path, '{"strokes": [[], [[5, 6]], {"x": [], "y": []}]}'), [[(5, 6)]])


@pytest.mark.parametrize("content, parts", [
    (b"", ["is empty"]),
    (b" \n\t\n", ["is empty"]),
    (bytes(range(256)), ["is not ink that recog can read (InkML, UNIPEN, JSON, SVG and IAM-OnDB's XML are read)"]),
    (b"\x89PNG\r\n\x1a\n" + bytes(100), ["is not ink"]),
    (b"Dear reader,\nno ink here.\n", ["is not ink"]),
    ("<html><body/></html>", ["is XML of another kind: its root is 'html'"]),
    (INKML[:60], ["is not whole XML"]),
    (SVG[:-9], ["is not whole XML"]),
    ("<" * 1000, ["is not whole XML"]),
    ('<?xml version="1.0" encoding="no-such"?><ink/>', ["is not whole XML"]),
    ('<!DOCTYPE ink [<!ENTITY a "b"><!ENTITY c "&a;&a;">]><ink>&c;</ink>', ["declares XML entities", "without a document type"]),
    ('<!DOCTYPE svg [<!ENTITY a "b">]><svg/>'.encode("utf-16"), ["declares XML entities"]),
    ("<ink/>", ["holds no ink"]),
    ("<svg/>", ["holds no ink"]),
    ("<ink><trace/><trace> </trace></ink>", ["holds no ink"]),
    (".COMMENT nothing\n.PEN_DOWN\n.PEN_UP\n", ["holds no ink"]),
    ('{"strokes": []}', ["holds no ink"]),
    (INKML.encode() + b"\xff", ["is not whole XML"]),
    (b'{"strokes": "\xff"}', ["is not UTF-8: byte 14 cannot be read (save it as UTF-8)"]),
    (f"<ink>{'<traceGroup>' * 50_000}<trace>1 1e9</trace>{'</traceGroup>' * 50_000}</ink>", ["stroke 1 has a point 1e+09 from the origin"]),
    ("<svg>" + "<g>" * 5_000 + "</g>" * 5_000 + "</svg>", ["holds no ink"]),
    ("[" * 100_000, ["nested too deeply"]),
    ('{"a":' * 100_000, ["nested too deeply"]),
])
def test_files_that_hold_no_ink_say_so(tmp_path, content, parts):
    path = tmp_path / "page"
    path.write_bytes(content if isinstance(content, bytes) else content.encode("utf-8"))
    says(path, *parts)


DIGITS = "9" * 5000
FAR = {"inkml": "<ink><trace>0 0, {} 0</trace></ink>", "svg": '<svg><path d="M0 0L{} 0"/></svg>', "unipen": ".PEN_DOWN\n0 0\n{} 0\n",
       "json": '{{"strokes": [[[0, 0], [{}, 0]]]}}', "iam": IAM.replace('"1"', '"{}"')}


@pytest.mark.parametrize("form", FAR)
@pytest.mark.parametrize("number", ["1e9", "-2e7", "1e999", DIGITS, "-" + DIGITS])
def test_points_too_far_away(tmp_path, form, number):
    path = tmp_path / "page"
    path.write_text(FAR[form].format(number))
    says(path, "from the origin" if len(number) < 5 else "beyond" if form == "svg" else "has a coordinate that is no number")


@pytest.mark.parametrize("form", ["unipen", "json", "iam"])
def test_a_coordinate_that_is_no_number(tmp_path, form):
    path = tmp_path / "page"
    path.write_text(FAR[form].format("NaN"))
    says(path, "stroke 1 has a coordinate that is no number")


@pytest.mark.parametrize("times", [[0, 2, 1], [0, None, 1], [0, float("inf"), float("inf")]])
def test_a_stroke_whose_times_cannot_be_has_none(tmp_path, times):
    strokes = [{"x": [1, 2, 3], "y": [4, 5, 6], "t": t} for t in ([0, 0, 1], times)]
    same(read(tmp_path, json.dumps({"strokes": strokes})), [[(1, 4, 0), (2, 5, 0), (3, 6, 1)], [(1, 4), (2, 5), (3, 6)]])


def test_files_that_cannot_be_read(tmp_path, monkeypatch):
    says(tmp_path, "is a directory")
    says(tmp_path / "none", "no such file or directory")
    os.mkfifo(tmp_path / "pipe")
    says(tmp_path / "pipe", "is neither a file nor a folder")
    monkeypatch.setattr(source, "LARGEST", 1 << 20)
    (tmp_path / "large").write_bytes(bytes((1 << 20) + 1))
    says(tmp_path / "large", "is larger than the 1 MiB that ink may have")


PARTS = st.sampled_from([*(bytes([letter]) for letter in b"<>\"',-#*?!T.e[]{}() MAZ\0\xff"), b"1e9", b"9" * 400, b"null", b"true", b"nan",
                         b"mm", b'\n.SEGMENT A 0:1-2 ? "x'])
FORM = '<traceFormat><channel name="X" units="mm"/><channel name="Y" units="cm"/><channel name="T" default="1"/></traceFormat>'
FULL = [INKML.replace("<trace>", FORM + '<trace timeOffset="5" contextRef="#DefaultContext">').replace("2,", "2 3,'1\"2*,"),
        SVG.replace("/></svg>", ' data-t="0 1" transform="rotate(3) scale(2,3)"/>'
                    '<path d="M1 1c1 1 2 2 3 0a1 1 0 015 2zq1 1 2 2t1,1s1 1 2 2"/></svg>'),
        '.COORD X Y T\n.POINTS_PER_SECOND 100\n' + UNIPEN.replace("-2", "-2 5").replace("-4", "-4 6") + '.DT 5\n.SEGMENT A 0 ? "a"\n',
        '{"strokes": [{"x": [1, 2], "y": [3, 4], "t": [null, 1.5]}, [[1, 2], [3, 4, 5]]]}',
        '{"drawing": [[[1, 2], [3, 4], [5, 6]]]}', IAM]


@settings(max_examples=400)
@given(st.sampled_from(FULL), st.lists(st.tuples(st.floats(0, 1), st.integers(0, 3), PARTS), min_size=1, max_size=4))
def test_no_damage_is_worse_than_one_line(tmp_path_factory, content, damage):
    content = content.encode()
    for place, length, part in damage:
        at = int(place * len(content))
        content = content[:at] + part + content[at + length:]
    path = tmp_path_factory.getbasetemp() / "damaged"
    path.write_bytes(content)
    try:
        found = ink.read(path)
    except DataError as error:
        assert "\n" not in str(error) and str(error).startswith(str(path))
    else:
        assert all(len(stroke) and np.isfinite(stroke[:, :2]).all() for stroke in found.strokes)


DOT = Ink((np.array([[1.0, 2.0, UNKNOWN]]),))


def test_what_cannot_be_written(tmp_path):
    for name, written, message in [
            ("page.txt", DOT, "ink is not written as '.txt' (end the name in .inkml, .json, .svg, .png)"),
            ("page", DOT, "has no suffix that says how to write ink"),
            ("page.svg", Ink(()), "there is no ink to write"),
            ("page.svg", Ink((np.zeros((0, 3)),)), "there is no ink to write"),
            ("page.png", Ink((np.array([[0.0, np.nan, 0.0]]),)), "stroke 1 has a coordinate that is no number")]:
        with pytest.raises(DataError) as failure:
            ink.write(written, tmp_path / name)
        assert message in str(failure.value) and str(tmp_path / name) in str(failure.value)
    (tmp_path / "folder.svg").mkdir()
    with pytest.raises(DataError, match="is a folder"):
        ink.write(DOT, tmp_path / "folder.svg")
    (tmp_path / "file").write_text("")
    with pytest.raises(DiskError, match="a file stands where a folder should be"):
        ink.write(DOT, tmp_path / "file" / "page.svg")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "folder.svg"]


@pytest.mark.parametrize("suffix", [".INKML", ".json", ".svg", ".png"])
def test_writing_again_replaces(tmp_path, suffix):
    path = tmp_path / "new" / f"page{suffix}"
    ink.write(DOT, path)
    first = path.read_bytes()
    ink.write(Ink((np.array([[1.0, 2.0, 0.0], [5.0, 5.0, 1.0]]),)), path)
    assert path.read_bytes() != first and [p.name for p in path.parent.iterdir()] == [path.name]


def test_the_command_converts_and_keeps_what_is_there(tmp_path):
    (tmp_path / "a.unp").write_text(UNIPEN)
    ink.convert(tmp_path / "a.unp", tmp_path / "a.inkml")
    same(ink.read(tmp_path / "a.inkml"), [[(1, 2), (3, 4)]])
    with pytest.raises(ConfigError, match="is there already"):
        ink.convert(tmp_path / "a.unp", tmp_path / "a.inkml")
    ink.convert(tmp_path / "a.unp", tmp_path / "a.inkml", force=True)


@pytest.mark.parametrize("content", [
    INKML.encode("utf-16"), INKML.encode("utf-16-le"), JSON.encode("utf-16"), b"\xef\xbb\xbf" + JSON.encode(), b"\xef\xbb\xbf [[[1, 2], [3, 4]]]",
    f"<!-- {'-' * 0}{'x' * 5000} -->" + INKML, '{"note": "' + "x" * 5000 + '", "strokes": [[[1, 2], [3, 4]]]}', '[{"x": [1, 3], "y": [2, 4]}]',
    "# said before\n" * 400 + UNIPEN])
def test_ink_is_known_by_its_content_however_it_is_written(tmp_path, content):
    path = tmp_path / "some.file"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    assert source.is_ink(path) and medium_of(str(path)) == "ink" and len(ink.read(path).strokes) == 1


def test_what_is_named_as_ink_or_an_image_is_not_passed_over(tmp_path):
    (tmp_path / "empty.inkml").write_bytes(b"")
    (tmp_path / "other.txt").write_text("words")
    (tmp_path / "ink.wav").write_text(INKML)
    os.mkfifo(tmp_path / "pipe.inkml")
    assert medium_of(str(tmp_path / "empty.inkml")) == medium_of(str(tmp_path / "ink.wav")) == "ink"
    (tmp_path / "cut off.PNG").write_bytes(b"")
    assert medium_of(str(tmp_path / "cut off.PNG")) == "image"
    assert medium_of(str(tmp_path / "other.txt")) == "" and not source.is_ink(tmp_path / "pipe.inkml")
    assert [Path(name).name for name in expand([str(tmp_path)], pytest.fail)] == ["cut off.PNG", "empty.inkml", "ink.wav"]


def test_times_that_are_no_dates_are_not_known(tmp_path):
    (stroke,) = read(tmp_path, '{"strokes": [{"x": [1, 2], "y": [1, 2], "t": [1e300, 2e300]}]}').strokes
    assert np.isnan(stroke[:, 2]).all()


def test_inkml_keeps_times_to_the_bit(tmp_path):
    times = np.cumsum(np.random.default_rng(0).random(50))
    given = Ink((np.column_stack([np.arange(50), np.arange(50), times]),))
    ink.write(given, tmp_path / "a.inkml")
    np.testing.assert_array_equal(ink.read(tmp_path / "a.inkml").strokes[0], given.strokes[0])
