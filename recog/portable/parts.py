"""What a recognizer is for other programs: with CTC one network, with a transducer three; each as ONNX nodes and as a TorchScript twin."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Callable, Sequence

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from ..encoders.blstm import Blstm
from ..encoders.conv_blstm import ConvBlstm
from ..encoders.conv_mdrnn import ConvMdrnn
from ..encoders.crnn import Crnn
from ..encoders.mdrnn import Mdrnn
from ..errors import ModelError
from ..heads.ctc import Ctc
from ..heads.transducer import Transducer
from ..models.recognizer import Recognizer
from . import nodes, pictures, scripted, scripted_pictures
from .graph import Graph

Value = tuple[str, str, tuple[int | str, ...]]               # name, "float32" or "int64", sides by number or by name

ENCODERS = {Blstm: (nodes.blstm, scripted.Stack), ConvBlstm: (nodes.conv_blstm, scripted.ConvStack),      # as nodes, and for TorchScript
            Crnn: (pictures.crnn, scripted_pictures.PictureStack), Mdrnn: (pictures.mdrnn, scripted_pictures.Levels),
            ConvMdrnn: (pictures.conv_mdrnn, scripted_pictures.ConvLevels)}


@dataclass(frozen=True)
class Part:
    """One network: what goes in and comes out, and the same function three times."""

    name: str
    inputs: tuple[Value, ...]
    outputs: tuple[Value, ...]
    nodes: Callable[..., Sequence[str]]                      # of a Graph and the names of its inputs: the names of its outputs
    twin: nn.Module                                          # for TorchScript
    own: Callable[..., Sequence[Tensor]]                     # recog's own layers, which both must agree with

    def graph(self) -> Graph:
        g = Graph(self.name)
        found = self.nodes(g, *(g.input(*value) for value in self.inputs))
        for value, (name, kind, shape) in zip(found, self.outputs):
            g.output(value, name, kind, shape)
        return g

    def described(self) -> dict[str, Any]:
        return {side: [{"name": name, "type": kind, "shape": list(shape)} for name, kind, shape in values]
                for side, values in (("inputs", self.inputs), ("outputs", self.outputs))}

    def trial(self, sides: dict[str, int], rng: np.random.Generator) -> list[np.ndarray]:
        """Inputs by chance; sides: how long those are that have names. Lengths are ragged, one of them whole."""
        found = []
        for name, kind, shape in self.inputs:
            size = [sides.get(side, side) for side in shape]
            if name == "x_len":
                found.append(np.append(sides["T"], rng.integers(1, sides["T"] + 1, size[0] - 1)))
            else:
                found.append(rng.integers(0, self.twin.units, size) if kind == "int64" else rng.normal(size=size).astype(np.float32))
        return found

    def difference(self, run: Callable[..., Sequence[np.ndarray]], given: Sequence[np.ndarray]) -> np.ndarray:
        """By how much `run` differs from recog's own layers at each number that counts [N]; lengths must be equal. Raises ModelError."""
        with torch.inference_mode():
            expected = [np.asarray(each) for each in self.own(*map(torch.as_tensor, given))]
        found = [np.asarray(each) for each in run(*given)]
        if [each.shape for each in found] != [each.shape for each in expected]:
            raise ModelError("gives other shapes than recog", where=self.name)
        if self.outputs[-1][0] != "lengths":
            return np.concatenate([np.abs(a - b).ravel() for a, b in zip(found, expected)])
        if (found[1] != expected[1]).any():
            raise ModelError("gives other lengths than recog", where=self.name)
        return np.concatenate([np.abs(a[:n] - b[:n]).ravel() for a, b, n in zip(found[0], expected[0], expected[1])])


def parts(model: Recognizer, width: int, where: object = None) -> list[Part]:
    """width: values in a frame. Raises ModelError naming an encoder that neither format has."""
    if type(model.encoder) not in ENCODERS:
        raise ModelError(f"cannot be exported: neither format has its encoder, {type(model.encoder).__name__}", where=where,
                         hint=f"these can: {', '.join(each.__name__ for each in ENCODERS)}")
    if isinstance(model.head, Ctc):
        return [_reading("model", model, width, model.head.output, "log_probs")]
    return [_reading("encoder", model, width, model.head.from_frames, "emissions"), *_writing(model.head)]


def _reading(name: str, model: Recognizer, width: int, output: nn.Linear, called: str) -> Part:
    """The encoder with the first layer of the head on it."""
    log_probs, (encoder, twin) = called == "log_probs", ENCODERS[type(model.encoder)]

    def as_nodes(g: Graph, x: str, n: str) -> tuple[str, str]:
        h, n = encoder(g, model.encoder, x, n)
        return nodes.log_probs(g, output, h) if log_probs else nodes.linear(g, output, h), n

    return Part(name, (("x", "float32", ("B", "T", width)), ("x_len", "int64", ("B",))),
                ((called, "float32", ("B", "T_out", output.out_features)), ("lengths", "int64", ("B",))),
                as_nodes, scripted.Reading(twin(model.encoder), output, log_probs), model.emissions)


def _writing(head: Transducer) -> list[Part]:
    """What reads the units that are written, and what joins both."""
    width, cells, state = head.from_frames.out_features, head.config.prediction_units, ("K", head.config.prediction_units)

    def predict(label: Tensor, h: Tensor, c: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        onehot = functional.one_hot(label, head.units)[None, :, 1:].float()
        y, (h, c) = head.prediction.step(onehot, (h, c))
        return head.from_labels(y[0]), h, c

    def join(emissions: Tensor, p: Tensor) -> tuple[Tensor]:
        both = emissions[:, None] + p
        return (both if head.to_units is None else head.to_units(both.tanh())).log_softmax(2),

    prediction = Part("prediction", (("label", "int64", ("K",)), ("h", "float32", state), ("c", "float32", state)),
                      (("p", "float32", ("K", width)), ("h_after", "float32", ("K", cells)), ("c_after", "float32", ("K", cells))),
                      lambda g, *given: nodes.predicted(g, head, *given), scripted.Prediction(head), predict)
    joint = Part("joint", (("emissions", "float32", ("T_out", width)), ("p", "float32", ("U", width))),
                 (("log_probs", "float32", ("T_out", "U", head.units)),),
                 lambda g, *given: (nodes.joined(g, head, *given),), scripted.Joint(head), join)
    return [prediction, joint]
