"""Respelling: lines of free text in the ink of one writer, letter by letter.

`splice.py` says old words in a new order; what a network learns of spelling it still learns from the few words of its corpus. Where the pen was lifted
between two letters and all ink before lies to the left of all ink after, a word can be cut, and other words be put together from what one writer
wrote. A path through the output of a network that reads says which letters lie on either side.
"""

from __future__ import annotations

import functools
import math
from collections import defaultdict
from itertools import combinations
from typing import Iterable, Iterator, Mapping, NamedTuple, Sequence

import numpy as np

from .decode.align import best_path
from .decode.checks import checked
from .errors import DataError
from .examples import Spliced
from .heads.ctc import frames_needed
from .store import Store
from .text import Units
from .types import Utterance

OVERLAP = 0.1                            # heights of a letter by which ink before a cut may lie to the right of ink after it
NEAR = 5.0                               # frames between a cut and where a letter's output says that it begins
TRIED = 3                                # words of the text that are looked at for each that is written
LONGEST = 12                             # letters of a piece


class Piece(NamedTuple):
    """Some letters of a word in their place: strokes [first, end) of an utterance."""

    id: str
    first: int
    end: int
    begins: bool                         # its word
    gap: float                           # from the right end of the ink before it to where it begins; nan: none is before it


class Speller:
    """Writes words in the ink of one writer."""

    def __init__(self, pieces: Mapping[str, Sequence[Piece]]):
        """pieces: by what they spell."""
        self.pieces = pieces
        gaps: dict[bool, list[float]] = {True: [], False: []}
        for piece in (piece for spelt in pieces.values() for piece in spelt if not math.isnan(piece.gap)):
            gaps[piece.begins].append(piece.gap)
        self._gaps = {begins: np.array(found or [0.0]) for begins, found in gaps.items()}
        self.split = functools.lru_cache(maxsize=5000)(self._split)

    def _split(self, word: str) -> tuple[str, ...] | None:
        """Into as few pieces as can be; None: some letter is not there."""
        best: list[tuple[str, ...] | None] = [()]
        for end in range(1, len(word) + 1):
            found = [(*best[start], word[start:end]) for start in range(max(0, end - LONGEST), end)
                     if best[start] is not None and word[start:end] in self.pieces]
            best.append(min(found, key=len, default=None))
        return best[-1]

    def write(self, word: str, rng: np.random.Generator) -> Iterator[tuple[Piece, float]]:
        """Pieces that spell it, and how far each begins to the right of the ink before it."""
        for number, spelt in enumerate(self.split(word)):
            piece = self.pieces[spelt][rng.integers(len(self.pieces[spelt]))]
            fits = piece.begins == (number == 0) and not math.isnan(piece.gap)
            yield piece, piece.gap if fits else float(rng.choice(self._gaps[number == 0]))


class Respeller:
    """Draws lines of a text, less the words for which a writer's ink does not do."""

    def __init__(self, texts: Sequence[str], spellers: Mapping[str, Speller], store: Store, units: Units):
        """spellers: of each writer."""
        self.texts, self.spellers, self.store, self.units = texts, spellers, store, units
        self._strokes = functools.lru_cache(maxsize=100_000)(self._strokes_of)

    def draw(self, writer: str, count: int, view: int, rng: np.random.Generator) -> Spliced | None:
        """`count` words; None: too few of those that were looked at can be written."""
        speller = self.spellers.get(writer)
        words = [] if speller is None else list(_some(speller, self._words(TRIED * count, rng), count))
        if len(words) < count:
            return None
        drawn = [found for word in words for found in speller.write(word, rng)]
        parts = []
        for piece, _ in drawn:
            begins = self._strokes(piece.id, view)
            parts.append((piece.id, view, begins[piece.first], begins[piece.end]))
        return Spliced(tuple(parts), tuple(self.units.encode(" ".join(words))), tuple(gap for _, gap in drawn))

    def _words(self, count: int, rng: np.random.Generator) -> list[str]:
        """Words of the text, one after the other, from any of them on."""
        line, words = int(rng.integers(len(self.texts))), []
        skipped = int(rng.integers(max(1, len(self.texts[line].split()))))
        for number in range(line, line + 1 + count):             # most lines have several
            words += self.texts[number % len(self.texts)].split()
        return words[skipped:skipped + count]

    def _strokes_of(self, id: str, view: int) -> tuple[int, ...]:
        return tuple(stroke_begins(self.store.frames(id, view)).tolist())


def _some(speller: Speller, words: Iterable[str], count: int) -> Iterator[str]:
    """The first of these that can be written."""
    for word in words:
        if count and speller.split(word):
            count -= 1
            yield word


