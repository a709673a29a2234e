"""Best-path decoding: the likeliest unit of each frame, repeats collapsed, blanks (unit 0) dropped."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..types import Hypothesis
from .align import run_confidence
from .checks import checked


@dataclass(frozen=True)
class GreedyConfig:
    """Nothing to set."""


@dataclass(frozen=True, eq=False)
class BestPath:
    """The path so far, in the pieces in which it came."""

    size: int | None                          # V, once known
    frames: int = 0
    units: tuple[np.ndarray, ...] = ()        # the best unit of each frame
    scores: tuple[np.ndarray, ...] = ()       # and its log-probability
    said: tuple[int, ...] = ()                # repeats collapsed, blanks dropped
    last: int = 0                             # the unit of the last frame


class Greedy:
    """A `Decoder`. Score: log-probability of the best path. Spans: each unit's run of frames.

    Confidence: geometric mean of the unit's probability over its span.
    """

    Config = GreedyConfig

    def __init__(self, config: GreedyConfig = GreedyConfig(), size: int | None = None):
        """size: V, when it should be checked from the first frame on."""
        self.config, self.size = config, size

    def begin(self) -> BestPath:
        return BestPath(self.size)

    def step(self, state: BestPath, log_probs: np.ndarray) -> BestPath:
        """log_probs: [T, V], natural log, each row sums to one. Raises DataError."""
        log_probs = checked(log_probs, state.size, first=state.frames)
        best = log_probs.argmax(axis=1)
        new = best[(best != np.append(state.last, best[:-1])) & (best != 0)]
        return BestPath(size=log_probs.shape[1], frames=state.frames + len(best),
                        units=(*state.units, best), scores=(*state.scores, log_probs[np.arange(len(best)), best]),
                        said=(*state.said, *new.tolist()), last=int(best[-1]) if len(best) else state.last)

    def finish(self, state: BestPath) -> list[Hypothesis]:
        """One hypothesis. The state stays usable: more steps may follow."""
        if not state.frames:
            return [Hypothesis((), 0.0, {"acoustic": 0.0, "lm": 0.0, "length": 0.0}, (), ())]
        path, scores = np.concatenate(state.units), np.concatenate(state.scores)
        edges = np.flatnonzero(path[1:] != path[:-1]) + 1
        starts, ends = np.append(0, edges), np.append(edges, len(path))
        units = path[starts]
        said = units != 0
        starts, ends = starts[said], ends[said]
        score = float(scores.sum())
        return [Hypothesis(units=tuple(units[said].tolist()), score=score,
                           parts={"acoustic": score, "lm": 0.0, "length": 0.0},
                           spans=tuple(zip(starts.tolist(), ends.tolist())),
                           confidence=run_confidence(scores, starts, ends))]

    def live(self, state: BestPath) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Units that no later frame can change, and the best answer so far, which begins with them: here, all of it."""
        return state.said, state.said
