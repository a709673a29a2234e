"""A page of ink as lines of writing, by where strokes are and in which order they were written."""

from __future__ import annotations

import numpy as np

BACK = 3.0                               # heights: so far left of the line's end, a new line may begin
DOWN = 0.75                              # heights: so far above or below the line nearby, a stroke is not of that line
NEAR = 8.0                               # heights to each side that count as nearby


def lines_of(strokes: list[np.ndarray]) -> list[list[int]]:
    """Numbers of the strokes of each line, from the top of the page down; strokes keep the order in which they were written.

    strokes [N, 2 or more] (x, y downwards). People write lines from left to right, come back for dots and bars, and may slope.
    """
    boxes = np.array([[s[:, 0].min(), s[:, 1].min(), s[:, 0].max(), s[:, 1].max()] for s in strokes])
    height = _height(boxes)
    lines: list[_Line] = []
    for number, box in enumerate(boxes):
        last = lines[-1] if lines else None
        off = last.distance(box, height) if last else 0.0
        if last and off <= DOWN:
            last.add(number, box)                          # the line under way
            continue
        others = [line for line in lines[:-1] if line.may_be_near(box, height)]
        distances = [line.distance(box, height) for line in others]
        nearest = int(np.argmin(distances)) if others else -1
        if others and distances[nearest] <= DOWN:
            others[nearest].add(number, box)               # a dot or a bar, later
        elif last and off <= 2 * DOWN and box[0] > last.right - BACK * height:
            last.add(number, box)                          # it goes on to the right, a little higher or lower
        else:
            lines.append(_Line(number, box))
    lines = _merged(lines, boxes, height)
    return [sorted(line.numbers) for line in sorted(lines, key=_Line.middle)]


class _Line:
    """A line under way: its strokes, and their boxes [N, 4] (left, top, right, bottom)."""

    def __init__(self, number: int, box: np.ndarray):
        self.numbers: list[int] = []
        self._boxes, self.top, self.bottom, self.right = np.empty((8, 4)), np.inf, -np.inf, -np.inf
        self.add(number, box)

    def add(self, number: int, box: np.ndarray) -> None:
        if len(self.numbers) == len(self._boxes):
            self._boxes = np.concatenate([self._boxes, np.empty_like(self._boxes)])
        self._boxes[len(self.numbers)] = box
        self.numbers.append(number)
        self.top, self.bottom, self.right = min(self.top, box[1]), max(self.bottom, box[3]), max(self.right, box[2])

    def middle(self) -> float:
        boxes = self._boxes[:len(self.numbers)]
        return float(np.median((boxes[:, 1] + boxes[:, 3]) / 2))

    def may_be_near(self, box: np.ndarray, height: float) -> bool:
        """False only if it is farther than `DOWN` from all that the line has."""
        middle = (box[1] + box[3]) / 2
        return self.top - DOWN * height <= middle <= self.bottom + DOWN * height

    def distance(self, box: np.ndarray, height: float) -> float:
        """How far above or below what the line has nearby a stroke is, in heights."""
        boxes = self._boxes[:len(self.numbers)]
        near = boxes[(boxes[:, 2] >= box[0] - NEAR * height) & (boxes[:, 0] <= box[2] + NEAR * height)]
        near = near if len(near) else boxes[-3:]
        return abs(float((box[1] + box[3]) / 2 - np.median((near[:, 1] + near[:, 3]) / 2))) / height


def _height(boxes: np.ndarray) -> float:
    """How high letters are: of all strokes that are not dots, the upper quartile."""
    heights = boxes[:, 3] - boxes[:, 1]
    widths = boxes[:, 2] - boxes[:, 0]
    real = heights[heights > 0.2 * np.percentile(heights, 90)] if len(heights) else heights
    return float(np.percentile(real, 75)) if len(real) and real.max() > 0 else float(max(widths.max(), 1.0))


def _merged(lines: list[_Line], boxes: np.ndarray, height: float) -> list[_Line]:
    """Scraps of a stroke or two are put to the line that they lie on, if there is one."""
    scraps = [len(line.numbers) <= 2 and np.ptp(boxes[line.numbers][:, [0, 2]]) <= 2 * height for line in lines]
    whole = [line for line, scrap in zip(lines, scraps) if not scrap]
    if not whole:
        return lines
    for line in (line for line, scrap in zip(lines, scraps) if scrap):
        off = [other.distance(boxes[line.numbers[0]], height) for other in whole]
        nearest = int(np.argmin(off))
        if off[nearest] <= 2 * DOWN:
            for number in line.numbers:
                whole[nearest].add(number, boxes[number])
        else:
            whole.append(line)
    return whole
