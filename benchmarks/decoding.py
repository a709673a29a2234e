"""Milliseconds per frame of each CTC decoder, on sure (peaky) and on unsure (noisy) log-probabilities of 30 units."""

from __future__ import annotations

from functools import partial
from typing import Callable, Iterator

import numpy as np

from recog.decode import decode
from recog.decode.ctc_beam import CtcBeam, CtcBeamConfig
from recog.decode.greedy import Greedy

from .table import Row, median, side_by_side

UNITS = 30
BEAMS = (10, 100)


def rows(quick: bool = False) -> Iterator[Row]:
    """One row for each contestant at each setting; contestants of one setting take turns."""
    frames, repeats = (20, 1) if quick else (1000, 5)
    for kind, log_probs in (("peaky", peaky(frames)), ("noisy", noisy(frames))):
        for setting, contestants in _settings():
            calls = [partial(run, log_probs) for run in contestants.values()]
            for call in calls:
                call()                                  # compiles
            times = side_by_side(calls, repeats)
            for number, who in enumerate(contestants):
                yield Row(f"{kind}, {setting}: {who}", 1000 * median(times, number) / frames, "ms/frame")


def _settings() -> Iterator[tuple[str, dict[str, Callable[[np.ndarray], object]]]]:
    """Name of a setting, and who decodes at it: each takes log-probabilities [T, V]. Other toolkits join here."""
    yield "greedy", {"recog": lambda log_probs: decode(Greedy(), log_probs)}
    for beam in BEAMS:
        yield f"beam {beam}", {"recog": lambda log_probs, beam=beam: decode(CtcBeam(CtcBeamConfig(beam=beam)), log_probs)}


def peaky(frames: int) -> np.ndarray:
    """As a trained network gives them: blanks, and now and then a unit, each nearly certain. [T, V]."""
    rng = np.random.default_rng(0)
    logits = rng.standard_normal((frames, UNITS))
    best = np.where(rng.random(frames) < 0.2, rng.integers(1, UNITS, frames), 0)
    logits[np.arange(frames), best] += 10
    return _log_softmax(logits)


def noisy(frames: int) -> np.ndarray:
    """As an untrained network gives them: no unit stands out. [T, V]."""
    return _log_softmax(np.random.default_rng(0).standard_normal((frames, UNITS)))


def _log_softmax(logits: np.ndarray) -> np.ndarray:
    return (logits - np.logaddexp.reduce(logits, axis=1, keepdims=True)).astype(np.float32)
