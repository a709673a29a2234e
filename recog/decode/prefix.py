"""CTC prefix search decoding (Graves et al. 2006; Graves 2008): the most probable labelling, found exactly, best first."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from ..types import Hypothesis
from .align import best_path
from .checks import checked
from .ctc_beam import CtcBeam, CtcBeamConfig

SPREAD = 600.0         # nats by which all paths may outweigh the best one: beyond it float64 overflows, and no search would end


@dataclass(frozen=True)
class PrefixConfig:
    """Prefix search over sections that are cut where a blank is nearly certain."""

    threshold: float = 0.9999            # probability of the blank above which a frame ends a section; 1 cuts nowhere
    limit: int = 500                     # prefixes expanded in a section; one that needs more is searched by beam
    fallback: int = 100                  # width of that beam

    def __post_init__(self):
        if not 0 < self.threshold <= 1:
            raise ValueError("threshold must be above 0 and at most 1")
        if min(self.limit, self.fallback) < 1:
            raise ValueError("limit and fallback must be at least 1")


@dataclass(frozen=True, eq=False)
class Sections:
    """The search after some frames. A value: `step` makes a new one. Memory is that of the open section."""

    size: int | None                                # V, once known
    frames: int = 0
    open: tuple[np.ndarray, ...] = ()               # log-probabilities of the section under way
    units: tuple[int, ...] = ()                     # of the sections that are done
    score: float = 0.0
    spans: tuple[tuple[int, int], ...] = ()
    confidence: tuple[float, ...] = ()
    unsure: int = 0                                 # sections that the limit cut off


class PrefixSearch:
    """A `Decoder`. Score: log-probability of the labelling, every frame between sections being blank.

    With threshold 1 the answer is the most probable of all labellings. The time may grow exponentially with the length
    of a section: one that needs more than `limit` expansions gets the likelier of a beam search's answer and of the best
    labelling met so far, so the answer is then good, but not surely the best. Spans: each unit's frames on the best path
    of its section. Confidence: geometric mean of the unit's probability over its span.
    """

    Config = PrefixConfig

    def __init__(self, config: PrefixConfig = PrefixConfig(), size: int | None = None):
        """size: V, when it should be checked from the first frame on."""
        self.config, self.size = config, size

    def begin(self) -> Sections:
        return Sections(self.size)

    def step(self, state: Sections, log_probs: np.ndarray) -> Sections:
        """log_probs: [T, V], natural log, each row sums to one. Raises DataError."""
        log_probs = checked(log_probs, state.size, first=state.frames)
        state = replace(state, size=log_probs.shape[1])
        limit = np.log(self.config.threshold) if self.config.threshold < 1 else np.inf
        begin = 0
        for cut in np.flatnonzero(log_probs[:, 0] > limit):
            state = self._closed(_opened(state, log_probs[begin:cut]))
            state = replace(state, frames=state.frames + 1, score=state.score + float(log_probs[cut, 0]))
            begin = cut + 1
        return _opened(state, log_probs[begin:])

    def finish(self, state: Sections) -> list[Hypothesis]:
        """One hypothesis. The state stays usable: more steps may follow."""
        state = self._closed(state)
        return [Hypothesis(state.units, state.score, {"acoustic": state.score, "lm": 0.0, "length": 0.0},
                           state.spans, state.confidence)]

    def live(self, state: Sections) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Units that no later frame can change: those of the sections that are done; and with the best path of the open one."""
        if not state.open:
            return state.units, state.units
        path = np.concatenate(state.open).argmax(axis=1)
        new = path[(path != np.append(0, path[:-1])) & (path != 0)]
        return state.units, (*state.units, *new.tolist())

    def _closed(self, state: Sections) -> Sections:
        """With the open section searched and done."""
        if not state.open:
            return state
        log_probs = np.concatenate(state.open)
        units, score, sure = self._search(log_probs)
        path, first = best_path(log_probs, units), state.frames - len(log_probs)
        return replace(state, open=(), units=(*state.units, *units), score=state.score + score,
                       spans=(*state.spans, *((first + a, first + b) for a, b in path.spans)),
                       confidence=(*state.confidence, *path.confidence), unsure=state.unsure + (not sure))

    def _search(self, log_probs: np.ndarray) -> tuple[tuple[int, ...], float, bool]:
        """Units, log-probability, and whether these are surely the best."""
        from ..kernels.ctc_prefix import search

        top = log_probs.max(axis=1)
        score, sure = -np.inf, False
        if -top.sum() < SPREAD:
            units, prob, _, sure = search(np.ascontiguousarray(np.exp(log_probs - top[:, None]).T), self.config.limit)
            score = float(np.log(prob) + top.sum()) if prob > 0 else -np.inf
        if not sure:
            beam = CtcBeam(CtcBeamConfig(beam=self.config.fallback))
            found = beam.finish(beam.step(beam.begin(), log_probs))[0]
            if found.score > score:
                return found.units, found.score, False
        return tuple(units.tolist()), score, sure


def _opened(state: Sections, log_probs: np.ndarray) -> Sections:
    """With these frames added to the open section."""
    return replace(state, frames=state.frames + len(log_probs), open=(*state.open, log_probs)) if len(log_probs) else state
