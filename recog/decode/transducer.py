"""Decoding with a transducer: the likeliest step at every node, or Graves's beam search (2012, algorithm 1)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Sequence

import numpy as np

from ..errors import DataError
from ..kernels.predictor import Predictor
from ..types import Hypothesis
from .align import Alignment
from .greedy import GreedyConfig

PER_FRAME = 10               # units that greedy decoding writes in a frame, at most: an untrained network would never stop
EFFORT = 10                  # times the beam's width: prefixes that beam search looks at in a frame, at most
AT_ONCE = 32                 # prefixes whose prediction states are computed in one go
TIDY = 16                    # frames between removals of what is no longer needed


@dataclass(frozen=True)
class TransducerBeamConfig:
    beam: int = 16                            # prefixes kept after each frame; Graves 2013: 100
    nbest: int = 1                            # hypotheses returned, at most
    normalize: bool = False                   # rank answers by log-probability per unit, as Graves 2012 does: favours longer ones

    def __post_init__(self):
        if self.beam < 1:
            raise ValueError("beam must be at least 1")
        if not 1 <= self.nbest <= self.beam:
            raise ValueError(f"nbest must be from 1 to beam ({self.beam})")


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


@dataclass(frozen=True, eq=False)
class Prefixes:
    """Beam search after some frames. Nodes are prefixes whose prediction state is known; arrays have room for more.

    The emissions are kept, because spans are found by alignment at the end.
    """

    heard: tuple[np.ndarray, ...]             # the emissions so far
    frames: int
    tree: np.ndarray                          # [N, 4], see kernels/transducer_beam.py
    table: np.ndarray                         # hash table of the tree
    count: int                                # nodes in the tree
    h: np.ndarray                             # [N, H] and
    c: np.ndarray                             # [N, H], the prediction network's state at each node
    p: np.ndarray                             # [N, E], what it says
    recurred: np.ndarray                      # [N, 4H], what its gates get from h; first NaN where nobody asked yet
    live: np.ndarray                          # [K], nodes of the prefixes in the beam, best first
    scores: np.ndarray                        # [K], log of the summed probability of their paths


class TransducerBeam:
    """A `Decoder` of emissions. Score: log of the summed probability of a prefix's paths (a lower bound, for a limited beam).

    Spans: the frame in which each unit is written on the best path of the answer. Confidence: its probability there.
    """

    Config = TransducerBeamConfig

    def __init__(self, config: TransducerBeamConfig, predictor: Predictor):
        self.config, self.predictor = config, predictor

    def begin(self) -> Prefixes:
        from ..kernels.transducer_beam import empty_tree

        tree, table = empty_tree(1024)
        h, c, p = (np.concatenate([each, np.zeros((len(tree) - 1, each.shape[1]), np.float32)]) for each in self.predictor.start())
        recurred = np.full((len(tree), 4 * self.predictor.cells), np.nan, np.float32)
        return Prefixes((), 0, tree, table, 1, h, c, p, recurred, live=np.zeros(1, np.int64), scores=np.zeros(1))

    def step(self, state: Prefixes, emissions: np.ndarray) -> Prefixes:
        """emissions: [T, E], from the head that made the predictor. Raises DataError."""
        emissions = checked(emissions, self.predictor, state.frames)
        search = _Search(state, self.config.beam, self.predictor)
        for t, row in enumerate(emissions, state.frames):
            search.frame(t, row)
            if t % TIDY == TIDY - 1:
                search.tidy()
        return Prefixes((*state.heard, emissions), state.frames + len(emissions), search.tree, search.table, search.count,
                        search.h, search.c, search.p, search.recurred, search.live, search.scores)

    def finish(self, state: Prefixes) -> list[Hypothesis]:
        """The best hypotheses, best first. The state stays usable: more steps may follow."""
        from ..kernels.ctc_beam import DEPTH, spell

        heard = np.concatenate(state.heard) if state.heard else np.zeros((0, self.predictor.width), np.float32)
        ranks = state.scores / np.maximum(1, state.tree[state.live, DEPTH]) if self.config.normalize else state.scores
        answers = []
        for k in np.argsort(-ranks, kind="stable")[:self.config.nbest]:
            units, acoustic, score = spell(state.tree, state.live[k]), float(state.scores[k]), float(ranks[k])
            path = best_path(heard, units, self.predictor)
            parts = {"acoustic": acoustic, "lm": 0.0, "length": score - acoustic}
            answers.append(Hypothesis(tuple(units.tolist()), score, parts, path.spans, path.confidence))
        return answers

    def live(self, state: Prefixes) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Units that later frames will not change: those that all live prefixes share; and the best prefix so far."""
        from ..kernels.ctc_beam import shared, spell

        settled = spell(state.tree, shared(state.tree, state.live))
        return tuple(settled.tolist()), tuple(spell(state.tree, state.live[0]).tolist())


