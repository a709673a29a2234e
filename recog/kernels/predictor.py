"""A transducer's prediction network and joint as numpy arrays: all that its decoders need of the model.

In float32. Rows are independent, but a matrix product rounds differently for other numbers of rows.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Sequence

import numpy as np

BLOCK = 4096                                  # rows of a lattice at a time


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

    def step(self, recurred: np.ndarray, c: np.ndarray, units: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """h, c [K, H] and p [K, E] after one more label each, units [K]."""
        H, peepholes = self.cells, self.peepholes
        gates = recurred + self.inputs[units]
        if peepholes is not None:
            gates[:, :H] += peepholes[0] * c
            gates[:, H:2 * H] += peepholes[1] * c
        gates[:, :2 * H] *= 0.5
        np.tanh(gates[:, :3 * H], out=gates[:, :3 * H])
        i, f, g = (gates[:, k * H:(k + 1) * H] for k in range(3))
        c = 0.5 * ((f + 1) * c + (i + 1) * g)                      # (1 + tanh(x / 2)) / 2 is the gates' sigmoid
        o = gates[:, 3 * H:] if peepholes is None else gates[:, 3 * H:] + peepholes[2] * c
        h = 0.5 * (np.tanh(0.5 * o) + 1) * np.tanh(c)
        return h, c, h @ self.project

    def log_probs(self, emission: np.ndarray, p: np.ndarray) -> np.ndarray:
        """log p(k | t, u) [..., V] from the emission of frame t [..., E] and p [..., E]; they are broadcast."""
        x = emission + p
        if self.output is not None:
            x = np.tanh(x, out=x) @ self.output
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
        step = max(1, BLOCK // nodes)
        for t in range(0, len(emissions), step):
            rows = self.log_probs(emissions[t:t + step, None], p)
            blank[t:t + step], label[t:t + step] = rows[:, :, 0], rows[:, np.arange(nodes), following]
        return blank, label

