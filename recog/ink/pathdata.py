"""The path language of SVG: lines, Bezier curves and arcs to points.

Between the points of a curve, the line is nowhere further from it than TOLERANCE of the length of its control polygon;
of an arc, than that part of its larger radius. Smaller or larger drawings thus get the same points.
"""

from __future__ import annotations

import math
import re

import numpy as np

TOLERANCE = 0.001
SHORTEST = 1e-100                        # of a radius; less is none
LARGEST = 1e15                           # of a number; what is computed from such numbers stays finite
NUMBER = re.compile(r"[-+]?(?:\d++\.?\d*+|\.\d++)(?:[eE][-+]?\d++)?")

_COMMAND = re.compile(r"([MmZzLlHhVvCcSsQqTtAa])")
_BETWEEN = re.compile(r"[\s,]*+")
_FLAG = re.compile(r"[01]")
_LENGTH = {"M": 2, "Z": 0, "L": 2, "H": 1, "V": 1, "C": 6, "S": 4, "Q": 4, "T": 2, "A": 7}
_FLAGS = (3, 4)                          # of an arc: single digits, which may touch what follows


def subpaths(text: str) -> list[np.ndarray]:
    """The points [N, 2] of every subpath. A move alone draws nothing; one that is closed at once is a dot, of one point.

    Raises ValueError saying what cannot be read.
    """
    pen = _Pen()
    pieces = _COMMAND.split(text)
    if pieces[0].strip():
        raise ValueError(f"begins with '{pieces[0].strip()[:12]}', not with a move")
    for letter, rest in zip(pieces[1::2], pieces[2::2]):
        command, relative = letter.upper(), letter.islower()
        if not pen.placed and command != "M":
            raise ValueError(f"begins with '{letter}', not with a move")
        for values in _groups(command, letter, rest):
            getattr(pen, command)(relative, *values)
            if command == "M":
                command = "L"                                       # further pairs of a move are lines
    pen.lift()
    return [np.array(points, np.float64) for points in pen.found]


def _groups(command: str, letter: str, rest: str) -> list[list[float]]:
    """The numbers after a command, as many at a time as it takes."""
    length = _LENGTH[command]
    values = numbers(rest, _FLAGS if command == "A" else (), max(length, 1))
    if length == 0 and not values:
        return [[]]
    if length == 0 or not values or len(values) % length:
        expected = f"{length} at a time" if length else "none"
        raise ValueError(f"has {len(values)} numbers after '{letter}', which takes {expected}")
    return [values[i:i + length] for i in range(0, len(values), length)]


def numbers(text: str, flags: tuple[int, ...] = (), every: int = 1) -> list[float]:
    """Numbers between blanks, commas, or nothing where their signs part them; at the places `flags` of `every`, one digit."""
    try:
        found = _touching(text, flags, every) if flags or "_" in text else list(map(float, text.replace(",", " ").split()))
    except ValueError:
        found = _touching(text, flags, every)
    for number in found:
        if not -LARGEST <= number <= LARGEST:
            raise ValueError(f"has the number {number:g}, which is beyond {LARGEST:g}")
    return found


def _touching(text: str, flags: tuple[int, ...], every: int) -> list[float]:
    """Numbers that need nothing between them."""
    found: list[float] = []
    at = _BETWEEN.match(text).end()
    while at < len(text):
        match = (_FLAG if len(found) % every in flags else NUMBER).match(text, at)
        if not match:
            raise ValueError(f"has '{text[at:at + 12].strip()}' where a number should be")
        found.append(float(match[0]))
        at = _BETWEEN.match(text, match.end()).end()
    return found


