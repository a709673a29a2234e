"""Real-time factor of `Transcriber.transcribe` on one core, once loaded, and the memory that an hour of sound takes."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Iterator, Sequence

import numpy as np

from .sound import RATE, speech
from .table import PROCESSOR, WALL, Row, below, median, torch_threads

BUNDLED = "english_small"
UNITS = ["<blank>", " ", "'", *"ABCDEFGHIJKLMNOPQRSTUVWXYZ"]


def rows(quick: bool = False) -> Iterator[Row]:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        model, what = model_folder(folder, ["encoder.units=8"] if quick else [])
        if quick:
            yield from _speed(model, what, {"a file of 3 seconds": _files(folder, "short", 1, 3)}, 1)
            return
        sounds = {"a file of 1 minute": _files(folder, "minute", 1, 60),
                  "a file of 10 minutes": _files(folder, "ten", 1, 600),
                  "100 files of 3 seconds": _files(folder, "short", 100, 3)}
        yield from _speed(model, what, sounds, 3)
        yield from _memory(model, what, sounds["a file of 1 minute"][0], _files(folder, "long", 1, 70 * 60)[0])


def model_folder(folder: Path, overrides: Sequence[str] = ()) -> tuple[Path, str]:
    """The bundled model if there is one, else an untrained one of its configuration, made in `folder`; and which it is."""
    from recog.modeldir import bundled, locate, save
    from recog.models.recognizer import build
    from recog.recipe import find
    from recog.text import Units

    if BUNDLED in bundled() and not overrides:
        return locate(BUNDLED), BUNDLED
    config = find(BUNDLED).experiment("blstm", overrides).recognizer
    if not (folder / "model").exists():
        save(folder / "model", "untrained", config, build(config, len(UNITS)), Units("char", UNITS), None,
             {"medium": "audio", "data_licence": "no data", "provenance": {}, "scores": {}}, words=_words(400))
    return folder / "model", "an untrained model"


def _words(count: int) -> list[str]:
    """Made up, as many as a small model knows."""
    rng = np.random.default_rng(0)
    return ["".join(rng.choice(UNITS[3:], size)) for size in rng.integers(1, 9, count)]


def _files(folder: Path, name: str, count: int, seconds: int) -> list[Path]:
    """16-bit WAV; beyond a minute, the same minutes come again."""
    import soundfile

    paths = []
    for number in range(count):
        minutes = [speech(min(60, seconds), seed=number + i).samples for i in range(min(5, -(-seconds // 60)))]
        paths.append(folder / f"{name}{number:03d}.wav")
        with soundfile.SoundFile(paths[-1], "w", RATE, 1, "PCM_16") as stream:
            for minute in range(-(-seconds // 60)):
                stream.write(minutes[minute % len(minutes)])
    return paths


def _speed(model: Path, what: str, sounds: dict[str, list[Path]], repeats: int) -> Iterator[Row]:
    """Wall time, and the processor's own time for machines that have other work too."""
    import soundfile

    from recog.api import load

    with torch_threads(1):
        transcriber = load(model, "cpu")
        list(transcriber.transcribe(next(iter(sounds.values()))[0]))                # compiles the search
        for name, paths in sounds.items():
            length = sum(soundfile.info(path).duration for path in paths)
            times = []
            for _ in range(repeats):
                wall, busy = WALL(), PROCESSOR()
                list(transcriber.transcribe(paths))
                times.append((WALL() - wall, PROCESSOR() - busy))
            yield below(f"real-time factor, one core, {what}: {name}", median(times, 0) / length, "", 0.03)
            yield below(f"    the same, processor time: {name}", median(times, 1) / length, "", 0.03)


_PEAK = """\
import json, sys, time
import torch
from benchmarks.table import peak
from recog.api import load
torch.set_num_threads(1)
transcriber = load(sys.argv[1], "cpu")
began = time.process_time()
list(transcriber.transcribe(sys.argv[2]))
print(json.dumps([peak(), time.process_time() - began]))
"""


def _memory(model: Path, what: str, short: Path, long: Path) -> Iterator[Row]:
    """Each in a process of its own, of which the libraries alone take most."""
    (small, _), (large, seconds) = (_peak(model, path) for path in (short, long))
    yield Row(f"peak memory, {what}: a file of 1 minute", small, "MB")
    yield Row(f"peak memory, {what}: a file of 70 minutes", large, "MB")
    yield below(f"real-time factor, one core, processor time, {what}: a file of 70 minutes", seconds / (70 * 60), "", 0.03)


def _peak(model: Path, sound: Path) -> tuple[float, float]:
    """Megabytes, and seconds of processor time."""
    done = subprocess.run([sys.executable, "-c", _PEAK, str(model), str(sound)], check=True, capture_output=True, text=True,
                          cwd=Path(__file__).parent.parent)
    return tuple(json.loads(done.stdout.splitlines()[-1]))
