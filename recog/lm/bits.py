"""How many bits a character costs: with the weights as they are, or learning from what was just read (Graves 2013, section 3.1)."""

from __future__ import annotations

import copy
import math
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F

from .rnn import CharRnn

CHUNK = 2000                                  # characters run at once where nothing is learned
STRETCHES = 16                                # of the text that are read side by side then


@dataclass(frozen=True)
class DynamicConfig:
    """Dynamic evaluation: after each stretch of text has been paid for, one step of gradient descent on it."""

    length: int = 50                                           # characters to a stretch
    rates: tuple[float, ...] = (0.05, 0.1, 0.2, 0.4)           # of the mean gradient per character; the best on the development set is taken
    tuned_on: int = 50_000                                     # characters of the development set, for that

    def __post_init__(self):
        if not self.rates or min(self.rates) < 0 or self.length < 1 or self.tuned_on < 2:
            raise ValueError("rates must be given, none below 0, length be at least 1 and tuned_on at least 2")


@torch.inference_mode()
def bits(model: CharRnn, sequence: np.ndarray) -> float:
    """Bits a character of `sequence` [N], read from left to right; the first is given.

    The text is cut in STRETCHES, at the beginning of which the network has nothing in mind: a cost of a few characters each.
    """
    model.eval()
    x, y = torch.from_numpy(sequence[:-1]), torch.from_numpy(sequence[1:])
    stretch = math.ceil(len(x) / STRETCHES)
    pad = stretch * STRETCHES - len(x)
    x, y = (F.pad(each, (0, pad)).view(STRETCHES, stretch).T for each in (x, y))
    counts = (torch.arange(stretch * STRETCHES) < len(sequence) - 1).view(STRETCHES, stretch).T
    states, total = None, 0.0
    device = next(model.parameters()).device
    for begin in range(0, stretch, CHUNK):
        part = slice(begin, begin + CHUNK)
        log_probs, states = model(x[part].to(device), states)
        found = log_probs.cpu().gather(2, y[part][:, :, None])[:, :, 0]
        total -= found[counts[part]].double().sum().item()
    return total / math.log(2) / (len(sequence) - 1)


def dynamic_bits(model: CharRnn, sequence: np.ndarray, rate: float, length: int) -> float:
    """The same while a copy of the model learns from each stretch after it was paid for."""
    learner, states, total = copy.deepcopy(model).eval(), None, 0.0
    learner.layers.train()                                 # cuDNN wants it for gradients; dropout is not theirs
    text = torch.from_numpy(sequence).to(next(model.parameters()).device)
    weights = list(learner.parameters())
    for begin in range(0, len(sequence) - 1, length):
        part = text[begin:begin + length + 1]
        log_probs, states = learner(part[:-1, None], states)
        loss = F.nll_loss(log_probs[:, 0], part[1:], reduction="sum")
        total += loss.item()
        gradients = torch.autograd.grad(loss / length, weights)
        with torch.no_grad():
            for w, g in zip(weights, gradients):
                w -= rate * g
        states = tuple((h.detach(), c.detach()) for h, c in states)
    return total / math.log(2) / (len(sequence) - 1)
