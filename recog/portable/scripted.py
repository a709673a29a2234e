"""Encoders of sequences and heads as TorchScript can have them: twins with the same weights, that read and do not learn.

What recog's own layers gain from threads, compiled kernels and gradients of their own, TorchScript cannot express. Weights stand in
nn.LSTM and nn.Linear, which is what quantization looks for.
"""

import copy
import warnings
from typing import Optional, Tuple           # TorchScript reads no newer spelling, and no annotations that are strings

import torch
from torch import Tensor, nn
from torch.nn import functional

from ..encoders.blstm import Blstm
from ..encoders.conv_blstm import ConvBlstm
from ..heads.transducer import Transducer
from ..layers.lstm import LstmLayer, TanhRnn
from ..layers.peephole import PeepholeLstm


class Peephole(nn.Module):
    """One direction of an LSTM with peepholes: x [T, B, D] and the h and c before it to h [T, B, H] and the last h and c."""

    def __init__(self, cell: PeepholeLstm):
        super().__init__()
        self.units = cell.units
        self.given, self.recurrent = nn.Linear(cell.weight_ih.shape[1], 4 * cell.units), nn.Linear(cell.units, 4 * cell.units, bias=False)
        self.given.weight, self.given.bias, self.recurrent.weight = cell.weight_ih, cell.bias, cell.weight_hh
        self.peepholes = cell.peepholes

    def forward(self, x: Tensor, state: Optional[Tuple[Tensor, Tensor]] = None) -> Tuple[Tensor, Tuple[Tensor, Tensor]]:
        if state is None:
            h, c = x.new_zeros(x.size(1), self.units), x.new_zeros(x.size(1), self.units)
        else:
            h, c = state
        gates, found = self.given(x), x.new_empty(x.size(0), x.size(1), self.units)
        pi, pf, po = self.peepholes[0], self.peepholes[1], self.peepholes[2]
        for t in range(x.size(0)):
            i, f, g, o = (gates[t] + self.recurrent(h)).chunk(4, 1)
            c_before = c
            c = torch.sigmoid(f + pf * c_before) * c_before + torch.sigmoid(i + pi * c_before) * torch.tanh(g)
            h = torch.sigmoid(o + po * c) * torch.tanh(c)
            found[t] = h
        return found, (h, c)


def _cell(cell: nn.Module) -> nn.Module:
    if isinstance(cell, PeepholeLstm):
        return Peephole(cell)
    twin = nn.RNN(cell.input_size, cell.hidden_size) if isinstance(cell, TanhRnn) else nn.LSTM(cell.input_size, cell.hidden_size)
    twin.load_state_dict({name: getattr(cell, name) for name in twin.state_dict()})
    return twin


class Forwards(nn.Module):
    """A layer that reads forwards only. x [B, T, D] to [B, T, H]."""

    def __init__(self, layer: LstmLayer):
        super().__init__()
        self.forwards = _cell(layer.forwards)

    def forward(self, x: Tensor, n: Tensor) -> Tensor:
        return self.forwards(x.transpose(0, 1))[0].transpose(0, 1)


class Both(nn.Module):
    """A layer of both directions. x [B, T, D] to [B, T, 2H]."""

    def __init__(self, layer: LstmLayer):
        super().__init__()
        self.forwards, self.backwards = _cell(layer.forwards), _cell(layer.backwards)

    def forward(self, x: Tensor, n: Tensor) -> Tensor:
        x = x.transpose(0, 1)
        t = torch.arange(x.size(0), device=x.device)[:, None]
        # the row numbers that turn each sequence round within its length
        rows = (torch.where(t < n, n - 1 - t, t) * n.size(0) + torch.arange(n.size(0), device=x.device)).flatten()
        back = self.backwards(x.flatten(0, 1)[rows].view(x.size(0), x.size(1), x.size(2)))[0]
        back = back.flatten(0, 1)[rows].view(back.size(0), back.size(1), back.size(2))
        return torch.cat([self.forwards(x)[0], back], 2).transpose(0, 1)


