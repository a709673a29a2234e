"""Books as plain text to lines such as people write by hand, for language models of handwriting."""

from __future__ import annotations

import re
import textwrap
from pathlib import Path
from typing import Iterator

from ..errors import DataError

TYPEWRITTEN = str.maketrans({"\u2018": "'", "\u2019": "'", "`": "'", "\u201c": '"', "\u201d": '"', "\u2013": "-", "\u2014": " - ", "_": None})


def lines(path: Path, alphabet: str, width: int = 30) -> Iterator[str]:
    """Paragraphs broken between words into lines of about `width` characters; what the alphabet lacks is left out.

    Quotation marks and dashes become those of a typewriter. Bytes that are not UTF-8 are left out too: old books have some.
    Raises DataError for what is no text.
    """
    data = path.read_bytes()
    if b"\0" in data:
        raise DataError("is not a text in UTF-8", where=path, hint="save it as UTF-8, or take it out of the folder")
    page = data.decode("utf-8-sig", errors="replace").translate(TYPEWRITTEN).replace("--", " - ")
    known = set(alphabet)
    for paragraph in re.split(r"\n\s*\n", page):
        kept = "".join(c for c in paragraph if c in known or c.isspace())
        yield from textwrap.wrap(" ".join(kept.split()), width, break_on_hyphens=False)
