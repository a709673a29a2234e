"""Adaptive weight noise: the amount of noise on each weight is learned too (Graves 2011, Practical Variational Inference).

Weight i has a Gaussian posterior N(mu_i, s_i^2), and all weights have one Gaussian prior N(m, v). What is minimized is the
description length of the N training sequences: the expected loss of the data, and KL(posterior || prior), both in nats:

    F = sum_n E[L_n(w)] + KL,   w_i = mu_i + s_i e_i,  e_i ~ N(0, 1)
    KL = sum_i log(sqrt(v) / s_i) + ((mu_i - m)^2 + s_i^2 - v) / (2 v)

m and v are always at their best, m = mean(mu), v = mean(s^2 + (mu - m)^2), so F changes as if they were constant. The trainer
follows the mean loss of a sequence, averaged over a batch; so the hook follows F / N, and with g = dL/dw of a sequence at the
drawn weights:

    dF/dmu_i / N = mean(g_i) + (mu_i - m) / (N v)
    dF/ds_i / N = mean(g_i e_i) + (s_i / v - 1 / s_i) / N              gradient = "sample"
    dF/ds_i / N = s_i mean(g_i^2) + (s_i / v - 1 / s_i) / N            gradient = "curvature"

The second holds where the expected curvature d2L/dw2 is the mean of g^2 (true for the log-likelihood of a model that fits; the
paper's equation 20), and is far less noisy. One draw for a batch of B sequences shows only G, the mean of its gradients; as
sequences are independent and their gradients nearly cancel on average, mean(g^2) is then about B G^2: exact for B = 1.

mu is the model's weights, moved by its optimizer. s moves by Adam on log s, which keeps it positive: the step then does not
depend on N nor on the loss's scale, while these gradients, of size 1 / N, would hardly move s at the rates that suit weights.
Between steps the model holds the means, so they are what is judged, averaged and kept.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Iterable, Literal

import torch
from torch import Tensor, nn

from .. import checkpoint


@dataclass(frozen=True)
class AdaptiveWeightNoiseConfig:
    """Noise on every weight, as much as each can bear."""

    deviation: float = 0.075             # of every weight, at first (Graves 2013)
    rate: float = 0.01                   # how far Adam moves the logarithm of a deviation in a step
    kl: float = 1.0                      # the KL counts this much; 1: the description length. Less for many weights and few sequences
    gradient: Literal["curvature", "sample"] = "curvature"      # of the expected loss for a deviation: from g^2, or from g times the draw
    per: Literal["step", "sequence"] = "step"   # a draw for each batch; or, as in the paper, for each sequence: a pass of its own for each

    def __post_init__(self):
        if min(self.deviation, self.rate, self.kl) <= 0:
            raise ValueError("deviation, rate and kl must be positive")


class AdaptiveWeightNoise:
    Config = AdaptiveWeightNoiseConfig

    def __init__(self, config: AdaptiveWeightNoiseConfig, model: nn.Module, sequences: int):
        self.config, self.sequences, self.per_sequence = config, sequences, config.per == "sequence"
        self.means = dict(model.named_parameters())
        self.logs = {name: torch.full_like(w, config.deviation).log_().detach() for name, w in self.means.items()}    # log s
        self._optimizer = torch.optim.Adam(self.logs.values(), lr=config.rate)
        self._clean: dict[str, Tensor] = {}
        self._draws: dict[str, Tensor] = {}

    @torch.no_grad()
    def before_pass(self, model: nn.Module, step: int) -> None:
        self._clean = {name: w.clone() for name, w in self.means.items()}
        self._draws = {name: torch.randn_like(w) for name, w in self.means.items()}
        for name, w in self.means.items():
            w.addcmul_(self.logs[name].exp(), self._draws[name])

    def extra_loss(self, model: nn.Module) -> Tensor | None:
        return None                          # the KL's gradients are known: before_update adds them

    @torch.no_grad()
    def after_pass(self, model: nn.Module, count: int) -> None:
        """Adds up dE[L]/d log s = s dE[L]/ds in the gradients of the logarithms, and puts the means back."""
        for name, w in self.means.items():
            w.copy_(self._clean[name])
            if w.grad is None:
                continue
            s = self.logs[name].exp()
            found = s * s * w.grad.square() * count if self.config.gradient == "curvature" else s * w.grad * self._draws[name]
            log = self.logs[name]
            log.grad = found if log.grad is None else log.grad.add_(found)
        self._clean, self._draws = {}, {}

    def weights(self) -> list[Tensor]:
        return list(self.logs.values())

    @torch.no_grad()
    def before_update(self, model: nn.Module) -> None:
        """The KL's part of both gradients; then the deviations move."""
        m, v = prior(self.means.values(), self.logs.values())
        share = self.config.kl / self.sequences
        for name, w in self.means.items():
            pull, push = (w - m) * (share / v), ((2 * self.logs[name]).exp() / v - 1) * share
            w.grad = pull if w.grad is None else w.grad + pull
            self.logs[name].grad = push if self.logs[name].grad is None else self.logs[name].grad + push
        self._optimizer.step()
        self._optimizer.zero_grad(set_to_none=True)

    def after_step(self, model: nn.Module, step: int) -> None:
        pass

    def report(self) -> dict[str, float]:
        """KL in nats, of all weights and for each training sequence (the training loss plus this is the description length)."""
        nats = kl(self.means.values(), self.logs.values())
        weights = sum(w.numel() for w in self.logs.values())
        return {"kl": nats, "kl_per_sequence": nats / self.sequences,
                "deviation": sum(log.exp().sum(dtype=torch.float64).item() for log in self.logs.values()) / weights}

    def state(self) -> dict[str, Tensor]:
        """deviation_log.NAME is log s of the weight NAME; the rest is Adam's."""
        packed, _ = checkpoint.pack(self._optimizer)
        return {f"deviation_log.{name}": log for name, log in self.logs.items()} | {f"adam.{key}": value for key, value in packed.items()}

    def restore(self, state: dict[str, Tensor]) -> None:
        if state:
            for name, log in self.logs.items():
                log.copy_(state[f"deviation_log.{name}"])
            packed = {key.removeprefix("adam."): value for key, value in state.items() if key.startswith("adam.")}
            checkpoint.unpack(self._optimizer, packed, {})


@torch.no_grad()
def prior(means: Iterable[Tensor], logs: Iterable[Tensor]) -> tuple[float, float]:
    """The mean m and variance v of the Gaussian prior for which the KL is least."""
    means, logs = list(means), list(logs)
    weights = sum(mean.numel() for mean in means)
    m = sum(mean.sum(dtype=torch.float64).item() for mean in means) / weights
    return m, sum(((2 * log).exp() + (mean - m).square()).sum(dtype=torch.float64).item() for mean, log in zip(means, logs)) / weights


@torch.no_grad()
def kl(means: Iterable[Tensor], logs: Iterable[Tensor]) -> float:
    """KL of the posterior from its best prior, in nats: at that prior, what is left is sum(log(sqrt(v) / s))."""
    means, logs = list(means), list(logs)
    _, v = prior(means, logs)
    weights = sum(log.numel() for log in logs)
    return weights * math.log(v) / 2 - sum(log.sum(dtype=torch.float64).item() for log in logs)
