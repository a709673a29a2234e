"""Sound to feature frames: log mel filters or cepstra, energy, deltas; normalization; frame stacking."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Callable, Iterable, Literal

import numpy as np

from .errors import DataError, ModelError
from .files import read_json, write_json
from .types import Waveform


@dataclass(frozen=True)
class FeatureConfig:
    """Frames as Kaldi computes them (25 ms windows, 'povey' window, no dither), on samples in [-1, 1]."""

    kind: Literal["logmel", "mfcc"] = "logmel"
    rate: int = 16000                # samples per second; other sounds are resampled to it
    window_ms: float = 25.0
    step_ms: float = 10.0
    mels: int = 40                   # mel filters
    low_hz: float = 20.0             # lower edge of the lowest filter
    high_hz: float = 0.0             # upper edge of the highest filter; 0: half the rate
    cepstra: int = 13                # coefficients kept (kind = "mfcc" only)
    zeroth: bool = True              # keep the zeroth of them; false: with energy, it stands in its place (kind = "mfcc" only)
    energy: bool = False             # one more value, first: the log energy of the window
    deltas: int = 0                  # 1: first differences too; 2: second differences as well
    range_db: float = 0.0            # what is further below the loudest value of the recording is raised to there, "logmel" only; 0: nothing
    normalize: Literal["corpus", "utterance", "mean", "none"] = "corpus"  # mean and variance; "mean": per utterance, mean only
    stack: int = 1                   # successive frames joined into one

    medium = "audio"

    def __post_init__(self):
        if min(self.rate, self.cepstra, self.stack) < 1:
            raise ValueError("rate, cepstra and stack must be positive")
        if self.mels < 4 or self.rate * self.window_ms < 2000 or self.rate * self.step_ms < 1000:
            raise ValueError("mels must be at least 4, a window at least two samples long, a step at least one")
        if not 0 <= self.deltas <= 2:
            raise ValueError("deltas must be 0, 1 or 2")
        if self.range_db < 0 or (self.range_db and (self.kind != "logmel" or self.energy or self.deltas)):
            raise ValueError("range_db must be at least 0, and goes with logmel features alone")
        if self.kind == "mfcc" and self.cepstra > self.mels:
            raise ValueError("cepstra cannot be more than mels")
        if self.kind == "mfcc" and not self.zeroth and self.cepstra < 2:
            raise ValueError("without the zeroth, cepstra must be at least 2")
        if not 0 <= self.low_hz < (self.high_hz or self.rate / 2) <= self.rate / 2:
            raise ValueError("low_hz must be below high_hz, and that at most half the rate")

    @property
    def width(self) -> int:
        """Values per frame before stacking."""
        static = self.mels if self.kind == "logmel" else self.cepstra - (not self.zeroth)
        return (static + self.energy) * (1 + self.deltas)

    @property
    def output_size(self) -> int:
        """Values per frame as the encoder sees it."""
        return self.width * self.stack

    @property
    def window(self) -> int:
        """Samples in a frame's window."""
        return int(self.rate * self.window_ms / 1000)

    @property
    def step(self) -> int:
        """Samples from one window to the next."""
        return int(self.rate * self.step_ms / 1000)

    @property
    def frame_seconds(self) -> float:
        """Time from one of the encoder's frames to the next."""
        return self.step_ms * self.stack / 1000


def mel(hz: np.ndarray) -> np.ndarray:
    """Kaldi's mel scale."""
    return 1127.0 * np.log1p(hz / 700.0)


def mel_centers(config: FeatureConfig) -> np.ndarray:
    """Where the mel filters peak, Hz [mels]."""
    edges = np.linspace(mel(config.low_hz), mel(config.high_hz or config.rate / 2), config.mels + 2)
    return 700.0 * np.expm1(edges[1:-1] / 1127.0)


def extract(wave: Waveform, config: FeatureConfig) -> np.ndarray:
    """Frames before normalization and stacking, float32 [T, width]; a sound shorter than one window gives one frame.

    Raises DataError when there is no sample at all or the rate is another.
    """
    return with_deltas(static(wave, config), config.deltas)


