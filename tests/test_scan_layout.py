"""Pages as lines, and what is odd about an image that should be one line."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from inks import written
from scans import drawn

from recog.scan.layout import line_images, lines_of, oddity
from recog.types import Image, Ink

few = settings(max_examples=15, deadline=None)
LINES = ["nvo pin lot tvn oni pvl", "pot nil vop ton", "lin tov pon vil non otl", "vo nip", "ton vil pop non lit nov pnt"]


def page(lines, pitch=3.2, height=24.0, slope=0.0, seed=0):
    """A picture of lines; and each as a picture of its own, of the same size and in its place. pitch: heights of small letters from line to line."""
    inks = [written(text, height=height, slope=slope, at=(0.0, n * pitch * height), seed=seed + n) for n, text in enumerate(lines)]
    whole = Ink(tuple(s for ink in inks for s in ink.strokes))
    return drawn(whole)[0], [drawn(ink, frame=whole)[0] for ink in inks]


@few
@given(st.integers(2, 5), st.floats(2.9, 5), st.floats(-0.05, 0.05), st.sampled_from([12.0, 24.0, 40.0]), st.integers(0, 3))
def test_a_page_is_told_and_its_lines_are_found(count, pitch, slope, height, seed):
    whole, alone = page(LINES[:count], pitch, height, slope, seed)
    boxes = lines_of(Image(whole))
    assert len(boxes) == count and oddity(Image(whole)).what == f"looks like a page of {count} lines"
    assert oddity(Image(whole), lines=True) is None
    for (left, top, right, bottom), one in zip(boxes, alone):
        rows, columns = np.nonzero(one < 100)
        assert left <= columns.min() and right > columns.max() and top <= rows.min() + 2 and bottom >= rows.max() - 1
        slack = 0.6 * height + 5
        assert left > columns.min() - slack and right < columns.max() + slack and top > rows.min() - slack and bottom < rows.max() + slack


@few
@given(st.floats(-0.06, 0.06), st.booleans(), st.integers(0, 3))
def test_lines_are_cut_out_without_what_others_have_in_their_boxes(slope, inverted, seed):
    whole, alone = page(LINES, 3.4, 24.0, slope, seed)
    paper = 255 * inverted
    for (box, found), one in zip(line_images(Image(whole ^ paper if inverted else whole)), alone):
        left, top, right, bottom = box
        assert found.pixels.shape == (bottom - top, right - left)
        mine, dark = one[top:bottom, left:right] < 100, (found.pixels ^ paper) < 100
        assert (dark & mine).sum() > 0.97 * mine.sum() and (dark & ~mine).sum() < 0.05 * mine.sum()


def test_letters_of_two_lines_that_touch_are_divided():
    pixels = page(["nno nno", "nno nno"], 3.2)[0]
    middle = pixels.shape[0] // 2
    pixels = pixels.copy()
    column = np.flatnonzero((pixels[:middle] < 100).any(0))[5]
    pixels[25:-25, column:column + 3] = 0                                       # a stroke through both
    boxes = lines_of(Image(pixels))
    assert len(boxes) == 2 and abs(boxes[0].bottom - middle) < 15 and abs(boxes[1].top - middle) < 15


def test_a_tail_that_hangs_into_the_next_line_belongs_to_its_own():
    whole, alone = page(["non pon nop", "nnl nnl non"], 2.7)
    first, second = line_images(Image(whole))
    tails = (alone[0] < 100) & (np.arange(len(whole)) >= second[0].top)[:, None]
    assert tails.any()
    left, top, right, bottom = second[0]
    assert ((second[1].pixels < 100) & tails[top:bottom, left:right]).sum() == 0
    assert first[0].bottom > np.nonzero(tails)[0].max()


@few
@given(st.sampled_from(LINES + ["pvl", "lot", "iiiiii", "tltlt pppp", "i"]), st.floats(-0.12, 0.12), st.floats(-0.3, 0.6),
       st.sampled_from([10.0, 24.0, 70.0]), st.integers(0, 5))
def test_nothing_is_odd_about_one_line(text, slope, slant, height, seed):
    pixels = drawn(written(text, height=height, slope=slope, slant=slant, at=(0.0, 0.0), seed=seed))[0]
    if pixels.shape[1] < pixels.shape[0]:
        pixels = np.pad(pixels, ((0, 0), (0, pixels.shape[0])), constant_values=255)
    assert oddity(Image(pixels)) is None and len(lines_of(Image(pixels))) == 1


def test_a_line_that_goes_up_and_down_is_one_line():
    ink = written("non ton vip lot non pin tot nov lin", height=24.0, at=(0.0, 0.0))
    moved = Ink(tuple(s + np.stack([0 * s[:, 0], 14 * np.sin(s[:, 0] / 150), 0 * s[:, 0]], 1) for s in ink.strokes))
    assert oddity(Image(drawn(moved)[0])) is None


def test_words_beside_each_other_are_one_line_however_high_they_stand():
    words = [written("non nvn", height=24.0, at=at) for at in ((0.0, 0.0), (240.0, 60.0), (480.0, 0.0))]
    beside, below = (Ink(tuple(s + (move * n, 0, 0) for n, word in enumerate(words) for s in word.strokes)) for move in (0, -240))
    assert oddity(Image(drawn(beside)[0])) is None
    assert oddity(Image(drawn(below)[0])).what == "looks like a page of 2 lines"


def test_dots_above_and_below_letters_belong_to_their_line():
    whole = page(["non nvn nvn non", "non non nvn"], 3.4)[0].copy()
    base, step = np.flatnonzero((whole < 100).any(1))[0] + 24, 82                # rows: of the first baseline, and to the second, about
    space = np.flatnonzero((whole == 255).all(0) & (np.arange(whole.shape[1]) > 60))[3]
    for row in (base - 36, base + 4, base + step - 36, base + step + 4):
        whole[row:row + 4, space:space + 4] = 0
    upper, lower = lines_of(Image(whole))
    assert upper.top <= base - 36 and base + 8 <= upper.bottom < base + step - 36
    assert base + 8 < lower.top <= base + step - 36 and base + step + 8 <= lower.bottom


@pytest.mark.parametrize("pixels, message", [
    (np.full((80, 600), 200, np.uint8), "is empty"),
    (np.full((6, 600), 255, np.uint8), "is too small to read: 600 x 6 pixels"),
    (np.zeros((1, 1), np.uint8), "is too small to read: 1 x 1 pixels"),
    (np.rot90(drawn(written("non pin lot nov"))[0]), "is taller than wide")])
def test_what_is_odd_is_said_with_what_to_do(pixels, message):
    found = oddity(Image(pixels))
    assert found.what.startswith(message) and found.hint
    if "taller" in message:
        assert oddity(Image(pixels), lines=True) is None
    else:
        assert oddity(Image(pixels), lines=True) == found


def test_no_ink_is_no_lines():
    for shape in [(1, 1), (50, 300)]:
        assert lines_of(Image(np.full(shape, 180, np.uint8))) == [] == line_images(Image(np.full(shape, 180, np.uint8)))


def test_large_pages_are_reduced_first_and_boxes_are_of_the_page():
    whole, _ = page(LINES[:3])
    large = whole.repeat(5, 0).repeat(5, 1)
    large = np.ascontiguousarray(large[3:, 2:-1])
    assert large.size > 3_000_000
    for (box, part), small in zip(line_images(Image(large)), lines_of(Image(whole)), strict=True):
        assert np.allclose(np.array(box) / 5, small, atol=3)
        assert part.pixels.shape == (box.bottom - box.top, box.right - box.left)
        assert np.array_equal(part.pixels < 100, (large[box.top:box.bottom, box.left:box.right] < 100) & (part.pixels < 100))
