"""How sure an error rate is, and whether two differ by more than chance. Arrays in, numbers out.

An utterance is the unit that is drawn: errors within one are not independent of each other.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Sequence

if TYPE_CHECKING:
    from numpy import ndarray

LEVEL = 0.05                 # intervals hold 95 %; a difference with a smaller p is called significant
_BLOCK = 1 << 20             # draws held in memory at once


@dataclass(frozen=True)
class Difference:
    """Error rate of the second minus that of the first: below zero, the second is better."""

    value: float
    interval: tuple[float, float] | None      # 95 %, paired bootstrap; None for a single utterance
    p_bootstrap: float | None                 # two-sided, of the same draws
    p_permutation: float                      # two-sided and exact; the one to quote
    fewer: int                                # utterances in which the second makes fewer errors
    more: int                                 # and more errors

    @property
    def significant(self) -> bool:
        return self.p_permutation < LEVEL


def bootstrap_interval(errors: Sequence[int], tokens: Sequence[int], *, resamples: int,
                       seed: int) -> tuple[float, float] | None:
    """95 % interval of sum(errors) / sum(tokens) over redrawn utterances (Bisani and Ney 2004).

    None for a single utterance, which says nothing about others.
    """
    if len(errors) < 2:
        return None
    sums = _redrawn([errors, tokens], resamples, seed)
    return _middle(sums[:, 0] / sums[:, 1])


def compare_errors(first: Sequence[int], second: Sequence[int], tokens: Sequence[int], *, resamples: int,
                   seed: int) -> Difference:
    """Compares two recognizers by their errors in the same utterances, given in the same order."""
    assert len(first) == len(second) == len(tokens)
    changes = [b - a for a, b in zip(first, second)]
    interval = p_bootstrap = None
    if len(tokens) > 1:
        sums = _redrawn([changes, tokens], resamples, seed)
        draws = sums[:, 0] / sums[:, 1]
        tail = min((draws <= 0).sum(), (draws >= 0).sum())
        interval, p_bootstrap = _middle(draws), min(1.0, 2 * (int(tail) + 1) / (len(draws) + 1))
    return Difference(value=sum(changes) / sum(tokens), interval=interval, p_bootstrap=p_bootstrap,
                      p_permutation=permutation_p(changes),
                      fewer=sum(change < 0 for change in changes), more=sum(change > 0 for change in changes))


def spread(values: Sequence[float]) -> tuple[float, float]:
    """Mean and standard deviation (of a sample, n - 1) of a figure over trainings that differ in their seed only."""
    mean = sum(values) / len(values)
    return mean, math.sqrt(sum((value - mean) ** 2 for value in values) / (len(values) - 1)) if len(values) > 1 else math.nan


def permutation_p(changes: Sequence[int]) -> float:
    """Chance of a sum at least as far from zero, if each change could as well have had the other sign.

    The exact p of the matched-pairs permutation test: changes are whole numbers, so the chance of every
    possible sum can be had by adding one change after the other, without drawing or listing the signs.
    """
    import numpy as np

    sizes = [abs(change) for change in changes if change]
    chance = np.zeros(sum(sizes) + 1)            # of the sum of the sizes that got a plus
    chance[0], reached = 1.0, 0
    for size in sizes:
        chance[:reached + 1] /= 2
        chance[size:reached + size + 1] += chance[:reached + 1]
        reached += size
    signed = 2 * np.arange(reached + 1) - reached
    return min(1.0, float(chance[np.abs(signed) >= abs(sum(changes))].sum()))


def _redrawn(columns: Sequence[Sequence[int]], resamples: int, seed: int) -> ndarray:
    """Sums of the columns over utterances drawn with replacement: [resamples, columns], the last above zero.

    Draws with an empty reference have no error rate and are left out.
    """
    import numpy as np

    values = np.array(columns, dtype=np.int64).T             # [utterances, columns]
    count = len(values)
    random = np.random.default_rng(seed)
    sums, done = [], 0
    while done < resamples:
        size = min(resamples - done, max(1, _BLOCK // count))
        sums.append(values[random.integers(count, size=(size, count))].sum(axis=1))
        done += size
    drawn = np.concatenate(sums)
    return drawn[drawn[:, -1] > 0]


def _middle(draws: ndarray) -> tuple[float, float]:
    import numpy as np

    low, high = np.quantile(draws, [LEVEL / 2, 1 - LEVEL / 2])
    return float(low), float(high)
