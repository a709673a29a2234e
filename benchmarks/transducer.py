"""The transducer's loss against torchaudio's: time and peak memory, forward and backward; and its beam search."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Callable, Iterator

import numpy as np

from .table import PROCESSOR, Row, at_most, below, median, ratio, side_by_side, torch_threads

SIZES = {"B": 8, "T": 400, "U": 60, "V": 62, "J": 512}
QUICK = {"B": 2, "T": 20, "U": 5, "V": 8, "J": 8}
MEMORY_MB = 128                                          # the head's default
BARS = {"additive": (1.0, 0.1), "hidden": (1.2, 1 / 3)}  # time and peak memory, as shares of torchaudio's with the joint
BEAM, SECONDS = 100, 3


def rows(quick: bool = False) -> Iterator[Row]:
    import torch

    sizes = QUICK if quick else SIZES
    name = f"B {sizes['B']}, T {sizes['T']}, U {sizes['U']}, V {sizes['V']}"
    for joint, (time_bar, memory_bar) in BARS.items():
        label = f"{joint}, {name}" + (f", {sizes['J']} units" if joint == "hidden" else "")
        with torch_threads(1):
            works = [step(joint, who, sizes, "cpu") for who in ("recog", "torchaudio")]
            for work in works:
                work()
            times = side_by_side(works, 1 if quick else 3, PROCESSOR)
        yield Row(f"{label}: recog, one core", 1000 * median(times, 0), "ms/step")
        yield Row(f"{label}: torchaudio, one core", 1000 * median(times, 1), "ms/step")
        yield at_most(f"{label}: recog's time, share of torchaudio's", ratio(times), "times", time_bar)
        peaks = {who: peak(joint, who, sizes) for who in ("recog", "torchaudio")}
        yield from (Row(f"{label}: peak memory of {who}", mb, "MB") for who, mb in peaks.items())
        yield at_most(f"{label}: recog's peak, share of torchaudio's", peaks["recog"] / max(peaks["torchaudio"], 1e-3), "times", memory_bar)
    if torch.cuda.is_available():
        for joint in BARS:
            yield from on_cuda(joint, sizes)
    for joint in BARS:
        yield below(f"beam {BEAM}, {joint}, {SECONDS} s of 10 ms frames, one core: real-time factor", real_time(joint, quick), "", 0.3)


def step(joint: str, who: str, sizes: dict[str, int], device: str) -> Callable[[], float]:
    """A loss with its gradients by all inputs and by the joint's weights; gives the loss."""
    import torch
    from torchaudio.functional import rnnt_loss

    from recog.layers import transducer

    B, T, U, V, J = sizes.values()
    generator, width = torch.Generator().manual_seed(0), J if joint == "hidden" else V
    n, u = torch.full((B,), T, device=device), torch.full((B,), U, device=device)
    y = torch.randint(1, V, (B, U), generator=generator).to(device)
    shapes = [(B, T, width), (B, U + 1, width), *([(V, J), (V,)] if joint == "hidden" else [])]
    inputs = [torch.randn(*shape, generator=generator).to(device).requires_grad_() for shape in shapes]

    def ours():
        return transducer.additive(*inputs, y, n, u) if joint == "additive" else transducer.hidden(*inputs, y, n, u, MEMORY_MB)

    def theirs():
        x = inputs[0][:, :, None] + inputs[1][:, None]
        if joint == "hidden":
            x = torch.nn.functional.linear(torch.tanh(x), *inputs[2:])
        return rnnt_loss(x, y.int(), n.int(), u.int(), blank=0, reduction="sum")

    def work() -> float:
        for each in inputs:
            each.grad = None
        loss = (ours if who == "recog" else theirs)()
        loss.backward()
        return loss.item()

    return work


def peak(joint: str, who: str, sizes: dict[str, int]) -> float:
    """MB at most resident in a step, less those after imports, inputs and a tiny step, in a process of its own."""
    command = [sys.executable, "-c", f"from benchmarks.transducer import measure; measure({joint!r}, {who!r}, {json.dumps(sizes)})"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=Path(__file__).parent.parent, check=True)
    return float(done.stdout)


