"""Where each word and unit of a known text lies in its recording, its ink or its image.

Two ways. `best`: the best CTC path. `posterior`: all paths, each by its probability (decode/posterior.py). Both put the
border between two units in the middle of the blanks between them, the second in the mean over the paths. CTC itself
says nothing about where in the blanks a unit ends: a network trained with it tends to write a unit late and briefly.
A frame stands for the step around the middle of its window, so frame 0 begins (window - step) / 2 into the sound.
"""

from __future__ import annotations

from functools import partial
from typing import Callable, Sequence

import numpy as np
import torch

from .answers import joined
from .batching import pad
from .decode.align import best_path
from .decode.checks import checked
from .decode.posterior import edges, occupancies, path_durations
from .errors import DataError
from .features import extract, finish
from .modeldir import LoadedModel
from .reading import Piece
from .text import Units
from .types import Span, Transcript, Waveform

METHODS = ("posterior", "best")


def align(loaded: LoadedModel, wave: Waveform, text: str, id: str = "-", source: str = "-",
          start: float = 0.0) -> dict[str, Transcript]:
    """By each of METHODS. `start`: seconds before the first sample. Raises DataError when the text does not fit.

    The confidence of a unit is the geometric mean of its probability over its frames on the best path, in both.
    """
    features = loaded.config.features
    log_probs = log_probs_of(loaded, finish(extract(wave, features), features, loaded.normalizer))

    def places(at: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        times = start + _seconds(at, loaded, len(log_probs), wave.seconds)
        return times[:-1], times[1:]

    return ways(loaded, log_probs, text, id, source, places)


def ways(loaded: LoadedModel, log_probs: np.ndarray, text: str, id: str, source: str,
         places: Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]) -> dict[str, Transcript]:
    """By each of METHODS. places: rows of log_probs [T, V] between which units lie [N + 1], with fractions, to where in the file each begins
    and ends [N]."""
    labels = labels_of(loaded.units, text, id)
    try:
        path = best_path(log_probs, labels)
    except DataError as error:
        raise DataError(f"the text cannot be aligned: {error.what}", where=id,
                        hint=error.hint or "is this what is there, and the whole of it?") from None
    found = occupancies(log_probs, labels)
    frames = len(log_probs)
    found_by = {"posterior": (edges(found.durations()), found.score), "best": (edges(path_durations(path.spans, frames)), path.score)}
    return {name: _transcript(loaded, id, source, labels, places(at), path.confidence, score) for name, (at, score) in found_by.items()}


def labels_of(units: Units, text: str, where: object) -> list[int]:
    """Unit numbers of a text that must be all there. Raises DataError naming what the model cannot write."""
    text = " ".join(text.split())
    if not text:
        raise DataError("there is no text to align", where=where)
    if units.lexicon is not None and (unknown := sorted(set(text.split()) - units.lexicon.keys())):
        raise DataError(f"not in the model's lexicon: {', '.join(map(repr, unknown[:5]))}", where=where,
                        hint=_other_case(units, text) or "leave these words out, or add them to the lexicon and train again")
    try:
        return units.encode(text, where)
    except DataError as error:
        raise DataError(error.what, where=where, hint=_other_case(units, text) or error.hint) from None


def _other_case(units: Units, text: str) -> str | None:
    for name, other in (("capitals", text.upper()), ("small letters", text.lower())):
        try:
            units.encode(other)
        except DataError:
            continue
        return f"the model writes {name}: write the text so"
    return None


@torch.inference_mode()
def log_probs_of(loaded: LoadedModel, frames: np.ndarray) -> np.ndarray:
    """[T', V] for finished frames [T, D]."""
    device, batch = next(loaded.model.parameters()).device, pad(["-"], [frames], [()])
    return checked(loaded.model.log_probs(batch.x.to(device), batch.x_len.to(device))[0][0].cpu().numpy())


def _seconds(at: np.ndarray, loaded: LoadedModel, frames: int, seconds: float) -> np.ndarray:
    """Frames to seconds: between the middles of two windows; the first frame begins and the last ends with the sound."""
    inner = np.unique([1, frames - 1])[:frames - 1]
    times = np.minimum([loaded.seconds(frame) for frame in inner], seconds)
    return np.interp(at, [0, *inner, frames], [0.0, *times, seconds])


def _transcript(loaded: LoadedModel, id: str, source: str, labels: list[int], at: tuple[np.ndarray, np.ndarray], confidence: tuple[float, ...],
                score: float) -> Transcript:
    units = loaded.units
    spans = tuple(Span(units.symbols[u], float(a), float(b), c) for u, a, b, c in zip(labels, *at, confidence))
    return Transcript(id, source, units.decode(labels), score, {"acoustic": score, "lm": 0.0, "length": 0.0}, units.words(spans), spans)


def align_lines(loaded: LoadedModel, lines: Sequence[Piece], text: str, id: str = "-", source: str = "-") -> dict[str, Transcript]:
    """The same for lines of ink (places are numbers of points) or of an image (columns of pixels). text: a line for each of them."""
    texts = [line for line in text.splitlines() if line.strip()]
    if len(lines) != len(texts):
        raise DataError(f"the page has {len(lines)} lines of {loaded.config.features.medium}, the text {len(texts)}", where=id,
                        hint="write each line of the page on one of the text")
    found: dict[str, Transcript] = {}
    for piece, line in zip(lines, texts):
        log_probs = log_probs_of(loaded, piece.frames)
        for name, aligned in ways(loaded, log_probs, line, id, source, partial(_points, piece)).items():
            found[name] = joined(found[name], aligned, "\n") if name in found else aligned
    return found


def _points(piece: Piece, at: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return np.array([piece.where(row) for row in at[:-1]]), np.array([piece.until(row) for row in at[1:]])
