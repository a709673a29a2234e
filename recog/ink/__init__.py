"""Ink in and out of files: read by content (InkML, UNIPEN, JSON, SVG, IAM-OnDB), written by suffix."""

from __future__ import annotations

from pathlib import Path

from ..errors import ConfigError, DataError
from ..types import Ink
from . import checks, iam, inkml, json, png, source, svg, unipen, xml
from .source import is_ink

__all__ = ["convert", "is_ink", "read", "write"]

WRITERS = {".inkml": inkml.write, ".json": json.write, ".svg": svg.write, ".png": png.write}


def read(path: Path) -> Ink:
    """Raises DataError naming the file when it holds no ink that recog can read."""
    data = source.content(path)
    kind = source.kind(data)
    if kind == "xml":
        ink = _from_xml(data, path)
    elif kind == "json":
        ink = json.strokes(source.text(data, path), path)
    elif kind == "unipen":
        ink = unipen.strokes(source.text(data, path, unipen.OTHERWISE), path)
    else:
        raise DataError("is not ink that recog can read", where=path, hint="InkML, UNIPEN, JSON, SVG and IAM-OnDB's XML are read")
    if not ink.strokes:
        raise DataError("holds no ink", where=path)
    return ink


def _from_xml(data: bytes, path: Path) -> Ink:
    root = xml.parse(data, path)
    if root.tag == iam.ROOT:
        return iam.strokes(root, path)
    name = xml.split(root.tag)[1]
    if name == inkml.ROOT:
        return inkml.strokes(root, path)
    if name == svg.ROOT:
        return svg.strokes(root, path)
    raise DataError(f"is XML of another kind: its root is '{root.tag}'", where=path)


def write(ink: Ink, path: Path) -> None:
    """Writes InkML, JSON, SVG or PNG, as the suffix says, over what was there; a PNG keeps no times and cannot be read back.

    Raises DataError for another suffix, for no ink and for points that no file should hold; DiskError when the disk refuses.
    """
    writer = WRITERS.get(path.suffix.lower())
    if writer is None:
        raise DataError(f"ink is not written as '{path.suffix}'" if path.suffix else "has no suffix that says how to write ink",
                        where=path, hint="end the name in " + ", ".join(WRITERS))
    if path.is_dir():
        raise DataError("is a folder", where=path)
    ink = checks.ink(ink.strokes, path)
    if not ink.strokes:
        raise DataError("there is no ink to write", where=path)
    writer(ink, path)


def convert(source: Path, output: Path, force: bool = False) -> None:
    """`recog ink convert`. Raises DataError, or ConfigError when there is such a file already."""
    if output.exists() and not force:
        raise ConfigError("is there already", where=output, hint="--force writes it anew")
    write(read(source), output)