def measure(joint: str, who: str, sizes: dict[str, int]) -> None:
    """Prints what `peak` gives. The high-water mark is reset by the system, where it can (Linux)."""
    import torch

    torch.set_num_threads(1)
    step(joint, who, QUICK, "cpu")()                    # compiles
    work = step(joint, who, sizes, "cpu")
    Path("/proc/self/clear_refs").write_text("5")
    before = resident("VmRSS")
    work()
    print(max(0.0, resident("VmHWM") - before) / 1000)


def resident(line: str) -> float:
    """kB, from the system's account of this process."""
    status = Path("/proc/self/status").read_text()
    return float(status.partition(f"{line}:")[2].split()[0])


def on_cuda(joint: str, sizes: dict[str, int]) -> Iterator[Row]:
    import torch

    def timed(work: Callable[[], float]) -> Callable[[], float]:
        return lambda: (work(), torch.cuda.synchronize())[0]

    found, label = {}, f"{joint}, on {torch.cuda.get_device_name()}"
    works = {who: timed(step(joint, who, sizes, "cuda")) for who in ("recog", "torchaudio")}
    for who, work in works.items():
        work()
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        work()
        found[who] = (torch.cuda.max_memory_allocated() - before) / 1e6
    times = side_by_side(works.values(), 5)
    for number, who in enumerate(works):
        yield Row(f"{label}: {who}", 1000 * median(times, number), "ms/step")
        yield Row(f"{label}: peak memory of {who}", found[who], "MB")


def real_time(joint: str, quick: bool) -> float:
    """Of beam search on one utterance, in processor time; numpy's products on one thread, as the row says."""
    from threadpoolctl import threadpool_limits

    from recog.decode import decode
    from recog.decode.transducer import TransducerBeam, TransducerBeamConfig

    predictor, emissions = synthetic(joint, frames=20 if quick else 100 * SECONDS)
    decoder = TransducerBeam(TransducerBeamConfig(beam=BEAM), predictor)
    decode(decoder, emissions[:3])                      # compiles
    times = []
    with threadpool_limits(1):
        for _ in range(1 if quick else 3):
            began = time.process_time()
            decode(decoder, emissions)
            times.append(time.process_time() - began)
    return sorted(times)[len(times) // 2] / (len(emissions) / 100)


def synthetic(joint: str, frames: int, units: int = 62, cells: int = 250):
    """A prediction network that mostly forbids to repeat a unit, and frames as a trained network gives them: blanks, and
    13 times a second a unit with a rival, over noise."""
    from recog.kernels.predictor import Predictor

    rng, sure = np.random.default_rng(0), 6.0
    logits = rng.standard_normal((frames, units))
    logits[:, 0] += sure
    for t in rng.choice(np.arange(1, frames - 1), frames * 13 // 100, replace=False):
        unit, rival = rng.integers(1, units, 2)
        for at, weight in ((t - 1, 0.6), (t, 1.0), (t + 1, 0.6)):
            logits[at, unit] += 1.4 * weight * sure
            logits[at, rival] += 1.1 * weight * sure
    inputs = 0.1 * rng.standard_normal((units, 4 * cells))                   # gates: input, forget, cell, output
    inputs += np.repeat([6.0, -2.0, 0.0, 6.0], cells)
    said = np.arange(1, units)
    inputs[said, 2 * cells + said] += 2
    recurrent = 0.3 * rng.standard_normal((cells, 4 * cells)) / np.sqrt(cells)
    project = 1.2 * rng.standard_normal((cells, units)) / np.sqrt(cells)
    project[said, said] -= 12
    arrays = [inputs, recurrent, None, project]
    if joint == "hidden":
        basis = np.linalg.qr(rng.standard_normal((cells, units)))[0]         # tanh is nearly linear at these sizes
        logits, arrays[3] = 0.05 * logits @ basis.T, 0.05 * project @ basis.T
        arrays += [20 * basis, np.zeros(units)]
    arrays = [each if each is None else each.astype(np.float32) for each in arrays]
    return Predictor(*arrays), logits.astype(np.float32)
