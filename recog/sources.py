"""What to read: files, folders, patterns and '-' (standard input) from the command line, as one list of files."""

from __future__ import annotations

import glob
from pathlib import Path
from typing import Callable, Iterable

from .audio import is_audio
from .errors import DataError

SUFFIXES = {".wav", ".flac", ".ogg", ".oga", ".opus", ".mp3", ".sph", ".nist", ".aiff", ".aif", ".au", ".caf", ".w64"}
STDIN = "-"


def expand(names: Iterable[str], on_error: Callable[[DataError], None]) -> list[str]:
    """The files that are meant, in the order given, each once; a folder gives its sound files, sorted.

    A file in a folder counts if its content or its name says sound. What is not there goes to `on_error`.
    """
    found: dict[str, None] = {}
    for name in names:
        path = Path(name)
        if name == STDIN or path.is_file():
            found[name] = None
        elif path.is_dir():
            inside = [str(p) for p in sorted(path.rglob("*")) if p.is_file() and (p.suffix.lower() in SUFFIXES or is_audio(p))]
            if not inside:
                on_error(DataError("holds no sound files", where=name))
            found.update(dict.fromkeys(inside))
        else:
            matches = sorted(glob.glob(name, recursive=True)) if glob.has_magic(name) else []
            if not matches:
                on_error(DataError("no such file or folder", where=name))
            found.update(dict.fromkeys(m for m in matches if Path(m).is_file()))
    return list(found)
