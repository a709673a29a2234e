"""A neural language model in the beam: asked once a frame, about all prefixes that are new in it."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch

from ..kernels.ctc_beam import PARENT, SAID, UNIT
from ..kernels.fusion import UNASKED
from ..lm.rnn import Rnn, States
from .guide import Language


class Answers(NamedTuple):
    """What it says of the K live prefixes, in the order of the beam."""

    rows: np.ndarray                          # float32 [K, U], log-probability of each of its units behind each prefix
    states: States                            # of each layer, [1, K, H]


class Neural:
    """Keeps the states of live prefixes only: one that comes back is asked about again, from its parent, which was live."""

    def __init__(self, language: Language):
        self.model: Rnn = language.model
        self.numbers = language.numbers.astype(np.int64)

    def begin(self) -> Answers:
        return Answers(*self.model.follow(None, np.full(1, self.model.eos)))

    def ask(self, answers: Answers, tree: np.ndarray, table: np.ndarray, earned: np.ndarray, count: int, nodes: np.ndarray) -> Answers:
        """After a frame. answers: before it; the rest: as `advance` gave them. Writes into the tree which row each prefix has."""
        said = tree[nodes, SAID]
        fresh = np.flatnonzero(said == UNASKED)
        kept = np.where(said == UNASKED, 0, said)
        if len(fresh) or len(said) != len(answers.rows) or (said != np.arange(len(said))).any():
            parents = tree[tree[nodes[fresh], PARENT], SAID]
            rows, states = answers.rows[kept], _chosen(answers.states, kept)
            if len(fresh):
                rows[fresh], after = self.model.follow(_chosen(answers.states, parents), self.numbers[tree[nodes[fresh], UNIT]])
                with torch.inference_mode():
                    for layer, new in zip(states, after):
                        for part, values in zip(layer, new):
                            part[:, fresh] = values
            answers = Answers(rows, states)
        tree[:count, SAID] = UNASKED
        tree[nodes, SAID] = np.arange(len(nodes))
        return answers


@torch.inference_mode()
def _chosen(states: States, rows: np.ndarray) -> States:
    at = torch.from_numpy(rows.astype(np.int64))
    return tuple((h[:, at], c[:, at]) for h, c in states)
