"""CTC prefix beam search: sums over the paths of a prefix, in compiled form; a guide may go with it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from ..errors import DataError
from ..types import Hypothesis
from .align import best_path
from .checks import checked
from .guide import Guide, GuideConfig
from .lexicon import Alphabet

if TYPE_CHECKING:
    from .asking import Answers


@dataclass(frozen=True)
class CtcBeamConfig(GuideConfig):
    token_threshold: float | None = None      # nats below a frame's best unit at which no new prefix is tried
    beam_threshold: float | None = None       # nats below the best prefix at which others are dropped

    def __post_init__(self):
        super().__post_init__()
        for name in ("token_threshold", "beam_threshold"):
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise ValueError(f"{name} must be above 0")


@dataclass(frozen=True, eq=False)
class Beams:
    """The search after some frames. A value: `step` makes a new one.

    The log-probabilities are kept (8 V bytes per frame), because spans are found by alignment at the
    end; the prefix tree holds only what live prefixes share.
    """

    size: int | None                          # V, once known
    frames: int
    heard: tuple[np.ndarray, ...]             # the log-probabilities so far
    tree: np.ndarray                          # [N, 7], see kernels/ctc_beam.py
    table: np.ndarray                         # hash table of the tree
    earned: np.ndarray                        # [N], bonuses and language model, nats
    count: int                                # nodes in the tree
    nodes: np.ndarray                         # [K], the live prefixes, best first
    blank: np.ndarray                         # [K], log-probability of their paths that end in a blank
    label: np.ndarray                         # [K], and of those that end in their last unit
    answers: Answers | None                   # what a language model says of them that is asked


class CtcBeam:
    """A `Decoder`. Score: log of the summed probability of a prefix's paths, plus bonuses and the weighted language model.

    With limited beam or thresholds the acoustic part is a lower bound of the exact sum. Spans: the
    frames of each unit on the best path of the answer. Confidence: geometric mean of the unit's
    probability over its span.
    """

    Config = CtcBeamConfig

    def __init__(self, config: CtcBeamConfig = CtcBeamConfig(), guide: Guide | None = None, size: int | None = None):
        """size: V, when it should be checked from the first frame on."""
        self.config, self.guide, self.size = config, guide, size if guide is None else len(guide.alphabet.roles)
        self.fusion = None if guide is None else guide.fusion()
        self.asker = None
        if guide is not None and guide.language is not None and guide.language.asked:
            from .asking import asker

            self.asker = asker(guide)

    def begin(self) -> Beams:
        from ..kernels.ctc_beam import empty_tree

        tree, table, earned = empty_tree(0 if self.guide is None else self.guide.start())
        return Beams(self.size, 0, (), tree, table, earned, 1, nodes=np.zeros(1, np.int64), blank=np.zeros(1), label=np.full(1, -np.inf),
                     answers=None if self.asker is None else self.asker.begin())

    def step(self, state: Beams, log_probs: np.ndarray) -> Beams:
        """log_probs: [T, V], natural log, each row sums to one. Raises DataError."""
        from ..kernels.ctc_beam import advance

        log_probs, config = checked(log_probs, state.size, first=state.frames), self.config
        fusion = _unguided(config, log_probs.shape[1]).fusion() if self.fusion is None else self.fusion
        limits = config.beam, _limit(config.token_threshold), _limit(config.beam_threshold)
        search, answers = (state.tree, state.table, state.earned, state.count, state.nodes, state.blank, state.label), state.answers
        if self.asker is None:
            search = advance(log_probs, *limits, fusion, *search)
        else:
            for row in log_probs:
                search = advance(row[None], *limits, fusion._replace(rows=answers.rows), *search)
                answers = self.asker.ask(answers, *search[:5])
        tree, table, earned, count, nodes, blank, label = search
        if not len(nodes):
            raise DataError(f"nothing that the lexicon allows has a probability above zero in frames {state.frames} to "
                            f"{state.frames + len(log_probs) - 1}", hint="do the model and the lexicon belong together?")
        return replace(state, size=log_probs.shape[1], frames=state.frames + len(log_probs),
                       heard=(*state.heard, log_probs), tree=tree, table=table, earned=earned, count=count,
                       nodes=nodes, blank=blank, label=label, answers=answers)

    def finish(self, state: Beams) -> list[Hypothesis]:
        """The best hypotheses, best first. The state stays usable: more steps may follow."""
        from ..kernels.ctc_beam import spell

        heard = np.concatenate(state.heard) if state.heard else np.zeros((0, 1))
        whole, answers = self._whole(state), []
        guide = self.guide or _unguided(self.config, heard.shape[1])
        for k in (whole if len(whole) else np.arange(len(state.nodes)))[:self.config.nbest]:
            units = spell(state.tree, state.nodes[k])
            if not len(whole):
                units = self.guide.cut(units)
            parts = {"acoustic": float(np.logaddexp(state.blank[k], state.label[k])), **guide.parts(units.tolist())}
            path = best_path(heard, units)
            answers.append(Hypothesis(tuple(units.tolist()), sum(parts.values()), parts, path.spans, path.confidence))
        return answers

    def live(self, state: Beams) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Units that later frames will not change, and the best prefix so far.

        Settled is what all live prefixes share but those that can no longer win: a prefix that ends like another (same
        last unit, same states of all that guides) and is less likely both after a blank and after the
        unit goes on like it and stays behind. Behind by the log of the number of prefixes: that many could add up (a margin,
        no proof: what goes on like it may fall out of a narrow beam). With a lexicon a word is settled
        as a whole, since its beginning may yet prove to be no word's.
        """
        from ..kernels.ctc_beam import MEANT, SAID, SPELLED, UNIT, shared, spell

        best, rows, earned = spell(state.tree, state.nodes[0]).tolist(), state.tree[state.nodes], state.earned[state.nodes]
        behind = np.log(max(2, len(rows)))
        lost = np.ones((len(rows), len(rows)), bool)               # [which, to whom]
        for column in (UNIT, SPELLED, SAID, MEANT):
            lost &= rows[:, column, None] == rows[:, column]
        for part in (state.blank, state.label):
            lost &= (part + earned)[:, None] + behind <= part + earned
        settled = len(spell(state.tree, shared(state.tree, state.nodes[~lost.any(axis=1)])))
        if self.guide is not None and self.guide.lexicon is not None:
            settled = self.guide.wholes(best[:settled])[-1]
        return tuple(best[:settled]), tuple(best)

    def _whole(self, state: Beams) -> np.ndarray:
        """Which of the live prefixes end with a whole word, best first, if nothing follows."""
        from ..kernels.ctc_beam import DEPTH, MEANT, SAID, SPELLED
        from ..kernels.fusion import ended

        rows = state.tree[state.nodes]
        if self.guide is None:
            return np.arange(len(rows))                            # they are sorted
        lexicon = self.guide.lexicon
        whole = np.arange(len(rows)) if lexicon is None else np.flatnonzero(lexicon.final[rows[:, SPELLED]] | (rows[:, DEPTH] == 0))
        fusion = self.fusion if state.answers is None else self.fusion._replace(rows=state.answers.rows)
        gains = np.array([ended(fusion, row[SPELLED], row[SAID], row[MEANT]) for row in rows[whole]])
        ranks = np.logaddexp(state.blank, state.label)[whole] + state.earned[state.nodes[whole]] + gains
        return whole[np.argsort(-ranks, kind="stable")]


def _unguided(config: CtcBeamConfig, size: int) -> Guide:
    """Bonuses only."""
    return Guide(config, Alphabet(np.zeros(size, np.int8), ((),) * size))


def _limit(threshold: float | None) -> float:
    return np.inf if threshold is None else float(threshold)
