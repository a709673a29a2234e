"""A recognizer: an encoder and a head, and the settings that rebuild them."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from ..components import find
from ..config import Component, component
from ..features import FeatureConfig
from ..text import UnitsConfig
from ..types import Batch, Encoder, Head, Loss


@dataclass(frozen=True)
class RecognizerConfig:
    """All that a finished model needs to be rebuilt; sizes that follow from data are not among it."""

    encoder: Component = component("encoder")
    head: Component = component("head", default="ctc")
    decoder: Component = component("decoder", default="greedy")
    features: FeatureConfig = field(default_factory=FeatureConfig)
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
    def log_probs(self, x: Tensor, x_len: Tensor) -> tuple[Tensor, Tensor]:
        """[B, T, V] and true lengths [B]; natural log, rows sum to one."""
        encoded = self.encoder(x, x_len)
        return self.head.log_probs(encoded), encoded.n


def build(config: RecognizerConfig, units: int) -> Recognizer:
    """A fresh model with `units` outputs (the blank among them), initialized from torch's generator."""
    encoder = find("encoder", config.encoder.kind)(config.encoder.config, config.features.output_size)
    head = find("head", config.head.kind)(config.head.config, encoder.output_size, units)
    return Recognizer(encoder, head)
