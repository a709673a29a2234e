"""Search: log-probabilities in, hypotheses out. A decoder knows of no network, file or device."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from numpy import ndarray

    from ..types import Decoder, Hypothesis


def decode(decoder: Decoder, log_probs: ndarray) -> list[Hypothesis]:
    """The hypotheses for a whole utterance, best first. log_probs: [T, V], natural log, rows sum to one."""
    return list(decoder.finish(decoder.step(decoder.begin(), log_probs)))
