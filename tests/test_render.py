"""Ink as a scanner would see it: every pixel against distances found by brute force, the scan against scipy, the same seed the same bytes."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from inks import written
from scipy import ndimage
from scipy.interpolate import CubicHermiteSpline

from recog.config import build
from recog.errors import ConfigError
from recog.kernels.strokes import covered, scanned
from recog.pen import render
from recog.pen.render import CORNER, LARGEST, RenderConfig, curves, pace, rendered, small_letters
from recog.types import Ink

PLAIN = RenderConfig(height=20.0, pen=(0.15, 0.15), margin=(0.3, 0.3), smooth=False, clean=True)
PLACE = st.tuples(st.integers(-3, 33), st.integers(-3, 23))


def ink_of(*strokes):
    return Ink(tuple(np.array([[x, y, np.nan] for x, y in stroke], np.float64) for stroke in strokes))


def arrays(strokes):
    """Points [N, 2] of all strokes, and whether the pen goes on from each."""
    joined = np.concatenate([[True] * (len(s) - 1) + [False] for s in strokes])
    return np.concatenate([np.asarray(s, float).reshape(-1, 2) for s in strokes]), joined


def nearest(strokes, height, width, values=None, parts=400):
    """By brute force, over many points of every way: the distance of each pixel's center to the nearest one [H, W]. values: of the
    strokes' points [N, V]; gives what they are at the nearest point of each way, [H, W] and [H, W, V] for each."""
    y, x = np.mgrid[:height, :width] + 0.5
    found, number = [], 0
    for s in strokes:
        for k in range(max(1, len(s) - 1)):
            a, b = np.asarray(s[k], float), np.asarray(s[min(k + 1, len(s) - 1)], float)
            way = a + np.linspace(0, 1, parts + 1)[:, None] * (b - a)
            away = np.hypot(x[..., None] - way[:, 0], y[..., None] - way[:, 1])
            at = away.argmin(-1)
            one, two = (values[number + k], values[number + min(k + 1, len(s) - 1)]) if values is not None else (np.zeros(1), np.zeros(1))
            found.append((away.min(-1), one + at[..., None] / parts * (two - one)))
        number += len(s)
    return found


@settings(max_examples=20)
@given(st.lists(st.lists(PLACE, min_size=1, max_size=4), min_size=1, max_size=3), st.sampled_from([0.6, 1.5, 4.0]))
def test_pixels_are_covered_by_their_distance_from_the_pen(strokes, radius):
    points, joined = arrays(strokes)
    ink = covered(points, joined, np.full(len(points), radius), np.ones(len(points)), 20, 30)
    away = np.min([distance for distance, _ in nearest(strokes, 20, 30)], axis=0)
    assert ink.shape == (20, 30) and abs(ink - np.clip(radius + 0.5 - away, 0, 1)).max() < 0.06      # 400 points of a way of up to 45 pixels


def test_width_and_darkness_change_evenly_and_what_is_darker_stays():
    strokes, rng = [[(2, 3), (25, 6), (12, 17)], [(4, 15), (20, 2)], [(27, 17)]], np.random.default_rng(0)
    points, joined = arrays(strokes)
    values = np.column_stack([rng.uniform(0.7, 3, len(points)), rng.uniform(0.4, 1, len(points))])
    expected = np.max([np.clip(at[..., 0] + 0.5 - away, 0, 1) * at[..., 1] for away, at in nearest(strokes, 20, 30, values)], axis=0)
    assert abs(covered(points, joined, *values.T, 20, 30) - expected).max() < 0.05


def test_the_scan_is_paper_ink_lens_and_noise():
    rng = np.random.default_rng(1)
    ink, noise, light = rng.random((23, 41)).astype(np.float32), rng.standard_normal((24, 42)).astype(np.float32), rng.uniform(220, 250, (4, 6))
    lens, spacing, dark, grain, amount = np.array([0.5, 0.2, 0.05]), 9.7, 30.0, 0.12, 1.5
    got = scanned(ink, noise, *(np.float32(value) for value in (light, spacing, dark, grain, lens, amount)))
    rough = ndimage.correlate(noise.astype(float), np.full((2, 2), 0.5), origin=(-1, -1))[:23, :41]
    spread = ink * (1 - grain * abs(rough[::-1, ::-1]))
    for axis in (0, 1):
        spread = ndimage.correlate1d(spread, np.concatenate([lens[:0:-1], lens]), axis=axis, mode="nearest")
    paper = ndimage.map_coordinates(light, np.mgrid[:23, :41] / spacing, order=1)
    expected = np.rint(np.clip(paper + spread * (dark - paper) + amount * rough, 0, 255))
    assert got.dtype == np.uint8 and abs(got - expected).max() <= 1 and (got == expected).mean() > 0.99


