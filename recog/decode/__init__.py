"""Search: a head's emissions in, hypotheses out. A decoder knows of no file or device, and of a network only arrays."""

from __future__ import annotations

from typing import TYPE_CHECKING, Mapping, Sequence

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


def make(component: Component, units: Units, words: Sequence[str], predictor: Predictor | None = None,
         lm: Ngram | None = None, phrases: Mapping[str, float] | None = None) -> Decoder:
    """The decoder that a setting names. words: the model's lexicon, if the decoder asks for one; predictor: a transducer's.

    phrases: names and words to listen for, and a factor of what each gains.
    """
    from ..components import find
    from ..errors import ConfigError
    from .guide import GuideConfig, guide

    if predictor is not None:
        if phrases:
            raise ConfigError("a transducer cannot listen for phrases yet", where="phrases")
        return find("transducer decoder", component.kind)(component.config, predictor)
    cls, config = find("decoder", component.kind), component.config
    if not isinstance(config, GuideConfig):
        if phrases:
            raise ConfigError(f"the decoder '{component.kind}' cannot listen for phrases", hint="choose --decoder beam")
        return cls(config)
    return cls(config, guide(config, units, words, lm, phrases))
