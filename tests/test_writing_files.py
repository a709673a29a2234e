"""Handwriting on paper: curves through all points, pages, and the formats that other programs open."""

import re
import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest
from inks import written
from PIL import Image

from recog import ink
from recog.errors import ConfigError
from recog.pen import normalize
from recog.types import Ink
from recog.writing import curves, gcode, gif, page, svg

NOTE = written("nvo pit", height=30.0, slant=0.2, seed=3)
DOT = Ink((np.array([[5.0, 5.0, 0.0]]), np.array([[6.0, 5.0, 0.2], [9.0, 8.0, 0.3]])))


def paths(text):
    return ElementTree.fromstring(text).findall("{http://www.w3.org/2000/svg}path")


def numbers(text):
    return np.array([float(n) for n in re.findall(r"-?\d+\.?\d*", text)]).reshape(-1, 2)


def test_curves_go_through_all_points_without_corners():
    points = np.random.default_rng(0).standard_normal((9, 2)).cumsum(0)
    inner = curves.beziers(points)
    leaving, arriving = inner[1:, 0] - points[1:-1], points[1:-1] - inner[:-1, 1]
    np.testing.assert_allclose(leaving, arriving, atol=1e-12)                     # one direction on both sides of a point
    assert inner.shape == (8, 2, 2)


def test_a_straight_way_stays_straight():
    points = np.column_stack([np.arange(6.0), 2 * np.arange(6.0)])
    np.testing.assert_allclose(curves.beziers(points)[:, :, 1], 2 * curves.beziers(points)[:, :, 0])


def test_a_quick_pen_draws_thinner_lines():
    seconds = np.arange(40) / 100
    points = np.column_stack([np.concatenate([np.arange(20), 20 + 4.0 * np.arange(20)]), np.zeros(40)])
    breadth = curves.widths(points, seconds)
    assert breadth[5] > 1.1 * breadth[30] and (breadth >= curves.LIGHTEST).all() and (breadth <= curves.HEAVIEST).all()
    edge = curves.outline(points, breadth)
    np.testing.assert_allclose(edge[:40, 1] - edge[::-1][:40, 1], breadth)


@pytest.mark.parametrize("page_", [NOTE, DOT])
def test_svg_has_a_path_for_each_stroke_through_its_points(page_):
    found = paths(svg.drawn(page_))
    assert len(found) == len(page_.strokes)
    for path, stroke in zip(found, page_.strokes):
        if len(stroke) > 1:
            np.testing.assert_allclose(numbers(path.get("d"))[::3], stroke[:, :2], atol=0.006)
        else:
            assert path.get("d") == "M5.0000 5.0000l0 0" and path.get("stroke-linecap") == "round"


