"""How long a command takes before it does anything: each is started as a user starts it, in a process of its own."""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Iterator, Sequence

from recog.audio import write

from .sound import speech
from .table import Row, at_most, below, seconds
from .transcribe import model_folder


def rows(quick: bool = False) -> Iterator[Row]:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        reference, hypothesis = _texts(folder)
        yield below("recog --help, median", _median(["--help"], 1 if quick else 10), "s", 0.4)
        score = ["score", str(reference), str(hypothesis)]
        yield Row("recog score on 20 utterances, median", _median(score, 1 if quick else 5), "s")
        yield at_most("recog score: modules of torch loaded", _torch_modules(score), "", 0)
        if not quick:
            model, what = model_folder(folder)
            write(folder / "short.wav", speech(3.0))
            command = ["transcribe", str(folder / "short.wav"), "--model", str(model)]
            yield Row(f"recog transcribe on 3 seconds of sound, {what}, median", _median(command, 3), "s")


def _texts(folder: Path) -> tuple[Path, Path]:
    """A reference and an answer with an error in every second line."""
    lines = [(f"utterance{i:02d}", f"{i} TWO THREE") for i in range(20)]
    files = folder / "reference.tsv", folder / "hypothesis.tsv"
    files[0].write_text("".join(f"{id}\t{text}\n" for id, text in lines))
    files[1].write_text("".join(f"{id}\t{text[:-6] if i % 2 else text}\n" for i, (id, text) in enumerate(lines)))
    return files


def _median(arguments: Sequence[str], repeats: int) -> float:
    """Seconds of wall time."""
    return statistics.median(seconds(lambda: _run([*_command(), *arguments])) for _ in range(repeats))


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