def make(texts: Sequence[str], units: Units, store: Store, utterances: Sequence[Utterance], heard: Mapping[str, np.ndarray]) -> Respeller:
    """heard: log-probabilities [T', V] of each utterance's first view, by a model that tells letters apart.

    Frames are offsets with a place (pen/offsets.py); those of other views are cut at the same strokes.
    """
    begins = {}
    for u in utterances:
        try:
            spans = best_path(checked(heard[u.id]), units.encode(u.text)).spans
        except DataError:
            continue                     # too short for its text
        begins[u.id] = np.array([first for first, _ in spans]) * (len(store.frames(u.id)) / len(heard[u.id]))
    kept = [u for u in utterances if u.id in begins and _alike(store, u.id)]
    lag = np.median(np.concatenate([[0.0], *(_lags(u.text, store.frames(u.id), begins[u.id]) for u in kept)]))
    found: dict[str, dict[str, list[Piece]]] = defaultdict(lambda: defaultdict(list))
    for u in kept:
        frames = store.frames(u.id)
        shortest = min(store.length(u.id, view) for view in range(store.views(u.id))) / len(frames) * len(heard[u.id]) / len(frames)
        rows = stroke_begins(frames) * shortest
        for spelt, piece in cut(u, frames, begins[u.id] - lag):
            if rows[piece.end] - rows[piece.first] > frames_needed(units.encode(spelt)):
                found[u.speaker][spelt].append(piece)
    return Respeller(texts, {writer: Speller(pieces) for writer, pieces in found.items()}, store, units)


def _alike(store: Store, id: str) -> bool:
    """All views have as many strokes."""
    return len({int(store.frames(id, view)[:, 2].sum()) for view in range(store.views(id))}) == 1


def stroke_begins(frames: np.ndarray) -> np.ndarray:
    """The first frame of each stroke, and the end of the last."""
    return np.concatenate([[0], np.flatnonzero(frames[:, 2]) + 1])


def cut(utterance: Utterance, frames: np.ndarray, begins: np.ndarray) -> list[tuple[str, Piece]]:
    """All pieces of the words of an utterance, with what they spell. frames [T, 4]; begins: the frame about which each character does."""
    text, found = utterance.text, []
    strokes = stroke_begins(frames).tolist()
    gaps = _gaps(frames, strokes)
    borders = _borders(text, gaps, begins) | {0: 0, len(text): len(frames)}
    number = {frame: i for i, frame in enumerate(strokes)}
    gap = gaps | {0: float("nan")}
    start = 0
    for word in text.split(" "):
        end, after = start + len(word), min(start + len(word) + 1, len(text))
        inside = [at for at in sorted(borders) if start <= at < end] + [after] * (after in borders)
        found += [(text[a:min(b, end)], Piece(utterance.id, number[borders[a]], number[borders[b]], a == start, gap[borders[a]]))
                  for a, b in combinations(inside, 2) if min(b, end) - a <= LONGEST]
        start = after
    return found


def _gaps(frames: np.ndarray, strokes: Sequence[int]) -> dict[int, float]:
    """Where ink can be cut: frames at which a stroke begins and all ink before is to the left; how far to the right of it the stroke begins."""
    x = np.cumsum(frames[:, 0], dtype=np.float64)
    right, left = np.maximum.accumulate(x), np.minimum.accumulate(x[::-1])[::-1]
    return {at: float(x[at] - right[at - 1]) for at in strokes[1:-1] if left[at] > right[at - 1] - OVERLAP}


def _borders(text: str, gaps: Mapping[int, float], begins: np.ndarray) -> dict[int, int]:
    """Characters before which the ink can be cut, and at which frame; a frame that would do for two of them is for neither."""
    found = {}
    for i in range(1, len(text)):
        if text[i] == " ":
            continue
        before, after = begins[i - 2 if text[i - 1] == " " else i - 1], begins[i + 1] if i + 1 < len(text) else np.inf
        near = [at for at in gaps if before < at <= begins[i] + NEAR and at < after and (text[i - 1] == " " or at >= begins[i] - NEAR)]
        if near:                         # between words where the pen goes furthest, between letters where the second is said to begin
            found[i] = max(near, key=gaps.get) if text[i - 1] == " " else min(near, key=lambda at: abs(at - begins[i]))
    borders = sorted(found)
    doubtful = {i for a, b in zip(borders, borders[1:]) if found[b] <= found[a] for i in (a, b)}
    return {i: at for i, at in found.items() if i not in doubtful}


def _lags(text: str, frames: np.ndarray, begins: np.ndarray) -> list[float]:
    """Frames by which the output says later than the ink that a character begins: where words begin, both are known."""
    gaps = _gaps(frames, stroke_begins(frames).tolist())
    found = []
    for i in range(2, len(text)):
        near = [at for at in gaps if begins[i - 2] < at <= begins[min(i + 1, len(text) - 1)]] if text[i - 1] == " " else []
        if near:
            found.append(begins[i] - max(near, key=gaps.get))
    return found
