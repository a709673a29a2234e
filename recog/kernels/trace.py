"""What the steps of an LSTM with a window leave behind."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor


class Trace(NamedTuple):
    """T steps; of what is handed on, one more: row 0 is the state before the first."""

    gates: Tensor                             # [T, B, 4H], the gates' activations
    cells: Tensor                             # [T + 1, B, H]
    h: Tensor                                 # [T + 1, B, H]
    w: Tensor                                 # [T + 1, B, V]
    kappa: Tensor                             # [T + 1, B, K]
    alpha: Tensor                             # [T, B, K]
    beta: Tensor                              # [T, B, K]

    @classmethod
    def begun(cls, gates: Tensor, h: Tensor, c: Tensor, w: Tensor, kappa: Tensor) -> Trace:
        """With the state before the first step [B, ...] in its place."""
        frames, batch = gates.shape[:2]
        return cls(gates, *(_from(first, frames) for first in (c, h, w, kappa)), *gates.new_empty(2, frames, batch, kappa.shape[1]))


def _from(first: Tensor, frames: int) -> Tensor:
    rows = first.new_empty(frames + 1, *first.shape)
    rows[0] = first
    return rows
