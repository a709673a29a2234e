"""Pictures of ink: dark where the strokes are, white elsewhere, never larger than memory bears."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from recog import ink
from recog.errors import RecogError
from recog.ink import png
from recog.ink.frame import around
from recog.types import Ink


def page(*strokes):
    return Ink(tuple(np.array([[x, y, np.nan] for x, y in stroke], np.float64) for stroke in strokes))


def distances(written, picture):
    """From each pixel's center to the nearest line, in pixels [H, W]; and half the pen's width."""
    frame = around(written)
    scale = picture.height / frame.height
    y, x = np.mgrid[:picture.height, :picture.width] + 0.5
    nearest = np.full(x.shape, np.inf)
    for stroke in written.strokes:
        points = (stroke[:, :2] - (frame.left, frame.top)) * scale
        for (ax, ay), (bx, by) in zip(points, [*points[1:], points[-1]]):
            along = np.clip(((x - ax) * (bx - ax) + (y - ay) * (by - ay)) / max((bx - ax) ** 2 + (by - ay) ** 2, 1e-30), 0, 1)
            nearest = np.minimum(nearest, np.hypot(x - ax - along * (bx - ax), y - ay - along * (by - ay)))
    return nearest, max(png.THINNEST, frame.pen * scale) / 2


@settings(max_examples=25)
@given(st.lists(st.lists(st.tuples(st.integers(0, 30), st.integers(0, 20)), min_size=1, max_size=5), min_size=1, max_size=3),
       st.sampled_from([(1, 0, 0), (1e-3, 5, -5), (1000, 1e6, 1e6)]), st.sampled_from([40, 100, 256]))
def test_pixels_are_dark_where_the_strokes_are(strokes, size, height):
    scale, left, top = size
    written = page(*([(left + x * scale, top + y * scale) for x, y in stroke] for stroke in strokes))
    picture = png.draw(written, height)
    assert picture.mode == "L" and picture.height == height
    gray, (away, half) = np.asarray(picture), distances(written, picture)
    assert (gray[away < half - 1.1] == 0).all() and (gray[away > half + 1.1] == 255).all()
    assert (gray[away < min(half, 0.25)] < 200).all() and gray.min() < 160          # a dot between pixels is gray


def test_edges_are_smooth():
    gray = np.asarray(png.draw(page([(0, 0), (30, 20)])))
    assert len(np.unique(gray)) > 8 and (gray[[0, -1]] == 255).all() and (gray[:, [0, -1]] == 255).all()


def test_a_dot_is_round():
    gray = 255.0 - np.asarray(png.draw(page([(5, 5)]), 200))
    assert gray.shape == (200, 200) and abs(gray - gray.T).max() <= 64
    assert gray.sum() / 255 == pytest.approx(np.pi / 4 * (0.015 / 0.115 * 200) ** 2, rel=0.05)


@pytest.mark.parametrize("width, height, columns", [
    (100_000, 1, 4618), (30, 0, 4618), (1e7, 1e-7, 4618), (60, 30, 486), (1, 100_000, 26), (0, 30, 26), (5e-324, 0, 256)])
def test_no_shape_is_too_long(width, height, columns):
    """At most 20 times as wide as high, and a margin of 5.75 % of the height (with half the pen) on each side."""
    picture = png.draw(page([(0, 0), (width, height)]))
    assert picture.size == (columns, 256) and np.asarray(picture).min() < 100


def test_the_height_is_bounded():
    assert png.draw(page([(0, 0), (9, 9)]), png.TALLEST).height == png.TALLEST
    wide = png.draw(page([(0, 0), (90, 9)]), png.TALLEST)
    assert wide.width * wide.height == pytest.approx(png.LARGEST, rel=1e-3)
    assert wide.width / wide.height == pytest.approx(10.115 / 1.115, rel=1e-3)
    for height in (0, -5, png.TALLEST + 1):
        with pytest.raises(RecogError, match=f"a picture of ink is 1 to 2048 pixels high, not {height}"):
            png.draw(page([(0, 0)]), height)


def test_the_file_is_a_png(tmp_path):
    path = tmp_path / "page.png"
    ink.write(page([(0, 0), (30, 20)]), path)
    with Image.open(path) as picture:
        assert picture.format == "PNG" and picture.height == png.HEIGHT
        assert (np.asarray(picture) == np.asarray(png.draw(page([(0, 0), (30, 20)])))).all()
