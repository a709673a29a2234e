"""The RNN transducer: Graves 2012 (additive output) and Graves, Mohamed & Hinton 2013 (joint hidden layer). Unit 0 is the blank."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Sequence

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from ..errors import TrainError
from ..kernels.predictor import Predictor
from ..layers import transducer
from ..layers.lstm import LstmLayer
from ..types import Batch, Encoded, Loss


@dataclass(frozen=True)
class TransducerConfig:
    """Which units follow depends on the frame and, through an LSTM, on all units before."""

    joint: Literal["additive", "hidden"] = "hidden"      # additive: logits of frame and labels are added (2012); hidden: a tanh layer (2013)
    joint_units: int = 250               # of the hidden layer (joint = "hidden" only)
    prediction_units: int = 250          # cells of the LSTM that reads the labels
    prediction_cell: Literal["lstm", "peephole"] = "lstm"
    pretrain_epochs: int = 0             # passes over the training texts in which that LSTM first learns to predict the next unit
    memory_mb: float = 128.0             # what the loss may use for a batch, beside inputs and gradients (joint = "hidden" only)

    def __post_init__(self):
        if min(self.joint_units, self.prediction_units) < 1 or self.pretrain_epochs < 0:
            raise ValueError("joint_units and prediction_units must be at least 1, pretrain_epochs at least 0")
        if not self.memory_mb >= 1:
            raise ValueError("memory_mb must be at least 1")


class Transducer(nn.Module):
    """p(k | t, u) = softmax(f_t + g_u), or softmax(W tanh(f_t + g_u) + b); f is linear in the frames, g in the prediction.

    The 2013 paper's Trans-3l-250h has 4.3 M weights: 3.76 M in the encoder (3 x 250, both ways, 123 inputs), 0.31 M in a
    prediction LSTM of 250 over 61 phones, 0.20 M in a joint layer of 250 and its 62 outputs.
    """

    Config = TransducerConfig

    def __init__(self, config: TransducerConfig, input_size: int, units: int):
        super().__init__()
        self.config, self.units = config, units
        width = config.joint_units if config.joint == "hidden" else units
        cell = {} if config.prediction_cell == "lstm" else {"cell": config.prediction_cell}
        self.prediction = LstmLayer(units - 1, config.prediction_units, bidirectional=False, **cell)
        self.from_frames = nn.Linear(input_size, width)
        self.from_labels = nn.Linear(config.prediction_units, width, bias=False)
        self.to_units = nn.Linear(width, units) if config.joint == "hidden" else None

    def emissions(self, encoded: Encoded) -> Tensor:
        """f [B, T, E]: what a decoder needs of the frames; rows beyond a sequence's end mean nothing."""
        return self.from_frames(encoded.h).float()

    def predicted(self, y: Tensor) -> Tensor:
        """What the prediction network says before, between and after the labels. y [B, U] to [B, U + 1, prediction_units]."""
        onehot = functional.one_hot(functional.pad(y, (1, 0)), self.units)[:, :, 1:]      # the start is all zeros
        lengths = torch.full_like(y[:, 0] if y.shape[1] else y.sum(1), onehot.shape[1])
        return self.prediction(onehot.transpose(0, 1).to(self.from_labels.weight.dtype), lengths).transpose(0, 1)

    def loss(self, encoded: Encoded, batch: Batch) -> Loss:
        for id, n, u in zip(batch.ids, encoded.n.tolist(), batch.y_len.tolist()):
            if reason := self.unfit(n, range(u)):
                raise TrainError(f"utterance '{id}' cannot be learned: {reason}", hint="leave it out, or raise head.memory_mb")
        f, g = self.emissions(encoded), self.from_labels(self.predicted(batch.y)).float()
        if self.to_units is None:
            nats = transducer.additive(f, g, batch.y, encoded.n, batch.y_len)
        else:
            nats = transducer.hidden(f, g, self.to_units.weight.float(), self.to_units.bias.float(), batch.y, encoded.n, batch.y_len,
                                     self.config.memory_mb)
        return Loss(nats, {"transducer": nats.item()}, len(batch.ids))

    def unfit(self, frames: int, labels: Sequence[int]) -> str:
        """Why an utterance cannot be learned; '' when it can."""
        if frames < 1:
            return "0 frames, 1 needed"
        room, needed = self.config.memory_mb / 2, transducer.lattice_mb(frames, len(labels))
        if self.to_units is not None and needed > room:
            return f"{frames} frames and {len(labels)} labels take {needed:.3g} MB, half of memory_mb is {room:.3g}"
        return ""

    def predictor(self) -> Predictor:
        """A copy for decoders, without torch."""
        lstm, H = self.prediction.forwards, self.config.prediction_units
        weights = {name.removesuffix("_l0"): w.detach().cpu().float().numpy().copy() for name, w in lstm.named_parameters()}
        biases = sum(w for name, w in weights.items() if name.startswith("bias"))
        inputs = np.concatenate([np.zeros((1, 4 * H), np.float32), weights["weight_ih"].T]) + biases
        output = bias = None
        if self.to_units is not None:
            output, bias = (np.ascontiguousarray(w.detach().cpu().float().numpy().T) for w in self.to_units.parameters())
        return Predictor(inputs, np.ascontiguousarray(weights["weight_hh"].T), weights.get("peepholes"),
                         np.ascontiguousarray(self.from_labels.weight.detach().cpu().float().numpy().T), output, bias)
