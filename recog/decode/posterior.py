"""Where each unit of a known sequence lies, by all its CTC paths: each counts by its probability (blank is unit 0)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Sequence

import numpy as np

from .align import best_path

REACH = 64             # states to each side of the best path's: 32 units; what lies beyond has no weight worth its time


@dataclass(frozen=True, eq=False)
class Occupancies:
    """How likely each frame is in each state. State 2u+1 is unit u, even states are the blanks around the units."""

    first: np.ndarray                         # [T], the state of column 0
    states: np.ndarray                        # [T, W], probability of state first[t] + w; rows sum to one
    score: float                              # log of the summed probability of the paths
    count: int                                # states, 2 U + 1

    def durations(self) -> np.ndarray:
        """The expected number of frames in each state, [2 U + 1]."""
        numbers = self.first[:, None] + np.arange(self.states.shape[1])
        return np.bincount(numbers.ravel(), self.states.ravel(), self.count)[:self.count]

    def units(self) -> np.ndarray:
        """The probability of each unit at each frame, [T, U]."""
        found = np.zeros((len(self.first), self.count + self.states.shape[1]))
        for t, begin in enumerate(self.first):
            found[t, begin:begin + self.states.shape[1]] = self.states[t]
        return found[:, 1:self.count:2]


def occupancies(log_probs: np.ndarray, units: Sequence[int], reach: int = REACH) -> Occupancies:
    """Over all paths that collapse to `units` and stay within `reach` states of the best one.

    log_probs: [T, V], checked as for `best_path`, T > 0. Up to reach / 2 units, that is all paths. Time and memory grow
    with T * reach. Raises DataError as `best_path` does.
    """
    from ..kernels.ctc_occupancy import occupancies as run     # numba: slow to import

    labels = np.asarray(units, dtype=np.int64).reshape(-1)
    count = 2 * len(labels) + 1
    best = _states(best_path(log_probs, labels).spans, len(log_probs))
    first, last = np.maximum(best - reach, 0), np.minimum(best + reach, count - 1)
    states, score = run(log_probs, labels, first, last)
    return Occupancies(first, states, float(score), count)


def _states(spans: Sequence[tuple[int, int]], frames: int) -> np.ndarray:
    """The state of each frame of a path, [T]."""
    edges = [edge for span in spans for edge in span]
    return np.searchsorted(np.array(edges, dtype=np.int64), np.arange(frames), "right")


def edges(durations: np.ndarray) -> np.ndarray:
    """From the frames in each state, [2 U + 1], to where the units begin and end, [U + 1], in frames.

    The blanks between two units belong half to one and half to the other; those before the first and after the last
    unit belong to none. With a path's own durations the border is the middle of its blanks; with expected durations
    it is the mean of that over all paths, weighted by their probability, since the sum of means is the mean of sums.
    """
    ends = np.cumsum(durations)                                # of states
    blanks = durations[2:-1:2]
    return np.concatenate([ends[:1], ends[1:-2:2] + blanks / 2, ends[-2:-1]])


def path_durations(spans: Sequence[tuple[int, int]], frames: int) -> np.ndarray:
    """The frames in each state of one path, [2 U + 1]."""
    return np.diff([0, *(edge for span in spans for edge in span), frames]).astype(np.float64)
