"""An ONNX graph, written node by node: values are named by strings, constants are stored once.

No exporter stands between a layer and its nodes: what is written here is what runs.
"""

from __future__ import annotations

from typing import Any, Callable, Sequence

import numpy as np

from ..errors import ConfigError

OPSET = 17                               # the first with LayerNormalization
IR = 8                                   # version of the file, which old runtimes read as well
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

    def node(self, operator: str, *inputs: str, name: str | None = None, **attributes: Any) -> str:
        """The name of its value, or of its first; '' as an input: none."""
        return self.several(operator, inputs, 1, name, **attributes)[0]

    def several(self, operator: str, inputs: Sequence[str], values: int, name: str | None = None, **attributes: Any) -> list[str]:
        """The names of as many values."""
        from onnx import helper

        self._count += 1
        name = name or f"{operator.lower()}{self._count}"
        found = [name, *(f"{name}.{i}" for i in range(1, values))]
        self._nodes.append(helper.make_node(operator, list(inputs), found, name=f"{operator}{self._count}", **attributes))
        return found

    def scanned(self, states: Sequence[str], slices: Sequence[str], step: Callable[..., tuple[Sequence[str], str]]) -> str:
        """One value for each slice of the sequences, along their first axis: step(*states, *slices) gives the states after it and the value.
        All are float32."""
        from onnx import TensorProto, helper

        outer, self._nodes, self._count = self._nodes, [], self._count + 1
        mark = self._count
        given = [f"given{mark}.{i}" for i in range(len(states) + len(slices))]
        after, found = step(*given)
        found = [self.node("Identity", value) for value in (*after, found)]
        infos = [[helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in names]
                 for names in (given, found)]
        body = helper.make_graph(self._nodes, f"step{mark}", *infos)
        self._nodes = outer
        *_, values = self.several("Scan", [*states, *slices], len(states) + 1, body=body, num_scan_inputs=len(slices))
        return values

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
