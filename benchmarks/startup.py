"""How long a command takes before it does anything: each is started as a user starts it, in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Iterator, Sequence

from recog.audio import write

from .sound import speech
from .table import WALL, Row, at_most, below, median
from .transcribe import model_folder


def rows(quick: bool = False) -> Iterator[Row]:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        reference, hypothesis = _texts(folder)
        wall, busy = _median(["--help"], 1 if quick else 10)
        yield below("recog --help", wall, "s", 0.4)
        yield below("    the same, processor time", busy, "s", 0.4)
        score = ["score", str(reference), str(hypothesis)]
        yield Row("recog score on 20 utterances", _median(score, 1 if quick else 5)[0], "s")
        yield at_most("recog score: modules of torch loaded", _torch_modules(score), "", 0)
        if not quick:
            model, what = model_folder(folder)
            write(folder / "short.wav", speech(3.0))
            command = ["transcribe", str(folder / "short.wav"), "--model", str(model)]
            wall, busy = _median(command, 3)
            yield Row(f"recog transcribe on 3 seconds of sound, {what}", wall, "s")
            yield Row("    the same, processor time of all cores", busy, "s")


def _texts(folder: Path) -> tuple[Path, Path]:
    """A reference and an answer with an error in every second line."""
    lines = [(f"utterance{i:02d}", f"{i} TWO THREE") for i in range(20)]
    files = folder / "reference.tsv", folder / "hypothesis.tsv"
    files[0].write_text("".join(f"{id}\t{text}\n" for id, text in lines))
    files[1].write_text("".join(f"{id}\t{text[:-6] if i % 2 else text}\n" for i, (id, text) in enumerate(lines)))
    return files


def _median(arguments: Sequence[str], repeats: int) -> tuple[float, float]:
    """Seconds of wall time, and of processor time."""
    times = []
    for _ in range(repeats):
        wall, busy = WALL(), _children()
        _run([*_command(), *arguments])
        times.append((WALL() - wall, _children() - busy))
    return median(times, 0), median(times, 1)


def _children() -> float:
    """Processor time of all processes that were started here and have ended."""
    used = os.times()
    return used.children_user + used.children_system


def _command() -> list[str]:
    """The installed command beside this Python, or else the package run as a module."""
    installed = Path(sys.executable).with_name("recog")
    return [str(installed)] if installed.exists() else [sys.executable, "-m", "recog"]


_COUNT = """\
import sys
from recog.__main__ import main
try:
    main()
except SystemExit as end:
    assert not end.code, end.code
print(sum(name.partition(".")[0] in ("torch", "torchaudio") for name in sys.modules))
"""


def _torch_modules(arguments: Sequence[str]) -> int:
    return int(_run([sys.executable, "-c", _COUNT, *arguments]).splitlines()[-1])


def _run(command: Sequence[str]) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout
