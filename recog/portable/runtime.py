"""Exported networks on disk: written, made smaller, and run, each by its own program."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any, Callable, Sequence

import numpy as np
import torch

from .graph import OPSET
from .parts import Part
from .scripted import scripted

SUFFIX = {"onnx": ".onnx", "torchscript": ".pt"}
SMALLER = ["LSTM", "MatMul"]             # as torch does; convolutions in 8 bits are slower than they are small
TIDY = {"onnx.quant.pre_process": "onnxruntime.quant"}       # nothing is left to be folded before quantization
Run = Callable[..., Sequence[np.ndarray]]


def write(part: Part, to: str, int8: bool, folder: Path, facts: dict[str, str]) -> Path:
    path = folder / f"{part.name}{SUFFIX[to]}"
    if to == "torchscript":
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            torch.jit.save(scripted(part.twin, int8), path, _extra_files=facts)
        return path
    model = part.graph().model(facts | TIDY)
    if int8:
        from onnxruntime.quantization import quantize_dynamic

        quantize_dynamic(model, path, op_types_to_quantize=SMALLER, per_channel=True)
    else:
        path.write_bytes(model.SerializeToString())
    return path


def opened(path: Path, threads: int = 0) -> Run:
    """The network in a file, from arrays in to arrays out. threads: of onnxruntime; 0: as it likes."""
    return _session(path, threads) if path.suffix == SUFFIX["onnx"] else _module(path)


def _session(path: Path, threads: int) -> Run:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    names = [value.name for value in session.get_inputs()]
    return lambda *given: session.run(None, dict(zip(names, given)))


def _module(path: Path) -> Run:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        module = torch.jit.load(str(path))

    def run(*given: np.ndarray) -> list[np.ndarray]:
        with torch.inference_mode():
            found = module(*map(torch.from_numpy, given))
        return [each.numpy() for each in (found if isinstance(found, tuple) else (found,))]

    return run


def versions(to: str) -> dict[str, Any]:
    if to == "torchscript":
        return {"torch": torch.__version__}
    import onnx
    import onnxruntime

    return {"opset": OPSET, "onnx": onnx.__version__, "onnxruntime": onnxruntime.__version__}