def test_svg_with_a_nib_is_filled_around_the_line():
    found = paths(svg.drawn(NOTE, nib=True))
    assert [path.get("d").endswith("Z") for path in found] == [len(stroke) > 2 for stroke in NOTE.strokes]
    edge = numbers(found[0].get("d"))
    np.testing.assert_allclose((edge[:len(edge) // 2] + edge[len(edge) // 2:][::-1]) / 2, NOTE.strokes[0][:, :2], atol=0.02)


@pytest.mark.parametrize("nib", [False, True])
def test_animated_strokes_begin_when_the_pen_did(nib):
    found = paths(svg.drawn(NOTE, nib, animated=True))
    for path, stroke in zip(found, NOTE.strokes):
        (shown,) = path.findall("{*}set")
        assert float(shown.get("begin")[:-1]) == pytest.approx(stroke[0, 2] - NOTE.strokes[0][0, 2], abs=1e-3)
        for grows in path.findall("{*}animate"):
            assert float(grows.get("dur")[:-1]) == pytest.approx(max(stroke[-1, 2] - stroke[0, 2], 0.001), abs=1e-3)
        assert bool(path.findall("{*}animate")) != nib


def test_gif_is_written_in_the_pen_s_time(tmp_path):
    gif.write(NOTE, tmp_path / "a.gif")
    with Image.open(tmp_path / "a.gif") as moving:
        total, dark = 0, []
        for number in range(moving.n_frames):
            moving.seek(number)
            total += moving.info["duration"]
            dark.append(int((np.asarray(moving.convert("L")) < 128).sum()))
    assert total / 1000 == pytest.approx(NOTE.strokes[-1][-1, 2] - NOTE.strokes[0][0, 2] + gif.REST, abs=0.2)
    assert dark == sorted(dark) and dark[-1] > 20 * max(1, dark[0])
    gif.write(DOT, tmp_path / "dot.gif")
    assert Image.open(tmp_path / "dot.gif").n_frames >= 1


def test_gcode_draws_every_point_with_the_pen_down_and_moves_with_it_up():
    lowered, drawn, place = False, [], None
    for line in gcode.program(NOTE).splitlines():
        words = dict((word[0], float(word[1:])) for word in line.split(";")[0].split())
        if "Z" in words:
            lowered = words["Z"] == gcode.DOWN
            if lowered:
                drawn.append([place])
        elif "X" in words:
            place = (words["X"], words["Y"])
            assert (words["G"] == 1) == lowered
            if lowered:
                drawn[-1].append(place)
    low, high = NOTE.points[:, :2].min(0), NOTE.points[:, :2].max(0)
    scale = (np.array(drawn[0])[-1, 0] - gcode.MARGIN) / (NOTE.strokes[0][-1, 0] - low[0])
    for stroke, places in zip(NOTE.strokes, drawn, strict=True):
        wanted = np.column_stack([stroke[:, 0] - low[0], high[1] - stroke[:, 1]]) * scale + gcode.MARGIN
        np.testing.assert_allclose(places, wanted, atol=0.005)            # the scale is known from a number of three digits


@pytest.mark.parametrize("high, wide", [(1.0, 0.0), (3.0, 2.0), (1.0, 1000.0), (500.0, 2.0)])
def test_gcode_stays_on_the_sheet_and_a_line_is_not_larger_than_writing(high, wide):
    places = [stroke[:, :2] for stroke in _placed(Ink((np.array([[0, 0, 0], [wide, high, 0.1]]),)))]
    extent = np.ptp(np.concatenate(places), axis=0)
    assert (extent <= gcode.SHEET).all() and extent[1] <= gcode.LINE + 0.01 and extent.max() > 5


def _placed(ink):
    found = [[]]
    for line in gcode.program(ink).splitlines():
        words = dict((word[0], float(word[1:])) for word in line.split(";")[0].split())
        if "X" in words and words["X"]:
            found[-1].append((words["X"], words["Y"]))
    return [np.array(stroke) for stroke in found]


def test_offsets_become_strokes_in_time():
    points = np.array([[3, 4, 0], [1, 0, 1], [0, 300, 1], [1, 1, 0], [1, 1, 1]], np.float32)
    found = page.timed(points, 10.0, 0.01, begin=2.0)
    assert [s[:, :2].tolist() for s in found.strokes] == [[[3, 4], [4, 4]], [[4, 304]], [[5, 305], [6, 306]]]
    np.testing.assert_allclose(found.strokes[0][:, 2], [2.0, 2.01])
    assert found.strokes[1][0, 2] == pytest.approx(2.01 + page.LIFTED + 300 / (10 * page.SPEED))


def test_points_far_apart_in_time_have_others_between_them_on_a_curve():
    angles = np.linspace(0, 2 * np.pi, 13)
    circle = np.column_stack([np.cos(angles), np.sin(angles)])
    points = np.column_stack([np.diff(circle, axis=0, prepend=np.zeros((1, 2))), angles > 6]).astype(np.float32)
    (stroke,) = page.timed(points, 1.0, 4 * page.FINE).strokes
    assert len(stroke) == 4 * 12 + 1
    np.testing.assert_allclose(stroke[::4, :2], circle, atol=1e-6)
    np.testing.assert_allclose(np.hypot(*stroke[4:-4, :2].T), 1, atol=3e-3)      # the chords of twelve points would miss by 0.034
    np.testing.assert_allclose(np.diff(stroke[:, 2]), page.FINE)


def test_lines_stand_level_one_below_the_other():
    lines = [written(text, height=30.0, slope=0.08, seed=n) for n, text in enumerate(("nvo pit", "lot vin", "pvn"))]
    whole = page.together([lines[0], None, lines[1], lines[2]], 30.0, np.random.default_rng(0))
    parts, at = [], 0
    for line in lines:
        parts.append(list(whole.strokes[at:at + len(line.strokes)]))
        at += len(line.strokes)
    for number, part in zip((0, 2, 3), parts):
        assert abs(normalize.slope(part)) < 0.01
        assert normalize.lines(part)[1] == pytest.approx(number * page.SPACING * 30, abs=3)
    times = np.concatenate([s[:, 2] for s in whole.strokes])
    assert (np.diff(times) > 0).all()


def test_text_is_broken_between_words():
    assert page.wrapped("one two three\n\nfour\n", 8) == ["one two", "three", "", "four"]
    for text in ("", " \n\n "):
        with pytest.raises(ConfigError, match="nothing to write"):
            page.wrapped(text, 20)


def test_what_is_written_can_be_read_back(tmp_path):
    svg.write(NOTE, tmp_path / "a.svg")
    back = ink.read(tmp_path / "a.svg")
    assert len(back.strokes) == len(NOTE.strokes)
