"""Made-up handwriting: letters as a few straight strokes between the lines of writing, at 100 points a second."""

import numpy as np

from recog.types import Ink

# x, y of the corners of each stroke; small letters reach from y = 0 up to -1
LETTERS = {
    "n": [[(0, -1), (0, 0), (0.1, -0.9), (0.6, -1), (0.7, 0)]],
    "v": [[(0, -1), (0.35, 0), (0.7, -1)]],
    "l": [[(0, -2), (0.05, 0), (0.3, 0)]],
    "p": [[(0, -1), (0, 1)], [(0, -1), (0.6, -0.9), (0.6, -0.1), (0, 0)]],
    "i": [[(0, -1), (0.05, 0)], [(0.0, -1.5), (0.05, -1.45)]],
    "t": [[(0.2, -1.8), (0.25, 0), (0.5, 0)], [(-0.1, -1.3), (0.6, -1.3)]],
    "o": [[(0.3, -1), (0, -0.7), (0.1, 0), (0.5, -0.1), (0.6, -0.8), (0.3, -1)]],
}
ADVANCE = 0.95


def written(text, height=30.0, slope=0.0, slant=0.0, at=(100.0, 200.0), seed=0):
    """A line of ink. height: of small letters; slope, slant: tangents (a falling line, leaning to the right)."""
    rng, strokes, left, clock = np.random.default_rng(seed), [], 0.0, 0.0
    for letter in text:
        for corners in LETTERS.get(letter, []):
            points = between(np.array(corners, float) + (left, 0) + rng.normal(0, 0.02, (len(corners), 2)))
            points = np.column_stack([points[:, 0] - slant * points[:, 1], points[:, 1]])
            cos, sin = 1 / np.hypot(1, slope), slope / np.hypot(1, slope)
            points = points @ np.array([[cos, sin], [-sin, cos]]) * height + at
            strokes.append(np.column_stack([points, clock + np.arange(len(points)) / 100]))
            clock += len(points) / 100 + 0.2
        left += ADVANCE
    return Ink(tuple(strokes))


def between(corners, step=0.1):
    """Points every `step` on the way through the corners."""
    parts = [corners[:1]]
    for a, b in zip(corners, corners[1:]):
        count = max(1, round(float(np.hypot(*(b - a))) / step))
        parts.append(a + (b - a) * np.arange(1, count + 1)[:, None] / count)
    return np.concatenate(parts)
