"""Encoders of sequences and heads as nodes of an ONNX graph: each function is what the layer of this name does in recog."""

from __future__ import annotations

import numpy as np
from torch import Tensor, nn

from ..encoders.blstm import Blstm
from ..encoders.conv_blstm import ConvBlstm
from ..heads.transducer import Transducer
from ..layers.lstm import LstmLayer, TanhRnn
from ..layers.peephole import PeepholeLstm
from ..layers.pictures import REACH
from .graph import Graph

EDGE = REACH // 2


def array(weight: Tensor) -> np.ndarray:
    return weight.detach().cpu().float().numpy()


def blstm(g: Graph, encoder: Blstm, x: str, n: str) -> tuple[str, str]:
    """x [B, T, D] and lengths [B] to h [B, T', output_size] and lengths; the other encoders too."""
    for layer, factor in zip(encoder.layers, encoder.subsample):
        x = _layer(g, layer, x, n)
        if factor > 1:
            x = g.filled_up(cut(g, x, n, (2,)), 1, 3, factor)
            x, n = g.node("Reshape", x, g.integers(0, -1, factor * layer.output_size)), g.divided_up(n, factor)
    return x, n


def _layer(g: Graph, layer: LstmLayer, x: str, n: str) -> str:
    cells = [cell for cell in (layer.forwards, layer.backwards) if cell is not None]
    direction = "bidirectional" if len(cells) == 2 else "forward"
    x, n = g.node("Transpose", x, perm=[1, 0, 2]), g.node("Cast", n, to=6)                  # int32 is what the operator wants
    y, _, _ = recurrent(g, cells, x, n, direction)                                          # [T, directions, B, H]
    return g.node("Reshape", g.node("Transpose", y, perm=[2, 0, 1, 3]), g.integers(0, 0, layer.output_size))


def recurrent(g: Graph, cells: list[nn.Module], x: str, n: str = "", direction: str = "forward", h: str = "", c: str = ""
              ) -> tuple[str, str, str]:
    """LSTM or tanh units, one for each direction: x [T, B, D] to y [T, directions, B, H] and the last h and c [directions, B, H].

    The operator reads each sequence backwards within its own length, as `reverse_within` does.
    """
    units = cells[0].weight_hh.shape[1] if isinstance(cells[0], PeepholeLstm) else cells[0].hidden_size
    weights = [g.constant(np.stack(each)) for each in zip(*(_weights(cell) for cell in cells))]
    if isinstance(cells[0], TanhRnn):
        return *g.several("RNN", [x, *weights, n, h], 2, hidden_size=units, direction=direction, activations=["Tanh"] * len(cells)), ""
    return tuple(g.several("LSTM", [x, *weights[:3], n, h, c, *weights[3:]], 3, hidden_size=units, direction=direction))


def _weights(cell: nn.Module) -> list[np.ndarray]:
    """W, R, B and, of a cell with peepholes, P; ONNX has the gates in the order i, o, f, g, and two biases."""
    if isinstance(cell, TanhRnn):
        return [array(cell.weight_ih_l0), array(cell.weight_hh_l0), np.concatenate([array(cell.bias_ih_l0), array(cell.bias_hh_l0)])]
    if isinstance(cell, PeepholeLstm):
        i, f, o = array(cell.peepholes)
        bias = _reordered(array(cell.bias))
        return [_reordered(array(cell.weight_ih)), _reordered(array(cell.weight_hh)), np.concatenate([bias, np.zeros_like(bias)]),
                np.concatenate([i, o, f])]
    return [_reordered(array(cell.weight_ih_l0)), _reordered(array(cell.weight_hh_l0)),
            np.concatenate([_reordered(array(cell.bias_ih_l0)), _reordered(array(cell.bias_hh_l0))])]


def _reordered(gates: np.ndarray) -> np.ndarray:
    """From i, f, g, o to i, o, f, g."""
    i, f, c, o = np.split(gates, 4)
    return np.concatenate([i, o, f, c])


def cut(g: Graph, x: str, n: str, others: tuple[int, ...], axis: int = 1) -> str:
    """Zeros beyond each sequence's end; others: all axes but those of sequences and frames."""
    real = g.node("Unsqueeze", g.real(n, g.length(x, axis)), g.integers(*others))
    return g.node("Where", real, x, g.constant(0.0))


def conv_blstm(g: Graph, encoder: ConvBlstm, x: str, n: str) -> tuple[str, str]:
    h = g.node("Transpose", g.node("Reshape", x, g.integers(0, 0, encoder.planes, encoder.bands)), perm=[0, 2, 1, 3])
    h = cut(g, h, n, (1, 3), 2)                                                            # [B, planes, T, bands]
    for layer in encoder.convolutions:
        n = g.divided_up(n, layer.stride[0])
        h = g.node("Relu", convolved(g, layer, h))
        h = cut(g, h, n, (1, 3), 2)
    return blstm(g, encoder.blstm, columns(g, h, width(encoder.blstm)), n)


def columns(g: Graph, h: str, size: int) -> str:
    """[B, R, T, C] to [B, T, R * C], which is `size`."""
    return g.node("Reshape", g.node("Transpose", h, perm=[0, 2, 1, 3]), g.integers(0, 0, size))


def convolved(g: Graph, layer: nn.Conv2d, h: str) -> str:
    bias = [] if layer.bias is None else [g.constant(array(layer.bias))]
    return g.node("Conv", h, g.constant(array(layer.weight)), *bias, pads=[EDGE] * 4, strides=list(layer.stride), kernel_shape=[REACH] * 2)


def width(encoder: Blstm) -> int:
    """Of its input."""
    cell = encoder.layers[0].forwards
    return cell.weight_ih.shape[1] if isinstance(cell, PeepholeLstm) else cell.input_size


def log_probs(g: Graph, output: nn.Linear, h: str) -> str:
    return g.node("LogSoftmax", linear(g, output, h), axis=-1)


def linear(g: Graph, layer: nn.Linear, x: str) -> str:
    return g.linear(x, array(layer.weight), None if layer.bias is None else array(layer.bias))


def predicted(g: Graph, head: Transducer, label: str, h: str, c: str) -> tuple[str, str, str]:
    """label [K] (0: the start), h and c [K, H] before it, to p [K, E] and h and c after it."""
    onehot = g.node("OneHot", label, g.constant(head.units, np.int64), g.constant([0.0, 1.0]), axis=-1)
    onehot = g.node("Slice", onehot, g.integers(1), g.integers(head.units), g.integers(1))  # the start is all zeros
    first = g.integers(0)
    states = [g.node("Unsqueeze", state, first) for state in (h, c)]
    _, *after = recurrent(g, [head.prediction.forwards], g.node("Unsqueeze", onehot, first), "", "forward", *states)
    h, c = (g.node("Squeeze", state, first) for state in after)
    return linear(g, head.from_labels, h), h, c


def joined(g: Graph, head: Transducer, emission: str, p: str) -> str:
    """Emissions [T, E] and p [U, E] to log-probabilities [T, U, V]."""
    both = g.node("Add", g.node("Unsqueeze", emission, g.integers(1)), g.node("Unsqueeze", p, g.integers(0)))
    return g.node("LogSoftmax", both, axis=-1) if head.to_units is None else log_probs(g, head.to_units, g.node("Tanh", both))
