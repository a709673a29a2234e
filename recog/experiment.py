"""Model files, models/NAME.toml: a model, what it learns from, and how it is trained and decoded."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from typing import Literal

from .config import Component, component
from .features import FeatureConfig
from .lm.bits import DynamicConfig
from .lm.kneser_ney import MOST as HIGHEST
from .lm.recipe import LmConfig
from .lm.rnn import RnnConfig
from .lm.windows import WindowConfig
from .models.handwriting import HandwritingConfig
from .models.recognizer import RecognizerConfig
from .pen.features import InkFeatureConfig
from .perturb import PerturbConfig
from .phases import SecondConfig
from .splice import SpliceConfig
from .text import UnitsConfig
from .train import TrainConfig
from .views import Features, ViewsConfig

LM = "lm"                                        # what [lm] is called beside the names of [[beside]]


@dataclass(frozen=True)
class GuidedConfig:
    """[[beside]]: decoders with a language model of their own, or with other models, to be compared; these do not go into the model."""

    name: str                                    # what the table calls it
    decoders: tuple[Component, ...] = field(metadata={"of": "decoder"})
    lm: LmConfig | None = None
    members: tuple[str, ...] = ()                # other models, as folders or by name, that read together with this one; they share its [lm]

    def __post_init__(self):
        if not re.fullmatch(r"[a-z0-9_]+", self.name):
            raise ValueError("name must be of small letters, digits and _")
        if not self.decoders:
            raise ValueError("decoders must name at least one decoder")
        asking = [d.kind for d in self.decoders if getattr(d.config, "lm", False)]
        if self.members and self.lm:
            raise ValueError("members share the [lm] of the model: a group of them has none of its own")
        if bool(asking) != (self.lm is not None) and not self.members:
            raise ValueError("a decoder with lm = true needs [lm]" if asking else "[lm] needs a decoder with lm = true")


def _greedy() -> tuple[Component, ...]:
    return (component("decoder", default="greedy").default_factory(),)


@dataclass(frozen=True)
class Experiment:
    """models/NAME.toml: a model and how it is trained and decoded."""

    encoder: Component = component("encoder")
    head: Component = component("head", default="ctc")
    decoders: tuple[Component, ...] = field(metadata={"of": "decoder"}, default_factory=_greedy)  # the first goes into the model
    hooks: tuple[Component, ...] = field(metadata={"of": "hook"}, default=())
    features: Features = field(default_factory=FeatureConfig)
    units: UnitsConfig = field(default_factory=UnitsConfig)
    views: ViewsConfig = field(default_factory=ViewsConfig)
    splice: SpliceConfig = field(default_factory=SpliceConfig)
    train: TrainConfig = field(default_factory=TrainConfig)
    lm: LmConfig | None = None                   # a language model for the decoders with lm = true; none: no such decoder
    beside: tuple[GuidedConfig, ...] = ()        # more decoders, asking other language models
    second: SecondConfig | None = None           # a second phase of training, with hooks of its own; none: one phase

    def __post_init__(self):
        names = [group.name for group in self.guided]
        if self.lm is None and any(getattr(d.config, "lm", False) for group in self.beside if group.members for d in group.decoders):
            raise ValueError("beside: a decoder with lm = true needs [lm]")
        if len(set(names)) < len(names):
            raise ValueError(f"beside: each needs a name of its own, and not '{LM}'")
        if self.splice.share and (self.second is None and not self.train.start or self.head.kind != "ctc"):
            raise ValueError("splice.share needs the ctc head, and a [second] phase or train.start: what was learned before cuts the words")
        if self.splice.letters and not (self.features.medium == "ink" and self.features.kind == "offsets" and self.features.place
                                        and self.units.kind == "char" and self.views.store):
            raise ValueError("splice.letters needs ink as offsets with features.place, units of characters and views.store")
        if misplaced := self.views.misplaced(self.features.medium):
            raise ValueError(misplaced)
        if self.train.perturb.warp and (self.features.kind != "logmel" or self.features.energy):
            raise ValueError("train.perturb.warp needs logmel features without energy")

    @property
    def guided(self) -> tuple[GuidedConfig, ...]:
        """All decoders, by the language model that they may ask; the first group's goes into the model."""
        return (GuidedConfig(LM, self.decoders, self.lm), *self.beside)

    @property
    def recognizer(self) -> RecognizerConfig:
        """What is trained. A decoder that asks a language model does so when the stage lm has put one into the model."""
        decoder = self.decoders[0]
        if getattr(decoder.config, "lm", False):
            decoder = replace(decoder, config=replace(decoder.config, lm=False, word_bonus=0.0))
        return RecognizerConfig(encoder=self.encoder, head=self.head, decoder=decoder, features=self.features, units=self.units)


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
        if not self.orders or min(self.orders) < 1 or max(self.orders) > HIGHEST:
            raise ValueError(f"orders must be given, and be from 1 to {HIGHEST}")
        for name in ("start", "initial", "batch", "perturb"):
            if getattr(self.train, name) != getattr(TrainConfig(), name):
                raise ValueError(f"train.{name} plays no part in a recipe of texts; see [windows]")


