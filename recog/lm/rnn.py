"""A character language model: deep LSTM (Graves 2013, "Generating sequences with recurrent neural networks", sections 2 and 3)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..text import Units
from ..types import Batch, Loss
from .tokens import SPACE

BREAK = 0                                     # the number that stands between sentences: the blank's, which no text holds
AT_ONCE = 64                                  # sentences that are scored together

States = tuple[tuple[Tensor, Tensor], ...]    # of each layer, [1, B, H]


@dataclass(frozen=True)
class RnnConfig:
    layers: int = 2
    units: int = 512
    dropout: float = 0.0                      # of each layer's output

    def __post_init__(self):
        if min(self.layers, self.units) < 1 or not 0 <= self.dropout < 1:
            raise ValueError("layers and units must be at least 1, dropout at least 0 and below 1")


class CharRnn(nn.Module):
    """Every layer sees the character as one of V inputs, and the softmax sees every layer (equations 1 to 11)."""

    Config = RnnConfig

    def __init__(self, config: RnnConfig, size: int):
        super().__init__()
        self.config, self.size = config, size
        self.layers = nn.ModuleList(nn.LSTM(size + (config.units if layer else 0), config.units) for layer in range(config.layers))
        self.output = nn.Linear(config.layers * config.units, size)

    def forward(self, x: Tensor, states: States | None = None) -> tuple[Tensor, States]:
        """Log-probabilities of what follows each character [L, B, V], and the states behind them. x: numbers [L, B]."""
        seen = F.one_hot(x, self.size).to(self.output.weight.dtype)
        outputs: list[Tensor] = []
        after = []
        for number, layer in enumerate(self.layers):
            h, state = layer(torch.cat([seen, outputs[-1]], -1) if outputs else seen, states[number] if states else None)
            outputs.append(F.dropout(h, self.config.dropout, self.training))
            after.append(state)
        return F.log_softmax(self.output(torch.cat(outputs, -1)), -1), tuple(after)

    def loss(self, batch: Batch) -> Loss:
        """batch.x: numbers [B, L, 1]; batch.y: what follows each [B, L]. Nats, summed."""
        log_probs, _ = self(batch.x[:, :, 0].long().T)
        total = F.nll_loss(log_probs.flatten(0, 1), batch.y.long().T.flatten(), reduction="sum")
        return Loss(total, {"characters": total.item()}, len(batch.ids))


class Rnn:
    """A character network as a language model of sentences, each by itself. Numbers are those of `units`, 0 the end."""

    unk, eos = -1, BREAK

    def __init__(self, model: CharRnn, units: Units):
        self.model, self.units = model.eval(), units
        self._ids = {SPACE if symbol == " " else symbol: number for number, symbol in enumerate(units.symbols)}

    def id(self, token: str) -> int:
        return self._ids.get(token, self.unk)

    def knows(self, token: str) -> bool:
        return token in self._ids

    @torch.inference_mode()
    def follow(self, states: States | None, numbers: np.ndarray) -> tuple[np.ndarray, States]:
        """After one more unit each [K]: log-probabilities of the next ones, float32 [K, V], and the states. None: nothing was said."""
        log_probs, after = self.model(torch.from_numpy(numbers)[None], states)
        return log_probs[0].numpy(), after

    @torch.inference_mode()
    def total(self, numbers: Sequence[int]) -> float:
        """Log-probability of a sentence with its end, nats."""
        x = torch.tensor([BREAK, *numbers, BREAK])
        return float(self.model(x[:-1, None])[0][:, 0].gather(1, x[1:, None]).double().sum())

    @torch.inference_mode()
    def totals(self, texts: Sequence[str]) -> list[float]:
        """Log-probability of each sentence with its end, nats. Raises DataError for characters that the model does not know."""
        numbers, totals = [self.units.encode(text) for text in texts], np.zeros(len(texts))
        order = np.argsort([len(row) for row in numbers], kind="stable")
        for begin in range(0, len(order), AT_ONCE):
            chosen = order[begin:begin + AT_ONCE]
            longest = max(len(numbers[i]) for i in chosen)
            x, y = torch.zeros(2, longest + 1, len(chosen), dtype=torch.long)
            for b, i in enumerate(chosen):
                x[1:len(numbers[i]) + 1, b] = y[:len(numbers[i]), b] = torch.tensor(numbers[i], dtype=torch.long)
            found = self.model(x)[0].gather(2, y[:, :, None])[:, :, 0]
            for b, i in enumerate(chosen):
                totals[i] = found[:len(numbers[i]) + 1, b].double().sum()
        return totals.tolist()
