"""Search: log-probabilities in, hypotheses out. A decoder knows of no network, file or device."""

from __future__ import annotations

from typing import TYPE_CHECKING, Sequence

if TYPE_CHECKING:
    from numpy import ndarray

    from ..config import Component
    from ..text import Units
    from ..types import Decoder, Hypothesis


def decode(decoder: Decoder, log_probs: ndarray) -> list[Hypothesis]:
    """The hypotheses for a whole utterance, best first. log_probs: [T, V], natural log, rows sum to one."""
    return list(decoder.finish(decoder.step(decoder.begin(), log_probs)))


def make(component: Component, units: Units, words: Sequence[str]) -> Decoder:
    """The decoder that a setting names. `words`: the model's lexicon, used if the decoder asks for one."""
    from ..components import find
    from ..errors import ConfigError

    cls = find("decoder", component.kind)
    if not getattr(component.config, "lexicon", False):
        return cls(component.config)
    from .lexicon import build

    spellings = [way for ways in units.lexicon.values() for way in ways] if units.lexicon else words
    if not spellings or not units.lexicon and units.kind != "char":
        raise ConfigError("this model has no lexicon", where="decoder.lexicon", hint="decode without it")
    return cls(component.config, lexicon=build(spellings, units.symbols))
