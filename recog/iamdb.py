"""IAM-DB as people have it: images of lines, named by their ids, and what they say in ascii/lines.txt or in xml/ (Marti & Bunke 2002)."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Iterator
from urllib.parse import quote

import numpy as np

from .errors import DataError
from .ink import xml

ID = re.compile(r"([a-z]\d\d)-\d{3}[a-z]?-\d\d")     # a01-000u-00: line 00 of the form a01-000u
NUMBER = re.compile(r"-?\d+")
OTHERS = "other"                                     # the folder of lines with other ids
HEADER = """\
#--- lines.txt ---------------------------------------------------------------#
#
# format: a01-000u-00 ok 154 19 408 746 1661 89 A|MOVE|to|stop|Mr.|Gaitskell|from
#
#     a01-000u-00      -> line id
#     ok               -> whether the line was cut into words without error: ok or err
#     154              -> gray level to binarize the line
#     19               -> number of components of the line
#     408 746 1661 89  -> box around the line: x, y, w, h
#     A|MOVE|...       -> transcription: words and punctuation, separated by |
#
"""


@dataclass(frozen=True)
class Row:
    """What is known of a line."""

    words: tuple[str, ...]                           # and punctuation, as they are cut there; with HTML's entities, and spaces inside some
    cut: bool                                        # into words, without error; it does not matter to the line as a whole
    where: str                                       # file and line, or file


def form(id: str) -> str:
    """The form that a line is on; a line with another kind of id is a form of its own."""
    return id.rpartition("-")[0] if ID.fullmatch(id) else id


def place(id: str) -> Path:
    """Where a line's image lies in the corpus's folder: lines/a01/a01-000u/a01-000u-00.png, or lines/other/ID/ID.png."""
    return Path("lines", id[:3] if ID.fullmatch(id) else OTHERS, form(id), f"{id}.png")


def safe(id: str) -> str:
    """An id as lines.txt and file systems bear it: what is not a letter, a digit or one of _-.+~ is written %20 and the like."""
    name = quote(id, safe="+")
    return name.replace(".", "%2E", 1) if name.startswith(".") else name


def line(id: str, text: str, pixels: np.ndarray) -> str:
    """A line of lines.txt, of an image uint8 [H, W] that is no part of a form: its box begins at 0 0. Raises DataError."""
    from scipy.ndimage import label

    if "|" in text:
        raise DataError("the text has a |, which separates words in lines.txt", where=id)
    gray = threshold(pixels)
    components = label(pixels <= gray, np.ones((3, 3)))[1]
    return f"{id} ok {gray} {components} 0 0 {pixels.shape[1]} {pixels.shape[0]} {'|'.join(text.split())}\n"


def threshold(pixels: np.ndarray) -> int:
    """The gray level up to which pixels are ink: the two sides differ most (Otsu 1979)."""
    counts = np.bincount(pixels.ravel(), minlength=256).astype(np.float64)
    below, mass = np.cumsum(counts), np.cumsum(counts * np.arange(256))
    above = below[-1] - below
    apart = np.divide((mass * below[-1] - mass[-1] * below) ** 2, below * above, out=np.zeros(256), where=below * above > 0)
    return int(apart.argmax())


def rows(corpus: Path) -> dict[str, Row]:
    """By id, in order: from ascii/lines.txt, lines.txt, or the files xml/*.xml, whichever is there first. Raises DataError naming file and line."""
    for path in (corpus / "ascii" / "lines.txt", corpus / "lines.txt"):
        if path.is_file():
            return _once(_lines(path), path)
    files = sorted((corpus / "xml").glob("*.xml"))
    if not files:
        raise DataError("has no ascii/lines.txt, lines.txt or xml/*.xml, which say what is written", where=corpus,
                        hint="unpack ascii.tgz of IAM-DB there")
    return _once((row for file in files for row in _form(file)), corpus / "xml")


def _once(found: Iterator[tuple[str, Row]], where: Path) -> dict[str, Row]:
    rows: dict[str, Row] = {}
    for id, row in found:
        if id in rows:
            raise DataError(f"the line {id} is there already, in {rows[id].where}", where=row.where)
        rows[id] = row
    if not rows:
        raise DataError("names no line", where=where)
    return rows


def _lines(path: Path) -> Iterator[tuple[str, Row]]:
    try:
        lines = path.read_text(encoding="utf-8-sig").split("\n")
    except UnicodeDecodeError as error:
        raise DataError(f"is not UTF-8: {error}", where=path) from None
    for number, each in enumerate(lines, 1):
        if not each.strip() or each.startswith("#"):
            continue
        where, fields = f"{path}:{number}", each.strip().split(" ", 8)
        if len(fields) < 9 or fields[1] not in ("ok", "err") or not all(NUMBER.fullmatch(field) for field in fields[2:8]):
            raise DataError(f"is not of the form ID ok|err GRAY COMPONENTS X Y W H TEXT: '{each.strip()[:60]}'", where=where,
                            hint="was it cut short?")
        yield fields[0], Row(_said(fields[8].split("|"), fields[0], where), fields[1] == "ok", where)


def _form(path: Path) -> Iterator[tuple[str, Row]]:
    """The lines of a form. Their words are used where there are any, for they are cut as in lines.txt; the attribute `text` of a line is not."""
    for element in xml.parse(path.read_bytes(), path).iter("line"):
        id = element.get("id")
        if id is None:
            raise DataError("has a line without an id", where=path)
        words = [word.get("text", "") for word in element.iter("word")] or element.get("text", "").split()
        yield id, Row(_said(words, id, path), element.get("segmentation", "ok") != "err", str(path))


def _said(words: list[str], id: str, where: object) -> tuple[str, ...]:
    if not any(word.strip() for word in words):
        raise DataError(f"says nothing of the line {id}", where=where)
    return tuple(words)


def images(corpus: Path) -> dict[str, Path]:
    """By id: all *.png under lines/, in folders or not; without lines/, those under the corpus's folder that are named like lines of IAM-DB."""
    home, found = corpus / "lines", {}
    inside = home.is_dir()
    for folder, folders, files in os.walk(home if inside else corpus, followlinks=True):
        folders.sort()
        for name in sorted(files):
            id, suffix = os.path.splitext(name)
            if suffix.lower() != ".png" or not (inside or ID.fullmatch(id)):
                continue
            if id in found:
                raise DataError(f"is there twice, also as {Path(folder, name)}", where=found[id], hint="name the folder of one copy of the corpus")
            found[id] = Path(folder, name)
    if not found:
        raise DataError("holds no images of lines", where=home if inside else corpus, hint="unpack lines.tgz of IAM-DB into lines/")
    return found
