"""N-gram models for decoders: a back-off model as an automaton of plain arrays, which compiled searches can ask."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Sequence

import numpy as np

from ..errors import DataError
from ..kernels.ngram import STATE, Automaton, fill, link, ngram_scores, ngram_step
from .arpa import read
from .backoff import Arpa
from .stepwise import Stepwise

LN10 = math.log(10)
MISSING = -100.0                              # log10 of an unknown word where the model has no <unk>, as in KenLM


class Ngram(Stepwise):
    """A LanguageModel: scores are natural logs, a state is one int. `automaton` is for compiled code.

    Unknown words are the word <unk>, whose number is `unk`. Raises DataError for a model that cannot be one.
    """

    def __init__(self, model: Arpa, where: object = None):
        self.words, self.order, self.counts = list(model.words), model.order, model.counts
        self._ids = {word: number for number, word in enumerate(self.words)}
        probs = [table * LN10 for table in model.probs]
        if "<unk>" not in self._ids:
            self._ids["<unk>"] = len(self.words)
            self.words.append("<unk>")
            probs[0] = np.append(probs[0], MISSING * LN10)
        if "</s>" not in self._ids:
            raise DataError("the model has no word </s>, so that sentences cannot end", where=where)
        self.unk, self.eos = self._ids["<unk>"], self._ids["</s>"]
        self.automaton = _automaton(model, probs, len(self.words), where)

    @staticmethod
    def read(path: Path) -> Ngram:
        return Ngram(read(path), path)

    @property
    def alone(self) -> np.ndarray:
        """Log-probability of each word after an empty context [V]."""
        return self.automaton.first

    def id(self, word: str) -> int:
        return self._ids.get(word, self.unk)

    def knows(self, word: str) -> bool:
        return self.id(word) != self.unk

    def start(self) -> int:
        """The state after <s>."""
        return int(self.automaton.first_next[self._ids["<s>"]]) if "<s>" in self._ids else 0

    def score(self, state: int, word: int) -> tuple[float, int]:
        prob, behind = ngram_step(self.automaton, np.int32(state), np.int32(word))
        return float(prob), int(behind)

    def end(self, state: int) -> float:
        return self.score(state, self.eos)[0]

    def scores(self, words: Sequence[str]) -> np.ndarray:
        """Of each word of a sentence, and of its end [n + 1]."""
        ids = np.array([*map(self.id, words), self.eos], np.int32)
        out = np.empty(len(ids))
        ngram_scores(self.automaton, np.int32(self.start()), ids, out)
        return out


def _automaton(model: Arpa, probs: list[np.ndarray], words: int, where: object) -> Automaton:
    sizes = [len(table) for table in probs]           # the unigrams may have one more than the model: <unk>
    begins = np.concatenate([[0], np.cumsum(sizes)])
    parents, lasts = _tree(model, begins, words, where)
    states, weights = _states(model, begins, parents)
    room = int(1.4 * sum(sizes[1:])) + 8
    arcs = np.zeros((room, 4), np.int32)
    arcs[:, STATE] = -1
    automaton = Automaton(np.zeros(words, np.float32), np.zeros(words, np.int32), arcs, arcs.view(np.float32),
                          weights, np.zeros(len(weights), np.int32))
    for begin, end, values in zip(begins, begins[1:], probs):
        fill(automaton, parents, lasts, states, begin, end, values)
    return automaton


def _tree(model: Arpa, begins: np.ndarray, words: int, where: object) -> tuple[np.ndarray, np.ndarray]:
    """Of each n-gram as a node: its context's node (-1 for the empty one) and its last word."""
    parents, lasts = np.full(begins[-1], -1, np.int32), np.zeros(begins[-1], np.int32)
    lasts[:words] = np.arange(words)
    table = np.full(2 * (begins[-1] - begins[1]) + 8, -1, np.int32)
    for n, grams in enumerate(model.grams[1:], 2):
        bad = link(table, parents, lasts, begins, n, np.ascontiguousarray(grams))
        if bad != -1:
            row = bad if bad >= 0 else -2 - bad
            gram = " ".join(model.words[word] for word in grams[row])
            what = "stands twice" if bad < -1 else "has a context that is no n-gram itself"
            raise DataError(f"the {n}-gram '{gram}' {what}", where=where)
    return parents, lasts


def _states(model: Arpa, begins: np.ndarray, parents: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The state of each node, or -1; and the back-off weight of each state, natural log."""
    weights = np.zeros(begins[-1])
    for begin, table in zip(begins, model.backoffs):
        weights[begin:begin + len(table)] = table * LN10
    context = weights != 0
    context[parents[parents >= 0]] = True
    context[begins[-2]:] = False
    states = np.where(context, np.cumsum(context), -1).astype(np.int32)
    return states, np.concatenate([[0.0], weights[context]]).astype(np.float32)
