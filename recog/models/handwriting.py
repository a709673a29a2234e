"""Handwriting, point by point: the prediction and synthesis networks of Graves 2013, "Generating sequences with recurrent neural networks".

Layer 1 of the synthesis network looks at the text through a window; the layers above see the window too, but do not drive it, so they
run over whole sequences.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ..layers import mixture
from ..layers.peephole import PeepholeLstm
from ..layers.window import Text, WindowLstm
from ..types import Batch, Loss


@dataclass(frozen=True)
class HandwritingConfig:
    """The network. Its defaults are those of the paper's synthesis network."""

    layers: int = 3
    units: int = 400                         # in each layer: LSTM with peepholes
    components: int = 20                     # of the mixture that says where the pen goes
    gaussians: int = 10                      # of the window on the text; 0: no text, the prediction network
    clip: float = 10.0                       # largest size of the gradient of a line's loss at an LSTM gate, at each step; 0: any
    output_clip: float = 100.0               # and at an output

    def __post_init__(self):
        if min(self.layers, self.units, self.components) < 1 or min(self.gaussians, self.clip, self.output_clip) < 0:
            raise ValueError("layers, units and components must be at least 1, gaussians, clip and output_clip at least 0")


class Handwriting(nn.Module):
    """Reads points (dx, dy, end of stroke) and says of each where the next one will be."""

    Config = HandwritingConfig

    def __init__(self, config: HandwritingConfig, symbols: int):
        """symbols: V, unit numbers are below it."""
        super().__init__()
        self.config, seen = config, symbols if config.gaussians else 0
        self.register_buffer("scale", torch.ones(2))             # deviations of dx and dy in the training set, by which offsets are divided
        first = WindowLstm(3, config.units, symbols, config.gaussians) if seen else PeepholeLstm(3, config.units)
        self.layers = nn.ModuleList([first, *(PeepholeLstm(3 + seen + config.units, config.units) for _ in range(config.layers - 1))])
        for layer in self.layers:                                # gates that forget start open, so that early gradients reach back in time
            layer.bias.data[config.units:2 * config.units] += 1.0
        self.output = nn.Linear(config.layers * config.units, mixture.size(config.components))

    def forward(self, x: Tensor, text: Text) -> Tensor:
        """x [T, B, 3], scaled, to rows of `mixture` [T, B, 6M + 1]: of the point after each.

        Gradients are clipped as if they were of the mean over the batch's lines, as the trainer takes it.
        """
        clip, limit = (size / x.shape[1] for size in (self.config.clip, self.config.output_clip))
        if self.config.gaussians:
            h, w, _ = self.layers[0](x, text, clip=clip)
            x = torch.cat([x, w], 2)                             # what the layers above see beside the layer below
        else:
            h, _ = self.layers[0](x, clip=clip)
        found = [h]
        for layer in self.layers[1:]:
            found.append(layer(torch.cat([x, found[-1]], 2), clip=clip)[0])
        rows = self.output(torch.cat(found, 2))
        if limit and rows.requires_grad:
            rows.register_hook(lambda gradient: gradient.clamp(-limit, limit))
        return rows

    def likelihoods(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Of each point after the first, given those before it, natural log, in scaled offsets; and the squared error of what
        was expected, in scaled offsets too. [T - 1, B] each, 0 beyond a line's end.

        batch.x [B, T, 3]: dx, dy in the ink's units and 1 at the last point of a stroke. The first point is where the line begins: its
        offset is nobody's to predict, and not read.
        """
        points = torch.cat([batch.x[..., :2] / self.scale, batch.x[..., 2:]], 2).transpose(0, 1)
        first = torch.cat([torch.zeros_like(points[:1, :, :2]), points[:1, :, 2:]], 2)
        given, wanted = torch.cat([first, points[1:]])[:-1], points[1:]
        rows = self(given, Text(batch.y, batch.y_len))
        real = torch.arange(1, len(points), device=points.device)[:, None] < batch.x_len
        error = ((mixture.mean(rows.detach()) - wanted[..., :2]) ** 2).sum(-1)
        return torch.where(real, mixture.log_likelihood(rows, wanted), 0.0), torch.where(real, error, 0.0)

    def loss(self, batch: Batch) -> Loss:
        """Nats (equation 26), and beside it the sum of squared errors and the points that are predicted."""
        likelihoods, errors = self.likelihoods(batch)
        total = -likelihoods.sum()
        points = float((batch.x_len - 1).sum())
        return Loss(total, {"nats": total.item(), "squares": errors.sum().item(), "points": points}, len(batch.ids))