class _Pen:
    """Draws: one method for each command. Places are complex numbers, x + iy."""

    def __init__(self):
        self.found: list[list[tuple[float, float]]] = []
        self.points: list[complex] = []                             # of the subpath so far
        self.drawn = self.placed = False
        self.at = self.start = self.cubic = self.quadratic = 0j     # the last control points, of S and T

    def lift(self) -> None:
        if self.drawn:
            self.found.append([(point.real, point.imag) for point in self.points])
        self.points, self.drawn = [], False

    def to(self, points: list[complex], cubic: complex | None = None, quadratic: complex | None = None) -> None:
        if not self.points:
            self.points.append(self.at)                             # what follows a closed subpath starts where that did
        self.points += points
        self.drawn, self.at = True, points[-1]
        self.cubic = self.at if cubic is None else cubic
        self.quadratic = self.at if quadratic is None else quadratic

    def place(self, relative: bool, x: float, y: float) -> complex:
        return complex(x, y) + (self.at if relative else 0)

    def M(self, relative: bool, x: float, y: float) -> None:
        self.lift()
        self.at = self.start = self.cubic = self.quadratic = self.place(relative, x, y)
        self.points, self.placed = [self.at], True

    def Z(self, relative: bool) -> None:
        if self.points and self.at != self.start:
            self.to([self.start])
        self.drawn = self.drawn or bool(self.points)
        self.lift()
        self.at = self.cubic = self.quadratic = self.start

    def L(self, relative: bool, x: float, y: float) -> None:
        self.to([self.place(relative, x, y)])

    def H(self, relative: bool, x: float) -> None:
        self.to([complex(x + (self.at.real if relative else 0), self.at.imag)])

    def V(self, relative: bool, y: float) -> None:
        self.to([complex(self.at.real, y + (self.at.imag if relative else 0))])

    def C(self, relative: bool, x1: float, y1: float, x2: float, y2: float, x: float, y: float) -> None:
        self.curve(*(self.place(relative, *pair) for pair in ((x1, y1), (x2, y2), (x, y))))

    def S(self, relative: bool, x2: float, y2: float, x: float, y: float) -> None:
        self.curve(2 * self.at - self.cubic, self.place(relative, x2, y2), self.place(relative, x, y))

    def Q(self, relative: bool, x1: float, y1: float, x: float, y: float) -> None:
        self.bend(self.place(relative, x1, y1), self.place(relative, x, y))

    def T(self, relative: bool, x: float, y: float) -> None:
        self.bend(2 * self.at - self.quadratic, self.place(relative, x, y))

    def A(self, relative: bool, rx: float, ry: float, degrees: float, large: float, sweep: float, x: float, y: float) -> None:
        self.to(_arc(self.at, self.place(relative, x, y), abs(rx), abs(ry), math.radians(degrees), large != sweep, bool(sweep)))

    def curve(self, first: complex, second: complex, end: complex) -> None:
        self.to(_bezier(self.at, first, second, end), cubic=second)

    def bend(self, control: complex, end: complex) -> None:
        start = self.at
        self.to(_bezier(start, start + (control - start) * 2 / 3, end + (control - end) * 2 / 3, end), quadratic=control)


def _bezier(a: complex, b: complex, c: complex, d: complex) -> list[complex]:
    """Points after `a` on the cubic curve, ending in d. In n equal steps the error is at most |B''| / 8 n^2."""
    polygon, bent = abs(b - a) + abs(c - b) + abs(d - c), 6 * max(abs(a - 2 * b + c), abs(b - 2 * c + d))
    n = max(1, math.ceil(math.sqrt(bent / polygon / (8 * TOLERANCE)))) if polygon else 1        # at most 39: |B''| <= 12 polygons
    return [_cubic(a, b, c, d, i / n) for i in range(1, n)] + [d]


def _cubic(a: complex, b: complex, c: complex, d: complex, t: float) -> complex:
    s = 1 - t
    return s * s * s * a + 3 * s * s * t * b + 3 * s * t * t * c + t * t * t * d


def _arc(start: complex, end: complex, rx: float, ry: float, tilt: float, left: bool, sweep: bool) -> list[complex]:
    """Points after `start` on an ellipse's arc, ending in `end`; a line if there is no such ellipse (SVG 1.1, F.6.5)."""
    if start == end or min(rx, ry) < SHORTEST:
        return [end]
    turn = complex(math.cos(tilt), math.sin(tilt))

    def to_circle(place: complex) -> complex:
        place = place / turn
        return complex(place.real / rx, place.imag / ry)

    def from_circle(place: complex) -> complex:
        return complex(place.real * rx, place.imag * ry) * turn

    half = to_circle((end - start) / 2)
    grown = max(1.0, abs(half))                                     # radii that are too short are drawn out
    rx, ry, half = rx * grown, ry * grown, half / grown
    middle = to_circle((start + end) / 2)
    if abs(half) == 0:
        return [end]
    aside = math.sqrt(max(0.0, 1 - abs(half) ** 2)) * half / abs(half) * 1j
    center = middle + aside * (1 if left else -1)
    first, last = to_circle(start) - center, to_circle(end) - center
    angle = math.atan2((last / first).imag, (last / first).real)
    if sweep and angle < 0:
        angle += 2 * math.pi
    if not sweep and angle > 0:
        angle -= 2 * math.pi
    n = max(1, math.ceil(abs(angle) / (2 * math.acos(1 - TOLERANCE))))
    spin = [complex(math.cos(angle * i / n), math.sin(angle * i / n)) for i in range(1, n)]
    return [from_circle(center + first * each) for each in spin] + [end]
