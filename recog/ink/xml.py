"""XML from strangers: no entities, and one line for what is not XML."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

from ..errors import DataError

DECLARED = "<!ENTITY"


def parse(path: Path) -> ElementTree.Element:
    """The root. Raises DataError when the file is no XML, or declares entities, which can grow without bound."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise DataError(error.strerror.lower(), where=path) from None
    if any(DECLARED.encode(code) in data for code in ("ascii", "utf-16-le", "utf-16-be")):
        raise DataError("declares XML entities, which ink does not need", where=path, hint="save it without a document type")
    try:
        return ElementTree.fromstring(data)
    except (ElementTree.ParseError, ValueError, LookupError) as error:
        raise DataError(f"is not whole XML: {error}", where=path) from None
