"""JSON: the forms that ink is accepted in, and what is said of others."""

import json

import numpy as np
import pytest
from test_ink_files import DOT, read, same, says

from recog import ink
from recog.types import Ink

TWO, TIMED = [[(1, 2), (3, 4)]], [[(1, 2, 0.5), (3, 4, 0.75)]]


@pytest.mark.parametrize("value, expected", [
    ({"strokes": [{"x": [1, 3], "y": [2, 4]}]}, TWO),
    ({"strokes": [{"x": [1, 3], "y": [2, 4], "t": [0.5, 0.75], "pressure": [9, 9]}], "label": "a"}, TIMED),
    ({"strokes": [{"x": [1, 3], "y": [2, 4], "t": None}]}, TWO),
    ({"strokes": [{"x": [1, 3], "y": [2, 4], "t": [None, None]}]}, TWO),
    ({"strokes": [[[1, 2], [3, 4]]]}, TWO),
    ({"strokes": [[[1, 2, 0.5], [3, 4, 0.75]]]}, TIMED),
    ({"strokes": [[[1, 2, 0.5], [3, 4]]]}, TWO),
    ([{"x": [1, 3], "y": [2, 4]}, [[5, 6, None]]], [*TWO, [(5, 6)]]),
    ([[[1, 2], [3, 4]]], TWO),
    ({"drawing": [[[1, 3], [2, 4]]]}, TWO),
    ({"word": "a", "drawing": [[[1, 3], [2, 4], [500, 750]], [[7], [8]]]}, [*TIMED, [(7, 8)]]),
    ({"drawing": "of a cat", "strokes": [[[1, 2], [3, 4]]]}, TWO)])
def test_the_forms(tmp_path, value, expected):
    same(read(tmp_path, json.dumps(value)), expected)


@pytest.mark.parametrize("value, message", [
    ({"strokes": [[[1, 2]], {"x": [1]}]}, "stroke 2 has no 'y'"),
    ({"strokes": [{"x": [1, 2], "y": [1]}]}, "stroke 1 has x, y and t of different lengths: 2, 1"),
    ({"strokes": [{"x": [1, 2], "y": [1, 2], "t": [0]}]}, "stroke 1 has x, y and t of different lengths: 2, 2, 1"),
    ({"strokes": [{"x": 1, "y": 2}]}, "stroke 1 has x, y or t that is not a list"),
    ({"strokes": [{"x": ["one"], "y": [2]}]}, "stroke 1 holds \"one\" where a number should be"),
    ({"strokes": [{"x": [True], "y": [2]}]}, "stroke 1 holds true where a number should be"),
    ({"strokes": [{"x": [1], "y": [2], "t": ["x" * 100]}]}, "stroke 1 holds \"xxxxxxxxxxxxxxxxxxx... where"),
    ({"strokes": [[[1, None]]]}, "stroke 1 holds null where a number should be"),
    ({"strokes": [[[1, [2]]]]}, "stroke 1 holds a list where a number should be"),
    ({"strokes": [[[1, {}]]]}, "stroke 1 holds an object where a number should be"),
    ({"strokes": [[1, 2]]}, "stroke 1 has a point 1 that is not [x, y] or [x, y, seconds]"),
    ({"strokes": [[[1, 2, 3, 4], [5, 6, 7, 8]]]}, "stroke 1 has 4 values for point 1, not [x, y] or [x, y, seconds]; columns"),
    ({"strokes": ["M0 0"]}, "stroke 1 is neither a list of points nor an object with \"x\" and \"y\""),
    ({"drawing": [[[1], [2]], [[1]]]}, "stroke 2 is not [xs, ys] or [xs, ys, milliseconds]"),
    ({"drawing": [{"x": [1]}]}, "stroke 1 is not [xs, ys]"),
    ({"drawing": [[[1], [2, 3]]]}, "stroke 1 has x, y and t of different lengths: 1, 2"),
    ({"points": []}, "holds no list of strokes"),
    ({"strokes": 5}, "holds no list of strokes")])
def test_what_is_in_no_form_is_named(tmp_path, value, message):
    path = tmp_path / "page"
    path.write_text(json.dumps(value))
    says(path, message)


@pytest.mark.parametrize("text", ['{"strokes": [[[1, 2', '{"strokes": []} {}', "[01]", "{strokes: []}"])
def test_what_is_no_json(tmp_path, text):
    path = tmp_path / "page"
    path.write_text(text)
    says(path, "is not readable JSON", "was it cut short or edited?")


def test_what_is_written(tmp_path):
    path = tmp_path / "page.json"
    ink.write(Ink((np.array([[1.0, -2.5, 0.0], [3.0, 4.0, 0.1]]), DOT.strokes[0])), path)
    assert json.loads(path.read_text()) == {"strokes": [{"x": [1, 3], "y": [-2.5, 4], "t": [0, 0.1]}, {"x": [1], "y": [2]}]}
