"""Where a pen turns: the tops and bottoms of letters, from which lines of writing are found."""

from __future__ import annotations

import numpy as np


def turns(strokes: list[np.ndarray], reach: float) -> tuple[np.ndarray, np.ndarray]:
    """Tops and bottoms [K, 2] (x, y; y grows downwards): points from which the pen moves by at least `reach` up and down, or starts, or ends."""
    from ..kernels.turns import turning

    tops, bottoms = [], []
    for stroke in strokes:
        kinds = turning(np.ascontiguousarray(stroke[:, 1]), reach)
        tops.append(stroke[kinds < 0, :2])
        bottoms.append(stroke[kinds > 0, :2])
    return np.concatenate(tops), np.concatenate(bottoms)
