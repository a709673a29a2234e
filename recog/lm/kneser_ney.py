"""Interpolated modified Kneser-Ney smoothing (Chen & Goodman 1998), as KenLM's lmplz computes it (Heafield et al. 2013).

a(g) is the adjusted count of the n-gram g = h w. With discounts D of its order,

    p(w | h) = (a(g) - D[a(g)]) / sum_v a(h v)  +  gamma(h) p(w | h without its first word)

and gamma(h), which is also the back-off weight of h, is the share that was taken off; below the unigrams lies the uniform 1/|V|.
What pruning removes goes to gamma(h) as well. Probabilities are computed in float64.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..errors import DataError
from .backoff import LOWEST, Arpa
from .counts import Grams, adjusted_counts, count_grams
from .tokens import BOS, SPECIAL, numbered, read_text

FALLBACK = (0.5, 1.0, 1.5)                    # lmplz's discounts where the text gives none
MOST = 20                                     # the highest order: memory grows with its square


@dataclass(frozen=True)
class KneserNeyConfig:
    """How an n-gram model is trained."""

    order: int = 3                            # the longest n-grams
    prune: tuple[int, ...] = ()               # drop n-grams that occur at most so often, by order; the last holds for the rest
    discount_fallback: bool = False           # use FALLBACK for an order whose discounts cannot be computed

    def __post_init__(self):
        if not 1 <= self.order <= MOST:
            raise ValueError(f"order must be at least 1, and at most {MOST}")
        if len(self.prune) > self.order:
            raise ValueError(f"prune has {len(self.prune)} thresholds for {self.order} orders")
        if self.prune and (self.prune[0] != 0 or list(self.prune) != sorted(self.prune)):
            raise ValueError("prune must begin with 0 (words are kept) and must not decrease")

    def thresholds(self) -> list[int]:
        given = list(self.prune or (0,))
        return given + given[-1:] * (self.order - len(given))


def train(text: str, config: KneserNeyConfig, limit: set[str] | None = None) -> Arpa:
    """A model of `text`: a sentence a line, tokens between spaces. `limit`: the only words it may know.

    Raises DataError when a discount cannot be computed, or there is no text.
    """
    stream, words = numbered(text)
    grams = count_grams(stream, len(words), config.order)
    if not len(grams[-1].count):
        raise DataError(f"no sentence is long enough for {config.order}-grams", hint="choose a lower --order")
    adjusted = adjusted_counts(grams)
    cuts = [_discounts(n, counts, config.discount_fallback) for n, counts in enumerate(_judged(grams, adjusted), 1)]
    kept = _kept(grams, words, config.thresholds(), limit)
    probs, backoffs = _smooth(grams, adjusted, cuts, kept)
    return _model(words, grams, kept, probs, backoffs)


def read_vocabulary(path: Path) -> set[str]:
    """Words between white space. Raises DataError when there are none."""
    words = set(read_text(path).split())
    if not words:
        raise DataError("holds no words", where=path)
    return words


def _judged(grams: list[Grams], adjusted: list[np.ndarray]) -> list[np.ndarray]:
    """The adjusted counts as lmplz sums them up for the discounts: the very last n-gram of each lower order, and its
    suffixes, stand there with how often they occur (the end of AdjustCounts::Run). In small texts one can see it."""
    judged = [counts.copy() for counts in adjusted]
    for table, counts in zip(grams[:-1], judged):
        if table.words[-1, 0] == BOS:
            break
        counts[-1] = table.count[-1]
    return judged


def _discounts(order: int, adjusted: np.ndarray, fallback: bool) -> np.ndarray:
    """[4]: what is taken off n-grams of adjusted count 0 (nothing), 1, 2, and 3 or more. Chen & Goodman, equation 26."""
    n = np.bincount(np.minimum(adjusted, 5), minlength=6).astype(float)
    missing = [i for i in (1, 2, 3) if n[i] == 0]
    if not missing:
        y = n[1] / (n[1] + 2 * n[2])
        cuts = [i - (i + 1) * y * n[i + 1] / n[i] for i in (1, 2, 3)]
        wrong = [i for i, cut in zip((1, 2, 3), cuts) if not 0 <= cut <= i]
        if not wrong:
            return np.array([0.0, *cuts])
        why = f"that of adjusted count {wrong[0]} would be {cuts[wrong[0] - 1]:.3f}"
    else:
        why = f"none has adjusted count {missing[0]}"
    if not fallback:
        raise DataError(f"the text gives no Kneser-Ney discounts for {order}-grams: {why}",
                        hint="--discount-fallback helps small texts and models of characters; else give more text")
    return np.array([0.0, *FALLBACK])


def _kept(grams: list[Grams], words: list[str], thresholds: list[int], limit: set[str] | None) -> list[np.ndarray]:
    """Which n-grams of each order stay [K]."""
    known = np.ones(len(words), bool)
    if limit is not None:
        known = np.array([word in limit or word in SPECIAL for word in words])
    kept = [known]
    for table, threshold in zip(grams[1:], thresholds[1:]):
        kept.append((table.count > threshold) & known[table.words].all(axis=1))
    return kept


def _smooth(grams: list[Grams], adjusted: list[np.ndarray], cuts: list[np.ndarray], kept: list[np.ndarray]):
    """Probabilities of each order [K], and back-off weights of each but the highest."""
    seen = adjusted[0]
    discount = cuts[0][np.minimum(seen, 3)]
    left = np.where(kept[0], discount, seen).sum() / seen.sum()
    probs, backoffs = [(seen - discount) / seen.sum() + left / (np.count_nonzero(kept[0]) - 1)], []
    probs[0][BOS] = 1.0                                 # as lmplz writes it
    for table, seen, cut, stays in zip(grams[1:], adjusted[1:], cuts[1:], kept[1:]):
        contexts = len(probs[-1])
        discount = cut[np.minimum(seen, 3)]
        total = np.bincount(table.context, weights=seen, minlength=contexts)
        left = np.bincount(table.context, weights=np.where(stays, discount, seen), minlength=contexts)
        gamma = np.divide(left, total, out=np.ones(contexts), where=total > 0)
        probs.append((seen - discount) / total[table.context] + gamma[table.context] * probs[-1][table.suffix])
        backoffs.append(gamma)
    return probs, backoffs


def _model(words: list[str], grams: list[Grams], kept: list[np.ndarray], probs, backoffs) -> Arpa:
    """What is kept, in log10, with words numbered anew."""
    number = np.cumsum(kept[0], dtype=np.int32) - 1
    return Arpa([word for word, stays in zip(words, kept[0]) if stays],
                [number[table.words[stays]] for table, stays in zip(grams, kept)],
                [_log10(prob[stays]) for prob, stays in zip(probs, kept)],
                [_log10(weight[stays]) for weight, stays in zip(backoffs, kept)])


def _log10(values: np.ndarray) -> np.ndarray:
    with np.errstate(divide="ignore"):
        return np.clip(np.log10(values), LOWEST, 0.0)
