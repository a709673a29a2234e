"""Connectionist temporal classification: Graves, Fernandez, Gomez & Schmidhuber 2006. Unit 0 is the blank."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Sequence

from torch import Tensor, nn
from torch.nn import functional

from ..types import Batch, Encoded, Loss


@dataclass(frozen=True)
class CtcConfig:
    """CTC has no settings of its own."""


class Ctc(nn.Module):
    """A linear layer and softmax over the units at every frame."""

    Config = CtcConfig

    def __init__(self, config: CtcConfig, input_size: int, units: int):
        super().__init__()
        self.output = nn.Linear(input_size, units)

    def emissions(self, encoded: Encoded) -> Tensor:
        """For decoders: log-probabilities [B, T, V], natural log, each row sums to one; rows beyond a sequence's end mean nothing."""
        return self.output(encoded.h).float().log_softmax(2)

    def loss(self, encoded: Encoded, batch: Batch) -> Loss:
        nats = functional.ctc_loss(self.emissions(encoded).transpose(0, 1), batch.y, encoded.n, batch.y_len,
                                   reduction="sum")
        return Loss(nats, {"ctc": nats.item()}, len(batch.ids))

    def unfit(self, frames: int, labels: Sequence[int]) -> str:
        """Why an utterance cannot be learned; '' when it can."""
        needed = frames_needed(labels)
        return f"{frames} frames, {needed} needed" if frames < needed else ""


def frames_needed(labels: Sequence[int]) -> int:
    """CTC writes a label per frame and needs a blank between equal neighbours."""
    return len(labels) + sum(a == b for a, b in zip(labels, labels[1:]))
