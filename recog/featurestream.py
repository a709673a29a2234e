"""Features of a sound that is still being heard: the same frames as of the whole sound, each as soon as it is certain."""

from __future__ import annotations

import numpy as np

from .errors import ConfigError
from .features import DELTA_REACH, FeatureConfig, Normalizer, finish, static, with_deltas
from .types import Waveform


class FeatureStream:
    """Samples in, in pieces of any length; finished frames [n, output_size] out, n often 0.

    How the sound is cut into pieces changes nothing. Held back: the samples of a window under way, the frames that a
    difference still waits for (two per order), and the frames of an unfinished stack.
    """

    def __init__(self, config: FeatureConfig, normalizer: Normalizer | None):
        """Raises ConfigError where a frame would follow from what is not heard yet."""
        if config.normalize in ("utterance", "mean"):
            raise ConfigError(f"this model cannot stream: features.normalize = '{config.normalize}' needs the whole recording first",
                              hint="train one with normalize = 'corpus' and encoder.bidirectional = false")
        if config.range_db:
            raise ConfigError("this model cannot stream: features.range_db needs the whole recording first", hint="train one without")
        self.config, self.normalizer = config, normalizer
        self.samples = np.zeros(0, np.float32)               # from the beginning of the next window on
        self.skip = 0                                        # samples to leave out: a step may be longer than a window
        self.frames: np.ndarray | None = None                # static [n, D]: those to come, and before them what differences need
        self.past = 0                                        # how many of them have been given already
        self.stack: np.ndarray | None = None                 # [n, width], n < stack
        self.any = False                                     # a window was whole

    def accept(self, samples: np.ndarray) -> np.ndarray:
        """samples: float32 [N] in [-1, 1], at the model's rate."""
        self.samples = np.concatenate([self.samples, samples[self.skip:]])
        self.skip = max(0, self.skip - len(samples))
        count = (len(self.samples) - self.config.window) // self.config.step + 1
        if count < 1:
            return np.zeros((0, self.config.output_size), np.float32)
        used = count * self.config.step
        frames = static(Waveform(self.samples[:used - self.config.step + self.config.window], self.config.rate), self.config)
        self.skip = max(0, used - len(self.samples))
        self.samples, self.any = self.samples[used:], True
        return self._stacked(self._differences(frames, last=False), last=False)

    def finish(self) -> np.ndarray:
        """What was held back. A sound shorter than a window gives one frame; no sound gives none."""
        frames = None
        if not self.any and len(self.samples):
            frames = static(Waveform(self.samples, self.config.rate), self.config)
        return self._stacked(self._differences(frames, last=True), last=True)

    def _differences(self, frames: np.ndarray | None, last: bool) -> np.ndarray:
        """Those frames whose differences are certain, [n, width]."""
        held = [f for f in (self.frames, frames) if f is not None]
        if not held:
            return np.zeros((0, self.config.width), np.float32)
        frames, reach = np.concatenate(held), DELTA_REACH * self.config.deltas
        ready = len(frames) if last else max(self.past, len(frames) - reach)
        found = with_deltas(frames, self.config.deltas)[self.past:ready]
        self.frames, self.past = frames[max(0, ready - reach):], min(ready, reach)
        return found

    def _stacked(self, frames: np.ndarray, last: bool) -> np.ndarray:
        """Normalized and joined; the last frame is repeated to fill, as for the whole sound."""
        frames = frames if self.stack is None else np.concatenate([self.stack, frames])
        whole = len(frames) if last else len(frames) - len(frames) % self.config.stack
        self.stack = frames[whole:]
        if not whole:
            return np.zeros((0, self.config.output_size), np.float32)
        return finish(frames[:whole], self.config, self.normalizer)
