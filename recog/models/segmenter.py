"""A class for each pixel of a picture: Graves, Fernandez & Schmidhuber 2007, and the convolutions that it is compared with.

Networks are made from their Config, the values of a pixel C, the number of classes V, and height and width of all pictures (0, 0 if they
differ). They turn x [B, H, W, C] into scores [B, H, W, V]; one that classifies pictures as wholes gives [B, 1, 1, V].
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..components import find
from ..config import Component, component
from ..errors import ConfigError
from ..layers.mdlstm import SPREAD, MdLstm
from ..types import Batch, Loss


@dataclass(frozen=True)
class PixelMdLstmConfig:
    """The network of the paper: one layer, and at each pixel a softmax that sees all four directions."""

    units: int = 25                      # cells in each direction
    cell: Literal["standard", "stable"] = "standard"     # stable: of Leifert et al. 2016

    def __post_init__(self):
        if self.units < 1:
            raise ValueError("units must be at least 1")


class PixelMdLstm(nn.Module):
    Config = PixelMdLstmConfig
    whole = False

    def __init__(self, config: PixelMdLstmConfig, channels: int, classes: int, size: tuple[int, int]):
        super().__init__()
        self.layer = MdLstm(channels, config.units, config.cell)
        self.output = nn.Linear(self.layer.output_size, classes)
        nn.init.normal_(self.output.weight, std=SPREAD)
        nn.init.normal_(self.output.bias, std=SPREAD)

    def forward(self, x: Tensor) -> Tensor:
        return self.output(self.layer(x, torch.tensor([x.shape[1:3]] * len(x))))


@dataclass(frozen=True)
class PixelConvConfig:
    """Convolutions that keep the picture's size; those with holes see far with few weights (Yu & Koltun 2016)."""

    channels: tuple[int, ...] = (24, 24, 24, 24, 24, 24)
    holes: tuple[int, ...] = (1, 2, 4, 8, 4, 2)          # steps between the pixels that a layer sees: together 21 to each side
    kernel: int = 3                      # pixels to a side

    def __post_init__(self):
        if not self.channels or len(self.channels) != len(self.holes) or min(*self.channels, *self.holes) < 1:
            raise ValueError("channels and holes must be given for the same layers, all at least 1")
        if self.kernel < 1 or self.kernel % 2 == 0:
            raise ValueError("kernel must be odd")


class PixelConv(nn.Module):
    Config = PixelConvConfig
    whole = False

    def __init__(self, config: PixelConvConfig, channels: int, classes: int, size: tuple[int, int]):
        super().__init__()
        widths = itertools.pairwise((channels, *config.channels))
        self.layers = nn.ModuleList(nn.Conv2d(before, after, config.kernel, padding=config.kernel // 2 * hole, dilation=hole)
                                    for (before, after), hole in zip(widths, config.holes))
        self.output = nn.Linear(config.channels[-1], classes)

    def forward(self, x: Tensor) -> Tensor:
        x = x.permute(0, 3, 1, 2)                                        # [B, C, H, W]
        for layer in self.layers:
            x = layer(x).relu()
        return self.output(x.permute(0, 2, 3, 1))


@dataclass(frozen=True)
class SimardConfig:
    """The convolutional network of Simard, Steinkraus & Platt 2003, which the paper compares itself with: a class for a picture."""

    features: tuple[int, ...] = (5, 50)  # of each 5 x 5 convolution; each halves the picture
    hidden: int = 100

    def __post_init__(self):
        if not self.features or min(*self.features, self.hidden) < 1:
            raise ValueError("features must be given, they and hidden be at least 1")


class Simard(nn.Module):
    Config = SimardConfig
    whole = True

    def __init__(self, config: SimardConfig, channels: int, classes: int, size: tuple[int, int]):
        """Raises ConfigError for pictures of several sizes, and of one that is too small."""
        super().__init__()
        left = [side + 1 for side in size]                               # 28 x 28 pixels in a field of 29 x 29, as there
        for _ in config.features:
            left = [(side - 3) // 2 for side in left]
        if min(size) < 1 or min(left) < 1:
            raise ConfigError("needs pictures of one size, large enough for its convolutions", where="network kind 'simard'")
        self.layers = nn.ModuleList(nn.Conv2d(before, after, 5, stride=2) for before, after in itertools.pairwise((channels, *config.features)))
        self.hidden = nn.Linear(config.features[-1] * left[0] * left[1], config.hidden)
        self.output = nn.Linear(config.hidden, classes)

    def forward(self, x: Tensor) -> Tensor:
        x = F.pad(x.permute(0, 3, 1, 2), (0, 1, 0, 1))
        for layer in self.layers:
            x = layer(x).tanh()
        return self.output(self.hidden(x.flatten(1)).tanh())[:, None, None]


@dataclass(frozen=True)
class SegmenterConfig:
    """What rebuilds a model: the network, and facts about the pictures that it is for."""

    network: Component = component("pixels", default="mdlstm")
    channels: int = 1                    # values of a pixel
    height: int = 0                      # of all pictures that it was trained on; 0: they differ
    width: int = 0


class Segmenter(nn.Module):
    """A network, and the mean and deviation of the training pictures' values, by which its inputs are standardized."""

    Config = SegmenterConfig

    def __init__(self, config: SegmenterConfig, classes: int):
        """classes: V, with the background, which is class 0."""
        super().__init__()
        self.config = config
        self.network = find("pixels", config.network.kind)(config.network.config, config.channels, classes, (config.height, config.width))
        self.register_buffer("mean", torch.zeros(config.channels))
        self.register_buffer("deviation", torch.ones(config.channels))

    @property
    def whole(self) -> bool:
        """It classifies pictures, not pixels."""
        return self.network.whole

    def forward(self, x: Tensor) -> Tensor:
        """Log-probabilities [B, H, W, V], natural; of whole pictures [B, 1, 1, V]. x: [B, H, W, C], 0 to 1."""
        return self.network((x - self.mean) / self.deviation).log_softmax(-1)

    def loss(self, batch: Batch) -> Loss:
        """Nats, summed over pixels and pictures."""
        rows, wanted = self(batch.x), self.wanted(batch.y)
        total = F.nll_loss(rows.flatten(0, 2), wanted.flatten(), reduction="sum")
        return Loss(total, {"nats": total.item()}, len(batch.ids))

    def wanted(self, y: Tensor) -> Tensor:
        """What it has to say of pictures with these classes [B, H, W]: the same; or the one class that each shows [B, 1, 1]."""
        return y.amax((1, 2), keepdim=True) if self.whole else y


def decided(log_probs: Tensor, rule: str) -> Tensor:
    """The class of each picture [B], never the background, from the log-probabilities of its pixels' classes [B, H, W, V].

    rule "sum": the class whose probabilities add up to most over all pixels, as in the paper; "product": multiply to most.
    """
    rows = log_probs[..., 1:].flatten(1, 2)                              # [B, pixels, V - 1]
    return (rows.logsumexp(1) if rule == "sum" else rows.sum(1)).argmax(1) + 1
