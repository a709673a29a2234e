"""Gaussian weight noise: one draw per step, gradients taken at the noisy weights (Jim et al. 1996; Graves 2013)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class WeightNoiseConfig:
    """Noise on every weight."""

    deviation: float = 0.075             # standard deviation, as in Graves 2013

    def __post_init__(self):
        if self.deviation <= 0:
            raise ValueError("deviation must be positive")


class WeightNoise:
    Config = WeightNoiseConfig

    def __init__(self, config: WeightNoiseConfig):
        self.config = config
        self._clean: list[Tensor] = []

    @torch.no_grad()
    def before_step(self, model: nn.Module, step: int) -> None:
        self._clean = [w.clone() for w in model.parameters()]
        for w in model.parameters():
            w.add_(torch.randn_like(w), alpha=self.config.deviation)

    def extra_loss(self, model: nn.Module) -> Tensor | None:
        return None

    @torch.no_grad()
    def before_update(self, model: nn.Module) -> None:
        for w, clean in zip(model.parameters(), self._clean):
            w.copy_(clean)
        self._clean = []

    def after_step(self, model: nn.Module, step: int) -> None:
        pass

    def state(self) -> dict[str, Tensor]:
        return {}

    def restore(self, state: dict[str, Tensor]) -> None:
        pass
