"""CTC prefix beam search: sums over the paths of a prefix, in compiled form; a lexicon and a language model may guide it."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from ..types import Hypothesis
from .align import best_path
from .checks import checked
from .language import Language
from .lexicon import Lexicon


@dataclass(frozen=True)
class CtcBeamConfig:
    beam: int = 16                            # prefixes kept after each frame
    nbest: int = 1                            # hypotheses returned, at most
    token_threshold: float | None = None      # nats below a frame's best unit at which no new prefix is tried
    beam_threshold: float | None = None       # nats below the best prefix at which others are dropped
    length_bonus: float = 0.0                 # nats per unit, against short answers
    lexicon: bool = False                     # write only words that the model was trained on
    word_bonus: float = 0.0                   # nats per word, with a lexicon; below 0: rather few long words than many short
    lm: bool = False                          # ask the model's language model
    lm_weight: float = 1.0                    # what its nats count
    unknown: float = 0.0                      # nats that a word which it does not know costs beside its probability

    def __post_init__(self):
        if self.beam < 1:
            raise ValueError("beam must be at least 1")
        if not 1 <= self.nbest <= self.beam:
            raise ValueError(f"nbest must be from 1 to beam ({self.beam})")
        for name in ("token_threshold", "beam_threshold"):
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise ValueError(f"{name} must be above 0")
        if not np.isfinite(self.length_bonus) or not np.isfinite(self.word_bonus):
            raise ValueError("length_bonus and word_bonus must be finite")
        if self.word_bonus and not (self.lexicon or self.lm):
            raise ValueError("word_bonus needs lexicon = true or lm = true")
        if not (np.isfinite(self.lm_weight) and np.isfinite(self.unknown)) or min(self.lm_weight, self.unknown) < 0:
            raise ValueError("lm_weight and unknown must be at least 0")


@dataclass(frozen=True, eq=False)
class Beams:
    """The search after some frames. A value: `step` makes a new one.

    The log-probabilities are kept (8 V bytes per frame), because spans are found by alignment at the
    end; the prefix tree holds only what live prefixes share.
    """

    size: int | None                          # V, once known
    frames: int
    heard: tuple[np.ndarray, ...]             # the log-probabilities so far
    tree: np.ndarray                          # [N, 6], see kernels/ctc_beam.py
    table: np.ndarray                         # hash table of the tree
    earned: np.ndarray                        # [N], bonuses and language model, nats
    count: int                                # nodes in the tree
    nodes: np.ndarray                         # [K], the live prefixes, best first
    blank: np.ndarray                         # [K], log-probability of their paths that end in a blank
    label: np.ndarray                         # [K], and of those that end in their last unit


class CtcBeam:
    """A `Decoder`. Score: log of the summed probability of a prefix's paths, plus bonuses and the weighted language model.

    With limited beam or thresholds the acoustic part is a lower bound of the exact sum. Spans: the
    frames of each unit on the best path of the answer. Confidence: geometric mean of the unit's
    probability over its span.
    """

    Config = CtcBeamConfig

    def __init__(self, config: CtcBeamConfig = CtcBeamConfig(), size: int | None = None, lexicon: Lexicon | None = None,
                 language: Language | None = None):
        """size: V, when it should be checked from the first frame on. lexicon: which sequences of units are words."""
        from ..kernels.fusion import nothing

        self.config, self.lexicon, self.language = config, lexicon, language
        self.size = lexicon.next.shape[1] if lexicon is not None else size
        self.fusion = nothing() if language is None else language.fusion(config.lm_weight, config.unknown)

    def begin(self) -> Beams:
        from ..kernels.ctc_beam import empty_tree

        tree, table, earned = empty_tree(0 if self.language is None else self.language.start())
        return Beams(self.size, 0, (), tree, table, earned, 1, nodes=np.zeros(1, np.int64),
                     blank=np.zeros(1), label=np.full(1, -np.inf))

    def step(self, state: Beams, log_probs: np.ndarray) -> Beams:
        """log_probs: [T, V], natural log, each row sums to one. Raises DataError."""
        from ..kernels.ctc_beam import advance

        log_probs, config = checked(log_probs, state.size, first=state.frames), self.config
        anything = np.zeros((1, log_probs.shape[1]), np.int32)
        tree, table, earned, count, nodes, blank, label = advance(
            log_probs, config.beam, _limit(config.token_threshold), _limit(config.beam_threshold),
            float(config.length_bonus), float(config.word_bonus), self.lexicon.next if self.lexicon is not None else anything,
            self.fusion, state.tree, state.table, state.earned, state.count, state.nodes, state.blank, state.label)
        return replace(state, size=log_probs.shape[1], frames=state.frames + len(log_probs),
                       heard=(*state.heard, log_probs), tree=tree, table=table, earned=earned, count=count,
                       nodes=nodes, blank=blank, label=label)

    def finish(self, state: Beams) -> list[Hypothesis]:
        """The best hypotheses, best first. The state stays usable: more steps may follow."""
        from ..kernels.ctc_beam import spell

        heard = np.concatenate(state.heard) if state.heard else np.zeros((0, 1))
        whole, answers = self._whole(state), []
        for k in (whole if len(whole) else np.arange(len(state.nodes)))[:self.config.nbest]:
            units = spell(state.tree, state.nodes[k])
            if not len(whole):
                units = self._cut(units)
            parts = {"acoustic": float(np.logaddexp(state.blank[k], state.label[k])), **self._earned(units)}
            path = best_path(heard, units)
            answers.append(Hypothesis(tuple(units.tolist()), sum(parts.values()), parts, path.spans, path.confidence))
        return answers

    def _earned(self, units: np.ndarray) -> dict[str, float]:
        """The parts of an answer's score that are not acoustic."""
        words = 0 if self.lexicon is None else sum(state == 0 for state in self.lexicon.states(units)[:len(units)])
        return {"lm": 0.0 if self.language is None else self.language.gain(units, self.config.lm_weight, self.config.unknown),
                "length": self.config.length_bonus * len(units) + self.config.word_bonus * words}

    def live(self, state: Beams) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Units that later frames will not change, and the best prefix so far.

        Settled is what all live prefixes share but those that can no longer win: a prefix that ends like another (same
        last unit, same state of the lexicon and of the language model) and is less likely both after a blank and after the
        unit goes on like it and stays behind. Behind by the log of the number of prefixes: that many could add up (a margin,
        no proof: what goes on like it may fall out of a narrow beam). With a lexicon a word is settled
        as a whole, since its beginning may yet prove to be no word's.
        """
        from ..kernels.ctc_beam import SAID, SPELLED, UNIT, shared, spell

        best, rows, earned = spell(state.tree, state.nodes[0]).tolist(), state.tree[state.nodes], state.earned[state.nodes]
        behind = np.log(max(2, len(rows)))
        lost = np.ones((len(rows), len(rows)), bool)               # [which, to whom]
        for column in (UNIT, SPELLED, SAID):
            lost &= rows[:, column, None] == rows[:, column]
        for part in (state.blank, state.label):
            lost &= (part + earned)[:, None] + behind <= part + earned
        settled = len(spell(state.tree, shared(state.tree, state.nodes[~lost.any(axis=1)])))
        if self.lexicon is not None:
            ends = [i for i, after in enumerate(self.lexicon.states(best[:settled])) if after == 0]
            settled = ends[-1]
        return tuple(best[:settled]), tuple(best)

    def _whole(self, state: Beams) -> np.ndarray:
        """Which of the live prefixes end with a whole word, best first, if nothing follows."""
        from ..kernels.ctc_beam import DEPTH, SAID, SPELLED
        from ..kernels.fusion import ended

        rows = state.tree[state.nodes]
        ends = np.ones(len(rows), bool) if self.lexicon is None else self.lexicon.final[rows[:, SPELLED]] | (rows[:, DEPTH] == 0)
        whole = np.flatnonzero(ends)
        if self.language is None:
            return whole                                           # they are sorted
        gains = np.array([ended(self.fusion, row[SAID], row[SPELLED]) for row in rows[whole]])
        ranks = np.logaddexp(state.blank, state.label)[whole] + state.earned[state.nodes[whole]] + gains
        return whole[np.argsort(-ranks, kind="stable")]

    def _cut(self, units: np.ndarray) -> np.ndarray:
        """Without the word at the end that is none: all that is left to a beam too narrow for a whole one."""
        final = self.lexicon.final[self.lexicon.states(units)]
        return units[:max(np.flatnonzero(final), default=0)]


def _limit(threshold: float | None) -> float:
    return np.inf if threshold is None else float(threshold)
