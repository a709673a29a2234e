"""SVG: every command against points worked out by hand, curves and arcs against their formulas, transforms, what is ink."""

import math

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from test_ink_files import DOT, UNKNOWN, read, same, says

from recog import ink
from recog.ink import pathdata, svg
from recog.types import Ink

numbers = st.floats(-100, 100).map(lambda x: round(x, 3))


def document(inside, attributes=""):
    return f'<svg xmlns="http://www.w3.org/2000/svg" {attributes}>{inside}</svg>'


def path(d, attributes=""):
    return f'<path d="{d}" {attributes}/>'


def paths(d):
    return [points.tolist() for points in pathdata.subpaths(d)]


@pytest.mark.parametrize("d, expected", [
    ("M1 2L3 4", [[(1, 2), (3, 4)]]),
    (" M 1,2 L 3 , 4 ,5 6 ", [[(1, 2), (3, 4), (5, 6)]]),
    ("M1 2 3 4 5 6", [[(1, 2), (3, 4), (5, 6)]]),
    ("m1 2 3 4 5 6", [[(1, 2), (4, 6), (9, 12)]]),
    ("M1-2L-3.5.5e1-1E-1-2", [[(1, -2), (-3.5, 5), (-0.1, -2)]]),
    ("M1 2l3 4h5v-6H0V0", [[(1, 2), (4, 6), (9, 6), (9, 0), (0, 0), (0, 0)]]),
    ("M1 2L3 4M5 6L7 8", [[(1, 2), (3, 4)], [(5, 6), (7, 8)]]),
    ("M1 2l1 1m1 1l1 1", [[(1, 2), (2, 3)], [(3, 4), (4, 5)]]),
    ("M1 2L3 4L5 0Z", [[(1, 2), (3, 4), (5, 0), (1, 2)]]),
    ("M1 2L3 4L1 2z", [[(1, 2), (3, 4), (1, 2)]]),
    ("M1 2L3 4zl1 1", [[(1, 2), (3, 4), (1, 2)], [(1, 2), (2, 3)]]),
    ("M1 2L3 4zm1 1l1 1", [[(1, 2), (3, 4), (1, 2)], [(2, 3), (3, 4)]]),
    ("M1 2Z", [[(1, 2)]]),                                            # a dot
    ("M1 2L1 2", [[(1, 2), (1, 2)]]),
    ("M1 2M3 4L5 6M7 8", [[(3, 4), (5, 6)]]),                         # moves alone draw nothing
    ("M0 0C0 0 1 2 1 2", None),
    ("", []),
    ("M1 2A0 5 0 0 1 3 4", [[(1, 2), (3, 4)]]),                       # no radius: a line
    ("M1 2A5 5 0 0 1 1 2", [[(1, 2), (1, 2)]])])
def test_lines(d, expected):
    if expected is not None:
        assert paths(d) == [[list(point) for point in points] for points in expected]
    else:
        assert paths(d)[0][-1] == [1, 2]


def bezier(control, t):
    """Bernstein's polynomials: control [n + 1, 2], t [T] -> [T, 2]."""
    n = len(control) - 1
    return sum(math.comb(n, i) * t[:, None] ** i * (1 - t[:, None]) ** (n - i) * np.array(control[i]) for i in range(n + 1))


def gap(points, polyline):
    """How far from a line through `polyline` [N, 2] the farthest of the points [M, 2] is, segment by segment."""
    a, b = polyline[:-1, None], polyline[1:, None]
    along = ((points - a) * (b - a)).sum(-1) / np.maximum(((b - a) ** 2).sum(-1), 1e-30)
    return np.linalg.norm(points - a - np.clip(along, 0, 1)[..., None] * (b - a), axis=-1).min(0).max()


def check_curve(polyline, control):
    polyline, control = np.array(polyline), np.array(control, float)
    length = np.linalg.norm(np.diff(control, axis=0), axis=1).sum()
    assert gap(bezier(control, np.linspace(0, 1, 300)), polyline) <= pathdata.TOLERANCE * length * 1.34 + 1e-9
    steps = np.linspace(0, 1, len(polyline))
    np.testing.assert_allclose(polyline, bezier(control, steps), rtol=0, atol=1e-9 * (1 + abs(control).max()))


