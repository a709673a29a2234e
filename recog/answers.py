"""A decoder's answer as people see it: unit numbers to symbols and words, frames to seconds."""

from __future__ import annotations

from .modeldir import LoadedModel
from .types import Hypothesis, Span, Transcript


def transcript(loaded: LoadedModel, id: str, source: str, found: Hypothesis, start: float = 0.0) -> Transcript:
    """`start`: seconds before the first frame."""
    units, seconds = loaded.units, loaded.seconds
    spans = tuple(Span(units.symbols[unit], start + seconds(a), start + seconds(b), confidence)
                  for unit, (a, b), confidence in zip(found.units, found.spans, found.confidence))
    return Transcript(id, source, units.decode(found.units), found.score, found.parts, units.words(spans), spans)
