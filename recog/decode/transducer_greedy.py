"""Decoding with a transducer by the likeliest step at every node."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..kernels.predictor import Predictor
from ..types import Hypothesis
from .greedy import GreedyConfig
from .transducer_path import checked

PER_FRAME = 10               # units that are written in a frame, at most: an untrained network would never stop


@dataclass(frozen=True, eq=False)
class Path:
    """Greedy decoding after some frames: what was written, where and how surely, and the prediction network's state."""

    state: tuple[np.ndarray, np.ndarray, np.ndarray]
    frames: int = 0
    score: float = 0.0
    units: tuple[int, ...] = ()
    written: tuple[int, ...] = ()
    confidence: tuple[float, ...] = ()


class TransducerGreedy:
    """A `Decoder` of emissions. Score: log-probability of the path. Spans: the one frame in which a unit is written."""

    Config = GreedyConfig

    def __init__(self, config: GreedyConfig, predictor: Predictor):
        self.config, self.predictor = config, predictor

    def begin(self) -> Path:
        return Path(self.predictor.start())

    def step(self, state: Path, emissions: np.ndarray) -> Path:
        """emissions: [T, E], from the head that made the predictor. Raises DataError."""
        emissions = checked(emissions, self.predictor, state.frames)
        h, c, p = state.state
        score, units, written, sure = state.score, list(state.units), list(state.written), list(state.confidence)
        for t, row in enumerate(emissions, state.frames):
            for count in range(PER_FRAME + 1):
                log_probs = self.predictor.log_probs(row, p)[0]
                best = int(log_probs.argmax()) if count < PER_FRAME else 0
                score += float(log_probs[best])
                if best == 0:
                    break
                units.append(best)
                written.append(t)
                sure.append(min(1.0, float(np.exp(log_probs[best]))))
                h, c, p = self.predictor.step(self.predictor.recur(h), c, np.array([best]))
        return Path((h, c, p), state.frames + len(emissions), score, tuple(units), tuple(written), tuple(sure))

    def live(self, state: Path) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """All units written so far are settled."""
        return state.units, state.units

    def finish(self, state: Path) -> list[Hypothesis]:
        """One hypothesis. The state stays usable: more steps may follow."""
        return [Hypothesis(state.units, state.score, {"acoustic": state.score, "lm": 0.0, "length": 0.0},
                           tuple((t, t + 1) for t in state.written), state.confidence)]
