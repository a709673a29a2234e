"""What a search demands of its input."""

from __future__ import annotations

import numpy as np

from ..errors import DataError

TOLERANCE = 1e-3     # a row's probabilities may miss one by this: float32, or half precision behind it


def checked(log_probs: np.ndarray, size: int | None = None, first: int = 0) -> np.ndarray:
    """A float64 copy [T, V] of log-probabilities: natural log, each row's probabilities sum to one.

    T may be 0 and entries may be -inf. `size` is the V that is expected, if known; `first` the
    number of the first row, for messages. Raises DataError.
    """
    log_probs = np.asarray(log_probs)
    if log_probs.dtype not in (np.float32, np.float64):
        raise DataError(f"log-probabilities are {log_probs.dtype}, not float32 or float64")
    if log_probs.ndim != 2 or log_probs.shape[1] < 1:
        raise DataError(f"log-probabilities have shape {list(log_probs.shape)}, not [frames, units]",
                        hint="decode one utterance at a time, without padding")
    if size is not None and log_probs.shape[1] != size:
        raise DataError(f"log-probabilities are over {log_probs.shape[1]} units, expected {size}",
                        hint="do the model and its units belong together?")
    log_probs = np.array(log_probs, dtype=np.float64, order="C")
    with np.errstate(over="ignore"):
        sums = np.exp(log_probs).sum(axis=1)
    wrong = np.flatnonzero(~(np.abs(sums - 1.0) <= TOLERANCE))       # NaN is wrong too
    if len(wrong):
        _refuse(wrong[0] + first, sums[wrong[0]])
    return log_probs


def _refuse(frame: int, total: float) -> None:
    if np.isnan(total):
        raise DataError(f"log-probabilities of frame {frame} hold NaN",
                        hint="did training diverge, or is the input not finite?")
    raise DataError(f"probabilities of frame {frame} sum to {total:.4g}, not to one",
                    hint="apply log_softmax over the units")
