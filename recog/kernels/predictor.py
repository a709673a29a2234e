"""A transducer's prediction network and joint as numpy arrays: all that its decoders need of the model.

In float32. Rows are independent, but a matrix product rounds differently for other numbers of rows.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Sequence

import numpy as np


@dataclass(frozen=True, eq=False)
class Predictor:
    """E is the width of the emissions: V for the additive output, else the joint hidden layer's."""

    inputs: np.ndarray                        # [V, 4H], what each unit adds to the gates, biases included; row 0: the start
    recurrent: np.ndarray                     # [H, 4H]; gates in the order input, forget, cell, output
    peepholes: np.ndarray | None              # [3, H] from the cell to the input, forget and output gates
    project: np.ndarray                       # [H, E]
    output: np.ndarray | None = None          # [E, V] of the joint hidden layer; None: additive output
    bias: np.ndarray | None = None            # [V]

    @property
    def cells(self) -> int:
        return self.recurrent.shape[0]

    @property
    def units(self) -> int:
        return self.inputs.shape[0]

    @property
    def width(self) -> int:
        """E: how wide an emission is."""
        return self.project.shape[1]

    def start(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """h, c [1, H] and p [1, E] before the first label."""
        zeros = np.zeros((1, self.cells), np.float32)
        return self.step(self.recur(zeros), zeros, np.zeros(1, np.int64))

    def recur(self, h: np.ndarray) -> np.ndarray:
        """What the gates get from h [K, H], whichever label follows: [K, 4H]. The dear part of a step."""
        return h @ self.recurrent

    def step(self, recurred: np.ndarray, c: np.ndarray, units: np.ndarray,
             rows: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """h, c [K, H] and p [K, E] after one more label each, units [K]; `rows` [K] says which of `recurred` and `c` it follows."""
        from .cell import next_cells     # numba: slow to import

        rows = np.arange(len(units)) if rows is None else rows
        peepholes = np.zeros((3, self.cells), np.float32) if self.peepholes is None else self.peepholes
        h, after = np.empty((2, len(units), self.cells), np.float32)
        next_cells(recurred, rows, self.inputs, units, peepholes, c, after, h)
        return h, after, h @ self.project

    def log_probs(self, emission: np.ndarray, p: np.ndarray) -> np.ndarray:
        """log p(k | t, u) [K, V] from the emission of frame t [E] and p [K, E]."""
        from .cell import tanh_sums

        if self.output is None:
            x = emission + p
        else:
            hidden = np.empty_like(p)
            tanh_sums(emission, p, hidden)
            x = hidden @ self.output
            x += self.bias
        x -= x.max(axis=-1, keepdims=True)
        x -= np.log(np.exp(x).sum(axis=-1, keepdims=True))
        return x

    def lattice(self, emissions: np.ndarray, units: Sequence[int]) -> tuple[np.ndarray, np.ndarray]:
        """Log-probabilities of the blank and of the next label in every node, [T, U + 1] each; emissions [T, E]."""
        states, nodes = [self.start()], len(units) + 1
        for unit in units:
            h, c, _ = states[-1]
            states.append(self.step(self.recur(h), c, np.array([unit])))
        p, following = np.concatenate([state[2] for state in states]), np.append(np.asarray(units, np.int64), 0)
        blank, label = np.empty((2, len(emissions), nodes))
        for t, emission in enumerate(emissions):
            rows = self.log_probs(emission, p)
            blank[t], label[t] = rows[:, 0], rows[np.arange(nodes), following]
        return blank, label
