"""Noises of a room and of a line, and adding one at a signal-to-noise ratio.

Waveforms are float32 `[samples]`, rates in Hz; a noise has power (mean square) 1.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Wave = NDArray[np.float32]

SILENCE = 1e-10                          # power of a voice that says nothing, -100 dB


def power(x: Wave) -> float:
    """Mean square of a waveform, 0 for an empty one."""
    return float(np.dot(x, x) / len(x)) if len(x) else 0.0


def unit(noise: Wave) -> Wave:
    """`noise` scaled to power 1; digital silence stays so."""
    return noise / np.float32(np.sqrt(power(noise)) or 1.0)


def colored_noise(length: int, rate: int, exponent: float, rng: np.random.Generator) -> Wave:
    """Noise of power 1 that falls as 1 / f ** exponent: 0 is white, 1 pink, 2 brown."""
    from scipy import fft

    if exponent == 0:
        return unit(rng.standard_normal(length, dtype=np.float32))
    size = fft.next_fast_len(max(length, 1), real=True)
    hz = np.arange(size // 2 + 1, dtype=np.float32) * np.float32(rate / size)
    spectrum = rng.standard_normal(2 * len(hz), dtype=np.float32).view(np.complex64)
    spectrum *= np.maximum(hz, np.float32(20.0)) ** np.float32(-exponent / 2)
    return unit(fft.irfft(spectrum, size, norm="ortho")[:length])


def mains_hum(length: int, rate: int, rng: np.random.Generator) -> Wave:
    """Hum of power 1: 50 or 60 Hz with nine harmonics of random, falling strength."""
    base = rng.choice((50.0, 60.0))
    time = np.arange(length, dtype=np.float32) / np.float32(rate)
    hum = np.zeros(length, np.float32)
    for order in range(1, 11):
        phase = np.float32(rng.uniform(0, 2 * np.pi))
        hum += np.float32(rng.uniform(0, 1) / order) * np.sin(
            np.float32(2 * np.pi * base * order) * time + phase)
    return unit(hum)


def babble(length: int, others: Sequence[Wave], rng: np.random.Generator) -> Wave:
    """Noise of power 1: all of `others` at once, each repeated from a random point."""
    noise = np.zeros(length, np.float32)
    for other in others:
        if power(other) > SILENCE:
            start = rng.integers(len(other))
            repeats = -(-(start + length) // len(other))
            noise += np.tile(other, repeats)[start:start + length] / np.sqrt(power(other))
    return unit(noise)


def add_noise(x: Wave, noise: Wave, snr_db: float, signal_power: float | None = None) -> Wave:
    """`x` plus `noise` of the same length, scaled to the signal-to-noise ratio `snr_db`.

    The ratio is of the mean powers; `signal_power` replaces that of `x` where `x` has silence
    around the speech.
    """
    wanted = power(x) if signal_power is None else signal_power
    return x + np.float32(np.sqrt(wanted) * 10 ** (-snr_db / 20)) * unit(noise)
