"""Optimizers, learning-rate schedules, and the running average of the weights."""

from __future__ import annotations

import math
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Iterator, Literal

import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class OptimizerConfig:
    """How weights move."""

    kind: Literal["sgd", "adam", "adamw", "rmsprop"] = "adam"   # rmsprop: as in Graves 2013 (arXiv 1308.0850, eq. 38-45)
    rate: float = 1e-3               # the highest learning rate
    momentum: float = 0.9            # sgd and rmsprop
    weight_decay: float = 0.0        # adamw: decoupled; others: added to the gradient
    schedule: Literal["constant", "cosine", "linear", "plateau"] = "constant"
    warmup: float = 0.0              # share of all epochs in which the rate climbs from a 25th
    plateau_patience: int = 3        # evaluations without progress before the rate is halved (plateau only)

    def __post_init__(self):
        if self.rate <= 0:
            raise ValueError("rate must be positive")
        if not 0 <= self.momentum < 1 or not 0 <= self.warmup < 1 or self.weight_decay < 0 or self.plateau_patience < 1:
            raise ValueError("momentum and warmup must be in [0, 1), weight_decay at least 0, plateau_patience at least 1")


def make(config: OptimizerConfig, parameters) -> torch.optim.Optimizer:
    kinds = {"sgd": (torch.optim.SGD, {"momentum": config.momentum}),
             "adam": (torch.optim.Adam, {}),
             "adamw": (torch.optim.AdamW, {}),
             "rmsprop": (GravesRmsprop, {"momentum": config.momentum})}
    cls, extra = kinds[config.kind]
    return cls(parameters, lr=config.rate, weight_decay=config.weight_decay, **extra)


def rate_at(config: OptimizerConfig, progress: float) -> float:
    """The learning rate when `progress` (0 to 1) of all epochs is done; a plateau's halvings come on top."""
    if progress < config.warmup:
        return config.rate * (1 + 24 * progress / config.warmup) / 25
    left = 1 - (progress - config.warmup) / (1 - config.warmup)
    if config.schedule == "cosine":
        return config.rate * (0.5 - 0.5 * math.cos(math.pi * left))
    return config.rate * left if config.schedule == "linear" else config.rate


class GravesRmsprop(torch.optim.Optimizer):
    """n = .95 n + .05 e^2; g = .95 g + .05 e; d = momentum d - lr e / sqrt(n - g^2 + 1e-4); w += d.

    The constant stands inside the root, unlike torch's RMSprop (Graves 2013, equations 38 to 45).
    """

    def __init__(self, parameters, lr: float = 1e-4, momentum: float = 0.9, decay: float = 0.95,
                 constant: float = 1e-4, weight_decay: float = 0.0):
        super().__init__(parameters, {"lr": lr, "momentum": momentum, "decay": decay,
                                      "constant": constant, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure=None) -> None:
        for group in self.param_groups:
            for w in group["params"]:
                if w.grad is not None:
                    self._move(w, group)

    def _move(self, w: Tensor, group: dict[str, Any]) -> None:
        e = w.grad.add(w, alpha=group["weight_decay"])
        state = self.state[w]
        if not state:
            state.update(n=torch.zeros_like(w), g=torch.zeros_like(w), d=torch.zeros_like(w))
        n, g, d, keep = state["n"], state["g"], state["d"], group["decay"]
        n.mul_(keep).addcmul_(e, e, value=1 - keep)
        g.mul_(keep).add_(e, alpha=1 - keep)
        d.mul_(group["momentum"]).addcdiv_(e, (n - g * g + group["constant"]).sqrt_(), value=-group["lr"])
        w.add_(d)


class Average:
    """An exponential running average of the weights, for evaluation and as the final model."""

    def __init__(self, model: nn.Module, decay: float):
        self.decay, self.steps = decay, 0
        self.weights = {name: w.detach().clone() for name, w in model.state_dict().items()}

    @torch.no_grad()
    def update(self, model: nn.Module) -> None:
        self.steps += 1
        keep = min(self.decay, self.steps / (self.steps + 9))       # young averages forget the start faster
        for name, w in model.state_dict().items():
            self.weights[name].lerp_(w, 1 - keep)

    @contextmanager
    def inside(self, model: nn.Module) -> Iterator[None]:
        """The model has the average's weights within the block, and its own again after it."""
        own = {name: w.clone() for name, w in model.state_dict().items()}
        model.load_state_dict(self.weights)
        try:
            yield
        finally:
            model.load_state_dict(own)
