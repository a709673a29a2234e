"""Images of lines to frames: every step by itself against something written differently, and the way back to the image."""

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from inks import written
from oracles import close
from scans import drawn

from recog.errors import DataError
from recog.kernels.shear import sheared, sheared_sums
from recog.scan import contrast, normalize
from recog.scan.features import ScanFeatureConfig, extract, normalized, views
from recog.scan.warp import ScanWarpConfig, elastic, pressed, sampled, smooth_noise, warped
from recog.types import Image, Ink

TEXT = "nvo pin lot tvn oni pvl"
few = settings(max_examples=15, deadline=None)
AS_IT_IS = ScanFeatureConfig(contrast=False, specks=False, slope=False, slant=False)
NO_WARP = ScanWarpConfig(**{name: 0.0 for name in ScanWarpConfig.__dataclass_fields__} | {"smooth": 0.1})


def scan(text=TEXT, height=24.0, **how):
    """A picture, and its ink's density without the steps of `contrast`."""
    pixels = drawn(written(text, height=height, at=(0.0, 0.0), **how))[0]
    return pixels, (255 - pixels.astype(np.float32)) / 255


# --- contrast ---


@few
@given(st.integers(90, 255), st.floats(0.1, 0.8), st.floats(0, 0.4), st.booleans(), st.integers(0, 3))
def test_paper_pen_and_light_do_not_matter(level, ink, falling, inverted, seed):
    pixels, expected = scan(seed=seed)
    light = 1 - falling * np.linspace(0, 1, pixels.shape[1]) * np.linspace(0.5, 1, pixels.shape[0])[:, None]
    gray = np.clip(np.round(level * light * (1 - (1 - ink) * expected)), 0, 255).astype(np.uint8)
    found = contrast.density(255 - gray if inverted and level > 150 else gray)
    assert found.dtype == np.float32 and found.min() == 0 and found.max() == 1
    assert (found[expected == 0] < 0.15).mean() > 0.999 and (found[expected == 1] > 0.75).mean() > 0.97