@given(st.lists(st.tuples(numbers, numbers), min_size=4, max_size=4), st.booleans())
def test_cubic_curves(control, relative):
    (x0, y0), *others = control
    shown = [(x - x0, y - y0) if relative else (x, y) for x, y in others]
    (found,) = paths(f"M{x0!r} {y0!r}" + ("c" if relative else "C") + " ".join(f"{x!r},{y!r}" for x, y in shown))
    assert 2 <= len(found) <= 40
    check_curve(found, control)


@given(st.lists(st.tuples(numbers, numbers), min_size=3, max_size=3), st.booleans())
def test_quadratic_curves(control, relative):
    """The polygon of the cubic curve that it is is shorter than its own by a third at most."""
    (x0, y0), *others = control
    shown = [(x - x0, y - y0) if relative else (x, y) for x, y in others]
    (found,) = paths(f"M{x0!r} {y0!r}" + ("q" if relative else "Q") + " ".join(f"{x!r},{y!r}" for x, y in shown))
    check_curve(found, control)


@pytest.mark.parametrize("short, full", [
    ("M0 0C1 2 3 4 5 0S9 9 8 1", "M0 0C1 2 3 4 5 0C7 -4 9 9 8 1"),
    ("M0 0c1 2 3 4 5 0s4 9 3 1s1 1 2 0", "M0 0C1 2 3 4 5 0C7 -4 9 9 8 1C7 -7 9 2 10 1"),
    ("M1 1L2 2S4 5 6 0", "M1 1L2 2C2 2 4 5 6 0"),
    ("M0 0Q1 2 3 4S4 5 6 0", "M0 0Q1 2 3 4C3 4 4 5 6 0"),
    ("M0 0Q1 2 4 0T8 0T9 1", "M0 0Q1 2 4 0Q7 -2 8 0Q9 2 9 1"),
    ("M0 0q1 2 4 0t4 0t1 1", "M0 0Q1 2 4 0Q7 -2 8 0Q9 2 9 1"),
    ("M1 1L2 2T4 5", "M1 1L2 2Q2 2 4 5"),
    ("M0 0C1 2 3 4 5 0T4 5", "M0 0C1 2 3 4 5 0Q5 0 4 5"),
    ("M0 0C1 1 2 1 3 0 4 1 5 1 6 0", "M0 0C1 1 2 1 3 0C4 1 5 1 6 0"),
    ("M5 5a3 2 10 012 2 3 2 10 10-1-1", "M5 5A3 2 10 0 1 7 7A3 2 10 1 0 6 6")])
def test_short_forms(short, full):
    np.testing.assert_allclose(paths(short)[0], paths(full)[0], atol=1e-12)


radii = st.floats(0.5, 50)


@given(numbers, numbers, radii, radii, st.floats(0, 180), st.floats(0, 360), st.floats(-359, 359), st.booleans())
def test_arcs(cx, cy, rx, ry, tilt, first, sweep, relative):
    """Drawn from the center and angles, which the path does not say: found again, and in the right direction."""
    assume(min(abs(abs(sweep) - 180), abs(sweep)) > 1)
    angles = np.radians(np.linspace(first, first + sweep, 400))
    u, v, turn = rx * np.cos(angles), ry * np.sin(angles), math.radians(tilt)
    curve = np.column_stack([cx + u * math.cos(turn) - v * math.sin(turn), cy + u * math.sin(turn) + v * math.cos(turn)])
    (x, y), end = curve[0].tolist(), (curve[-1] - (curve[0] if relative else 0)).tolist()
    flags = f"{int(abs(sweep) > 180)}{int(sweep > 0)}"
    (found,) = paths(f"M{x!r} {y!r}{'a' if relative else 'A'}{rx!r} {ry!r} {tilt!r} {flags}{end[0]!r} {end[1]!r}")
    found = np.array(found)
    close = pathdata.TOLERANCE * max(rx, ry) + 1e-3
    assert gap(curve, found) <= close and gap(found, curve) <= close and np.allclose(found[[0, -1]], curve[[0, -1]], atol=1e-6)


def test_arcs_by_hand():
    half = np.array(paths("M-1 0A1 1 0 0 1 1 0")[0])                  # y downwards: over the top
    assert np.allclose(np.linalg.norm(half, axis=1), 1) and half[:, 1].min() == pytest.approx(-1, abs=1e-3) and half[:, 1].max() < 1e-9
    grown = np.array(paths("M-2 0A1 1 0 0 0 2 0")[0])                 # radii too short by half
    assert np.allclose(np.linalg.norm(grown, axis=1), 2) and grown[:, 1].max() == pytest.approx(2, abs=1e-3)