@dataclass(frozen=True)
class WritingExperiment:
    """models/NAME.toml of a recipe whose medium is writing."""

    network: HandwritingConfig = field(default_factory=HandwritingConfig)
    features: InkFeatureConfig = field(default_factory=lambda: AS_WRITTEN)
    units: UnitsConfig = field(default_factory=UnitsConfig)
    views: ViewsConfig = field(default_factory=ViewsConfig)
    train: TrainConfig = field(default_factory=TrainConfig)
    hooks: tuple[Component, ...] = field(metadata={"of": "hook"}, default=())
    second: SecondConfig | None = None           # a second phase of training, with hooks of its own; none: one phase

    def __post_init__(self):
        features = self.features
        if (features.kind, features.place, features.stack, features.normalize) != ("offsets", False, 1, "none"):
            raise ValueError('features must be kind = "offsets" with place = false, stack = 1 and normalize = "none": the network predicts them')
        if self.units.kind != "char":
            raise ValueError('units.kind must be "char"')
        if self.train.perturb != PerturbConfig():
            raise ValueError("train.perturb would change the points that are to be predicted")


@dataclass(frozen=True)
class PixelNetwork:
    """[[beside]] of a recipe of pixels: a network trained on the same pictures, to be compared."""

    name: str                                    # what the table calls it
    network: Component = component("pixels")
    train: TrainConfig = field(default_factory=TrainConfig)
    hooks: tuple[Component, ...] = field(metadata={"of": "hook"}, default=())

    def __post_init__(self):
        if not re.fullmatch(r"[a-z0-9_]+", self.name):
            raise ValueError("name must be of small letters, digits and _")
        if self.train.perturb != PerturbConfig() or self.train.start or self.train.initial:
            raise ValueError("train.perturb, train.start and train.initial play no part in a recipe of pixels")


@dataclass(frozen=True)
class PixelExperiment:
    """models/NAME.toml of a recipe whose medium is pixels."""

    network: Component = component("pixels", default="mdlstm")
    train: TrainConfig = field(default_factory=TrainConfig)
    hooks: tuple[Component, ...] = field(metadata={"of": "hook"}, default=())
    decide: Literal["sum", "product"] = "sum"    # a picture is of the class whose probabilities add up, or multiply, to most over its pixels
    beside: tuple[PixelNetwork, ...] = ()        # more networks

    def __post_init__(self):
        names = [network.name for network in self.networks]
        if len(set(names)) < len(names):
            raise ValueError(f"beside: each needs a name of its own, and not '{names[0]}'")

    @property
    def networks(self) -> tuple[PixelNetwork, ...]:
        """All of them, the model's own first; it is called by its kind."""
        return (PixelNetwork(self.network.kind, self.network, self.train, self.hooks), *self.beside)


AS_WRITTEN = InkFeatureConfig(slope=False, slant=False, height=False, resample="none", place=False, normalize="none")