class Stack(nn.Module):
    """`Blstm`: x [B, T, D] and lengths n [B] to h [B, T', output_size] and lengths."""

    def __init__(self, encoder: Blstm):
        super().__init__()
        self.factors = list(encoder.subsample)
        self.layers = nn.ModuleList([Forwards(layer) if layer.backwards is None else Both(layer) for layer in encoder.layers])

    def forward(self, x: Tensor, n: Tensor) -> Tuple[Tensor, Tensor]:
        for i, layer in enumerate(self.layers):
            x, factor = layer(x, n), self.factors[i]
            if factor > 1:
                real = torch.arange(x.size(1), device=x.device)[None] < n[:, None]
                x = functional.pad(x.masked_fill(~real[:, :, None], 0.0), [0, 0, 0, (factor - x.size(1) % factor) % factor])
                x, n = x.reshape(x.size(0), x.size(1) // factor, factor * x.size(2)), (n + factor - 1) // factor
        return x, n


def cut(h: Tensor, n: Tensor) -> Tensor:
    """Zeros beyond each sequence's end. h [B, C, T, F]."""
    real = torch.arange(h.size(2), device=h.device)[None] < n[:, None]
    return h.masked_fill(~real[:, None, :, None], 0.0)


class ConvStack(nn.Module):
    """`ConvBlstm`."""

    def __init__(self, encoder: ConvBlstm):
        super().__init__()
        self.planes, self.strides = encoder.planes, [layer.stride[0] for layer in encoder.convolutions]
        self.convolutions, self.stack = encoder.convolutions, Stack(encoder.blstm)

    def forward(self, x: Tensor, n: Tensor) -> Tuple[Tensor, Tensor]:
        h = cut(x.reshape(x.size(0), x.size(1), self.planes, x.size(2) // self.planes).transpose(1, 2), n)
        for i, layer in enumerate(self.convolutions):
            n = (n + self.strides[i] - 1) // self.strides[i]
            h = cut(torch.relu(layer(h)), n)
        return self.stack(h.transpose(1, 2).flatten(2), n)


class Reading(nn.Module):
    """x [B, T, D] and x_len [B] to log-probabilities [B, T', V], or what a transducer's joint wants, and lengths [B]."""

    def __init__(self, twin: nn.Module, output: nn.Linear, log_probs: bool):
        super().__init__()
        self.encoder, self.output, self.log_probs = twin, output, log_probs

    def forward(self, x: Tensor, x_len: Tensor) -> Tuple[Tensor, Tensor]:
        h, n = self.encoder(x, x_len)
        h = self.output(h)
        return h.log_softmax(2) if self.log_probs else h, n


class Prediction(nn.Module):
    """label [K] (0: the start), h and c [K, H] before it, to p [K, E] and h and c after it."""

    def __init__(self, head: Transducer):
        super().__init__()
        self.units, self.cell, self.project = head.units, _cell(head.prediction.forwards), head.from_labels
        self.layers = 0 if isinstance(self.cell, Peephole) else 1

    def forward(self, label: Tensor, h: Tensor, c: Tensor) -> Tuple[Tensor, Tensor, Tensor]:
        x = functional.one_hot(label, self.units)[None, :, 1:].to(h.dtype)
        h, c = (h[None], c[None]) if self.layers else (h, c)                 # nn.LSTM has an axis of layers
        y, (h, c) = self.cell(x, (h, c))
        return self.project(y[0]), h.view(y.size(1), y.size(2)), c.view(y.size(1), y.size(2))


class Joint(nn.Module):
    """Emissions [T, E] and p [U, E] to log-probabilities [T, U, V]."""

    def __init__(self, head: Transducer):
        super().__init__()
        self.hidden = head.to_units is not None
        self.output = nn.Identity() if head.to_units is None else head.to_units

    def forward(self, emission: Tensor, p: Tensor) -> Tensor:
        both = emission[:, None] + p[None]
        return self.output(torch.tanh(both) if self.hidden else both).log_softmax(2)


def scripted(twin: nn.Module, int8: bool = False) -> torch.jit.ScriptModule:
    """int8: the weights of LSTM and linear layers in 8 bits, what goes into them rounded as it comes."""
    twin = copy.deepcopy(twin).eval().requires_grad_(False)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")                      # both ways are no longer torch's newest
        if int8:
            twin = torch.ao.quantization.quantize_dynamic(twin, {nn.LSTM, nn.Linear}, dtype=torch.qint8)
        return torch.jit.script(twin)