def test_white_on_black_is_told_by_its_strokes():
    pixels, _ = scan()
    for gray in (pixels, pixels // 2, pixels // 4 + 60):                       # dark paper is not yet black
        assert not contrast.white_on_black(gray.astype(np.float32))
        assert contrast.white_on_black(255.0 - gray if gray is pixels else 160.0 - gray / 2)


@few
@given(st.integers(60, 255), st.floats(0, 8), st.floats(0, 0.3), st.integers(0, 99))
def test_empty_paper_stays_empty_under_any_light(level, noise, falling, seed):
    rng = np.random.default_rng(seed)
    paper = level * (1 - falling * np.linspace(0, 1, 700)) + rng.normal(0, noise, (90, 700))
    assert not contrast.density(np.clip(np.round(paper), 0, 255).astype(np.uint8)).any()


@pytest.mark.parametrize("seed", range(10))
def test_coarse_noise_on_dark_edges_is_no_ink(seed):
    rng = np.random.default_rng(seed)
    paper = 240 * (1 - 0.5 * np.linspace(0, 1, 900)) + rng.normal(0, 10, (60 + 10 * seed, 900))
    assert not contrast.density(np.clip(paper, 0, 255).astype(np.uint8)).any()


def test_noise_is_paper_and_writing_stays():
    pixels, expected = scan()
    noisy = np.clip(200 - 120 * expected + np.random.default_rng(0).normal(0, 10, pixels.shape), 0, 255).astype(np.uint8)
    found = contrast.density(noisy)
    assert (found[expected == 0] == 0).mean() > 0.99 and (found[expected == 1] > 0.5).mean() > 0.98


@pytest.mark.parametrize("shape", [(1, 1), (1, 500), (500, 1), (17, 33), (15, 16)])
def test_any_shape_has_paper(shape):
    assert not contrast.density(np.full(shape, 77, np.uint8)).any()
    assert np.allclose(contrast.paper(np.full(shape, 77, np.float32)), 77)


def test_light_that_falls_evenly_is_found_exactly():
    light = 250 - np.add.outer(np.arange(120) * 0.2, np.arange(900) * 0.1)
    found = contrast.paper(light.astype(np.float32))
    assert abs((found - light) - (found - light).mean()).max() < 1.0           # a percentile above the middle, by the same everywhere


# --- specks ---


def test_specks_go_and_dots_stay():
    pixels, x = scan("nin oni", height=30.0)
    dirty = x.copy()
    places = [(3, 5), (9, 60), (40, 3)]
    for row, column in places:
        assert not x[row - 2:row + 3, column - 2:column + 3].any()
        dirty[row, column] = 1
    assert np.array_equal(normalize.without_specks(dirty), x) and np.array_equal(normalize.without_specks(x), x)


# --- slope and slant ---


def test_sheared_sums_against_loops():
    rng = np.random.default_rng(0)
    x, moves = rng.random((5, 9)).astype(np.float32), rng.uniform(-6, 6, (4, 5))
    expected = np.zeros((4, 5, 9 + 2 * 7))
    for k in range(4):
        for y in range(5):
            for c in range(9):
                at = c + 7 + moves[k, y]
                low = math.floor(at)
                expected[k, y, low] += float(x[y, c]) * (1 - (at - low))
                expected[k, y, low + 1] += float(x[y, c]) * (at - low)
    close("sheared rows", np.array([sheared(x, m, 7) for m in moves]), expected, 1e-6)
    close("sums of sheared rows", sheared_sums(x, moves, 7), expected.sum(1), 1e-6)


@few
@given(st.floats(-0.15, 0.15), st.sampled_from([14.0, 24.0, 90.0]), st.integers(0, 3))
def test_the_slope_of_a_line_is_found_and_taken_out(slope, height, seed):
    _, x = scan(slope=slope, height=height, seed=seed)
    assert abs(normalize.slope(x) - slope) < 0.02
    level, _ = normalize.leveled(x, normalize.slope(x))
    assert abs(normalize.slope(level)) < 0.01 and level.sum() == pytest.approx(x.sum(), rel=1e-3)


def test_a_word_too_short_for_a_slope_keeps_it():
    _, x = scan("lo", slope=0.3)
    assert normalize.slope(x) == 0.0


@few
@given(st.floats(-0.6, 0.8), st.sampled_from([14.0, 24.0, 90.0]), st.integers(0, 3))
def test_the_slant_of_letters_is_found_and_taken_out(slant, height, seed):
    text = "nlp nnl pln lnp"
    (_, x), (_, straight) = scan(text, slant=slant, height=height, seed=seed), scan(text, height=height, seed=seed)
    assert abs(normalize.slant(x) - normalize.slant(straight) - slant) < 0.1
    upright, _ = normalize.upright(x, normalize.slant(x))
    assert abs(normalize.slant(upright)) < 0.05 and upright.sum() == pytest.approx(x.sum(), rel=1e-3)


@few
@given(st.floats(-1, 1), st.integers(0, 19), st.integers(0, 39), st.booleans())
def test_what_is_moved_knows_its_way_back(tangent, row, column, rows):
    x = np.zeros((20, 40), np.float32)
    x[row, column] = 1
    moved, back = (normalize.upright if rows else normalize.leveled)(x, tangent)
    at = np.array([[(moved.sum(0) @ (np.arange(moved.shape[1]) + 0.5)), moved.sum(1) @ (np.arange(moved.shape[0]) + 0.5)]])
    assert moved.sum() == pytest.approx(1, abs=1e-4) and np.allclose(back(at), [[column + 0.5, row + 0.5]], atol=1e-3)


# --- small letters ---


@few
@given(st.floats(14, 80), st.integers(0, 5), st.floats(2, 4))
def test_the_lines_of_small_letters_are_found_whatever_the_size(height, seed, pen):
    pixels, origin = drawn(written(TEXT, height=height, at=(0.0, 0.0), seed=seed), pen)
    top, bottom = normalize.core((255 - pixels.astype(np.float32)) / 255)
    assert abs(bottom - origin[1]) < 0.3 * height and abs(top - (origin[1] - height)) < 0.3 * height


def test_a_line_without_ascenders_is_not_blown_up():
    heights = []
    for text in ("nvo ono vnon ovo nonv", "nvl ono vtol ovo lonv", "nvp ono vpon ovo ponv"):
        line, rows, _ = normalized(Image(scan(text)[0]), ScanFeatureConfig())
        found = normalize.core(line)
        heights.append(found[1] - found[0])
        assert rows[1] - rows[0] == pytest.approx(16) and abs(sum(found) / 2 - 32) < 3
    assert max(heights) < 1.25 * min(heights)


@pytest.mark.parametrize("high, size, cut_off", [(40, 16, False), (80, 12, False), (164, 9.6, True)])
def test_what_is_high_makes_a_line_smaller_before_it_is_cut_off(high, size, cut_off):
    ink = written("nvo non vno tnvn", height=24.0, at=(0.0, 0.0))
    ink = Ink((*ink.strokes, *(np.array([[x, -high, 0.0], [x, 0.0, 1.0]]) for x in (30.0, 130.0))))
    pixels, origin = drawn(ink)
    image, config = Image(pixels), ScanFeatureConfig(slope=False, slant=False)
    _, rows, _ = normalized(image, config)
    frames, places = extract(image, config)
    assert rows[1] - rows[0] == pytest.approx(size, rel=0.06) and sum(rows) / 2 == pytest.approx(32)
    assert (places.box(0, len(frames)).top > origin[1] - high + 10) == cut_off


def test_too_little_ink_takes_the_middle_of_its_box():
    x = np.zeros((50, 50), np.float32)
    x[10:30, 20:40] = 1
    assert normalize.core(x) == (15, 25)


# --- resizing ---


def by_loops(x, left, top, pixel, size):
    """Means of areas, from pieces of pixels."""
    new = np.zeros(size)
    for r in range(size[0]):
        for c in range(size[1]):
            for y in range(x.shape[0]):
                for z in range(x.shape[1]):
                    high = min(y + 1, top + (r + 1) * pixel) - max(y, top + r * pixel)
                    wide = min(z + 1, left + (c + 1) * pixel) - max(z, left + c * pixel)
                    new[r, c] += max(high, 0) * max(wide, 0) * float(x[y, z]) / pixel ** 2
    return new


@few
@given(st.floats(-3, 6), st.floats(-3, 6), st.floats(1, 4))
def test_shrinking_takes_the_mean_of_areas(left, top, pixel):
    x = np.random.default_rng(0).random((7, 9)).astype(np.float32)
    found, back = normalize.resized(x, left, top, pixel, (4, 5))
    close("means of areas", found, by_loops(x, left, top, pixel, (4, 5)), 1e-6)
    assert np.allclose(back(np.array([[2.0, 1.0]])), [[left + 2 * pixel, top + pixel]])


@few
@given(st.floats(-3, 6), st.floats(-3, 6), st.floats(0.2, 0.99))
def test_enlarging_goes_straight_from_pixel_to_pixel(left, top, pixel):
    x = np.random.default_rng(0).random((7, 9)).astype(np.float32)
    found, _ = normalize.resized(x, left, top, pixel, (4, 5))
    padded = np.pad(x.astype(float), 1)
    expected = np.zeros((4, 5))
    for r in range(4):
        for c in range(5):
            y, z = (np.clip(start + (i + 0.5) * pixel - 0.5 + 1, 0, n + 1) for start, i, n in ((top, r, 7), (left, c, 9)))
            near = [np.interp(z, np.arange(11), padded[min(int(y) + k, 8)]) for k in (0, 1)]
            expected[r, c] = near[0] * (1 - y % 1) + near[1] * (y % 1)
    close("between pixels", found, expected, 1e-6)


# --- frames ---


def test_frames_are_columns_of_bytes():
    frames, places = extract(Image(scan()[0]), ScanFeatureConfig(height=48, margin=6))
    assert frames.dtype == np.uint8 and frames.shape[1] == 48 and frames.flags.c_contiguous and frames.max() > 240
    ink = np.flatnonzero((frames > 70).any(1))
    assert not frames[:5].any() and not frames[-5:].any() and ink[0] <= 7 and ink[-1] >= len(frames) - 8
    config = ScanFeatureConfig(height=48)
    assert (config.width, config.output_size, config.stack, config.medium, config.frame_seconds) == (48, 48, 1, "image", 0.01)


@few
@given(st.tuples(*[st.integers(0, 60)] * 4), st.integers(0, 3))
def test_paper_around_a_line_changes_nothing(room, seed):
    pixels = scan(seed=seed)[0]
    top, bottom, left, right = room
    wider = np.pad(pixels, ((top, bottom), (left, right)), constant_values=255)
    config = ScanFeatureConfig(contrast=False)
    (a, places), (b, moved) = extract(Image(pixels), config), extract(Image(wider), config)
    assert a.shape == b.shape and abs(a.astype(int) - b).max() <= 1
    assert np.allclose(np.array(moved.box(9, 50)) - (left, top, left, top), places.box(9, 50), atol=1e-6)


@pytest.mark.parametrize("factor", [2, 3])
def test_the_size_of_the_scan_hardly_matters(factor):
    pixels = scan(height=20.0)[0]
    a, _ = extract(Image(pixels), ScanFeatureConfig())
    b, _ = extract(Image(pixels.repeat(factor, 0).repeat(factor, 1)), ScanFeatureConfig())
    n = min(len(a), len(b))
    assert abs(len(a) - len(b)) <= 0.05 * n
    assert np.corrcoef(a[:100].ravel(), b[:100].ravel())[0, 1] > 0.6


def test_very_large_scans_are_reduced_first():
    pixels = scan("non", height=20.0)[0]
    large = pixels.repeat(30, 0).repeat(30, 1)
    assert large.size > 4_000_000
    (a, near), (b, far) = (extract(Image(p), ScanFeatureConfig(slope=False, slant=False)) for p in (pixels, large))
    assert abs(len(a) - len(b)) <= 3
    assert np.allclose(np.array(far.box(0, len(b))) / 30, near.box(0, len(a)), atol=1.5)


def test_a_strip_of_30_000_columns():
    pixels = np.full((100, 30_000), 255, np.uint8)
    one = drawn(written("nvo pin lot ", height=20.0, at=(0.0, 0.0)))[0][:100, :240]
    for left in range(0, 29_700, 300):
        pixels[10:10 + one.shape[0], left:left + one.shape[1]] = one[:90]
    frames, places = extract(Image(pixels), ScanFeatureConfig())
    assert len(frames) > 15_000 and 29_000 < places.column(len(frames)) <= 30_000


def test_with_core_0_all_ink_fills_the_height():
    frames, _ = extract(Image(scan("nvo non")[0]), ScanFeatureConfig(core=0, margin=4, height=64))
    rows = np.flatnonzero((frames > 70).any(0))
    assert rows[0] in (3, 4, 5) and rows[-1] in (58, 59, 60)


def test_every_step_can_be_left_out():
    image = Image(scan(slope=0.1, slant=0.5)[0])
    usual = extract(image, ScanFeatureConfig())[0]
    for name in ("slope", "slant"):
        other = extract(image, ScanFeatureConfig(**{name: False}))[0]
        assert other.shape != usual.shape or abs(other.astype(int) - usual).max() > 50
    gray = Image((scan()[0] // 3 + 100).astype(np.uint8))
    assert extract(gray, ScanFeatureConfig())[0].max() == 255 and extract(gray, ScanFeatureConfig(contrast=False, specks=False))[0].max() < 200


def test_no_ink_is_refused():
    for pixels in (np.full((50, 200), 255, np.uint8), np.zeros((1, 1), np.uint8)):
        with pytest.raises(DataError, match="is empty: no ink was found"):
            extract(Image(pixels), ScanFeatureConfig())
    long = np.full((3, 300_000), 255, np.uint8)
    long[1, ::4] = 0
    with pytest.raises(DataError, match="too long for one line"):
        extract(Image(long), AS_IT_IS)


@pytest.mark.parametrize("setting", [{"height": 4}, {"core": 0.8}, {"margin": 40}, {"stack": 2}])
def test_settings_that_cannot_be(setting):
    with pytest.raises(ValueError):
        ScanFeatureConfig(**setting)


# --- where frames lie ---


@few
@given(st.floats(-0.1, 0.1), st.floats(-0.4, 0.6), st.floats(0, 1), st.floats(0, 0.4))
def test_a_box_is_around_every_pixel_of_ink_in_its_frames(slope, slant, start, share):
    image = Image(scan(slope=slope, slant=slant)[0])
    frames, places = extract(image, ScanFeatureConfig())
    first = int(start * (len(frames) - 1))
    end = min(len(frames), first + 1 + int(share * len(frames)))
    columns, rows = np.nonzero(frames[first:end] > 255 * normalize.INK)
    if not len(columns):
        return
    corners = np.concatenate([np.column_stack([columns + first + i, rows + j]) for i in (0, 1) for j in (0, 1)]).astype(float)
    x, y = places.points(corners).T
    H, W = image.pixels.shape
    expected = np.clip([x.min(), y.min(), x.max(), y.max()], 0, [W, H, W, H])
    assert np.allclose(places.box(first, end), expected, atol=1e-6)


@few
@given(st.floats(-0.1, 0.1), st.floats(-0.3, 0.5), st.integers(0, 4))
def test_the_box_of_a_word_is_where_the_word_was_drawn(slope, slant, which):
    ink = written("        ".join(["nvop", "ponin", "lotv", "tvnn", "vpl"]), height=24.0, slope=slope, slant=slant, at=(0.0, 0.0))
    pixels, origin = drawn(ink)
    lefts = np.array([s[:, 0].min() for s in ink.strokes])
    order = np.argsort(lefts)
    word = np.empty(len(order), int)
    word[order] = np.cumsum(np.append(False, np.diff(lefts[order]) > 4 * 24))     # the words are far apart
    mine = np.concatenate([s[:, :2] for s, number in zip(ink.strokes, word) if number == which])
    frames, places = extract(Image(pixels), ScanFeatureConfig())
    columns = np.flatnonzero((frames > 255 * normalize.INK).any(1))
    starts = columns[np.append(True, np.diff(columns) > 40)]
    assert word.max() == 4 and len(starts) == 5
    box = places.box(starts[which], np.append(starts, len(frames))[which + 1])
    assert np.allclose(box, [*(mine.min(0) + origin - 1.5), *(mine.max(0) + origin + 1.5)], atol=2.5)


def test_a_box_may_begin_and_end_within_a_frame():
    pixels = np.full((64, 300), 255, np.uint8)
    pixels[20:44, 50:250] = 0
    frames, places = extract(Image(pixels), replace(AS_IT_IS, core=0, margin=0))
    pixel = 24 / 64
    assert len(frames) == math.ceil(200 / pixel)
    assert np.allclose(places.box(8.25, 16.5), [50 + 8.25 * pixel, 20, 50 + 16.5 * pixel, 44])
    assert np.allclose(places.box(8.25, 11), [50 + 8.25 * pixel, 20, 50 + 11 * pixel, 44])


def test_the_box_of_a_space_lies_between_the_lines_of_small_letters():
    pixels, origin = drawn(written("non       non", height=24.0, at=(0.0, 0.0)))
    frames, places = extract(Image(pixels), ScanFeatureConfig())
    middle = len(frames) // 2
    left, top, right, bottom = places.box(middle - 2, middle + 2)
    assert not frames[middle - 2:middle + 2].any()
    assert abs(top - (origin[1] - 24)) < 6 and abs(bottom - origin[1]) < 6 and 2 < right - left < 20
    assert places.column(middle - 2) == pytest.approx(left, abs=1)


def test_boxes_stay_within_the_image_and_are_never_empty():
    pixels = scan("pvl", height=24.0)[0]
    pixels = np.ascontiguousarray(pixels[18:-18, 18:-18])                       # ink up to the edges: the margins lie outside
    frames, places = extract(Image(pixels), ScanFeatureConfig())
    H, W = pixels.shape
    for first, end in [(0, 1), (0, 0), (0, 4), (len(frames) - 1, len(frames)), (len(frames), len(frames) + 5), (-3, 1), (5, 2), (2.2, 2.4)]:
        left, top, right, bottom = places.box(first, end)
        assert 0 <= left <= right - 1 <= W - 1 and 0 <= top <= bottom - 1 <= H - 1, (first, end)
    columns = [places.column(i) for i in range(len(frames) + 1)]
    assert columns == sorted(columns) and columns[0] >= 0 and columns[-1] <= W


# --- warping ---


def test_nothing_to_warp_changes_nothing():
    image = Image(scan()[0])
    frames, _ = extract(image, ScanFeatureConfig())
    (view,) = views(image, ScanFeatureConfig(), NO_WARP, [np.random.default_rng(0)])
    assert abs(view.astype(int) - frames).max() <= 1


def test_views_differ_and_repeat():
    image, config = Image(scan()[0]), ScanFeatureConfig()
    made = [list(views(image, config, ScanWarpConfig(), [np.random.default_rng(i) for i in (0, 1, 2)])) for _ in range(2)]
    for a, b in zip(*made):
        assert np.array_equal(a, b) and a.dtype == np.uint8 and a.shape[1] == 64
    assert len({view.tobytes() for view in made[0]}) == 3
    frames, _ = extract(image, config)
    for view in made[0]:
        assert 0.7 * len(frames) < len(view) < 1.5 * len(frames) and 0.4 < (view > 77).sum() / (frames > 77).sum() < 2


@pytest.mark.parametrize("name, bound", [("width", 0.3), ("height", 0.3), ("shift", 0.1), ("shear", 0.5), ("turn", 0.1), ("elastic", 0.05),
                                         ("pen", 0.9), ("contrast", 0.5), ("noise", 0.2)])
def test_each_bound_changes_something_of_its_own(name, bound):
    line, _, _ = normalized(Image(scan()[0]), ScanFeatureConfig())
    seen = [warped(line, replace(NO_WARP, **{name: bound}), np.random.default_rng(i)) for i in range(4)]
    assert all(x.dtype == np.float32 and x.min() >= 0 and x.max() <= 1 and len(x) == 64 for x in seen)
    widths = {x.shape[1] for x in seen}
    assert (len(widths) > 1) == (name in ("width", "shear"))
    slants, slopes, areas = [[f(x) for x in seen] for f in (normalize.slant, normalize.slope, lambda x: float(x.sum()))]
    assert (np.ptp(slants) > 0.2) == (name == "shear")
    if name == "turn":
        assert np.ptp(slopes) > 2 * 0.1 * 64 / line.shape[1]
    if name in ("pen", "contrast"):
        assert np.ptp(areas) > 0.05 * line.sum()
    if name == "noise":
        assert max((x[:, :3] > 0).mean() for x in seen) > 0.3
    if name in ("shift", "height"):
        tops = [normalize.inked(x)[1::2] for x in seen]
        moved = np.ptp([sum(t) / 2 for t in tops]), np.ptp([t[1] - t[0] for t in tops])
        assert (moved[0] > 3) == (name == "shift") and (moved[1] > 3) == (name == "height")


@pytest.mark.parametrize("sigma, alpha", [(4.0, 34.0), (8.0, 60.0)])
def test_elastic_moves_as_far_as_smoothed_even_noise(sigma, alpha):
    """Against the definition: noise between -1 and 1 for each pixel, smoothed by scipy, on a picture whose value is its column."""
    from scipy.ndimage import gaussian_filter

    rng = np.random.default_rng(0)
    H, W, edge = 80, 400, 40
    ramp = np.tile(np.arange(W, dtype=np.float32) + 1000, (H, 1))
    inside = (slice(None), slice(edge, W - edge))
    by_definition, found = [], []
    for _ in range(12):
        by_definition.append(alpha * gaussian_filter(rng.uniform(-1, 1, (H + 2 * edge, W)), sigma)[edge:-edge][inside])
        moved = elastic(np.pad(ramp, ((edge, edge), (0, 0)), mode="edge"), sigma, alpha, rng)[edge:-edge]
        found.append((moved - ramp)[inside])
    by_definition, found = np.array(by_definition), np.array(found)
    assert found.std() == pytest.approx(by_definition.std(), rel=0.1)
    for lag in (int(sigma), int(2 * sigma)):                                    # and over as far a reach
        alike = [(f[:, :, lag:] * f[:, :, :-lag]).mean() / f.var() for f in (by_definition, found)]
        assert abs(alike[0] - alike[1]) < 0.1 and abs(alike[1] - math.exp(-lag ** 2 / (4 * sigma ** 2))) < 0.1


def test_smooth_noise_is_alike_at_every_place():
    fields = smooth_noise((4000, 12, 15), 3.0, np.random.default_rng(0))
    assert abs(fields.mean(0)).max() < 0.08 and abs(fields.std(0) - 1).max() < 0.06


@pytest.mark.parametrize("by", [1.0, 0.4, -1.0, -0.7])
def test_strokes_are_pressed_thicker_or_thinner(by):
    x = np.random.default_rng(0).random((6, 7)).astype(np.float32)
    padded, expected = np.pad(x, 1), np.zeros(x.shape)
    for r in range(6):
        for c in range(7):
            near = padded[r:r + 3, c:c + 3]
            expected[r, c] = x[r, c] + abs(by) * ((near.max() if by > 0 else near.min()) - x[r, c])
    close("pressed strokes", pressed(x, by), expected, 1e-6)


def test_sampled_against_loops():
    rng = np.random.default_rng(0)
    x, rows, columns = rng.random((5, 6)).astype(np.float32), rng.uniform(-1.5, 5.5, (3, 8)), rng.uniform(-1.5, 6.5, (3, 8))
    expected = np.zeros((3, 8))
    for i in np.ndindex(3, 8):
        for r in range(5):
            for c in range(6):
                expected[i] += x[r, c] * max(0, 1 - abs(rows[i] - r)) * max(0, 1 - abs(columns[i] - c))
    close("places between pixels", sampled(x, rows.astype(np.float32), columns.astype(np.float32)), expected, 1e-5)


@pytest.mark.parametrize("setting", [{"noise": -0.1}, {"smooth": 0.0}, {"width": 1.0}])
def test_bounds_that_cannot_be(setting):
    with pytest.raises(ValueError):
        ScanWarpConfig(**setting)
