"""A training step, forward and backward without the optimizer, in float32, in mixed precision, and compiled by torch, side by side."""

from __future__ import annotations

import logging
from contextlib import contextmanager
from typing import Any, Callable, Iterator

import torch
from torch import Tensor, nn

from recog.encoders.blstm import Blstm, BlstmConfig
from recog.layers.peephole import PeepholeLstm
from recog.layers.window import WindowLstm
from recog.models.handwriting import Handwriting, HandwritingConfig
from recog.models.recognizer import build
from recog.precision import mixed
from recog.recipe import find
from recog.types import Batch

from .table import PROCESSOR, Row, median, ratio, side_by_side, torch_threads

INPUT = 120                          # 40 log-mel filters, three frames joined
SYMBOLS, LETTERS = 83, 25
CPU = torch.device("cpu")


def rows(quick: bool = False) -> Iterator[Row]:
    """One core, processor time. torch.compile where it can take the network; in quick mode with its backend "eager"."""
    yield Row("this CPU multiplies bfloat16 in tiles (AMX)", float(torch.cpu._is_amx_tile_supported()), "(1: yes)")
    batch, frames, units = (2, 24, 8) if quick else (16, 250, 256)
    torch.manual_seed(1)
    with torch_threads(1):
        for name, model, given in _networks(batch, frames, units):
            yield from _measured(f"{name}, {batch} x {frames}", model, given, quick)


def _networks(batch: int, frames: int, units: int) -> Iterator[tuple[str, nn.Module, tuple[Any, ...]]]:
    """Name, network, and what its step is given. The settings are those of the recipes."""
    n, few = torch.full((batch,), frames), units < 64            # few: tiny, to see that it runs
    for title, cell in (("blstm", "lstm"), ("peephole blstm", "peephole")):
        yield f"{title} 3 x {units}", Blstm(BlstmConfig(3, units, cell=cell), INPUT), (torch.randn(batch, frames, INPUT), n)
    for recipe, model, channels in (("iam_online", "conv", "[2, 4]"), ("ondb_images", "crnn", "[2, 2, 4, 4, 4]")):
        experiment = find(recipe).experiment(model, [f"encoder.units={units}", f"encoder.channels={channels}"] if few else [])
        encoder = build(experiment.recognizer, SYMBOLS).encoder
        yield f"recipes/{recipe}, {model}", encoder, (torch.rand(batch, frames, experiment.features.output_size), n)
    pen = Handwriting(HandwritingConfig(layers=2, units=units, components=2 if few else 12), SYMBOLS)
    yield f"handwriting 2 x {units}", pen, (_lines(batch, frames),)


def _lines(batch: int, points: int) -> Batch:
    x = torch.randn(batch, points, 3)
    x[..., 2] = (x[..., 2] > 2).float()
    y = torch.randint(1, SYMBOLS, (batch, LETTERS))
    return Batch(tuple(map(str, range(batch))), x, torch.full((batch,), points), y, torch.full((batch,), LETTERS))


def _measured(name: str, model: nn.Module, given: tuple[Any, ...], quick: bool) -> Iterator[Row]:
    works = {"float32": _step(model, given, model), "mixed bfloat16": _step(model, given, model, "bfloat16")}
    for work in works.values():
        work()                                                   # warms up
    compiled, graphs = _compiled(model, given, "eager" if quick else "inductor")
    if compiled:
        works["torch.compile"] = compiled
        yield Row(f"{name}: graphs that torch.compile makes of it", float(graphs), "")
    times = side_by_side(works.values(), 1 if quick else 3, PROCESSOR)
    for number, way in enumerate(works):
        yield Row(f"{name}: {way}", 1000 * median(times, number), "ms/step")
        if number:
            yield Row(f"{name}: speed of {way}, float32 is 1", ratio(times, 0, number), "")


def _step(model: nn.Module, given: tuple[Any, ...], call: Callable, precision: str = "float32") -> Callable[[], None]:
    """Forward and backward of `call`, which is the model or what was compiled of it."""

    def step() -> None:
        model.zero_grad(set_to_none=True)
        with mixed(precision, CPU):
            if isinstance(model, Handwriting):
                loss = (call.loss if call is model else call)(*given).total
            else:
                loss = _pulled(call(*given).h)
            loss.backward()

    return step


def _pulled(h: Tensor) -> Tensor:
    return h.square().sum() / 100


def _compiled(model: nn.Module, given: tuple[Any, ...], backend: str) -> tuple[Callable[[], None] | None, int]:
    """The step as torch.compile makes it, and into how many graphs; None where it cannot. Layers with kernels of numba, in which it fails, stay as they are."""
    import torch._dynamo as dynamo

    dynamo.reset()
    dynamo.utils.counters.clear()
    for layer in model.modules():
        if isinstance(layer, (PeepholeLstm, WindowLstm)):
            layer.forward = dynamo.disable(layer.forward)
    step = _step(model, given, torch.compile(model.loss if isinstance(model, Handwriting) else model, backend=backend))
    with _silent():
        try:
            step()
        except (RuntimeError, NotImplementedError, TypeError):   # the compiler's errors are RuntimeErrors
            return None, 0
    return step, dynamo.utils.counters["stats"]["unique_graphs"]


@contextmanager
def _silent() -> Iterator[None]:
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        yield
    finally:
        logging.disable(before)
