"""A made-up language and what a network of mistakes hears of it: log-probabilities to decode, with the texts that were meant."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

SYMBOLS = ("<blank>", " ", *"ABCDEFGHIJKLMNOPQRSTUVWXYZ'")


@dataclass(frozen=True)
class Heard:
    training: list[str]                  # sentences for a language model
    texts: list[str]                     # what was meant
    log_probs: list[np.ndarray]          # float32 [T, V] of each text, units as in SYMBOLS

    @property
    def frames(self) -> int:
        return sum(map(len, self.log_probs))


def heard(sentences: int = 100, training: int = 5000, seed: int = 0) -> Heard:
    """Words follow each other as by a bigram model with Zipf's law; a letter in seven is heard as another, and 2 in 100 not at all."""
    rng = np.random.default_rng(seed)
    words = sorted({"".join(rng.choice(list(SYMBOLS[2:]), rng.integers(2, 9))) for _ in range(2000)})
    following = rng.integers(0, len(words), (len(words), 40))
    chances = 1 / np.arange(1, 41)

    def sentence() -> str:
        word, said = int(rng.integers(len(words))), []
        for _ in range(int(rng.integers(4, 13))):
            said.append(words[word])
            word = int(following[word, rng.choice(40, p=chances / chances.sum())])
        return " ".join(said)

    learned = [sentence() for _ in range(training)]
    texts = [sentence() for _ in range(sentences)]
    return Heard(learned, texts, [_hear(text, rng) for text in texts])


def _hear(text: str, rng: np.random.Generator) -> np.ndarray:
    best: list[tuple[int, int]] = []                     # of each frame: what is meant, and what sounds like it
    for letter in text:
        unit = SYMBOLS.index(letter)
        other = int(rng.integers(1, len(SYMBOLS)))
        best += [(0, 0)] * int(rng.integers(0, 3))
        if best and best[-1][0] == unit:
            best.append((0, 0))                          # the same letter twice
        best += [(unit, other)] * int(rng.integers(1, 3))
    meant, like = (np.array(column) for column in zip(*best))
    logits = rng.standard_normal((len(best), len(SYMBOLS)))
    frames = np.arange(len(best))
    logits[frames, meant] += rng.choice([6.0, 3.0, 0.5], len(best), p=[0.84, 0.14, 0.02])
    logits[frames, like] += rng.choice([0.0, 4.0], len(best), p=[0.8, 0.2]) * (meant > 0)
    return (logits - np.logaddexp.reduce(logits, axis=1, keepdims=True)).astype(np.float32)
