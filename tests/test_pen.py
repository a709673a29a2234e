"""Ink to frames: every step of normalization by itself, resampling, layout, and the front ends against loops."""

import math
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from inks import LETTERS, written
from oracles import close

from recog.pen import bezier, classic, normalize
from recog.pen.delayed import without_delayed
from recog.pen.extrema import turns
from recog.pen.features import InkFeatureConfig, extract, normalized, to_the_right, views
from recog.pen.layout import lines_of
from recog.pen.offsets import offsets
from recog.pen.resample import resampled
from recog.pen.warp import InkWarpConfig, warped
from recog.types import Ink

TEXT = "nvo pin lot tvn oni pvl"
few = settings(max_examples=25, deadline=None)


def strokes(*args, **kwargs):
    return list(written(*args, **kwargs).strokes)


def flat(found):
    return np.concatenate(found)[:, :2]


# --- normalization ---


@few
@given(st.floats(-0.15, 0.15), st.floats(5, 500))
def test_the_slope_of_a_line_is_found_and_taken_out(slope, height):
    line = strokes(TEXT, slope=slope, height=height)
    assert abs(normalize.slope(line) - slope) < 0.02
    level = normalize.without_slope(line)
    assert abs(normalize.slope(level)) < 0.01
    lengths = [np.hypot(*np.diff(flat(each), axis=0).T).sum() for each in (line, level)]
    assert math.isclose(*lengths, rel_tol=1e-9)                    # turned, not sheared


def test_a_word_too_short_for_a_slope_keeps_it():
    assert normalize.slope(strokes("l", slope=0.3)) == 0.0


@few
@given(st.floats(-0.6, 0.8), st.integers(0, 5))
def test_the_slant_of_letters_is_found_and_taken_out(slant, seed):
    line = strokes("nlp nnl pln lnp", slant=slant, seed=seed)
    assert abs(normalize.slant(line) - normalize.slant(strokes("nlp nnl pln lnp", seed=seed)) - slant) < 0.12
    assert abs(normalize.slant(normalize.without_slant(line))) < 0.05
    before, after = flat(line), flat(normalize.without_slant(line))
    assert np.array_equal(before[:, 1], after[:, 1])


@few
@given(st.floats(5, 500), st.floats(-1000, 1000), st.integers(0, 5))
def test_the_lines_of_writing_are_found_whatever_the_size_and_the_place(height, down, seed):
    line = strokes(TEXT, height=height, at=(0.0, down), seed=seed)
    top, base = normalize.lines(line)
    assert abs(base - down) < 0.1 * height and abs(top - (down - height)) < 0.15 * height
    unit = flat(normalize.at_unit_height(line))
    assert unit[:, 0].min() == 0 and np.allclose(np.diff(unit, axis=0) * (base - top), np.diff(flat(line), axis=0), atol=1e-6 * height)


def test_jumps_of_the_pen_and_strokes_far_away_are_left_out_and_nothing_else():
    line = strokes(TEXT)
    assert all(np.array_equal(a, b) for a, b in zip(normalize.without_glitches(line), line))
    broken = [s.copy() for s in line]
    broken[1] = np.insert(broken[1], 3, [5000.0, -3000.0, broken[1][3, 2]], axis=0)
    broken.append(np.array([[200.0, 9000.0, 90.0], [201.0, 9001.0, 90.1]]))
    cleaned = normalize.without_glitches(broken)
    assert len(cleaned) == len(line) and all(np.array_equal(a, b) for a, b in zip(cleaned, line))


def test_some_ink_is_always_left():
    for line in ([np.array([[0.0, 0.0, 0.0]])], [np.zeros((5, 3))], [np.array([[0.0, 0, 0], [1e6, 0, 0], [0, 0, 0]])]):
        found = normalized(Ink(tuple(line)), InkFeatureConfig())
        assert np.isfinite(np.concatenate(found)[:, :2]).all() and len(np.concatenate(found))


def test_turns_are_tops_and_bottoms():
    way = np.array([[0, 0], [1, 5], [2, 1], [3, 2], [4, 1.5], [5, 6], [6, 6.2], [7, 0.0]])
    tops, bottoms = turns([way], 2.0)
    assert tops.tolist() == [[0, 0], [2, 1], [7, 0]] and bottoms.tolist() == [[1, 5], [6, 6.2]]
    assert [len(each) for each in turns([way], 50.0)] == [0, 0]


# --- resampling ---


