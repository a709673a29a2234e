"""Changes to feature frames while training: SpecAugment's masks, other lengths of the vocal tract, and Gaussian input noise."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .features import FeatureConfig, mel, mel_centers


@dataclass(frozen=True)
class PerturbConfig:
    """Applied to normalized frames, anew each time an utterance is used; masked values become 0, the mean."""

    frequency_masks: int = 0         # bands of neighbouring features set to zero (Park et al. 2019)
    frequency_width: int = 8         # widest band
    time_masks: float = 0.0          # stretches set to zero, per second of sound
    time_width: int = 8              # longest stretch, in frames before stacking
    warp: float = 0.0                # widest share by which frequencies are stretched or squeezed, "logmel" only (Jaitly & Hinton 2013: 0.1)
    noise: float = 0.0               # deviation of Gaussian noise on every value (0.6 in Graves 2008)

    def __post_init__(self):
        if min(self.frequency_masks, self.frequency_width, self.time_masks, self.time_width, self.noise) < 0:
            raise ValueError("perturbations cannot be negative")
        if not 0 <= self.warp < 0.5:
            raise ValueError("warp must be at least 0 and below 0.5")

    @property
    def active(self) -> bool:
        return self.frequency_masks > 0 or self.time_masks > 0 or self.noise > 0 or self.warp > 0


def perturb(frames: np.ndarray, config: PerturbConfig, features: FeatureConfig, rng: np.random.Generator) -> np.ndarray:
    """A changed copy of frames [T, features.width]."""
    frames = warped(frames, features, 1 + rng.uniform(-config.warp, config.warp)) if config.warp else frames.copy()
    if config.noise:
        frames += rng.standard_normal(frames.shape, dtype=np.float32) * np.float32(config.noise)
    for _ in range(config.frequency_masks):
        _mask(frames.T, config.frequency_width, rng)
    for _ in range(rng.poisson(config.time_masks * len(frames) * features.step_ms / 1000)):
        _mask(frames, config.time_width, rng)
    return frames


KNEE_HZ = 4800.0                     # below it frequencies are multiplied; above it they are brought to end where they ended


def warped(frames: np.ndarray, features: FeatureConfig, factor: float) -> np.ndarray:
    """Frames [T, width] of log-mel values as of a vocal tract `factor` times as long (VTLP, Jaitly & Hinton 2013)."""
    centers, top = mel_centers(features), features.rate / 2
    knee = min(KNEE_HZ, 0.6 * top) * min(factor, 1.0)
    above = top - (top - knee) / (top - knee / factor) * (top - centers)
    source = mel(np.where(centers <= knee / factor, centers * factor, above))
    at = np.interp(source, mel(centers), np.arange(len(centers)))
    left = np.minimum(at.astype(int), len(centers) - 2)
    part = (at - left).astype(np.float32)
    parts = frames.reshape(len(frames), -1, len(centers))                    # values, their differences, and those of these
    return (parts[..., left] * (1 - part) + parts[..., left + 1] * part).reshape(frames.shape)


def _mask(rows: np.ndarray, widest: int, rng: np.random.Generator) -> None:
    width = int(rng.integers(0, min(widest, len(rows)) + 1))
    start = int(rng.integers(0, len(rows) - width + 1))
    rows[start:start + width] = 0
