"""An ONNX graph, written node by node: values are named by strings, constants are stored once.

No exporter stands between a layer and its nodes: what is written here is what runs.
"""

from __future__ import annotations

from typing import Any, Sequence

import numpy as np

from ..errors import ConfigError

OPSET = 17                               # the first with LayerNormalization
IR = 8                                   # of the file: onnxruntime 1.18 and older read it
Shape = Sequence[int | str]              # sides by number or by name


def needed() -> None:
    """Raises ConfigError when what the extra 'onnx' brings is not installed."""
    try:
        import onnx                      # noqa: F401
        import onnxruntime               # noqa: F401
    except ImportError as error:
        raise ConfigError(f"needs the package {error.name}, which is not installed", where="--to onnx",
                          hint="pip install 'recog[onnx]'") from None


class Graph:
    """Nodes in the order in which they are added."""

    def __init__(self, name: str):
        self.name, self.inputs, self.outputs = name, [], []
        self._nodes, self._constants, self._known, self._count = [], [], {}, 0

    def input(self, name: str, kind: str, shape: Shape) -> str:
        """kind: "float32" or "int64"."""
        self.inputs.append({"name": name, "type": kind, "shape": list(shape)})
        return name

    def output(self, value: str, name: str, kind: str, shape: Shape) -> None:
        self.node("Identity", value, name=name)
        self.outputs.append({"name": name, "type": kind, "shape": list(shape)})

    def constant(self, values: Any, kind: Any = np.float32) -> str:
        array = np.ascontiguousarray(values, kind) if np.ndim(values) else np.array(values, kind)
        key = array.dtype.str, array.shape, array.tobytes()
        if key not in self._known:
            self._known[key] = f"constant{len(self._constants)}"
            self._constants.append((self._known[key], array))
        return self._known[key]

    def integers(self, *values: int) -> str:
        return self.constant(values, np.int64)

    def node(self, operator: str, *inputs: str, name: str | None = None, of: int = 1, **attributes: Any) -> str:
        """The name of the value, the first of the `of` that the operator has to have; '' as an input: none."""
        from onnx import helper

        self._count += 1
        found = name or f"{operator.lower()}{self._count}"
        others = [f"{found}.{i}" for i in range(1, of)]
        self._nodes.append(helper.make_node(operator, list(inputs), [found, *others], name=f"{operator}{self._count}", **attributes))
        return found

    def length(self, x: str, axis: int) -> str:
        """How long the axis is, [1]."""
        return self.node("Shape", x, start=axis, end=axis + 1)

    def real(self, n: str, frames: str) -> str:
        """True where a frame is real. n [B], frames [1], to [B, T]."""
        numbers = self.node("Range", self.constant(0, np.int64), self.node("Squeeze", frames), self.constant(1, np.int64))
        return self.node("Less", numbers, self.node("Unsqueeze", n, self.integers(1)))

    def divided_up(self, n: str, by: int) -> str:
        """ceil(n / by) of whole numbers."""
        if by == 1:
            return n
        return self.node("Div", self.node("Add", n, self.constant(by - 1, np.int64)), self.constant(by, np.int64))

    def filled_up(self, x: str, axis: int, axes: int, multiple: int) -> str:
        """Zeros at the end of the axis, of `axes`, up to a multiple."""
        if multiple == 1:
            return x
        missing = self.node("Mod", self.node("Neg", self.length(x, axis)), self.integers(multiple))
        before, after = self.integers(*[0] * (axes + axis)), [self.integers(*[0] * (axes - axis - 1))] if axis < axes - 1 else []
        pads = self.node("Concat", before, missing, *after, axis=0)
        return self.node("Pad", x, pads)

    def linear(self, x: str, weight: np.ndarray, bias: np.ndarray | None) -> str:
        """weight [O, I], as torch has it."""
        found = self.node("MatMul", x, self.constant(weight.T))
        return found if bias is None else self.node("Add", found, self.constant(bias))

    def model(self, facts: dict[str, str]) -> Any:
        """The ModelProto, checked; facts go along as its metadata."""
        from onnx import TensorProto, checker, helper, numpy_helper

        kinds = {"float32": TensorProto.FLOAT, "int64": TensorProto.INT64}
        infos = [[helper.make_tensor_value_info(v["name"], kinds[v["type"]], v["shape"]) for v in values] for values in (self.inputs, self.outputs)]
        stored = [numpy_helper.from_array(array, name) for name, array in self._constants]
        made = helper.make_model(helper.make_graph(self._nodes, self.name, *infos, stored), producer_name="recog", ir_version=IR,
                                 opset_imports=[helper.make_opsetid("", OPSET)])
        helper.set_model_props(made, facts)
        checker.check_model(made, full_check=True)
        return made