@few
@given(st.floats(0.5, 40), st.sampled_from(["length", "time"]), st.integers(0, 3))
def test_points_come_at_even_distances_or_times(step, by, seed):
    line = strokes("nvt", seed=seed)
    step = step / 100 if by == "time" else step
    for old, new in zip(line, resampled(line, step, by)):
        assert np.allclose(new[0], old[0]) and np.allclose(new[-1], old[-1])
        if by == "time":
            assert np.allclose(np.diff(new[:, 2]), np.diff(new[:, 2])[0])
        way = np.append(0, np.cumsum(np.hypot(*np.diff(old[:, :2], axis=0).T)))
        at = np.append(0, np.cumsum(np.hypot(*np.diff(new[:, :2], axis=0).T)))
        assert len(new) == 1 + max(1, round((old[-1, 2] - old[0, 2] if by == "time" else way[-1]) / step))
        assert at[-1] <= way[-1] + 1e-9                            # corners are cut, nothing is added


def test_a_point_stays_a_point_and_unknown_times_count_as_even():
    assert resampled([np.array([[3.0, 4.0, np.nan]])], 0.1)[0][:, :2].tolist() == [[3, 4]]
    line = np.column_stack([np.arange(11.0), np.zeros(11), np.full(11, np.nan)])
    assert resampled([line], 0.05, "time")[0][:, 0].tolist() == [0, 5, 10]


def test_what_is_no_writing_does_not_eat_the_memory():
    ruled = Ink((np.array([[0.0, 5.0, 0.0], [9e6, 5.0, 1.0]]), np.array([[0.0, 5.0, 2.0], [1.0, 5.1, 3.0]])))
    for kind in ("offsets", "classic", "bezier"):
        frames, _ = extract(ruled, InkFeatureConfig(kind=kind))
        assert len(frames) < 5000 and np.isfinite(frames).all()


# --- what is written late ---


def test_dots_and_bars_are_taken_out_and_leave_a_hat():
    line = [s / (1, 1, 1) for s in strokes("nit", height=1.0, at=(0.0, 0.0))]
    # all in one go, then the dot and the bar
    body, late = [line[0], line[1], line[3]], [line[2], line[4]]
    rest, hats = without_delayed(body + late)
    assert len(rest) == 3 and len(hats) == 2
    for (left, right), stroke in zip(hats, late):
        assert left == stroke[:, 0].min() and right == stroke[:, 0].max()
    points = flat(rest)
    marked = classic.hat(points, hats) == 1
    assert marked.any() and all(any(left <= x <= right for left, right in hats) == bool(m) for x, m in zip(points[:, 0], marked))


# --- the 25 features ---


def by_loops(lines, hats):
    """The definitions, point by point."""
    points = [(x, y) for s in lines for x, y in s[:, :2]]
    seconds = [t for s in lines for t in s[:, 2]]
    which = [number for number, s in enumerate(lines) for _ in s]
    N, rows = len(points), []

    def unit(a, b):
        dx, dy = b[0] - a[0], b[1] - a[1]
        length = math.hypot(dx, dy)
        return (dx / length, dy / length) if length else (0.0, 0.0)

    for i, (x, y) in enumerate(points):
        before, after = points[max(i - 1, 0)], points[min(i + 1, N - 1)]
        near = points[max(0, i - 3):i + 4]
        down = float(i + 1 < N and which[i + 1] == which[i])
        paces = [math.dist(points[a], points[b]) / (seconds[b] - seconds[a]) for a, b in ((i - 1, i), (i, i + 1))
                 if a >= 0 and b < N and which[a] == which[b] and seconds[b] > seconds[a]]
        around = [p[0] for p in points if x - 5 <= p[0] <= x + 5]
        (ax, ay), (bx, by) = unit(before, points[i]), unit(points[i], after)
        width, height = (max(p[k] for p in near) - min(p[k] for p in near) for k in (0, 1))
        way = sum(math.dist(a, b) for a, b in zip(near, near[1:]))
        ux, uy = unit(near[0], near[-1])
        off = [((p[0] - near[0][0]) * uy - (p[1] - near[0][1]) * ux) ** 2 if (ux, uy) != (0, 0) else math.dist(p, near[0]) ** 2 for p in near]
        beside = [p for p in points if x - 0.5 <= p[0] <= x + 0.5]
        grid = [[0] * 3 for _ in range(3)]
        for px, py in points:
            column, row = math.floor(px - x + 1.5), math.floor(py - y + 1.5)
            if 0 <= column < 3 and 0 <= row < 3:
                grid[row][column] += 1
        rows.append([down, float(any(a <= x <= b for a, b in hats)), min(sum(paces) / len(paces), 100) if paces else 0.0,
                     x - sum(around) / len(around), y, *unit(before, after), ax * bx + ay * by, ax * by - ay * bx,
                     (height - width) / (height + width) if height + width else 0.0, *unit(near[0], near[-1]),
                     (way / max(width, height) if max(width, height) else 2.0) - 2, sum(off) / len(off),
                     sum(p[1] < -1 for p in beside), sum(p[1] > 0 for p in beside), *grid[0], *grid[1], *grid[2]])
    return np.array(rows)


