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

    rate: float = 0.1                         # of the mean gradient per character; 0: not done
    length: int = 50                          # characters to a stretch

    def __post_init__(self):
        if self.rate < 0 or self.length < 1:
            raise ValueError("rate must be at least 0 and length at least 1")


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


def dynamic_bits(model: CharRnn, sequence: np.ndarray, config: DynamicConfig) -> float:
    """The same while a copy of the model learns from each stretch after it was paid for."""
    learner, states, total = copy.deepcopy(model).eval(), None, 0.0
    text = torch.from_numpy(sequence).to(next(model.parameters()).device)
    weights = list(learner.parameters())
    for begin in range(0, len(sequence) - 1, config.length):
        part = text[begin:begin + config.length + 1]
        log_probs, states = learner(part[:-1, None], states)
        loss = F.nll_loss(log_probs[:, 0], part[1:], reduction="sum")
        total += loss.item()
        gradients = torch.autograd.grad(loss / config.length, weights)
        with torch.no_grad():
            for w, g in zip(weights, gradients):
                w -= config.rate * g
        states = tuple((h.detach(), c.detach()) for h, c in states)
    return total / math.log(2) / (len(sequence) - 1)
