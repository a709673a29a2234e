"""Judging a network that classifies pixels: how many of them are wrong, and how many pictures."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn

from .batching import to_device
from .models.segmenter import Segmenter, decided
from .pixels import Pictures
from .significance import bootstrap_interval

RESAMPLES, SEED = 1000, 0                # of the intervals


@dataclass(frozen=True)
class Judged:
    """What a network says of the N pictures of a split, in their order."""

    nats: float                          # a picture
    answers: tuple[np.ndarray, ...]      # uint8 [H, W]: the likeliest class of each pixel; of a network for whole pictures [1, 1]
    said: np.ndarray                     # [N]: the class of the picture
    confusions: np.ndarray | None        # [V, V]: pixels of a class (down) that were taken for a class (across); None: no pixel was classified
    errors: dict[str, tuple[np.ndarray, np.ndarray]]     # "pixel", "picture": errors and tokens of each picture [N]

    def rates(self) -> dict[str, dict[str, Any]]:
        """Rates as fractions with 95 % intervals over pictures; and the pictures."""
        found = {}
        for unit, (errors, tokens) in self.errors.items():
            found[unit] = {"error_rate": float(errors.sum() / tokens.sum()), "errors": int(errors.sum()), "tokens": int(tokens.sum()),
                           "utterances": len(errors), "interval": bootstrap_interval(errors, tokens, resamples=RESAMPLES, seed=SEED)}
        return found


@torch.inference_mode()
def judged(model: Segmenter, pictures: Pictures, rule: str) -> Judged:
    """rule: how the class of a picture follows from its pixels', as in `decided`; it counts where each picture shows one class."""
    model.eval()
    device, total = next(model.parameters()).device, 0.0
    answers: list[np.ndarray] = [np.zeros(0)] * len(pictures)
    said, wrong = np.zeros(len(pictures), np.int64), np.zeros(len(pictures), np.int64)
    confusions: np.ndarray | None = None
    for numbers, batch in pictures.in_order():
        batch = to_device(batch, device)
        rows, wanted = model(batch.x), model.wanted(batch.y)
        total -= rows.gather(-1, wanted[..., None]).double().sum().item()
        found = rows.argmax(-1)
        said[numbers] = decided(rows, rule).cpu().numpy()
        wrong[numbers] = (found != wanted).sum((1, 2)).cpu().numpy()
        if not model.whole:
            size = rows.shape[-1]
            counts = (wanted * size + found).flatten().bincount(minlength=size * size).view(size, size).cpu().numpy()
            confusions = counts if confusions is None else confusions + counts
        for number, answer in zip(numbers, found.cpu().numpy().astype(np.uint8)):
            answers[number] = answer
    errors = {} if model.whole else {"pixel": (wrong, pictures.sizes.prod(1))}
    if pictures.whole:
        errors["picture"] = ((said != pictures.shown).astype(np.int64), np.ones(len(pictures), np.int64))
    return Judged(total / len(pictures), tuple(answers), said, confusions, errors)


class DevelopmentPictures:
    """Called with a model, gives {"loss": nats a picture, "error": the share of pictures that are wrong}; of pixels, where pictures have no class."""

    def __init__(self, pictures: Pictures, rule: str):
        self.pictures, self.rule = pictures, rule

    def __call__(self, model: nn.Module) -> dict[str, float]:
        found = judged(model, self.pictures, self.rule)
        errors, tokens = found.errors["picture" if "picture" in found.errors else "pixel"]
        return {"loss": found.nats, "error": float(errors.sum() / tokens.sum())}