@pytest.mark.parametrize("seed", range(6))
def test_the_25_features_are_what_loops_say(seed):
    line, hats = without_delayed(normalize.at_unit_height(strokes("".join(np.random.default_rng(seed).choice(list(LETTERS), 9)), seed=seed)))
    line = resampled(line, 0.23)
    found, expected = classic.features(line, hats), by_loops(line, hats)
    assert found.shape == (len(expected), 25)
    for column in range(25):
        close(f"pen feature {column + 1}", found[:, column], expected[:, column], 1e-4)


# --- curves ---


@few
@given(st.integers(0, 10000))
def test_a_cubic_curve_is_found_again(seed):
    rng = np.random.default_rng(seed)
    corners = np.array([[0, 0], [1, 0], [2, 0], [3, 0]]) + rng.uniform(-0.3, 0.3, (4, 2))
    s = np.linspace(0, 1, 40)[:, None]
    way = (1 - s) ** 3 * corners[0] + 3 * s * (1 - s) ** 2 * corners[1] + 3 * s * s * (1 - s) * corners[2] + s ** 3 * corners[3]
    rows, ends = bezier.fit(np.column_stack([way, 0.1 + 2 * s]), 0.05)
    assert ends.tolist() == [39] and np.allclose(rows[0, :2], corners[3] - corners[0])
    assert distance(way, corners_of(rows[0], corners[0])) < 0.051     # the same curve, if not the same control points
    assert math.isclose(rows[0, 6:9].sum(), 2.0, rel_tol=0.05)     # the time that it took


def corners_of(row, start):
    """Control points from a row's features."""
    way, angle = math.hypot(*row[:2]), math.atan2(row[1], row[0])
    first = start + row[2] * way * np.array([math.cos(angle + row[4]), math.sin(angle + row[4])])
    end = start + row[:2]
    return np.array([start, first, end + row[3] * way * np.array([math.cos(angle + math.pi + row[5]), math.sin(angle + math.pi + row[5])]), end])


def distance(points, corners):
    s = np.linspace(0, 1, 400)[:, None]
    curve = (1 - s) ** 3 * corners[0] + 3 * s * (1 - s) ** 2 * corners[1] + 3 * s * s * (1 - s) * corners[2] + s ** 3 * corners[3]
    return max(np.hypot(*(curve - p).T).min() for p in points)


@pytest.mark.parametrize("tolerance", [0.02, 0.05, 0.2])
def test_curves_stay_near_the_points_and_follow_each_other(tolerance):
    counts = []
    for seed in range(3):
        for stroke in normalize.at_unit_height(strokes(TEXT, seed=seed)):
            rows, ends = bezier.fit(stroke[:, :3], tolerance)
            starts = np.append(0, ends[:-1])
            assert ends[-1] == len(stroke) - 1 and (np.diff(ends) > 0).all()
            for row, a, b in zip(rows, starts, ends):
                assert np.allclose(row[:2], stroke[b, :2] - stroke[a, :2])
                if 0.1 < row[2] < 9 and 0.1 < row[3] < 9:          # longer ways to a control point are cut short
                    assert distance(stroke[a:b + 1, :2], corners_of(row, stroke[a, :2])) < tolerance + 0.02
            counts.append(len(rows))
    assert np.mean(counts) < 12


def test_between_strokes_stands_a_straight_way_with_the_pen_up():
    line = [np.column_stack([s, np.arange(len(s))]) for s in strokes("vv")]
    frames, ends = bezier.features(line, 0.05, place=True)
    up = frames[:, 9] == 1
    assert up.sum() == 1 and np.allclose(frames[up, :2], line[1][0, :2] - line[0][-1, :2], atol=1e-4)
    assert np.allclose(frames[:, :2].sum(0), line[-1][-1, :2] - line[0][0, :2], atol=1e-3)
    assert np.allclose(frames[:, 10], np.cumsum(frames[:, 1]) + line[0][0, 1], atol=1e-3)


