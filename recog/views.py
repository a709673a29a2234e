"""An utterance as frames: as it is, and for training as changed copies of it. One function for each medium."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Iterator

import numpy as np

from . import audio, image, ink
from .augment import ChannelConfig, channel, speed
from .errors import DataError
from .features import FeatureConfig, extract
from .pen import features as pen
from .pen import render
from .pen.features import InkFeatureConfig
from .pen.warp import InkWarpConfig
from .scan import features as scan
from .scan.features import ScanFeatureConfig
from .scan.warp import ScanWarpConfig
from .types import Image, Ink, Utterance, Waveform

Features = FeatureConfig | InkFeatureConfig | ScanFeatureConfig


@dataclass(frozen=True)
class ViewsConfig:
    """Copies of each training utterance whose features are stored; each epoch uses one of them, drawn anew."""

    speeds: tuple[float, ...] = (1.0,)           # one copy at each speed; 1.1 is faster and higher
    channels: int = 0                            # more copies, each through a channel drawn from [views.channel]
    hands: int = 0                               # of ink: more copies, each changed as [views.ink] says
    scans: int = 0                               # of images: more copies, each changed as [views.scan] says
    seed: int = 0
    store: bool = True                           # false: only their lengths are; the frames are made anew for each batch, by other processes
    channel: ChannelConfig = field(default_factory=ChannelConfig)
    ink: InkWarpConfig = field(default_factory=InkWarpConfig)
    scan: ScanWarpConfig = field(default_factory=ScanWarpConfig)

    def __post_init__(self):
        if not self.speeds and not self.channels:
            raise ValueError("speeds must name at least one speed, or channels be above 0")
        if any(not 0.5 <= speed <= 2 for speed in self.speeds) or min(self.channels, self.hands, self.scans) < 0:
            raise ValueError("speeds must be from 0.5 to 2, channels, hands and scans at least 0")

    def misplaced(self, medium: str) -> str:
        """Which settings are for another medium, in words; or ""."""
        sound, hands, scans = self.channels > 0 or self.speeds != (1.0,), self.hands > 0, self.scans > 0
        if (sound and medium != "audio") or (hands and medium != "ink") or (scans and medium != "image"):
            return "views.speeds and views.channels are for sound, views.hands is for ink, views.scans for images"
        return ""


def views(utterance: Utterance, features: Features, config: ViewsConfig) -> Iterator[np.ndarray]:
    """Frames [T, features.width] before normalization: first as it is, then, of what is trained on, the copies. Raises DataError."""
    try:
        yield from _VIEWS[features.medium](utterance, features, config)
    except DataError as error:
        raise DataError(f"utterance '{utterance.id}': {error.what}", where=error.where or utterance.source, hint=error.hint) from None


def sounds(utterance: Utterance, rate: int, config: ViewsConfig) -> Iterator[Waveform]:
    """The utterance as it is; or, for training, its copies at other speeds and through other channels."""
    wave = audio.read(utterance.source, rate=rate, start=utterance.start, end=utterance.end)
    if utterance.split != "train":
        yield wave
        return
    for factor in config.speeds:
        yield replace(wave, samples=speed(wave.samples, factor))
    for rng in _generators(utterance, config.channels, config.seed):
        yield replace(wave, samples=channel(wave.samples, rate, rng, config.channel))


def picture(path: Path, id: str) -> Image:
    """An image; or ink, drawn as if it had been scanned, for the same id always in the same way. Raises DataError."""
    return _drawn(ink.read(path), id) if ink.is_ink(path) else image.read(path)


def frames_of(line: Ink, features: InkFeatureConfig | ScanFeatureConfig) -> np.ndarray:
    """A line of ink, before normalization, to a network that reads ink; or, drawn, to one that reads images. Raises DataError."""
    return pen.extract(line, features)[0] if features.medium == "ink" else scan.extract(_drawn(line, ""), features)[0]


def _drawn(line: Ink, id: str) -> Image:
    return render.rendered(line, render.RenderConfig(), np.random.default_rng([*id.encode()]))


def _of_sound(utterance: Utterance, features: FeatureConfig, config: ViewsConfig) -> Iterator[np.ndarray]:
    yield from (extract(wave, features) for wave in sounds(utterance, features.rate, config))


def _of_ink(utterance: Utterance, features: InkFeatureConfig, config: ViewsConfig) -> Iterator[np.ndarray]:
    written = ink.read(Path(utterance.source))
    yield pen.extract(written, features)[0]
    if utterance.split == "train":
        yield from pen.views(written, features, config.ink, _generators(utterance, config.hands, config.seed))


def _of_image(utterance: Utterance, features: ScanFeatureConfig, config: ViewsConfig) -> Iterator[np.ndarray]:
    seen = picture(Path(utterance.source), utterance.id)
    yield scan.extract(seen, features)[0]
    if utterance.split == "train":
        yield from scan.views(seen, features, config.scan, _generators(utterance, config.scans, config.seed))


def _generators(utterance: Utterance, count: int, seed: int) -> Iterator[np.random.Generator]:
    return (np.random.default_rng([seed, copy, *utterance.id.encode()]) for copy in range(count))


_VIEWS = {"audio": _of_sound, "ink": _of_ink, "image": _of_image}
