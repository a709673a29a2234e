"""A transcript that grows while sound arrives; at the end it is that of the whole sound.

Each step hands on what it is sure of: samples -> FeatureStream -> the encoder's `step` -> the decoder's `step`. What is
held between two pieces of sound is a window of samples, a few frames, the network's cells, and the decoder's state.
That state alone grows: best path keeps 16 bytes a frame (6 MB an hour at 100 frames a second), the beam 8 bytes per unit
and frame, because the places of the units are found at the end (180 MB an hour with 62 units at 100 frames a second,
30 MB with 30 units at 33), prefix search only its answer and the open section.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from .answers import transcript
from .audio import RATES
from .errors import ConfigError
from .featurestream import FeatureStream
from .modeldir import LoadedModel
from .nbest import once
from .types import Decoder, Encoded, Hypothesis, Transcript


@dataclass(frozen=True)
class Partial:
    """What is known so far."""

    settled: str                     # no later sound should change this (a beam goes by a margin: its `live`)
    tentative: str                   # what follows it in the best answer so far
    seconds: float                   # of sound heard


class Stream:
    """Sound in, in pieces of any length; how it is cut changes nothing."""

    def __init__(self, loaded: LoadedModel, decoder: Decoder, rate: int | None = None, name: str = "stream"):
        """rate: samples a second of the sound to come; None: the model's. Raises ConfigError for a model that cannot stream."""
        config = loaded.config
        if getattr(config.encoder.config, "bidirectional", False):
            raise ConfigError("this model reads backwards too, so it needs the whole recording: it cannot stream", where=loaded.name,
                              hint="train one with encoder.bidirectional = false and features.normalize = 'corpus'")
        if not hasattr(loaded.model.encoder, "step"):
            raise ConfigError(f"the encoder '{config.encoder.kind}' cannot stream", where=loaded.name, hint="transcribe the recorded file")
        self.loaded, self.decoder, self.name = loaded, decoder, name
        self.rate, self.samples = rate or config.features.rate, 0
        if self.rate not in RATES:
            raise ConfigError(f"there are no sounds of {self.rate} samples a second", where="--rate", hint="16000, say")
        self.features = FeatureStream(config.features, loaded.normalizer)
        self.resample = _resampler(self.rate, config.features.rate)
        self.device = next(loaded.model.parameters()).device
        self.cells = None                                    # the encoder's state
        self.state = decoder.begin()                         # the decoder's
        self.said = ("", "")

    def accept(self, samples: np.ndarray) -> Partial:
        """samples: float32 [N] in [-1, 1]."""
        self.samples += len(samples)
        if self._hear(self.features.accept(self.resample(np.asarray(samples, np.float32), False)), last=False):
            self.said = self._said()
        return Partial(*self.said, self.samples / self.rate)

    def finish(self) -> Transcript:
        """The transcript of all that was heard, the one that the recorded sound would get in one piece. Ends the stream."""
        rest = self.features.accept(self.resample(np.zeros(0, np.float32), True))
        self._hear(np.concatenate([rest, self.features.finish()]), last=True)
        answers = list(once(self._shown(found) for found in self.decoder.finish(self.state)))
        nbest = getattr(getattr(self.decoder, "config", None), "nbest", 1)
        return replace(answers[0], nbest=tuple(answers) if nbest > 1 else ())

    def _said(self) -> tuple[str, str]:
        """What is settled, and what follows it in the best answer so far."""
        decode, (settled, best) = self.loaded.units.decode, self.decoder.live(self.state)
        sure, text = decode(settled).strip(), decode(best).strip()
        if not text.startswith(sure):                        # phones of a word under way may be joined otherwise
            sure = sure[:next((i for i, (a, b) in enumerate(zip(sure, text)) if a != b), len(text))]
        return sure, text[len(sure):]

    @torch.inference_mode()
    def _hear(self, frames: np.ndarray, last: bool) -> bool:
        """Whether the decoder had something to do."""
        if not (len(frames) or last):
            return False
        x = torch.from_numpy(frames)[None].to(self.device)
        h, self.cells = self.loaded.model.encoder.step(x, self.cells, last)
        if h.shape[1]:
            self.state = self.decoder.step(self.state, self._emissions(h))
        return h.shape[1] > 0

    def _emissions(self, h: Tensor) -> np.ndarray:
        """What the decoder takes, of the encoder's outputs h [1, T, D]."""
        n = torch.tensor([h.shape[1]], device=h.device)
        return self.loaded.model.head.emissions(Encoded(h, n))[0].cpu().numpy()

    def _shown(self, found: Hypothesis) -> Transcript:
        shown = transcript(self.loaded, self.name, "-", found)
        return replace(shown, text=shown.text.strip())


def _resampler(rate: int, new_rate: int):
    """A function of samples and whether they are the last."""
    if rate == new_rate:
        return lambda samples, last: samples
    import soxr

    return soxr.ResampleStream(rate, new_rate, 1, dtype="float32", quality="HQ").resample_chunk
