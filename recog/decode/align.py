"""Where each unit of a known sequence lies: the best CTC path (blank is unit 0)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Sequence

import numpy as np

from ..errors import DataError
from .checks import checked

FIRST_SLACK = 30.0     # nats; a decoder's own answer is rarely further from the best path
LAST_SLACK = 1e5       # beyond this the search stops growing by degrees and looks everywhere


@dataclass(frozen=True)
class Alignment:
    """The best path that spells a sequence of units."""

    spans: tuple[tuple[int, int], ...]        # [start, end) in frames, one per unit
    score: float                              # log-probability of the path
    confidence: tuple[float, ...]             # geometric mean of each unit's probability over its span


def align(log_probs: np.ndarray, units: Sequence[int]) -> Alignment:
    """The best of all paths that collapse to `units`.

    log_probs: [T, V], natural log, each row sums to one. Raises DataError when there are fewer
    frames than units and repeats, or when every path has probability zero.
    """
    return best_path(checked(log_probs), units)


def best_path(log_probs: np.ndarray, units: Sequence[int]) -> Alignment:
    """`align` for log-probabilities that have been checked: float64, C order."""
    labels = np.asarray(units, dtype=np.int64).reshape(-1)
    frames, size = log_probs.shape
    if len(labels) and not (1 <= labels.min() and labels.max() < size):
        raise ValueError(f"units must be from 1 to {size - 1}")
    needed = len(labels) + int((labels[1:] == labels[:-1]).sum())
    if frames < needed:
        raise DataError(f"{frames} frames are too few for {len(labels)} units", hint=f"they need at least {needed}")
    if not frames:
        return Alignment((), 0.0, ())
    states = _search(log_probs, labels)
    own = 2 * np.arange(len(labels)) + 1
    starts, ends = np.searchsorted(states, own, "left"), np.searchsorted(states, own, "right")
    path = np.zeros(2 * len(labels) + 1, dtype=np.int64)
    path[1::2] = labels
    scores = log_probs[np.arange(frames), path[states]]
    return Alignment(spans=tuple(zip(starts.tolist(), ends.tolist())), score=float(scores.sum()),
                     confidence=run_confidence(scores, starts, ends))


def _search(log_probs: np.ndarray, labels: np.ndarray) -> np.ndarray:
    from ..kernels.ctc_align import best_states     # numba: slow to import

    slack = FIRST_SLACK
    while True:
        states = best_states(log_probs, labels, slack)
        if len(states):
            return states
        if slack == np.inf:
            raise DataError("every path through these units has probability zero")
        slack = 4.0 * slack if slack < LAST_SLACK else np.inf


def run_confidence(scores: np.ndarray, starts: np.ndarray, ends: np.ndarray) -> tuple[float, ...]:
    """The geometric mean of the probability over each run of frames, at most 1.

    scores: [T], log-probabilities along a path; starts, ends: [U], runs in order and not empty.
    """
    bounds = np.stack([starts, ends], axis=1).reshape(-1)
    sums = np.add.reduceat(np.append(scores, 0.0), bounds)[::2]
    return tuple(np.minimum(1.0, np.exp(sums / (ends - starts))).tolist())