def test_a_known_stroke_covers_the_pixels_it_should():
    strokes = [[(100, 50), (130, 90), (160, 50)], [(110, 70), (150, 72)], [(170, 88)]]
    picture = rendered(ink_of(*strokes), PLAIN, np.random.default_rng(0), letters=40.0).pixels
    placed = [[((x - 100) / 2 + 0.3 * 20 + 1.5, (y - 50) / 2 + 0.3 * 20 + 1.5) for x, y in s] for s in strokes]     # the pen is 3 pixels wide
    assert picture.shape == (np.ceil(20 + 15), np.ceil(35 + 15))
    away = np.min([distance for distance, _ in nearest(placed, *picture.shape)], axis=0)
    assert abs(picture - 255 * (1 - np.clip(2.0 - away, 0, 1))).max() <= 12
    assert (picture[away < 0.9] == 0).all() and (picture[away > 2.1] == 255).all() and (picture[away < 0.9]).size > 100


def test_a_scan_is_dark_where_the_plain_picture_is_and_paper_elsewhere():
    ink = written("nvo lin pit", slant=0.2)
    plain, scan = (rendered(ink, RenderConfig(clean=clean), np.random.default_rng(3)).pixels for clean in (True, False))
    assert plain.shape == scan.shape and set(np.unique(plain)) > {0, 255}
    core, paper = ndimage.binary_erosion(plain < 128, iterations=1), ~ndimage.binary_dilation(plain < 255, iterations=4)
    assert core.sum() > 500 and scan[core].max() < 175 and np.median(scan[core]) < 110
    assert 225 < np.median(scan[paper]) <= 252 and 0.2 < np.std(scan[paper].astype(float)) < 6 and scan[paper].min() > 215
    assert len(np.unique(scan[core])) > 20 and len(np.unique(scan[paper])) > 3


def test_the_same_seed_gives_the_same_bytes():
    ink = written("vol npi")
    one, again, other = (rendered(ink, RenderConfig(), np.random.default_rng([seed, *b"a01-000u-01"])).pixels for seed in (0, 0, 1))
    assert one.tobytes() == again.tobytes() and (one.shape != other.shape or (one != other).any())
    looks = {tuple(np.percentile(rendered(ink, RenderConfig(), np.random.default_rng(seed)).pixels, [0.5, 50])) for seed in range(12)}
    assert len({dark for dark, _ in looks}) > 6 and len({paper for _, paper in looks}) > 5      # each line draws its own


@pytest.mark.parametrize("text", ["nvnonovn", "lvlnplolt", "npvopnpo"])
@pytest.mark.parametrize("height, slope", [(30.0, 0.0), (7.0, 0.08), (1100.0, -0.05)])
def test_the_scale_follows_the_small_letters(text, height, slope):
    """Not the box: high letters and a falling line make the picture higher, and nothing larger."""
    ink = written(text, height=height, slope=slope, slant=0.1)
    assert small_letters(ink) == pytest.approx(height, rel=0.06)
    picture = rendered(ink, RenderConfig(height=24.0, margin=(0.0, 0.0)), np.random.default_rng(0)).pixels
    width, tall = np.ptp(ink.points[:, :2], axis=0) / height * 24.0
    assert picture.shape[1] == pytest.approx(width, rel=0.08) and picture.shape[0] == pytest.approx(tall + 4, rel=0.15)


def test_a_given_size_of_letters_is_kept():
    ink, config = written("nvol"), RenderConfig(margin=(0.0, 0.0), pen=(0.1, 0.1))
    one, half = (rendered(ink, config, np.random.default_rng(0), letters).pixels for letters in (30.0, 60.0))
    assert np.array(one.shape) - 2.4 == pytest.approx(2 * (np.array(half.shape) - 2.4), abs=2.1)


def test_strokes_far_outside_the_line_are_left_out():
    ink = written("nvo lin pit")
    far = Ink((*ink.strokes, np.array([[200.0, 2000.0, 9.0], [210.0, 2010.0, 9.1]])))
    one, other = (rendered(each, RenderConfig(), np.random.default_rng(5)).pixels for each in (ink, far))
    assert one.shape == other.shape and (one == other).all() and np.ptp(far.points[:, 1]) > 10 * np.ptp(ink.points[:, 1])


def test_the_pen_is_wider_where_it_is_slow():
    x = np.concatenate([np.arange(0, 60, 2.0), np.arange(60, 360, 10.0)])
    points = np.column_stack([x, np.full(len(x), 50.0), np.arange(len(x)) / 100])
    slow = pace(points, np.arange(len(x)) < len(x) - 1)
    assert slow[:25].min() > 0.2 and slow[35:].max() < 0.05 and (abs(slow) <= 1).all()
    assert (pace(np.column_stack([points[:, :2], np.full(len(x), np.nan)]), np.ones(len(x), bool)) == 0).all()
    config = RenderConfig(margin=(0.5, 0.5), press=0.0, speed=0.4, ink=(0.0, 0.0), grain=(0.0, 0.0), noise=(0.0, 0.0), shade=(0.0, 0.0))
    down = 1 - rendered(Ink((points,)), config, np.random.default_rng(0), letters=24.0).pixels / 240.0
    widths = down.clip(0).sum(0)
    assert np.median(widths[20:50]) > 1.2 * np.median(widths[100:300])


