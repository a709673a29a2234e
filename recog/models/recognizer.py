"""A recognizer: an encoder and a head, and the settings that rebuild them."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from ..components import find
from ..config import Component, component
from ..errors import ModelError
from ..features import FeatureConfig
from ..kernels.predictor import Predictor
from ..pen.features import InkFeatureConfig
from ..scan.features import ScanFeatureConfig
from ..text import UnitsConfig
from ..types import Batch, Encoder, Head, Loss


@dataclass(frozen=True)
class RecognizerConfig:
    """All that a finished model needs to be rebuilt; sizes that follow from data are not among it."""

    encoder: Component = component("encoder")
    head: Component = component("head", default="ctc")
    decoder: Component = component("decoder", default="greedy")
    features: FeatureConfig | InkFeatureConfig | ScanFeatureConfig = field(default_factory=FeatureConfig)
    units: UnitsConfig = field(default_factory=UnitsConfig)


class Recognizer(nn.Module):
    """Knows neither how its parts are made nor what they are."""

    def __init__(self, encoder: Encoder, head: Head):
        super().__init__()
        self.encoder, self.head = encoder, head

    def loss(self, batch: Batch) -> Loss:
        encoded = self.encoder(batch.x, batch.x_len)
        loss = self.head.loss(encoded, batch)
        for name, penalty in encoded.penalties.items():
            loss = Loss(loss.total + penalty, {**loss.parts, name: penalty.item()}, loss.count)
        return loss

    @torch.inference_mode()
    def emissions(self, x: Tensor, x_len: Tensor) -> tuple[Tensor, Tensor]:
        """What the head's decoders read, [B, T, E], and true lengths [B]."""
        encoded = self.encoder(x, x_len)
        return self.head.emissions(encoded), encoded.n

    def log_probs(self, x: Tensor, x_len: Tensor) -> tuple[Tensor, Tensor]:
        """[B, T, V] and true lengths [B]; natural log, rows sum to one. Raises ModelError when the head has none (a transducer)."""
        if self.predictor() is not None:
            raise ModelError("is a transducer: what it hears in a frame depends on what was written before", hint="this needs a CTC model")
        return self.emissions(x, x_len)

    def predictor(self) -> Predictor | None:
        """What decoders need of the head beside its emissions, without torch; None: nothing, they are log-probabilities."""
        return self.head.predictor() if hasattr(self.head, "predictor") else None


def build(config: RecognizerConfig, units: int) -> Recognizer:
    """A fresh model with `units` outputs (the blank among them), initialized from torch's generator."""
    encoder = find("encoder", config.encoder.kind)(config.encoder.config, config.features.output_size)
    head = find("head", config.head.kind)(config.head.config, encoder.output_size, units)
    return Recognizer(encoder, head)
