"""Search: a head's emissions in, hypotheses out. A decoder knows of no file or device, and of a network only arrays."""

from __future__ import annotations

from typing import TYPE_CHECKING, Sequence

if TYPE_CHECKING:
    from numpy import ndarray

    from ..config import Component
    from ..kernels.predictor import Predictor
    from ..lm.ngram import Ngram
    from ..text import Units
    from ..types import Decoder, Hypothesis


def decode(decoder: Decoder, emissions: ndarray) -> list[Hypothesis]:
    """The hypotheses for a whole utterance, best first. emissions: [T, E]; for CTC log-probabilities [T, V], rows sum to one."""
    return list(decoder.finish(decoder.step(decoder.begin(), emissions)))


def make(component: Component, units: Units, words: Sequence[str], predictor: Predictor | None = None, lm: Ngram | None = None) -> Decoder:
    """The decoder that a setting names. words: the model's lexicon, if the decoder asks for one; predictor: a transducer's."""
    from ..components import find

    if predictor is not None:
        return find("transducer decoder", component.kind)(component.config, predictor)
    cls, config = find("decoder", component.kind), component.config
    if not (getattr(config, "lexicon", False) or getattr(config, "lm", False)):
        return cls(config)
    from .guides import guides

    return cls(config, **guides(config, units, words, lm))
