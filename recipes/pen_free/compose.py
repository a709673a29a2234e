"""Lines of handwriting put together from single characters, each as a hand of its own would write them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Mapping, Sequence

import numpy as np

from glyphs import Glyph, Strokes
from recog.types import Ink

Letters = Mapping[str, Sequence[Glyph]]        # the drawings to choose from, by character

STEP = 0.08                                    # between points of a stroke, in heights of small letters
SPEED = 14.0                                   # of a pen on the straight, in heights of small letters a second
LIFTED = (0.08, 0.3)                           # seconds between strokes
NEAR = 0.9                                     # how far apart the ends may be that a joining stroke joins


@dataclass(frozen=True)
class Hand:
    """How somebody writes. Lengths are in heights of small letters."""

    letters: Letters
    height: float                              # of small letters, in the ink's own units
    lean: float                                # tangent; above 0: to the right
    rise: float                                # tangent of the line; above 0: it falls
    wide: float                                # letters' width
    spacing: float                             # added between letters
    gap: float                                 # between words
    loose: float                               # deviation of each letter's place and size
    joins: float                               # chance that a letter is joined to the next small one
    late: float                                # chance that a word's dots and bars are written when it is done


def draw_hand(letters: Letters, joined: bool, rng: np.random.Generator) -> Hand:
    """joined: of a font whose letters touch, which a pen does not leave."""
    return Hand(letters, height=rng.uniform(20, 60), lean=rng.normal(0.0 if joined else 0.15, 0.2), rise=rng.normal(0, 0.03),
                wide=np.exp(rng.normal(0, 0.15)), spacing=rng.normal(0 if joined else 0.03, 0.0 if joined else 0.07),
                gap=rng.uniform(0.5, 1.3), loose=rng.uniform(0.02, 0.09), joins=1.0 if joined else rng.choice([0.0, rng.uniform(0.2, 0.9)]),
                late=rng.uniform(0, 1))


def write(text: str, hand: Hand, rng: np.random.Generator, begin: tuple[float, float] | None = None, clock: float = 0.0) -> Ink:
    """The text as ink; a character that the hand has no drawing of raises KeyError.

    begin: where its first letter stands on the line; clock: when, in seconds.
    """
    strokes: Strokes = []
    at = 0.0
    for word in text.split():
        word_strokes, at = _word(word, at, hand, rng)
        strokes += word_strokes
        at += hand.gap
    turn = hand.height * np.array([[hand.wide, hand.rise * hand.wide], [-hand.lean, 1]])
    timed, origin = [], rng.uniform(0, 2000, 2) if begin is None else np.array(begin)
    for stroke in strokes:
        points = _rounded(stroke)
        seconds = clock + _seconds(points)
        timed.append(np.column_stack([points @ turn + origin, seconds]))
        clock = seconds[-1] + rng.uniform(*LIFTED)
    return Ink(tuple(timed))


def _word(word: str, at: float, hand: Hand, rng: np.random.Generator) -> tuple[Strokes, float]:
    """Its strokes from x = `at` on, and where it ends."""
    strokes: Strokes = []
    marks: Strokes = []                        # dots and bars
    late, before = rng.random() < hand.late, ""
    for character in word:
        drawings = hand.letters[character]
        glyph = drawings[rng.integers(len(drawings))]
        size = 1 + rng.normal(0, hand.loose, 2)
        place = np.array([at, 0]) + rng.normal(0, hand.loose, 2)
        drawn = [stroke * size + place for stroke in glyph.strokes]
        body, above = (drawn[:1], drawn[1:]) if late and character in "itjxf" else (drawn, [])
        if strokes and before.islower() and character.islower() and body and rng.random() < hand.joins:
            gap = float(np.hypot(*(body[0][0] - strokes[-1][-1])))
            if gap < NEAR and body[0][0][0] > strokes[-1][-1][0] - 0.3:
                strokes[-1], body = np.concatenate([strokes[-1], body[0]]), body[1:]
        strokes += body
        marks += above
        at += glyph.width * size[0] + hand.spacing
        before = character
    return strokes + marks, at


def _rounded(corners: np.ndarray) -> np.ndarray:
    """Points every STEP on a curve through the corners (Catmull & Rom 1974), which a pen could have drawn."""
    moved = np.concatenate([[True], np.hypot(*np.diff(corners, axis=0).T) > 1e-3])
    corners = corners[moved]
    if len(corners) == 1:
        return np.concatenate([corners, corners + (STEP / 2, 0)])         # a dot
    padded = np.concatenate([corners[:1], corners, corners[-1:]])
    counts = np.maximum(1, np.round(np.hypot(*np.diff(corners, axis=0).T) / STEP)).astype(int)
    part = np.repeat(np.arange(len(counts)), counts)                      # between which corners each point lies
    t = ((np.arange(len(part)) - (np.cumsum(counts) - counts)[part] + 1) / counts[part])[:, None]
    a, b, c, d = (padded[part + i] for i in range(4))
    return np.concatenate([corners[:1], b + t * ((c - a) + t * (2 * a - 5 * b + 4 * c - d + t * (3 * (b - c) + d - a))) / 2])


def _seconds(points: np.ndarray) -> np.ndarray:
    """When a pen passes the points of a stroke: the slower, the more its way bends (Lacquaniti et al. 1983)."""
    steps = np.diff(points, axis=0)
    lengths = np.maximum(np.hypot(*steps.T), 1e-6)
    angles = np.arctan2(steps[:, 1], steps[:, 0])
    bend = np.abs((np.diff(angles, prepend=angles[:1]) + np.pi) % (2 * np.pi) - np.pi) / lengths
    return np.concatenate([[0.0], np.cumsum(lengths / (SPEED * (1 + bend) ** (-1 / 3)))])
