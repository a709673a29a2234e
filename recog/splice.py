"""Splicing: new training utterances from words of old ones, said by the same speaker.

A small corpus says few sentences, and a network learns them by heart. Cut into words and put together anew, it says
endlessly many: in the last phase of a training, by the ear of what it starts from. Cuts are made between two words where a splice
is noticed least: at the quietest frame, where the pen goes furthest to the right, or between two columns without ink.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass
from typing import Callable, Mapping, NamedTuple, Sequence

import numpy as np

from . import respell
from .decode.align import best_path
from .decode.checks import checked
from .errors import DataError
from .examples import Spliced
from .heads.ctc import frames_needed
from .respell import Respeller
from .store import Store
from .text import Units
from .types import Utterance

SMOOTH = 5                               # frames over which loudness is averaged


@dataclass(frozen=True)
class SpliceConfig:
    """How much is spliced in the last phase of a training, which starts from a first one or from another model."""

    share: float = 0.0                   # of the utterances that are replaced by spliced ones, anew in each epoch; 0: none
    flat: float = 0.5                    # 0: words are drawn as often as they are said; 1: each as often as any other
    letters: float = 0.0                 # of the spliced ones of ink, those that are free text in letters of one writer (respell.py)

    def __post_init__(self):
        if not all(0 <= share <= 1 for share in (self.share, self.flat, self.letters)):
            raise ValueError("share, flat and letters must be from 0 to 1")


class Word(NamedTuple):
    """A word in its place: parts of the length of an utterance, whatever its speed."""

    text: str
    id: str
    start: float
    end: float


class Splicer:
    """Draws utterances of words, or of free text, of one speaker."""

    def __init__(self, config: SpliceConfig, words: Mapping[str, Sequence[Word]], units: Units, store: Store, letters: Respeller | None = None):
        """words: of each speaker. letters: asked for the share of config.letters."""
        counts = Counter(word.text for spoken in words.values() for word in spoken)
        self.config, self.units, self.words, self.store, self.letters, self.chances = config, units, words, store, letters, {}
        for speaker, spoken in words.items():
            weights = np.array([counts[word.text] ** -config.flat for word in spoken])
            self.chances[speaker] = weights / weights.sum()

    def draw(self, speaker: str, count: int, view: int, rng: np.random.Generator) -> Spliced | None:
        """`count` words at the same speed (view); None when this utterance stays as it is."""
        if rng.random() >= self.config.share:
            return None
        if self.letters and rng.random() < self.config.letters and (written := self.letters.draw(speaker, count, view, rng)):
            return written
        return self._of_words(speaker, count, view, rng) if speaker in self.words else None

    def _of_words(self, speaker: str, count: int, view: int, rng: np.random.Generator) -> Spliced:
        spoken = self.words[speaker]
        drawn = [spoken[i] for i in rng.choice(len(spoken), count, p=self.chances[speaker])]
        lengths = [self.store.length(word.id, view) for word in drawn]
        parts = tuple((word.id, view, round(word.start * n), round(word.end * n)) for word, n in zip(drawn, lengths))
        return Spliced(parts, tuple(self.units.encode(" ".join(word.text for word in drawn))))


def make(config: SpliceConfig, units: Units, store: Store, utterances: Sequence[Utterance], heard: Mapping[str, np.ndarray],
         noticed: Callable[[np.ndarray], np.ndarray], texts: Sequence[str] = ()) -> Splicer:
    """heard: log-probabilities [T', V] of each utterance's first view, by a model that tells words apart. noticed: how much a cut before
    each of the frames [T, D] is [T]. texts: free ones, for config.letters."""
    words: dict[str, list[Word]] = defaultdict(list)
    for u in utterances:
        try:
            found = cut(u, units, heard[u.id], noticed(store.frames(u.id)))
        except DataError:
            continue                     # too short for its text: left whole
        shortest = min(store.length(u.id, view) for view in range(store.views(u.id))) / len(store.frames(u.id)) * len(heard[u.id])
        words[u.speaker] += [word for word in found                # CTC needs frames for the word, and one for the space
                             if shortest * (word.end - word.start) > frames_needed(units.encode(word.text)) + 1]
    letters = respell.make(texts, units, store, utterances, heard) if config.letters else None
    return Splicer(config, {speaker: found for speaker, found in words.items() if found}, units, store, letters)


def loudness(frames: np.ndarray) -> np.ndarray:
    """Of log energies [T, D], averaged over some frames [T]."""
    return np.convolve(np.pad(frames.mean(1), SMOOTH // 2, mode="edge"), np.ones(SMOOTH) / SMOOTH, mode="valid")


darkness = loudness                      # of columns of pixels, more where there is ink


def cut(utterance: Utterance, units: Units, log_probs: np.ndarray, noticed: np.ndarray) -> list[Word]:
    """The words of an utterance. log_probs [T', V] of a model that tells words apart; noticed [T]: how much a cut before each frame is."""
    labels = units.encode(utterance.text)
    spans = best_path(checked(log_probs), labels).spans
    scale = len(noticed) / len(log_probs)
    borders = [0]
    words = units.groups(labels)
    for before, after in zip(words, words[1:]):
        first, last = (min(int(at * scale), len(noticed) - 1) for at in (spans[before[-1]][0], spans[after[0]][1]))
        borders.append(first + int(noticed[first:max(last, first + 1)].argmin()))
    borders.append(len(noticed))
    return [Word(text, utterance.id, a / len(noticed), b / len(noticed))
            for text, a, b in zip(utterance.text.split(), borders, borders[1:])]
