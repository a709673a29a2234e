"""Search: a head's emissions in, hypotheses out. A decoder knows of no file or device, and of a network only arrays."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Mapping, Sequence

if TYPE_CHECKING:
    from numpy import ndarray

    from ..config import Component
    from ..kernels.predictor import Predictor
    from ..lm.binary import Binary
    from ..lm.ngram import Ngram
    from ..lm.rnn import Rnn
    from ..text import Units
    from ..types import Decoder, Hypothesis
    from .guide import Guide


def decode(decoder: Decoder, emissions: ndarray) -> list[Hypothesis]:
    """The hypotheses for a whole utterance, best first. emissions: [T, E]; for CTC log-probabilities [T, V], rows sum to one."""
    return list(decoder.finish(decoder.step(decoder.begin(), emissions)))


def make(component: Component, units: Units, words: Sequence[str], predictor: Predictor | None = None,
         lm: Ngram | Rnn | Binary | None = None, phrases: Mapping[str, float] | None = None) -> Decoder:
    """The decoder that a setting names. words: the model's lexicon, if the decoder asks for one; predictor: a transducer's.

    phrases: names and words to listen for, and a factor of what each gains.
    """
    from ..errors import ConfigError
    from .guide import GuideConfig, guide

    if isinstance(component.config, GuideConfig):
        return guided(component, guide(component.config, units, words, lm, phrases), predictor)
    if phrases:
        raise ConfigError(f"the decoder '{component.kind}' cannot listen for phrases", hint="choose --decoder beam")
    cls, network = _found(component, predictor)
    return cls(component.config, *network)


def guided(component: Component, guide: Guide | None, predictor: Predictor | None = None) -> Decoder:
    """The decoder that a setting names, with a guide that is there already; what the setting says counts."""
    cls, network = _found(component, predictor)
    return cls(component.config, *network, None if guide is None else replace(guide, config=component.config))


def _found(component: Component, predictor: Predictor | None) -> tuple[type, tuple[Predictor, ...]]:
    from ..components import find

    return (find("decoder", component.kind), ()) if predictor is None else (find("transducer decoder", component.kind), (predictor,))
