"""A transducer's prediction network as a language model first: PreTrans, Graves, Mohamed & Hinton 2013, section 3.2."""

from __future__ import annotations

from typing import Callable, Sequence

import torch
from torch import nn
from torch.nn import functional

from .heads.transducer import Transducer

BATCH = 16                   # texts
RATE = 3e-3                  # Adam's; a text has few units, and the network is small
CLIP = 1.0


def pretrain(head: Transducer, texts: Sequence[Sequence[int]], seed: int, say: Callable[[str], None]) -> None:
    """Trains the prediction network in place to say which unit follows, or that none does; the softmax for it is thrown away.

    texts: labels of the training utterances. As many passes as head.config.pretrain_epochs; the same seed gives the same weights.
    """
    generator = torch.Generator().manual_seed(seed)
    device = head.from_labels.weight.device
    output = nn.Linear(head.config.prediction_units, head.units)
    nn.init.uniform_(output.weight, -0.1, 0.1, generator=generator)
    nn.init.zeros_(output.bias)
    output.to(device)
    weights = [*head.prediction.parameters(), *output.parameters()]
    optimizer = torch.optim.Adam(weights, lr=RATE)
    rows = [torch.tensor(text, dtype=torch.long) for text in texts]
    for epoch in range(head.config.pretrain_epochs):
        total = count = 0
        for chosen in torch.randperm(len(rows), generator=generator).split(BATCH):
            y = nn.utils.rnn.pad_sequence([rows[i] for i in chosen], batch_first=True).to(device)
            n = torch.tensor([len(rows[i]) for i in chosen], device=device)
            following = functional.pad(y, (0, 1))                          # 0, the blank, stands for the end
            real = torch.arange(following.shape[1], device=device) <= n[:, None]
            nats = functional.cross_entropy(output(head.predicted(y))[real], following[real], reduction="sum")
            optimizer.zero_grad(set_to_none=True)
            (nats / int(real.sum())).backward()
            nn.utils.clip_grad_norm_(weights, CLIP)
            optimizer.step()
            total, count = total + nats.item(), count + int(real.sum())
        say(f"train: prediction network, epoch {epoch + 1}/{head.config.pretrain_epochs}  {total / count:.4f} nats a unit")
    for weight in weights:
        weight.grad = None