def test_offsets_add_up_to_the_points():
    line = normalize.at_unit_height(strokes("nvi"))
    frames = offsets(line, place=True)
    assert np.allclose(np.cumsum(frames[:, :2], axis=0), flat(line), atol=1e-4)
    assert np.flatnonzero(frames[:, 2]).tolist() == (np.cumsum([len(s) for s in line]) - 1).tolist()
    assert np.allclose(frames[:, 3], flat(line)[:, 1], atol=1e-6)
    assert np.array_equal(offsets(line, place=False), frames[:, :3])


# --- all together ---


@pytest.mark.parametrize("kind", ["offsets", "classic", "bezier"])
def test_frames_do_not_depend_on_where_and_how_large_it_was_written(kind):
    config = InkFeatureConfig(kind=kind)
    here, ends = extract(written(TEXT, height=30), config)
    there, _ = extract(written(TEXT, height=90, slope=0.06, at=(-500.0, 3000.0)), config)
    assert here.shape[1] == config.width and here.dtype == np.float32 and np.isfinite(here).all()
    assert len(ends) == len(here) and ends[-1] <= sum(map(len, written(TEXT).strokes)) - 1
    if kind == "offsets":
        assert abs(len(here) - len(there)) < 0.05 * len(here)
        assert abs(here.std(0) - there.std(0)).max() < 0.05


@pytest.mark.parametrize("kind", ["offsets", "classic", "bezier"])
def test_other_hands_are_drawn_from_the_seed(kind):
    config, ink = InkFeatureConfig(kind=kind), written(TEXT)

    def drawn(*seeds):
        return list(views(ink, config, InkWarpConfig(), map(np.random.default_rng, seeds)))

    again, first, other = *drawn(1, 1), *drawn(2)
    assert np.array_equal(again, first) and not np.array_equal(first[:20], other[:20])


def test_nothing_changed_is_the_line_itself():
    line = normalize.at_unit_height(strokes(TEXT))
    still = InkWarpConfig(**{name: 0.0 for name in InkWarpConfig.__dataclass_fields__ if name != "wavelength"})
    assert all(np.allclose(a, b) for a, b in zip(warped(line, still, np.random.default_rng(0)), line))
    for wrong in ({"drop": 1.0}, {"shear": -0.1}, {"wavelength": 0.0}):
        with pytest.raises(ValueError):
            InkWarpConfig(**wrong)


@pytest.mark.parametrize("kind", ["offsets", "classic", "bezier"])
def test_between_words_the_pen_goes_furthest_to_the_right(kind):
    config, ink = InkFeatureConfig(kind=kind), written("nvo  lin")
    frames, ends = extract(ink, config)
    first_of_second = sum(len(s) for s in ink.strokes if s[:, 0].max() < 100 + 30 * 4)      # points of the first word
    at = int(to_the_right(frames, config).argmax())
    assert ends[at - 1] < first_of_second <= ends[at]


# --- a page ---


@few
@given(st.integers(1, 5), st.floats(-0.05, 0.05), st.integers(0, 100))
def test_a_page_is_cut_into_its_lines(count, slope, seed):
    rng, page, owner = np.random.default_rng(seed), [], []
    for row in range(count):
        line = strokes("".join(rng.choice([*LETTERS, " "], 12)) + "n", slope=slope, at=(rng.uniform(0, 40), 120.0 * row), seed=seed)
        page, owner = page + line, owner + [row] * len(line)
    found = lines_of(page)
    assert sorted(i for line in found for i in line) == list(range(len(page)))
    assert [sorted({owner[i] for i in line}) for line in found] == [[row] for row in range(count) if row in owner]


def test_each_stroke_is_of_one_line_wherever_it_is():
    for seed in range(20):
        rng = np.random.default_rng(seed)
        page = [rng.random((2, 1)) * (0, 30, 0) + (*rng.random(2) * (900, 600), 0) for _ in range(60)]
        assert sorted(i for line in lines_of(page) for i in line) == list(range(60))


def test_a_page_of_twenty_thousand_strokes():
    page = [np.array([[x, y, 0.0], [x + 5, y + 20, 0.0]]) for y in range(0, 40000, 100) for x in range(0, 1000, 20)]
    began = time.monotonic()
    assert len(lines_of(page)) == 400 and time.monotonic() - began < 60


def test_strokes_far_beside_a_line_are_left_out():
    line = strokes("nvo lin")
    width = max(s[:, 0].max() for s in line)
    for far in (-1e5, 1e5):
        stray = np.array([[far, 100.0, 0.0]])
        assert len(normalize.without_glitches([*line, stray])) == len(line)
    wide = [*line, *(s + (3 * width, 0, 0) for s in line)]
    assert len(normalize.without_glitches(wide)) == len(wide)
