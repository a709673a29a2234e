"""KenLM's binary files: scored through its Python module, made by its program build_binary."""

from __future__ import annotations

import functools
import math
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any, Sequence

import numpy as np

from ..errors import ConfigError, DataError
from ..files import writing
from .arpa import write
from .backoff import Arpa
from .stepwise import Stepwise

LN10 = math.log(10)
MAGIC = b"mmap lm http://kheafield.com/code"


def is_binary(path: Path) -> bool:
    try:
        with open(path, "rb") as stream:
            return stream.read(len(MAGIC)) == MAGIC
    except OSError:
        return False                          # whoever reads it will say so


class Binary(Stepwise):
    """Scores sentences, and words after a state. Natural logs; words have numbers where the file lists them.

    Raises DataError for a file that KenLM refuses.
    """

    def __init__(self, path: Path):
        import kenlm

        try:
            self._model = kenlm.Model(str(path))
        except (OSError, RuntimeError) as error:
            raise DataError(f"KenLM cannot read it: {str(error).splitlines()[-1]}", where=path) from None
        self.order, self._state = self._model.order, kenlm.State
        self.words = _listed(path, self._model)
        self._ids = {word: number for number, word in enumerate(self.words)}
        self.unk, self.eos = 0, self._ids.get("</s>", -1)

    def id(self, word: str) -> int:
        return self._ids.get(word, self.unk)

    def knows(self, word: str) -> bool:
        return word in self._model

    def start(self) -> Any:
        """The state after <s>."""
        state = self._state()
        self._model.BeginSentenceWrite(state)
        return state

    def score(self, state: Any, number: int) -> tuple[float, Any]:
        behind = self._state()
        return self._model.BaseScore(state, self.words[number], behind) * LN10, behind

    def end(self, state: Any) -> float:
        return self._model.BaseScore(state, "</s>", self._state()) * LN10

    @functools.cached_property
    def alone(self) -> np.ndarray:
        """Log-probability of each word after an empty context [V]."""
        nothing = self._state()
        self._model.NullContextWrite(nothing)
        return np.array([self.score(nothing, number)[0] for number in range(len(self.words))], np.float32)

    def scores(self, words: Sequence[str]) -> np.ndarray:
        """Natural log of each word of a sentence, and of its end [n + 1]."""
        return np.array([prob for prob, *_ in self._model.full_scores(" ".join(words))]) * LN10


def _listed(path: Path, model: Any) -> list[str]:
    """The words, which stand at the end of the file, <unk> first; none, if it was built without them."""
    data = path.read_bytes()
    begin = data.rfind(b"<unk>\0")
    words = data[begin:].split(b"\0")[:-1] if begin >= 0 and data.endswith(b"\0") else []
    try:
        found = [word.decode("utf-8") for word in words]
    except UnicodeDecodeError:
        found = []
    if "</s>" not in found or not all(word in model for word in found[1:]):
        return []
    return found


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
