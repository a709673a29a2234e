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
    middle, height = (boxes[:, 1] + boxes[:, 3]) / 2, _height(boxes)
    lines: list[list[int]] = []
    for number, box in enumerate(boxes):
        off = [_distance(number, line, boxes, middle, height) for line in lines]
        nearest = int(np.argmin(off)) if off else -1
        if lines and off[-1] <= DOWN:
            lines[-1].append(number)                       # the line under way
        elif lines and off[nearest] <= DOWN:
            lines[nearest].append(number)                  # a dot or a bar, later
        elif lines and box[0] > max(boxes[i, 2] for i in lines[-1]) - BACK * height and off[-1] <= 2 * DOWN:
            lines[-1].append(number)                       # it goes on to the right, a little higher or lower
        else:
            lines.append([number])
    lines = _merged(lines, boxes, middle, height)
    return sorted(lines, key=lambda line: float(np.median(middle[line])))


def _height(boxes: np.ndarray) -> float:
    """How high letters are: of all strokes that are not dots, the upper quartile."""
    heights = boxes[:, 3] - boxes[:, 1]
    widths = boxes[:, 2] - boxes[:, 0]
    real = heights[heights > 0.2 * np.percentile(heights, 90)] if len(heights) else heights
    return float(np.percentile(real, 75)) if len(real) and real.max() > 0 else float(max(widths.max(), 1.0))


def _distance(number: int, line: list[int], boxes: np.ndarray, middle: np.ndarray, height: float) -> float:
    """How far above or below what a line has nearby a stroke is, in heights."""
    left, right = boxes[number, 0] - NEAR * height, boxes[number, 2] + NEAR * height
    nearby = [i for i in line if boxes[i, 2] >= left and boxes[i, 0] <= right] or line[-3:]
    return abs(float(middle[number] - np.median(middle[nearby]))) / height


def _merged(lines: list[list[int]], boxes: np.ndarray, middle: np.ndarray, height: float) -> list[list[int]]:
    """Scraps of a stroke or two are put to the line that they lie on, if there is one."""
    whole = [line for line in lines if len(line) > 2 or np.ptp(boxes[line][:, [0, 2]]) > 2 * height]
    for line in lines:
        if line in whole or not whole:
            continue
        off = [_distance(line[0], other, boxes, middle, height) for other in whole]
        nearest = int(np.argmin(off))
        if off[nearest] <= 2 * DOWN:
            whole[nearest] = sorted(whole[nearest] + line)
        else:
            whole.append(line)
    return whole or lines
