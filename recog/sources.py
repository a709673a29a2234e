"""What to read: files, folders, patterns and '-' (standard input) from the command line, as one list of files."""

from __future__ import annotations

import glob
from pathlib import Path
from typing import Callable, Iterable, Sequence

from .audio import is_audio
from .errors import DataError
from .image import is_image
from .ink import is_ink

SUFFIXES = {".wav", ".flac", ".ogg", ".oga", ".opus", ".mp3", ".sph", ".nist", ".aiff", ".aif", ".au", ".caf", ".w64"}
INK = {".inkml", ".upn", ".unp", ".unipen"}
IMAGES = {".png", ".jpg", ".jpeg", ".tif", ".tiff"}
STDIN = "-"
NAMES = {"audio": "sound", "ink": "ink", "image": "image"}


def medium_of(source: str) -> str:
    """What a file seems to hold, by its content or its name: "audio", "ink" or "image"; or "" for none of them. Standard input is sound."""
    path = Path(source)
    suffix = path.suffix.lower()
    if source == STDIN or is_audio(path):
        return "audio"
    if suffix in INK or is_ink(path):
        return "ink"
    if suffix in IMAGES or is_image(path):
        return "image"
    return "audio" if suffix in SUFFIXES else ""


def expand(names: Iterable[str], on_error: Callable[[DataError], None], media: Sequence[str] = ("audio", "ink", "image")) -> list[str]:
    """The files that are meant, in the order given, each once; a folder gives its files of these media, sorted.

    What is not there goes to `on_error`.
    """
    found: dict[str, None] = {}
    for name in names:
        path = Path(name)
        if name == STDIN or path.is_file():
            found[name] = None
        elif path.is_dir():
            inside = [str(p) for p in sorted(path.rglob("*")) if p.is_file() and medium_of(str(p)) in media]
            if not inside:
                on_error(DataError(f"holds no {' or '.join(NAMES[medium] for medium in media)} files", where=name))
            found.update(dict.fromkeys(inside))
        else:
            matches = sorted(glob.glob(name, recursive=True)) if glob.has_magic(name) else []
            if not matches:
                on_error(DataError("no such file or folder", where=name))
            found.update(dict.fromkeys(m for m in matches if Path(m).is_file()))
    return list(found)
