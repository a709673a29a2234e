"""What a transducer's decoders share: the check of its emissions, and the best path of an answer."""

from __future__ import annotations

from typing import Sequence

import numpy as np

from ..errors import DataError
from ..kernels.predictor import Predictor
from .align import Alignment


def best_path(emissions: np.ndarray, units: Sequence[int], predictor: Predictor) -> Alignment:
    """The likeliest path that writes these units: the frame of each, and its probability there. emissions [T, E]."""
    from ..kernels.transducer import best_frames     # numba: slow to import

    if len(units) and not len(emissions):
        raise DataError(f"0 frames are too few for {len(units)} units")
    blank, label = predictor.lattice(emissions, units)
    score, frames = best_frames(blank, label)
    sure = np.minimum(1.0, np.exp(label[frames, np.arange(len(frames))]))
    return Alignment(tuple((t, t + 1) for t in frames.tolist()), float(score), tuple(sure.tolist()))


def checked(emissions: np.ndarray, predictor: Predictor, first: int = 0) -> np.ndarray:
    """A float32 copy [T, E] of a head's emissions; `first` is the number of the first row, for messages. Raises DataError."""
    emissions = np.asarray(emissions)
    if emissions.ndim != 2 or emissions.shape[1] != predictor.width:
        raise DataError(f"emissions have shape {list(emissions.shape)}, not [frames, {predictor.width}]",
                        hint="do they come from this model?")
    wrong = np.flatnonzero(~np.isfinite(emissions).all(axis=1))
    if len(wrong):
        raise DataError(f"emissions of frame {wrong[0] + first} are not finite", hint="did training diverge, or is the input not finite?")
    return np.array(emissions, dtype=np.float32, order="C")
