"""A file's content, and what kind of ink it seems to be: by what it holds, not by its name."""

from __future__ import annotations

import codecs
import re
from pathlib import Path

from ..errors import DataError

LARGEST = 1 << 28                        # bytes; the largest file of ink that is read
LOOKED_AT = 1 << 20                      # bytes, by which a file is told to hold ink

_WIDE = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_ROOTS = re.compile(rb"<(?:\w+:)?(?:ink|svg|WhiteboardCaptureSession)[\s>]")
_STROKES = re.compile(rb"^\s*\[\s*[\[{]|\"(?:strokes|drawing)\"")
_UNIPEN = re.compile(rb"^[ \t]*\.(?:PEN_DOWN|PEN_UP|COORD|SEGMENT|HIERARCHY|VERSION|COMMENT|KEYWORD|INCLUDE)\b", re.MULTILINE)


def content(path: Path) -> bytes:
    """Raises DataError when there is no such file, or nothing in it."""
    try:
        if path.exists() and not (path.is_file() or path.is_dir()):
            raise DataError("is neither a file nor a folder", where=path)
        if path.is_file() and path.stat().st_size > LARGEST:
            raise DataError(f"is larger than the {LARGEST >> 20} MiB that ink may have", where=path)
        data = path.read_bytes()
    except OSError as error:
        raise DataError((error.strerror or str(error)).lower(), where=path) from None
    if not data.strip():
        raise DataError("is empty", where=path)
    return data


def kind(data: bytes) -> str:
    """"xml", "json" or "unipen", or "" for none of them."""
    begins = _narrow(data)
    first = begins.lstrip()[:1]
    if first == b"<":
        return "xml"
    if first in (b"{", b"["):
        return "json"
    return "unipen" if _UNIPEN.search(begins) else ""


def is_ink(path: Path) -> bool:
    """Whether a file seems to hold ink, by how it begins."""
    try:
        if not path.is_file():
            return False
        with open(path, "rb") as stream:
            begins = _narrow(stream.read(LOOKED_AT))
    except OSError:
        return False
    found = kind(begins)
    return bool(found == "unipen" or found == "xml" and _ROOTS.search(begins) or found == "json" and _STROKES.search(begins))


def _narrow(data: bytes) -> bytes:
    """Without byte order marks, and in one byte for each ASCII character also where UTF-16 has two."""
    if data.startswith(_WIDE) or data[:4].count(0) == 2:
        return data[2 * data.startswith(_WIDE):].replace(b"\0", b"")
    return data.removeprefix(codecs.BOM_UTF8)


def text(data: bytes, path: Path, otherwise: str = "") -> str:
    """Decoded as UTF-8, or as UTF-16 if a mark says so; else in the encoding `otherwise`. Raises DataError."""
    try:
        return data.decode("utf-16" if data.startswith(_WIDE) else "utf-8-sig")
    except UnicodeDecodeError as error:
        if otherwise:
            return data.decode(otherwise)
        raise DataError(f"is not UTF-8: byte {error.start + 1} cannot be read", where=path, hint="save it as UTF-8") from None
