"""Gaussian weight noise: gradients are taken at noisy weights (Jim et al. 1996; Graves 2013)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Sequence

import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class WeightNoiseConfig:
    """Noise on every weight."""

    deviation: float = 0.075             # standard deviation, as in Graves 2013
    per: Literal["step", "sequence"] = "step"   # a draw for each batch; or, as in the paper, for each sequence: a pass of its own for each

    def __post_init__(self):
        if self.deviation <= 0:
            raise ValueError("deviation must be positive")


class WeightNoise:
    Config = WeightNoiseConfig

    def __init__(self, config: WeightNoiseConfig, model: nn.Module | None = None, sequences: int = 0):
        self.config, self.per_sequence = config, config.per == "sequence"
        self._clean: list[Tensor] = []

    @torch.no_grad()
    def before_pass(self, model: nn.Module, step: int) -> None:
        self._clean = [w.clone() for w in model.parameters()]
        for w in model.parameters():
            w.add_(torch.randn_like(w), alpha=self.config.deviation)

    def extra_loss(self, model: nn.Module) -> Tensor | None:
        return None

    @torch.no_grad()
    def after_pass(self, model: nn.Module, count: int) -> None:
        for w, clean in zip(model.parameters(), self._clean):
            w.copy_(clean)
        self._clean = []

    def weights(self) -> Sequence[Tensor]:
        return ()

    def before_update(self, model: nn.Module) -> None:
        pass

    def after_step(self, model: nn.Module, step: int) -> None:
        pass

    def report(self) -> dict[str, float]:
        return {}

    def state(self) -> dict[str, Tensor]:
        return {}

    def restore(self, state: dict[str, Tensor]) -> None:
        pass
