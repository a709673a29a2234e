"""Ink in files."""

from __future__ import annotations

from pathlib import Path

from ..errors import DataError
from ..types import Ink
from . import iam, xml


def read(path: Path) -> Ink:
    """Raises DataError naming the file when it holds no ink that recog can read."""
    root = xml.parse(path)
    if root.tag != iam.ROOT:
        raise DataError(f"is XML of another kind: its root is '{root.tag}'", where=path)
    ink = iam.strokes(root, path)
    if not ink.strokes:
        raise DataError("holds no ink", where=path)
    return ink
