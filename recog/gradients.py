"""The gradient of one step: of the mean loss of a batch, in one pass or in one for each sequence, on one process or shared by ranks.

Ranks have the whole batch, and each works on its rows. Losses and gradients are summed over ranks and divided by the sequences of the
whole batch, so that a step is the same step, whatever the number of ranks.
"""

from __future__ import annotations

import math
from typing import Sequence

import torch
from torch import Tensor, nn

from . import ranks
from .batching import dealt, singles, some, to_device
from .precision import mixed
from .types import Batch, Hook


def gradients(model: nn.Module, batch: Batch, hooks: Sequence[Hook], seed: int, step: int, precision: str, passes: int = 1) -> float:
    """Leaves the mean loss's gradient in the weights, and gives the summed loss in nats, of all ranks' rows; NaN if one is not finite.

    passes: parts in which the rows of a pass are worked, one after the other: less memory, the same gradient. Everything random follows from (seed, step): of one process, from torch's generator as it is; of ranks, what is drawn in a pass also
    from the number of its first row, so that no two ranks draw the same.
    """
    weights, count, total = list(model.parameters()), len(batch.ids), 0.0
    apart = any(hook.per_sequence for hook in hooks)                 # a pass for each sequence; else one, which all ranks share
    rows = dealt(batch.x_len.tolist(), ranks.rank(), ranks.size())
    own = to_device(some(batch, rows), weights[0].device)
    whole = singles(own) if apart else [own]
    shares = count if apart else min(count, ranks.size())
    sums: list[Tensor | None] = [None] * len(weights)
    for number, part in enumerate(whole):
        model.zero_grad(set_to_none=True)
        if apart:
            _reseed(seed, step, rows[number])
        for hook in hooks:
            hook.before_pass(model, step)
        if part.ids:
            if not apart:
                _reseed(seed, step, rows[0])                         # after the hooks: what they draw for a pass is for all its ranks
            total += _backward(model, part, hooks, count, shares, precision, passes)
        if not apart:
            total = ranks.add_gradients(weights, total)
        for hook in hooks:
            hook.after_pass(model, count)
        sums = [w.grad if s is None else s if w.grad is None else s + w.grad for w, s in zip(weights, sums)]
    for w, s in zip(weights, sums):
        w.grad = s
    if apart and ranks.size() > 1:
        total = ranks.add_gradients([*weights, *(w for hook in hooks for w in hook.weights())], total)
    return total


def _backward(model: nn.Module, part: Batch, hooks: Sequence[Hook], count: int, shares: int, precision: str, passes: int) -> float:
    """Adds the gradient of the part's share in the mean over `count` sequences; gives the part's summed loss.

    shares: parts of the batch, over all passes and ranks, among which what hooks add to the mean loss is divided.
    """
    total, lengths = 0.0, part.x_len.tolist()
    pieces = [some(part, rows) for number in range(passes) if (rows := dealt(lengths, number, passes))] if passes > 1 else [part]
    for number, piece in enumerate(pieces):
        with mixed(precision, part.x.device):
            loss = model.loss(piece)
            mean = loss.total / count
            for hook in hooks if number == 0 else ():
                extra = hook.extra_loss(model)
                mean = mean if extra is None else mean + extra / shares
            mean.backward()
        total += loss.total.item() if math.isfinite(mean.item()) else math.nan
    return total


def _reseed(seed: int, step: int, row: int) -> None:
    if ranks.size() > 1:
        torch.manual_seed(hash((seed, step, row + 1)))
