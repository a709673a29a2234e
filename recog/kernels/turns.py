"""Where a curve turns, compiled."""

from __future__ import annotations

import numpy as np
from numba import njit


@njit(cache=True, nogil=True)
def turning(y, reach):
    """y [N] grows downwards. -1 at a top, 1 at a bottom, 0 elsewhere [N]. A stroke that moves by less than `reach` has neither."""
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
