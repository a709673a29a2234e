"""Ten tones stand for ten digits; an utterance is two to six of them in noise, with gaps between."""

from pathlib import Path

import numpy as np

from recog import audio
from recog.types import Utterance, Waveform

RATE = 16000
DIGITS = "0123456789"
SPLITS = {"train": 400, "dev": 40, "test": 80}


def prepare(corpus: Path):
    rng = np.random.default_rng(2026)
    for split, count in SPLITS.items():
        for number in range(count):
            text = "".join(rng.choice(list(DIGITS), rng.integers(2, 7)))
            path = corpus / f"{split}{number:04d}.flac"
            audio.write(path, Waveform(sound(text, rng), RATE))
            yield Utterance(path.stem, split, str(path), text, speaker="tones")


def sound(text: str, rng: np.random.Generator) -> np.ndarray:
    """float32 [N]: each digit a tone of 300 Hz times 1.25 to its power, 80 to 160 ms long."""
    parts = [np.zeros(int(rng.uniform(0.05, 0.15) * RATE))]
    for digit in text:
        time = np.arange(int(rng.uniform(0.08, 0.16) * RATE)) / RATE
        pitch = 300 * 1.25 ** int(digit) * rng.uniform(0.98, 1.02)
        parts += [np.sin(2 * np.pi * pitch * time) * np.hanning(len(time)), np.zeros(int(rng.uniform(0.03, 0.1) * RATE))]
    clean = np.concatenate(parts) * rng.uniform(0.1, 0.7)
    return (clean + rng.normal(0, 0.005, len(clean))).astype(np.float32).clip(-1, 1)
