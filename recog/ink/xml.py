"""XML from strangers: no entities, and one line for what is not XML."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

from ..errors import DataError

DECLARED = "<!ENTITY"


def parse(data: bytes, path: Path) -> ElementTree.Element:
    """The root. Raises DataError when the file is no XML, or declares entities, which can grow without bound."""
    if any(DECLARED.encode(code) in data for code in ("ascii", "utf-16-le", "utf-16-be")):
        raise DataError("declares XML entities, which ink does not need", where=path, hint="save it without a document type")
    try:
        return ElementTree.fromstring(data)
    except (ElementTree.ParseError, ValueError, LookupError) as error:
        raise DataError(f"is not whole XML: {error}", where=path) from None


def split(tag: object) -> tuple[str, str]:
    """A tag's namespace, or "", and its name; comments and the like have neither."""
    if not isinstance(tag, str):
        return "", ""
    space, _, name = tag.rpartition("}")
    return space.removeprefix("{"), name
