"""Language models that compiled searches cannot read: asked once a frame, about all prefixes that are new in the beam.

A network is asked about all of them together; KenLM's binary file, through its module, about one after the other.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import torch

from ..kernels.ctc_beam import PARENT, SAID, SPELLED, UNIT
from ..kernels.fusion import UNASKED
from ..kernels.roles import INSIDE
from .guide import Guide


class Answers(NamedTuple):
    """What the model says of the K live prefixes, in the order of the beam. Only they are kept: a prefix that comes back is asked about
    again, from its parent, which was live."""

    rows: np.ndarray                          # float32 [K, U], see kernels/fusion.py: ROWS and ENDS
    states: Any                               # the model's own


class Asker:
    """After each frame of a search. `renewed` is what a kind of model does."""

    def begin(self) -> Answers:
        """Before anything is written."""
        raise NotImplementedError

    def renewed(self, answers: Answers, kept: np.ndarray, fresh: np.ndarray, parents: np.ndarray, rows: np.ndarray) -> Answers:
        """kept [K]: which old answer each prefix has; fresh: places of those that have none; parents [F]: the old answers of their
        parents; rows [F, 2, columns]: theirs and their parents' in the tree."""
        raise NotImplementedError

    def ask(self, answers: Answers, tree: np.ndarray, table: np.ndarray, earned: np.ndarray, count: int, nodes: np.ndarray) -> Answers:
        """answers: before the frame; the rest: as `advance` gave them. Writes into the tree which answer each prefix has."""
        said = tree[nodes, SAID]
        fresh = np.flatnonzero(said == UNASKED)
        if len(fresh) or len(said) != len(answers.rows) or (said != np.arange(len(said))).any():
            rows = np.stack([tree[nodes[fresh]], tree[tree[nodes[fresh], PARENT]]], 1)
            answers = self.renewed(answers, np.where(said == UNASKED, 0, said), fresh, rows[:, 1, SAID], rows)
        tree[:count, SAID] = UNASKED
        tree[nodes, SAID] = np.arange(len(nodes))
        return answers


class Network(Asker):
    """States: of each layer, [1, K, H]."""

    def __init__(self, guide: Guide):
        self.model, self.numbers = guide.language.model, guide.language.numbers.astype(np.int64)

    def begin(self) -> Answers:
        return Answers(*self.model.follow(None, np.full(1, self.model.eos)))

    @torch.inference_mode()
    def renewed(self, answers: Answers, kept: np.ndarray, fresh: np.ndarray, parents: np.ndarray, rows: np.ndarray) -> Answers:
        said, states = answers.rows[kept], _chosen(answers.states, kept)
        if len(fresh):
            said[fresh], after = self.model.follow(_chosen(answers.states, parents), self.numbers[rows[:, 0, UNIT]])
            for layer, new in zip(states, after):
                for part, values in zip(layer, new):
                    part[:, fresh] = values
        return Answers(said, states)


def _chosen(states: Any, rows: np.ndarray) -> Any:
    at = torch.from_numpy(rows.astype(np.int64))
    return tuple((h[:, at], c[:, at]) for h, c in states)


class Binary(Asker):
    """States: of each prefix, the model's before its last word, and behind it; of units, both are the one behind the last."""

    def __init__(self, guide: Guide):
        self.guide, self.language, self.model = guide, guide.language, guide.language.model
        self.columns = len(guide.alphabet.roles) + 1 if self.language.reads_units else 2

    def begin(self) -> Answers:
        start = self.model.start()
        return self._answers([self._answer(start, 0)])

    def renewed(self, answers: Answers, kept: np.ndarray, fresh: np.ndarray, parents: np.ndarray, rows: np.ndarray) -> Answers:
        found = [(answers.rows[at], answers.states[at]) for at in kept]
        for place, parent, (own, before) in zip(fresh, parents, rows):
            last, behind = answers.states[parent]
            if self.language.reads_units:
                found[place] = self._answer(self.model.score(behind, int(self.language.numbers[own[UNIT]]))[1], 0)
            else:
                ended = before[SPELLED] != 0 and self.guide.alphabet.roles[own[UNIT]] != INSIDE
                found[place] = self._answer(behind if ended else last, int(own[SPELLED]))
        return self._answers(found)

    def _answer(self, last: Any, spelled: int) -> tuple[np.ndarray, tuple[Any, Any]]:
        config, model, numbers = self.guide.config, self.model, self.language.numbers
        if self.language.reads_units:
            row = [model.score(last, int(number))[0] for number in numbers] + [model.end(last)]
            return np.array(row, np.float32), (last, last)
        gain, behind = 0.0, last
        if spelled:
            number = int(numbers[spelled])
            gain, behind = model.score(last, number)
            gain = config.lm_weight * gain - config.unknown * (number == model.unk)
        return np.array([gain, gain + config.lm_weight * model.end(behind)], np.float32), (last, behind)

    def _answers(self, found: list[tuple[np.ndarray, tuple[Any, Any]]]) -> Answers:
        return Answers(np.stack([row for row, _ in found]), [states for _, states in found])


def asker(guide: Guide | None) -> Asker | None:
    """Who asks the guide's language model; None: nobody need."""
    if guide is None or guide.language is None or not guide.language.asked:
        return None
    return Network(guide) if hasattr(guide.language.model, "follow") else Binary(guide)
