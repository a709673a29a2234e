"""Search: a head's emissions in, hypotheses out. A decoder knows of no file or device, and of a network only arrays."""

from __future__ import annotations

from typing import TYPE_CHECKING, Sequence

if TYPE_CHECKING:
    from numpy import ndarray

    from ..config import Component
    from ..kernels.predictor import Predictor
    from ..text import Units
    from ..types import Decoder, Hypothesis


def decode(decoder: Decoder, emissions: ndarray) -> list[Hypothesis]:
    """The hypotheses for a whole utterance, best first. emissions: [T, E]; for CTC log-probabilities [T, V], rows sum to one."""
    return list(decoder.finish(decoder.step(decoder.begin(), emissions)))


def make(component: Component, units: Units, words: Sequence[str], predictor: Predictor | None = None) -> Decoder:
    """The decoder that a setting names. words: the model's lexicon, if the decoder asks for one; predictor: a transducer's."""
    from ..components import find
    from ..errors import ConfigError

    if predictor is not None:
        return find("transducer decoder", component.kind)(component.config, predictor)
    cls = find("decoder", component.kind)
    if not getattr(component.config, "lexicon", False):
        return cls(component.config)
    from .lexicon import build

    spellings = [way for ways in units.lexicon.values() for way in ways] if units.lexicon else words
    if not spellings or not units.lexicon and units.kind != "char":
        raise ConfigError("this model has no lexicon", where="decoder.lexicon", hint="decode without it")
    return cls(component.config, lexicon=build(spellings, units.symbols))