@pytest.mark.parametrize("text, point, expected", [
    ("", (3, 4), (3, 4)),
    ("translate(1)", (3, 4), (4, 4)),
    ("translate(1, 2)", (3, 4), (4, 6)),
    ("scale(2)", (3, 4), (6, 8)),
    ("scale(2 -1)", (3, 4), (6, -4)),
    ("rotate(90)", (3, 4), (-4, 3)),
    ("rotate(90 1 1)", (3, 4), (-2, 3)),
    ("skewX(45)", (3, 4), (7, 4)),
    ("skewY(45)", (3, 4), (3, 7)),
    ("matrix(1 2 3 4 5 6)", (3, 4), (20, 28)),
    (" translate ( 10 , 0 ) , scale(2)rotate(90)", (3, 4), (2, 6))])
def test_transforms(tmp_path, text, point, expected):
    assert np.allclose(svg.transform(text) @ [*point, 1], [*expected, 1])
    same(read(tmp_path, document(path("M{} {}Z".format(*point), f'transform="{text}"'))), [[expected]], 1e-12)


def test_transforms_of_groups(tmp_path):
    line = path("M1 2L3 4", 'transform="translate(1)"')
    inside = f'<g transform="translate(10 0)">{path("M1 2L3 4")}<g transform="scale(2)">{line}</g></g>'
    same(read(tmp_path, document(inside + path("M0 0H1"), 'viewBox="0 0 5 5"')), [[(11, 2), (13, 4)], [(14, 4), (18, 8)], [(0, 0), (1, 0)]])


def test_what_is_ink(tmp_path):
    """Lines are; what is filled, hidden, only defined or of another kind is not."""
    shown = ["", 'fill="none" stroke="red"', 'stroke="red" fill="red"', 'style="fill:none; stroke : #000"', 'fill="none"',
             'fill="red" style="stroke:black"', 'fill="inherit"']
    hidden = ['fill="black"', 'stroke="none"', 'style="fill:#000000;stroke:none"', 'display="none"', 'visibility="hidden"',
              'stroke="red" style="stroke:none"']
    inside = "".join(path(f"M{n} 0h1", attributes) for n, attributes in enumerate(shown))
    inside += "".join(path("M99 0h1", attributes) for attributes in hidden)
    inside += f'<g fill="black">{path("M99 0h1")}<g stroke="red">{path("M7 0h1")}</g></g>'
    for name in ("defs", "symbol", "clipPath", "mask", "pattern", "marker"):
        inside += f"<{name}>{path('M99 0h1')}</{name}>"
    inside += '<text>a</text><rect width="9" height="9"/><circle r="9"/><polygon points="0 0 1 1"/><use href="#a"/><!-- no ink -->'
    inside += f'<other xmlns="urn:other">{path("M99 0h1")}</other>'
    same(read(tmp_path, document(inside)), [[(n, 0), (n + 1, 0)] for n in range(8)])


def test_lines_and_polylines(tmp_path):
    inside = ('<polyline points="1,2 3,4-5-6"/><line x1="1" y1="2px" x2="-3e0"/><polyline points=""/>'
              '<svg><a><polyline points="7 8"/></a></svg>')
    same(read(tmp_path, document(inside)), [[(1, 2), (3, 4), (-5, -6)], [(1, 2), (-3, 0)], [(7, 8)]])
    same(read(tmp_path, f'<svg>{path("M1 2H3")}</svg>'), [[(1, 2), (3, 2)]])


def test_times_are_kept_if_they_fit(tmp_path):
    inside = path("M1 2L3 4M5 6Z", 'data-t="0 0.5 1.25"') + path("M1 2L3 4", 'data-t="0"') + path("M1 2L3 4", 'data-t="1 0"')
    same(read(tmp_path, document(inside)), [[(1, 2, 0), (3, 4, 0.5)], [(5, 6, 1.25)], [(1, 2), (3, 4)], [(1, 2), (3, 4)]])


