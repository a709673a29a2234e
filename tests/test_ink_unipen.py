"""UNIPEN: components, clocks and segments, against values worked out by hand."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_ink_files import read, same, says

from recog.errors import DataError
from recog.ink import unipen

PAGE = """.VERSION 1.0
.INCLUDE elsewhere.doc
.X_DIM 1000
.HIERARCHY WORD LETTER
.COMMENT words such as .PEN_DOWN 1 2 within a line are no keywords
 5 6
.SEGMENT WORD 0-3 ? "on \\"it\\""
.SEGMENT LETTER 0 OK "o"
.PEN_DOWN
 1 10
 2 20
.PEN_UP
.DT 100
.SEGMENT LETTER 1,3 ? "n"
.PEN_DOWN
 3 30
.PEN_UP
 4 40
 5 50
.PEN_DOWN
 6 60
 7 70
 8 80
.PEN_UP
"""


def segments(tmp_path, text, level=None):
    path = tmp_path / "page"
    path.write_bytes(text if isinstance(text, bytes) else text.encode("utf-8"))
    return unipen.segments(path, level)


def test_y_grows_upwards_there(tmp_path):
    same(read(tmp_path, PAGE), [[(1, -10), (2, -20)], [(3, -30)], [(6, -60), (7, -70), (8, -80)]])


@pytest.mark.parametrize("text, expected", [
    (".PEN_DOWN\n1 2\n.PEN_UP\n.PEN_DOWN\n3 4\n.PEN_UP\n", [[(1, -2)], [(3, -4)]]),
    (".PEN_DOWN 1 2 3 4 .PEN_UP 9 9 .PEN_DOWN 5 6 .PEN_UP\n", [[(1, -2), (3, -4)], [(5, -6)]]),
    (".PEN_DOWN\n1 2\n.PEN_DOWN\n3 4\n", [[(1, -2)], [(3, -4)]]),
    ("  .PEN_DOWN\r\n1\t2\r\n-.5 +3e0\r\n  .PEN_UP\r\n", [[(1, -2), (-0.5, -3)]]),
    (".COORD Y X\n.PEN_DOWN\n1 2\n.PEN_UP\n", [[(2, -1)]]),
    (".COORD X Y T P\n.PEN_DOWN\n1 2 1500 9\n3 4 1510 8\n.PEN_UP\n", [[(1, -2, 1.5), (3, -4, 1.51)]]),
    (".COORD X Y T\n.POINTS_PER_SECOND 1\n.PEN_DOWN\n1 2 30\n.PEN_UP\n.COORD X Y\n.PEN_DOWN\n3 4\n",
     [[(1, -2, 0.03)], [(3, -4, 0)]])])
def test_components(tmp_path, text, expected):
    same(read(tmp_path, text), expected, 1e-12)


def test_the_clock_runs_on_while_the_pen_is_lifted(tmp_path):
    text = ".POINTS_PER_SECOND 100\n.PEN_DOWN\n1 1\n2 2\n.PEN_UP\n3 3\n3 3\n.PEN_DOWN\n4 4\n.PEN_UP\n.DT 250\n.PEN_DOWN\n5 5\n6 6\n"
    same(read(tmp_path, text), [[(1, -1, 0), (2, -2, 0.01)], [(4, -4, 0.04)], [(5, -5, 0.29), (6, -6, 0.30)]], 1e-12)


@given(st.lists(st.tuples(st.booleans(), st.lists(st.tuples(st.integers(-999, 999), st.integers(-999, 999)), max_size=4)), min_size=1))
def test_what_is_written_down_is_read(tmp_path_factory, components):
    text = "\n".join((".PEN_DOWN" if down else ".PEN_UP") + "".join(f"\n {x} {y}" for x, y in points) for down, points in components)
    path = tmp_path_factory.getbasetemp() / "components"
    path.write_text(text + f'\n.SEGMENT ALL 0-{sum(down or bool(points) for down, points in components) - 1} ? ""\n')
    strokes = [[(x, -y) for x, y in points] for down, points in components if down and points]
    if strokes:
        (_, found), = unipen.segments(path)
        same(found, strokes)


def test_segments_have_labels_and_components(tmp_path):
    (word, whole), (first, o), (second, n) = segments(tmp_path, PAGE)
    assert (word, first, second) == ('on "it"', "o", "n")
    same(whole, [[(1, -10), (2, -20)], [(3, -30)], [(6, -60), (7, -70), (8, -80)]])
    same(o, [[(1, -10), (2, -20)]])
    same(n, [[(3, -30)], [(6, -60), (7, -70), (8, -80)]])
    assert [label for label, _ in segments(tmp_path, PAGE, "LETTER")] == ["o", "n"] and segments(tmp_path, PAGE, "PAGE") == []


@pytest.mark.parametrize("places, expected", [
    ("0", [[(1, -10), (2, -20)]]),
    ("0:1", [[(2, -20)]]),
    ("0:1-3:1", [[(2, -20)], [(3, -30)], [(6, -60), (7, -70)]]),
    ("3:1-3:2", [[(7, -70), (8, -80)]]),
    ("1-3:0,0:0", [[(3, -30)], [(6, -60)], [(1, -10)]]),
    ("0:1-1", [[(2, -20)], [(3, -30)]])])
def test_segments_of_points(tmp_path, places, expected):
    (_, found), = segments(tmp_path, PAGE.replace("0-3", places), "WORD")
    same(found, expected)


def test_labels(tmp_path):
    text = '.PEN_DOWN\n1 2\n.PEN_UP\n.SEGMENT LINE 0 ? "two\n  lines\\t\\\\"\n.SEGMENT LINE 0\n.SEGMENT LINE 0 OK\n.SEGMENT LINE 0 "x"\n'
    assert [label for label, _ in segments(tmp_path, text)] == ["two lines \\", "", "", "x"]
    assert segments(tmp_path, '.PEN_DOWN\n1 2\n.SEGMENT LETTER 0 ? "é"\n'.encode("latin-1"))[0][0] == "é"
    assert segments(tmp_path, '.PEN_DOWN\n1 2\n.SEGMENT LETTER 0 ? "é"\n')[0][0] == "é"


@pytest.mark.parametrize("text, message", [
    (".PEN_DOWN\n1 2\n3\n.PEN_UP\n", "line 1: .PEN_DOWN has 3 numbers, which do not make points of 2 (X Y)"),
    ("\n.PEN_DOWN\n1 2\n.PEN_UP\n\n.PEN_DOWN\n1 two\n", "line 6: .PEN_DOWN has 'two' where a number should be"),
    (".COORD X Y T\n.PEN_DOWN\n1 2\n", "line 2: .PEN_DOWN has 2 numbers, which do not make points of 3 (X Y T)"),
    (".COORD X P\n", "line 1: .COORD names the columns 'X P', without X and Y"),
    (".COMMENT\n.POINTS_PER_SECOND 0\n", "line 2: .POINTS_PER_SECOND gives no rate of at least 0.001"),
    (".COMMENT\n.POINTS_PER_SECOND\n", "line 2: .POINTS_PER_SECOND gives no rate of at least 0.001"),
    (".PEN_DOWN\n1 2\n.SEGMENT WORD\n", "line 3: .SEGMENT does not say what it is and which components it has")])
def test_files_that_cannot_be_read(tmp_path, text, message):
    path = tmp_path / "page"
    path.write_text(text)
    says(path, message)


@pytest.mark.parametrize("places, message", [
    ("4", "line 7: segment '4' ends at component 4, and there are 4, counted from 0"),
    ("0-99999999999999999999", "line 7: segment '0-99999999999999999999' ends at component 1000000000000000000"),
    ("x", "line 7: segment 'x' is not made of numbers of components"),
    ("2", "line 7: segment '2' holds no ink"),
    ("3-1", "line 7: segment '3-1' holds no ink")])
def test_segments_of_what_is_not_there(tmp_path, places, message):
    with pytest.raises(DataError) as failure:
        segments(tmp_path, PAGE.replace("0-3", places))
    assert str(failure.value).startswith(f"{tmp_path / 'page'}: {message}")
