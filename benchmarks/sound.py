"""Sound that moves like speech: voiced syllables at four a second with moving resonances, in phrases, between pauses."""

from __future__ import annotations

import numpy as np

from recog.types import Waveform

RATE = 16000


def speech(seconds: float, seed: int = 0) -> Waveform:
    """Phrases of one to four seconds, pauses of 0.3 to 1.2 seconds, a noise floor 45 dB below."""
    rng, n = np.random.default_rng(seed), round(seconds * RATE)
    sound = rng.standard_normal(n).astype(np.float32) * np.float32(0.0005)
    at = int(rng.uniform(0.1, 0.3) * RATE)
    while at < n:
        phrase = _phrase(rng)[:n - at]
        sound[at:at + len(phrase)] += phrase
        at += len(phrase) + int(rng.uniform(0.3, 1.2) * RATE)
    return Waveform(sound, RATE)


def _phrase(rng: np.random.Generator) -> np.ndarray:
    time = np.arange(int(rng.uniform(1, 4) * RATE)) / RATE
    pitch = rng.uniform(90, 220) * (1 + 0.1 * np.sin(2 * np.pi * 0.7 * time + rng.uniform(0, 6)))
    phase = 2 * np.pi * np.cumsum(pitch) / RATE
    resonances = [center + depth * np.sin(2 * np.pi * speed * time + rng.uniform(0, 6))
                  for center, depth, speed in ((500, 200, 2.3), (1500, 500, 1.7), (2600, 300, 1.1))]
    voice = np.zeros(len(time))
    for harmonic in range(1, 25):
        strength = sum(np.exp(-((harmonic * pitch - center) / 200) ** 2) for center in resonances) + 0.02
        voice += strength * np.sin(harmonic * phase)
    syllables = 0.5 - 0.5 * np.cos(2 * np.pi * 4 * time)
    return (0.05 * voice * syllables).astype(np.float32)