@pytest.mark.parametrize("content, message", [
    ('<svg xmlns="urn:other"/>', "has the root 'svg' of the namespace 'urn:other', which is not SVG's (SVG's is http://www.w3"),
    (document(path("M0 0H1") + path("L1 2")), "path 2 begins with 'L', not with a move"),
    (document(path("1 2")), "path 1 begins with '1 2', not with a move"),
    (document(path("M1 2L3")), "path 1 has 1 numbers after 'L', which takes 2 at a time"),
    (document(path("M1 2C1 2 3 4 5 6 7")), "path 1 has 7 numbers after 'C', which takes 6 at a time"),
    (document(path("M1 2L")), "path 1 has 0 numbers after 'L'"),
    (document(path("M1 2z5")), "path 1 has 1 numbers after 'z', which takes none"),
    (document(path("M1 2z_")), "path 1 has '_' where a number should be"),
    (document(path("M1 2L3 four")), "path 1 has 'four' where a number should be"),
    (document(path("M1 2L3 1_0")), "path 1 has '_0' where a number should be"),
    (document(path("M1 2A1 1 0 2 0 3 4")), "path 1 has '2 0 3 4' where a number should be"),
    (document(path("M1 2L1e16 0")), "path 1 has the number 1e+16, which is beyond 1e+15"),
    (document(path("M1 2L1e8 0")), "stroke 1 has a point 1e+08 from the origin"),
    (document('<polyline points="1 2 3"/>'), "polyline 1 has 3 numbers, which do not make points"),
    (document(path("M0 0H1") + '<line x1="10%"/>'), "line 2 has the x1 '10%', which is no number"),
    (document(path("M0 0H1", 'transform="turn(3)"')), "transform 'turn' with 1 numbers is unknown"),
    (document(path("M0 0H1", 'transform="scale(1 2 3)"')), "transform 'scale' with 3 numbers is unknown"),
    (document('<g transform="scale(2"/>'), "transform 'scale(2' cannot be read"),
    (document(path("M0 0H1", 'transform="scale(x)"')), "transform has 'x' where a number should be"),
    (document(path("M0 0H1", f'transform="{"scale(1e9)" * 2}"')), "transform goes beyond 1e+15"),
    (document('<g transform="scale(1e9)">' * 2 + "</g>" * 2), "has transforms that together go beyond 1e+15")])
def test_drawings_that_cannot_be_read(tmp_path, content, message):
    page = tmp_path / "page"
    page.write_text(content)
    says(page, message)


def test_what_is_written(tmp_path):
    """A line 20 high and 30 wide: a pen of 1.5 % of the height, and a margin of 5 % around its edge."""
    page = tmp_path / "page.svg"
    ink.write(Ink((np.array([[10.0, -10.0, 0.0], [40.0, 10.0, 0.5]]), np.array([[20.0, 0.0, UNKNOWN]]))), page)
    lines = page.read_text().split("\n")
    box = [float(number) for number in lines[1].split('viewBox="')[1].split('"')[0].split()]
    assert box == pytest.approx([10 - 1.15, -10 - 1.15, 30 + 2.3, 20 + 2.3])
    assert float(lines[2].split('stroke-width="')[1].split('"')[0]) == pytest.approx(0.3)
    assert 'fill="none"' in lines[2] and 'stroke-linecap="round" stroke-linejoin="round"' in lines[2]
    assert lines[3:5] == ['    <path d="M10.0 -10.0 L40.0 10.0" data-t="0.0 0.5"/>', '    <path d="M20.0 0.0Z"/>']


def test_a_dot_has_a_picture(tmp_path):
    page = tmp_path / "page.svg"
    ink.write(DOT, page)
    assert 'viewBox="0.9425 1.9425 0.115 0.115"' in page.read_text()


def test_what_another_program_calls_data_t_is_no_time(tmp_path):
    page = tmp_path / "page.svg"
    page.write_text(document(path("M0 0H1", 'data-t="stroke-1" transform="none"')))
    (stroke,) = ink.read(page).strokes
    assert stroke[:, :2].tolist() == [[0, 0], [1, 0]] and np.isnan(stroke[:, 2]).all()


@pytest.mark.parametrize("inner, expected", [
    ('x="100" y="200"', [[101, 202], [103, 204]]), ('x="10" width="20" height="40" viewBox="0 0 10 10"', [[12, 14], [16, 18]]),
    ('viewBox="1 2 10 10" width="20" height="20"', [[0, 0], [4, 4]]), ('viewBox="0 0 10 10"', [[1, 2], [3, 4]])])
def test_a_drawing_within_a_drawing_lies_where_it_is_put(tmp_path, inner, expected):
    page = tmp_path / "page.svg"
    page.write_text(document(f'<svg {inner}>{path("M1 2L3 4")}</svg>'))
    np.testing.assert_allclose(ink.read(page).strokes[0][:, :2], expected, atol=1e-9)
    page.write_text(document('<svg x="5%"/>'))
    says(page, "a drawing within the drawing has the x '5%', which is no number")