def test_curves_go_through_the_points():
    rng = np.random.default_rng(2)
    turns = np.cumsum(rng.uniform(-0.9, 0.9, 12))
    points = np.column_stack([np.cumsum(np.column_stack([np.cos(turns), np.sin(turns)]) * rng.uniform(3, 9, (12, 1)), axis=0), rng.random(12)])
    joined = np.ones(12, bool)
    joined[[6, 11]] = False
    new, goes_on = curves(points, joined, 1.0)
    places = [int(np.flatnonzero((new == point).all(1))[0]) for point in points]
    assert places == sorted(places) and (~goes_on).sum() == 2 and not goes_on[places[6]] and not goes_on[places[11]]
    assert np.hypot(*np.diff(new[:, :2], axis=0).T)[goes_on[:-1]].max() < 1.5
    steps = np.diff(points[:, :2], axis=0)
    long = np.hypot(*steps.T)
    for k in (2, 3, 8):                                     # inside a stroke
        ends = [(steps[i - 1] / long[i - 1] + steps[i] / long[i]) / 2 * min(long[i - 1], long[i]) for i in (k, k + 1)]
        if any((steps[i - 1] @ steps[i]) <= CORNER * long[i - 1] * long[i] for i in (k, k + 1)):
            continue
        inside = new[places[k]:places[k + 1] + 1, :2]
        expected = CubicHermiteSpline([0, 1], points[k:k + 2, :2], np.array(ends))(np.linspace(0, 1, len(inside)))
        np.testing.assert_allclose(inside, expected, atol=1e-9)


def test_corners_and_straight_ways_stay_as_they_are():
    corner = np.array([[0.0, 0], [10, 10], [20, 0], [40, 0], [40, 30]])
    new, _ = curves(corner, np.arange(5) < 4, 3.0)
    away = np.min([distance for distance, _ in nearest([corner], 40, 50)], axis=0)
    rounded = np.min([distance for distance, _ in nearest([new], 40, 50, parts=8)], axis=0)
    assert abs(away - rounded)[:, 41:].max() < 0.2 and len(new) > 20
    straight, _ = curves(np.array([[0.0, 0], [1, 1], [7, 7], [30, 30]]), np.arange(4) < 3, 1.0)
    np.testing.assert_allclose(straight[:, 0], straight[:, 1], atol=1e-12)
    assert (np.diff(straight[:, 0]) > 0).all()


@pytest.mark.parametrize("strokes", [
    [[(5, 5)]], [[(5, 5), (5, 5)]], [[(0, 0), (1e7, 0)]], [[(0, 0), (0, 1e7)]], [[(0, 0), (5e-324, 0)]], [[(0, 0), (1e-9, 1e-9)]],
    [[(x * 50, y * 100) for x in range(40) for y in (0, 1)] for _ in range(30)], [[(1e7 * (k % 2), 1e5 * k) for k in range(200)]]])
@pytest.mark.parametrize("clean", [True, False])
def test_any_ink_gives_a_picture_of_some_size(strokes, clean):
    picture = rendered(ink_of(*strokes), RenderConfig(height=100.0, clean=clean), np.random.default_rng(0)).pixels
    assert picture.dtype == np.uint8 and 1 < picture.size < 1.1 * LARGEST and picture.min() < 140 and picture.max() > 220


def test_a_pen_that_never_stops_is_drawn_smaller(monkeypatch):
    scribble = ink_of(np.random.default_rng(0).uniform(0, 1, (300, 2)) * (3000, 500))
    sizes = []
    for longest in (render.LONGEST, 40_000):
        monkeypatch.setattr(render, "LONGEST", longest)
        sizes.append(np.array(rendered(scribble, RenderConfig(clean=True), np.random.default_rng(0), letters=50.0).pixels.shape))
    way = 24 / 50 * np.hypot(*np.diff(scribble.points[:, :2], axis=0).T).sum()
    assert way > 100_000 and sizes[1] == pytest.approx(sizes[0] * 40_000 / way, abs=2)


@pytest.mark.parametrize("table, message", [
    ({"height": 1.0}, "height must be 4 to 400"), ({"pen": [0.3, 0.2]}, "a range goes from"), ({"pen": [0.0, 0.2]}, "pen must be above 0"),
    ({"ink": [20.0, 240.0]}, "ink darker than paper"), ({"paper": [240.0, 256.0]}, "grey at most 255"), ({"speed": 1.0}, "speed must be"),
    ({"blur": [0.2, 1.5]}, "blur at most 1"), ({"pens": 1}, "did you mean 'pen'")])
def test_impossible_settings_are_refused(table, message):
    with pytest.raises(ConfigError, match=message):
        build(RenderConfig, table, "render")
