"""Which line of a page each piece of ink belongs to: rows that strokes cross most often are the middles of lines.

Lines may slope together, each a little by itself, and their strokes may touch. Columns of text and pictures are not looked for.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from .normalize import INK, page_slope

LETTER = 0.4, 4.0                        # usual heights that letters and words have
EVEN = 0.2                               # usual heights: deviation by which crossings are evened out over rows
NEAREST = 0.6                            # usual heights: lines are no nearer to each other
VALLEY = 0.7                             # share of the crossings in the middle of the weaker of two lines that there may be between them
BESIDE = 0.5                             # share of the shorter of two lines that must have the other one above or below it
BORDER = 0.45                            # of the way from one line to the next, marks belong to the upper one: more of them are above letters
TOUCHING = 0.2                           # share of a piece's ink that each of several lines must have, to take what lies in its rows
FAR = 1.5                                # usual heights: marks that are further from all lines are no writing


class Lines(NamedTuple):
    owners: np.ndarray                   # int [H, W]: the number of the line, from the top down, where there is ink; elsewhere -1
    middles: np.ndarray                  # [L], rows of the level picture: y - slope (x - W / 2)
    usual: float                         # height of letters and words, in rows


class _Pieces(NamedTuple):
    """Ink that hangs together, P pieces."""

    map: np.ndarray                      # [H, W], 0 no ink, else the piece's number + 1
    boxes: np.ndarray                    # [P, 4]: left, top, right, bottom
    heights: np.ndarray                  # [P]
    usual: float                         # height of letters and words

    @property
    def letters(self) -> np.ndarray:
        """Which are letters or words by their height, and not marks, rules or frames [P]."""
        return (self.heights >= LETTER[0] * self.usual) & (self.heights <= LETTER[1] * self.usual)


def divided(x: np.ndarray) -> Lines:
    """Ink [H, W], some at least, by lines."""
    pieces, slope = _pieces(x), page_slope(x)
    rows, numbers, weights = _crossings(x, pieces, slope)
    total = np.bincount(numbers, weights, len(pieces.boxes))
    centers = np.bincount(numbers, weights * rows, len(pieces.boxes)) / np.maximum(total, 1e-9)
    chosen = pieces.letters[numbers]
    middles = _middles(*_profile(rows[chosen], weights[chosen], EVEN * pieces.usual), centers, pieces)
    return Lines(_owners(pieces, centers, middles, slope), middles, pieces.usual)


def _pieces(x: np.ndarray) -> _Pieces:
    from scipy.ndimage import find_objects, label

    map, _ = label(x > INK, np.ones((3, 3)))
    boxes = np.array([(columns.start, rows.start, columns.stop, rows.stop) for rows, columns in find_objects(map)])
    heights = boxes[:, 3] - boxes[:, 1]
    return _Pieces(map, boxes, heights, float(np.percentile(heights[heights > 0.2 * np.percentile(heights, 90)], 75)))


def _crossings(x: np.ndarray, pieces: _Pieces, slope: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Of each edge to the left or right of a stroke: its row in the level picture, its piece's number, and how strong it is [N]."""
    edges = np.abs(np.diff(x, axis=1, prepend=0))
    beside = np.maximum(pieces.map, np.pad(pieces.map, ((0, 0), (1, 0)))[:, :-1])            # an edge is in a piece, or next to it on its right
    rows, columns = np.nonzero((beside > 0) & (edges > 0))
    return rows - slope * (columns - x.shape[1] / 2), beside[rows, columns] - 1, edges[rows, columns]


def _profile(rows: np.ndarray, weights: np.ndarray, even: float) -> tuple[np.ndarray, int]:
    """Crossings of each row, evened out; and which row the first is."""
    from scipy.ndimage import gaussian_filter1d

    room = int(4 * even) + 2
    first = int(np.floor(rows.min())) - room
    profile = np.bincount((rows - first + 0.5).astype(int), weights, int(rows.max()) - first + 2 * room)
    return gaussian_filter1d(profile, even, mode="constant"), first


def _middles(profile: np.ndarray, first: int, centers: np.ndarray, pieces: _Pieces) -> np.ndarray:
    """Rows [L]: all peaks, less those that are no lines of their own, the least fit first."""
    peaks = np.flatnonzero((profile[1:-1] > profile[:-2]) & (profile[1:-1] >= profile[2:])) + 1
    while len(peaks) > 1:
        valleys = np.array([profile[a:b].min() for a, b in zip(peaks, peaks[1:])]) / np.minimum(profile[peaks[:-1]], profile[peaks[1:]])
        nearest = np.abs(centers[:, None] - (peaks + first)).argmin(1)
        fit = np.minimum(np.diff(peaks) / (NEAREST * pieces.usual), VALLEY / np.maximum(valleys, 1e-9))
        fit = np.minimum(fit, _beside(pieces, nearest, len(peaks)) / BESIDE)
        upper = int(fit.argmin())
        if fit[upper] >= 1:
            break
        peaks = np.delete(peaks, upper + int(profile[peaks[upper]] >= profile[peaks[upper + 1]]))
    return peaks + float(first)


def _beside(pieces: _Pieces, owners: np.ndarray, count: int) -> np.ndarray:
    """Of each two successive lines, the share of the columns of the shorter one that the other has too [count - 1]."""
    W = pieces.map.shape[1]
    ends = np.clip(pieces.boxes[:, [0, 2]] + np.array([-1, 1]) * int(pieces.usual), 0, W)
    covered = np.zeros((count, W + 1))
    np.add.at(covered, (owners[pieces.letters], ends[pieces.letters, 0]), 1)
    np.add.at(covered, (owners[pieces.letters], ends[pieces.letters, 1]), -1)
    covered = np.cumsum(covered, axis=1) > 0
    widths = covered.sum(1)
    return (covered[:-1] & covered[1:]).sum(1) / np.maximum(np.minimum(widths[:-1], widths[1:]), 1)


def _owners(pieces: _Pieces, centers: np.ndarray, middles: np.ndarray, slope: float) -> np.ndarray:
    borders = middles[:-1] + BORDER * np.diff(middles)
    numbers = np.searchsorted(borders, centers)
    stray = (np.abs(centers[:, None] - middles).min(1) > FAR * pieces.usual) & ~pieces.letters
    owners = np.append(-1, np.where(stray, -1, numbers))[pieces.map]
    for number in np.flatnonzero(pieces.heights > np.diff(middles).min()) if len(middles) > 1 else ():       # letters of two lines that touch?
        left, top, right, bottom = pieces.boxes[number]
        rows, columns = np.nonzero(pieces.map[top:bottom, left:right] == number + 1)
        rows, columns = rows + top, columns + left
        line = np.searchsorted(borders, rows - slope * (columns - pieces.map.shape[1] / 2))
        shares = np.bincount(line, minlength=len(middles)) / len(line)
        taking = np.flatnonzero(shares >= TOUCHING)
        if len(taking) > 1:
            owners[rows, columns] = taking[np.abs(line[:, None] - taking).argmin(1)]
    return owners
