"""Where a pen turns: the tops and bottoms of letters, from which lines of writing are found."""

from __future__ import annotations

import numpy as np
from numba import njit


def turns(strokes: list[np.ndarray], reach: float) -> tuple[np.ndarray, np.ndarray]:
    """Tops and bottoms [K, 2] (x, y; y grows downwards): points from which the pen moves by at least `reach` up and down, or starts, or ends."""
    tops, bottoms = [], []
    for stroke in strokes:
        kinds = _turns(np.ascontiguousarray(stroke[:, 1]), reach)
        tops.append(stroke[kinds < 0, :2])
        bottoms.append(stroke[kinds > 0, :2])
    return np.concatenate(tops), np.concatenate(bottoms)


@njit(cache=True, nogil=True)
def _turns(y, reach):
    """-1 at a top, 1 at a bottom, 0 elsewhere [N]. A stroke that moves by less than `reach` has neither."""
    kinds = np.zeros(len(y), np.int8)
    highest = lowest = 0
    heading = 0
    for i in range(len(y)):
        if y[i] < y[highest]:
            highest = i
        if y[i] > y[lowest]:
            lowest = i
        if heading >= 0 and y[lowest] - y[i] >= reach:          # it went down to `lowest`, and is now above it
            kinds[lowest] = 1
            heading, highest = -1, i
        elif heading <= 0 and y[i] - y[highest] >= reach:
            kinds[highest] = -1
            heading, lowest = 1, i
    if heading > 0:
        kinds[lowest] = 1
    elif heading < 0:
        kinds[highest] = -1
    return kinds
