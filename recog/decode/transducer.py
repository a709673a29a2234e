"""Beam search with a transducer: Graves 2012, algorithm 1, with a language model by shallow fusion."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..errors import ConfigError
from ..kernels.predictor import Predictor
from ..types import Hypothesis
from .guide import Guide, GuideConfig
from .lexicon import Alphabet
from .transducer_path import best_path, checked

EFFORT = 10                  # times the beam's width: prefixes that beam search looks at in a frame, at most
AT_ONCE = 32                 # prefixes whose prediction states are computed in one go
LEAST = -50.0                # nats: less is not taken away for a unit, however unlikely the prediction network finds it
TIDY = 16                    # frames between removals of what is no longer needed


@dataclass(frozen=True)
class TransducerBeamConfig(GuideConfig):
    """Beside what all beam searches share; Graves 2013 searches with beam = 100, and ranks by the whole score."""

    normalize: bool = False                   # rank answers by score per unit, as Graves 2012 does: favours longer ones
    internal: float = 0.0                     # how much of what the prediction network says by itself is taken away again

    def __post_init__(self):
        super().__post_init__()
        if not np.isfinite(self.internal) or self.internal < 0:
            raise ValueError("internal must be at least 0")


@dataclass(frozen=True, eq=False)
class Prefixes:
    """Beam search after some frames. Nodes are prefixes whose prediction state is known; arrays have room for more.

    The emissions are kept, because spans are found by alignment at the end.
    """

    heard: tuple[np.ndarray, ...]             # the emissions so far
    frames: int
    tree: np.ndarray                          # [N, 7], see kernels/ctc_beam.py
    table: np.ndarray                         # hash table of the tree
    count: int                                # nodes in the tree
    h: np.ndarray                             # [N, H] and
    c: np.ndarray                             # [N, H], the prediction network's state at each node
    p: np.ndarray                             # [N, E], what it says
    recurred: np.ndarray                      # [N, 4H], what its gates get from h; first NaN where nobody asked yet
    gains: np.ndarray                         # [N, V], what a guide adds to the log-probability of each unit; [0, 0] without one
    live: np.ndarray                          # [K], nodes of the prefixes in the beam, best first
    scores: np.ndarray                        # [K], log of the summed probability of their paths, and what they gained


class TransducerBeam:
    """A `Decoder` of emissions. Score: log of the summed probability of a prefix's paths (a lower bound, for a limited beam), bonuses,
    and by shallow fusion the weighted language model, less what the prediction network itself knows of the language
    (its output without the encoder's, as in Variani et al. 2020).

    Spans: the frame in which each unit is written on the best path of the answer. Confidence: its probability there.
    """

    Config = TransducerBeamConfig

    def __init__(self, config: TransducerBeamConfig, predictor: Predictor, guide: Guide | None = None):
        self.config, self.predictor = config, predictor
        if guide is not None and guide.language is not None and guide.language.asked:
            raise ConfigError("neither a network nor a binary file can guide a transducer's beam yet", where="decoder.lm",
                              hint="an ARPA file can; or recog lm rescore puts its answers in a new order")
        if guide is None and (config.length_bonus or config.internal):
            guide = Guide(config, Alphabet(np.zeros(predictor.units, np.int8), ((),) * predictor.units))
        self.guide, self.fusion = guide, None if guide is None else guide.fusion()

    def begin(self) -> Prefixes:
        from ..kernels.transducer_beam import empty_tree

        tree, table = empty_tree(1024, 0 if self.guide is None else self.guide.start())
        h, c, p = (np.concatenate([each, np.zeros((len(tree) - 1, each.shape[1]), np.float32)]) for each in self.predictor.start())
        recurred = np.full((len(tree), 4 * self.predictor.cells), np.nan, np.float32)
        gains = np.zeros((len(tree), 0 if self.guide is None else self.predictor.units), np.float32)
        if self.guide is not None:
            gains[:1] = self._gains(tree, np.zeros(1, np.int64), p[:1])
        return Prefixes((), 0, tree, table, 1, h, c, p, recurred, gains, live=np.zeros(1, np.int64), scores=np.zeros(1))

    def _gains(self, tree: np.ndarray, nodes: np.ndarray, p: np.ndarray) -> np.ndarray:
        """What the guide adds to each unit after these nodes, whose predictions are p [K, E]: [K, V]."""
        from ..kernels.transducer_beam import guided

        gains = guided(self.fusion, tree, nodes)
        if self.config.internal:
            gains[:, 1:] -= self.config.internal * np.maximum(self._internal(p), LEAST)
        return gains

    def _internal(self, p: np.ndarray) -> np.ndarray:
        """Log-probability of each unit [K, V - 1] by the prediction network alone, p [K, E]."""
        alone = self.predictor.log_probs(np.zeros(self.predictor.width, np.float32), p)[:, 1:]
        total = np.logaddexp.reduce(alone, axis=1, keepdims=True)
        return alone - np.where(total > -np.inf, total, 0)        # where nothing can follow, nothing does

    def step(self, state: Prefixes, emissions: np.ndarray) -> Prefixes:
        """emissions: [T, E], from the head that made the predictor. Raises DataError."""
        emissions = checked(emissions, self.predictor, state.frames)
        search = _Search(state, self)
        for t, row in enumerate(emissions, state.frames):
            search.frame(t, row)
            if t % TIDY == TIDY - 1:
                search.tidy()
        return Prefixes((*state.heard, emissions), state.frames + len(emissions), search.tree, search.table, search.count,
                        search.h, search.c, search.p, search.recurred, search.gains, search.live, search.scores)

    def finish(self, state: Prefixes) -> list[Hypothesis]:
        """The best hypotheses, best first. The state stays usable: more steps may follow."""
        from ..kernels.ctc_beam import DEPTH, spell

        heard = np.concatenate(state.heard) if state.heard else np.zeros((0, self.predictor.width), np.float32)
        scores = state.scores + self._endings(state)
        whole = np.flatnonzero(scores > -np.inf)
        scores, live = (scores[whole], state.live[whole]) if len(whole) else (state.scores, state.live)
        ranks = scores / np.maximum(1, state.tree[live, DEPTH]) if self.config.normalize else scores
        answers = []
        for k in np.argsort(-ranks, kind="stable")[:self.config.nbest]:
            units = spell(state.tree, live[k]) if len(whole) else self.guide.cut(spell(state.tree, live[k]))
            earned, path = self._earned(units), best_path(heard, units, self.predictor)
            parts = {"acoustic": float(scores[k]) - sum(earned.values()) if len(whole) else path.score, **earned}
            parts["length"] += float(ranks[k] - scores[k])
            answers.append(Hypothesis(tuple(units.tolist()), sum(parts.values()), parts, path.spans, path.confidence))
        return answers

    def _endings(self, state: Prefixes) -> np.ndarray:
        """What each live prefix gains if nothing follows: minus infinity if a word is not whole."""
        from ..kernels.ctc_beam import DEPTH, MEANT, SAID, SPELLED
        from ..kernels.fusion import ended

        if self.guide is None:
            return np.zeros(len(state.live))
        rows = state.tree[state.live]
        gains = np.array([ended(self.fusion, row[SPELLED], row[SAID], row[MEANT]) for row in rows])
        if self.guide.lexicon is not None:
            gains[~self.guide.lexicon.final[rows[:, SPELLED]] & (rows[:, DEPTH] > 0)] = -np.inf
        return gains

    def _earned(self, units: np.ndarray) -> dict[str, float]:
        """The parts of an answer's score that are not acoustic."""
        if self.guide is None:
            return {"lm": 0.0, "length": 0.0}
        earned = self.guide.parts(units.tolist())
        if self.config.internal:
            (h, c, p), total = self.predictor.start(), 0.0
            for unit in units:
                total -= self.config.internal * max(float(self._internal(p)[0, unit - 1]), LEAST)
                h, c, p = self.predictor.step(self.predictor.recur(h), c, np.array([unit]))
            earned["internal"] = total
        return earned

    def live(self, state: Prefixes) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Units that later frames will not change: those that all live prefixes share; and the best prefix so far."""
        from ..kernels.ctc_beam import shared, spell

        settled = spell(state.tree, shared(state.tree, state.live)).tolist()
        if self.guide is not None and self.guide.lexicon is not None:
            settled = settled[:self.guide.wholes(settled)[-1]]
        return tuple(settled), tuple(spell(state.tree, state.live[0]).tolist())


class _Search:
    """Beam search under way: its arrays are its own, and change."""

    def __init__(self, state: Prefixes, decoder: TransducerBeam):
        self.decoder, self.beam, self.predictor, predictor = decoder, decoder.config.beam, decoder.predictor, decoder.predictor
        self.tree, self.table, self.count = state.tree.copy(), state.table.copy(), state.count
        self.h, self.c, self.p, self.recurred = state.h.copy(), state.c.copy(), state.p.copy(), state.recurred.copy()
        self.gains, self.live, self.scores = state.gains.copy(), state.live, state.scores
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
        """Puts the log-probabilities of these nodes in this frame, and what the guide adds, into their rows."""
        self.log_probs[nodes] = self.predictor.log_probs(row, self.p[nodes])
        if self.gains.shape[1]:
            self.log_probs[nodes] += self.gains[nodes]
        self.stamp[nodes] = t

    def _known(self, parents: np.ndarray, units: np.ndarray) -> np.ndarray:
        """The nodes of these prefixes; where there was none, the prediction network takes a step."""
        from ..kernels.transducer_beam import follow, nodes_of, retable

        while self.count + len(units) > len(self.tree):
            for name in ("tree", "h", "c", "p", "recurred", "gains", "log_probs", "stamp"):
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
            if self.gains.shape[1]:
                follow(self.decoder.fusion, self.tree, at)
                self.gains[at] = self.decoder._gains(self.tree, at, self.p[at])
        return nodes

    def tidy(self) -> None:
        """Drops the nodes that no live prefix needs."""
        from ..kernels.transducer_beam import rooted

        old, self.tree, self.table = rooted(self.tree, self.count, self.live)
        self.live, self.count = np.searchsorted(old, self.live), len(old)
        for each in (self.h, self.c, self.p, self.recurred, self.gains):
            each[:len(old)] = each[old]
        self.stamp[:] = -1