def static(wave: Waveform, config: FeatureConfig) -> np.ndarray:
    """`extract` before differences are added: each frame follows from its own window of samples alone."""
    import torch
    import torchaudio.compliance.kaldi as kaldi

    if wave.rate != config.rate:
        raise DataError(f"the sound has {wave.rate} samples a second, the features need {config.rate}")
    if not len(wave.samples):
        raise DataError("there is no sound")
    samples = np.pad(wave.samples, (0, max(0, config.window - len(wave.samples))))
    shared = {"sample_frequency": config.rate, "frame_length": config.window_ms, "frame_shift": config.step_ms,
              "num_mel_bins": config.mels, "low_freq": config.low_hz, "high_freq": config.high_hz,
              "use_energy": config.energy, "energy_floor": 0.0}
    sound = torch.from_numpy(np.ascontiguousarray(samples, dtype=np.float32))[None]
    if config.kind == "logmel":
        frames = kaldi.fbank(sound, **shared)
    else:
        frames = kaldi.mfcc(sound, num_ceps=config.cepstra, **shared)       # Kaldi puts the energy in place of C0
        if config.energy and config.zeroth:                                 # here both are kept
            frames = torch.cat([frames[:, :1], kaldi.mfcc(sound, num_ceps=config.cepstra, **{**shared, "use_energy": False})], dim=1)
        elif not config.zeroth and not config.energy:
            frames = frames[:, 1:]
    return frames.numpy()


DELTA_REACH = 2                      # frames to each side that a difference looks at


def with_deltas(frames: np.ndarray, order: int) -> np.ndarray:
    """[T, D] to [T, D * (1 + order)]: regression over two frames each side, edges repeated."""
    import torch
    from torchaudio.functional import compute_deltas

    parts = [torch.from_numpy(frames)]
    for _ in range(order):
        parts.append(compute_deltas(parts[-1].T.contiguous(), win_length=2 * DELTA_REACH + 1).T)
    return torch.cat(parts, dim=1).contiguous().numpy()


@dataclass(frozen=True)
class Normalizer:
    """The training set's mean and standard deviation per feature."""

    mean: np.ndarray                 # [width]
    std: np.ndarray                  # [width]

    def save(self, path: Path) -> None:
        write_json(path, {"mean": [float(v) for v in self.mean], "std": [float(v) for v in self.std]})

    @classmethod
    def load(cls, path: Path) -> Normalizer:
        row = read_json(path)
        try:
            mean, std = np.asarray(row["mean"], np.float32), np.asarray(row["std"], np.float32)
        except (KeyError, TypeError, ValueError) as error:
            raise ModelError(f"is not a normalizer: {error}", where=path) from None
        if mean.shape != std.shape or mean.ndim != 1 or not (np.isfinite(mean).all() and (std > 0).all()):
            raise ModelError("is not a normalizer: two lists of one length, deviations above zero", where=path)
        return cls(mean, std)

    @classmethod
    def fit(cls, utterances: Iterable[np.ndarray]) -> Normalizer:
        """From frames [T, width]; sums in float64."""
        count, total, square = 0, 0.0, 0.0
        for frames in utterances:
            wide = frames.astype(np.float64)
            count, total, square = count + len(wide), total + wide.sum(0), square + (wide * wide).sum(0)
        if not count:
            raise DataError("there are no frames to normalize by")
        mean = total / count
        std = np.sqrt(np.maximum(square / count - mean * mean, 0))
        return cls(mean.astype(np.float32), np.maximum(std, _FLOOR).astype(np.float32))


_FLOOR = 1e-3                        # a feature that never changes (digital silence) must not divide by zero


def finish(frames: np.ndarray, config: FeatureConfig, normalizer: Normalizer | None,
           perturb: Callable[[np.ndarray], np.ndarray] | None = None) -> np.ndarray:
    """[T, width] to what the encoder sees, [ceil(T / stack), output_size]: limited in range, normalized, perturbed, stacked."""
    frames = limited(values(frames), config)
    if config.normalize == "corpus":
        frames = (frames - normalizer.mean) / normalizer.std
    elif config.normalize in ("utterance", "mean"):
        frames = frames - frames.mean(0)
        if config.normalize == "utterance":
            frames = frames / np.maximum(frames.std(0), _FLOOR)
    if perturb is not None:
        frames = perturb(frames)
    return _stacked(frames, config.stack)


def values(frames: np.ndarray) -> np.ndarray:
    """As they were stored, to float32: in bytes 0 to 255 stand for 0 to 1."""
    return frames.astype(np.float32) / np.float32(255) if frames.dtype == np.uint8 else frames


def limited(frames: np.ndarray, config: FeatureConfig) -> np.ndarray:
    """Silence made alike, whatever the line it came over: no value lies more than `range_db` below the highest."""
    if not config.range_db:
        return frames
    return np.maximum(frames, frames.max() - np.float32(config.range_db * np.log(10) / 10))


def _stacked(frames: np.ndarray, stack: int) -> np.ndarray:
    """Joins each `stack` successive frames; the last frame is repeated to fill."""
    missing = -len(frames) % stack
    if missing:
        frames = np.concatenate([frames, np.repeat(frames[-1:], missing, axis=0)])
    return np.ascontiguousarray(frames).reshape(len(frames) // stack, -1)
