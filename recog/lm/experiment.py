"""Model files of text recipes: a character network, how it is trained, and the n-gram models that it is measured against."""

from __future__ import annotations

from dataclasses import dataclass, field

from ..text import UnitsConfig
from ..train import TrainConfig
from .bits import DynamicConfig
from .rnn import RnnConfig
from .windows import WindowConfig


@dataclass(frozen=True)
class TextExperiment:
    """models/NAME.toml of a recipe whose medium is text."""

    network: RnnConfig = field(default_factory=RnnConfig)
    units: UnitsConfig = field(default_factory=UnitsConfig)
    windows: WindowConfig = field(default_factory=WindowConfig)
    train: TrainConfig = field(default_factory=TrainConfig)
    dynamic: DynamicConfig = field(default_factory=DynamicConfig)
    orders: tuple[int, ...] = (3, 4, 5, 6, 7, 8)               # of the n-gram models beside it

    def __post_init__(self):
        if self.units.kind != "char":
            raise ValueError('units.kind must be "char"')
        if not self.orders or min(self.orders) < 1:
            raise ValueError("orders must be given, and be at least 1")
        for name in ("start", "initial", "batch", "perturb"):
            if getattr(self.train, name) != getattr(TrainConfig(), name):
                raise ValueError(f"train.{name} plays no part in a recipe of texts; see [windows]")
