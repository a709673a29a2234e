"""KenLM's binary files: scored through its Python module, made by its program build_binary."""

from __future__ import annotations

import math
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Sequence

import numpy as np

from ..errors import ConfigError, DataError
from ..files import writing
from .arpa import write
from .backoff import Arpa

MAGIC = b"mmap lm http://kheafield.com/code"


def is_binary(path: Path) -> bool:
    try:
        with open(path, "rb") as stream:
            return stream.read(len(MAGIC)) == MAGIC
    except OSError:
        return False                          # whoever reads it will say so


class Binary:
    """Scores sentences. Raises DataError for a file that KenLM refuses."""

    def __init__(self, path: Path):
        import kenlm

        try:
            self._model = kenlm.Model(str(path))
        except (OSError, RuntimeError) as error:
            raise DataError(f"KenLM cannot read it: {str(error).splitlines()[-1]}", where=path) from None
        self.order = self._model.order

    def knows(self, word: str) -> bool:
        return word in self._model

    def scores(self, words: Sequence[str]) -> np.ndarray:
        """Natural log of each word of a sentence, and of its end [n + 1]."""
        return np.array([prob for prob, *_ in self._model.full_scores(" ".join(words))]) * math.log(10)


def builder() -> str:
    """The program that makes binary files. Raises ConfigError when there is none."""
    if program := shutil.which("build_binary"):
        return program
    raise ConfigError("only KenLM's own program build_binary writes .bin files, and it is not on the PATH",
                      hint="write .arpa or .arpa.gz, or install KenLM")


def write_binary(model: Arpa, path: Path) -> None:
    """Writes beside `path`, then renames."""
    with tempfile.TemporaryDirectory() as folder:
        arpa = Path(folder) / "lm.arpa"
        write(model, arpa)
        with writing(path) as partial:
            run([builder(), str(arpa), str(partial)], path)


def run(command: list[str], where: object) -> None:
    """Raises DataError with the program's last words when it fails."""
    done = subprocess.run(command, capture_output=True, text=True, errors="replace")
    if done.returncode:
        said = done.stderr.strip().splitlines() or [f"exit status {done.returncode}"]
        raise DataError(f"{Path(command[0]).name} failed: {said[-1]}", where=where)
