"""A decoder's answer as people see it: unit numbers to symbols and words, frames to seconds or points."""

from __future__ import annotations

from dataclasses import replace
from typing import Callable

from .modeldir import LoadedModel
from .types import Box, Hypothesis, Span, Transcript


def transcript(loaded: LoadedModel, id: str, source: str, found: Hypothesis, where: Callable[[int], float] | None = None,
               until: Callable[[int], float] | None = None, box: Callable[[int, int], Box] | None = None) -> Transcript:
    """where: in the file, a frame begins; until: what is before a frame ends; None: seconds from the beginning. box: around frames of an image."""
    units, where, until = loaded.units, where or loaded.seconds, until or loaded.seconds
    spans = tuple(Span(units.symbols[unit], where(a), until(b), confidence, None if box is None else box(a, b))
                  for unit, (a, b), confidence in zip(found.units, found.spans, found.confidence))
    return Transcript(id, source, units.decode(found.units), found.score, found.parts, units.words(spans), spans)


def joined(a: Transcript, b: Transcript, between: str) -> Transcript:
    """Two pieces of one file. `between`: what stands between their texts."""
    return replace(a, text=f"{a.text}{between}{b.text}".strip(), score=a.score + b.score,
                   parts={name: a.parts.get(name, 0.0) + b.parts.get(name, 0.0) for name in {**a.parts, **b.parts}},
                   words=a.words + b.words, units=a.units + b.units)
