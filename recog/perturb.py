"""Changes to feature frames while training: SpecAugment's masks and Gaussian input noise."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class PerturbConfig:
    """Applied to normalized frames, anew each time an utterance is used; masked values become 0, the mean."""

    frequency_masks: int = 0         # bands of neighbouring features set to zero (Park et al. 2019)
    frequency_width: int = 8         # widest band
    time_masks: float = 0.0          # stretches set to zero, per second of sound
    time_width: int = 8              # longest stretch, in frames before stacking
    noise: float = 0.0               # deviation of Gaussian noise on every value (0.6 in Graves 2008)

    def __post_init__(self):
        if min(self.frequency_masks, self.frequency_width, self.time_masks, self.time_width, self.noise) < 0:
            raise ValueError("perturbations cannot be negative")

    @property
    def active(self) -> bool:
        return self.frequency_masks > 0 or self.time_masks > 0 or self.noise > 0


def perturb(frames: np.ndarray, config: PerturbConfig, frames_per_second: float, rng: np.random.Generator) -> np.ndarray:
    """A changed copy of frames [T, D]."""
    frames = frames.copy()
    if config.noise:
        frames += rng.standard_normal(frames.shape, dtype=np.float32) * np.float32(config.noise)
    for _ in range(config.frequency_masks):
        _mask(frames.T, config.frequency_width, rng)
    for _ in range(rng.poisson(config.time_masks * len(frames) / frames_per_second)):
        _mask(frames, config.time_width, rng)
    return frames


def _mask(rows: np.ndarray, widest: int, rng: np.random.Generator) -> None:
    width = int(rng.integers(0, min(widest, len(rows)) + 1))
    start = int(rng.integers(0, len(rows) - width + 1))
    rows[start:start + width] = 0