class _Search:
    """Beam search under way: its arrays are its own, and change."""

    def __init__(self, state: Prefixes, beam: int, predictor: Predictor):
        self.beam, self.predictor = beam, predictor
        self.tree, self.table, self.count = state.tree.copy(), state.table.copy(), state.count
        self.h, self.c, self.p, self.recurred = state.h.copy(), state.c.copy(), state.p.copy(), state.recurred.copy()
        self.live, self.scores = state.live, state.scores
        self.log_probs = np.zeros((len(self.tree), predictor.units), np.float32)
        self.stamp = np.full(len(self.tree), -1, np.int64)         # the frame that a row of log_probs is of

    def frame(self, t: int, row: np.ndarray) -> None:
        from ..kernels import transducer_beam as kernel

        self._hear(t, row, kernel.needed(self.tree, self.live))
        merged = kernel.merge(self.tree, self.live, self.scores, self.log_probs)
        candidates = kernel.start(self.live, merged, self.log_probs, self.beam, len(self.live) + 1024)
        *heap, size, cut = candidates
        kept, done = np.empty(self.beam), 0
        out = np.empty(EFFORT * self.beam + 16)
        out_node = np.empty(len(out), np.int64)
        while True:
            *heap, size, done = kernel.expand(self.tree, self.table, self.log_probs, self.stamp, t, *heap, size, cut,
                                              kept, done, out, out_node, self.beam)
            if not size:
                break
            floor = max(cut, kept[0]) if done >= self.beam else cut
            parents, units = kernel.wanted(self.tree, self.table, self.stamp, t, *heap, size, floor, AT_ONCE)
            self._hear(t, row, self._known(parents, units))
        best = np.argsort(-out[:done], kind="stable")[:self.beam]
        self.tree[self.live, kernel.SLOT] = -1
        self.live, self.scores = out_node[best], out[best]
        self.tree[self.live, kernel.SLOT] = np.arange(len(best))

    def _hear(self, t: int, row: np.ndarray, nodes: np.ndarray) -> None:
        """Puts the log-probabilities of these nodes in this frame into their rows."""
        self.log_probs[nodes] = self.predictor.log_probs(row, self.p[nodes])
        self.stamp[nodes] = t

    def _known(self, parents: np.ndarray, units: np.ndarray) -> np.ndarray:
        """The nodes of these prefixes; where there was none, the prediction network takes a step."""
        from ..kernels.transducer_beam import nodes_of, retable

        while self.count + len(units) > len(self.tree):
            for name in ("tree", "h", "c", "p", "recurred", "log_probs", "stamp"):
                each = getattr(self, name)
                setattr(self, name, np.concatenate([each, np.full_like(each, np.nan if each.dtype == np.float32 else 0)]))
            self.table = retable(self.tree, self.count)
        before = self.count
        nodes, self.count = nodes_of(self.tree, self.table, before, parents, units)
        new = nodes >= before
        if new.any():
            at, parents = nodes[new], parents[new]
            fresh = np.unique(parents[np.isnan(self.recurred[parents, 0])])
            self.recurred[fresh] = self.predictor.recur(self.h[fresh])
            self.h[at], self.c[at], self.p[at] = self.predictor.step(self.recurred, self.c, units[new], parents)
            self.recurred[at, 0], self.stamp[at] = np.nan, -1
        return nodes

    def tidy(self) -> None:
        """Drops the nodes that no live prefix needs."""
        from ..kernels.transducer_beam import rooted

        old, self.tree, self.table = rooted(self.tree, self.count, self.live)
        self.live, self.count = np.searchsorted(old, self.live), len(old)
        for each in (self.h, self.c, self.p, self.recurred):
            each[:len(old)] = each[old]
        self.stamp[:] = -1


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
