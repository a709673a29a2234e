"""A folder of .txt books to sentences: upper-cased, anything but A-Z and ' made a space, as speech recognizers write."""

import re
from pathlib import Path
from typing import Iterator

from recog.errors import DataError
from recog.types import Utterance

TEST = "chesterton-thursday"                  # this book, or else the last one by name
DEV = 25                                      # of the others, every 25th stretch of STRETCH sentences
STRETCH = 20


def prepare(corpus: Path) -> Iterator[Utterance]:
    books = sorted(corpus.glob("*.txt"))
    if len(books) < 2:
        raise DataError("holds fewer than two .txt files", where=corpus, hint="one book is the test, the others are learned from")
    test = next((book for book in books if book.stem == TEST), books[-1])
    for book in books:
        for number, text in enumerate(sentences(book)):
            split = "test" if book == test else "dev" if number // STRETCH % DEV == DEV - 1 else "train"
            yield Utterance(f"{book.stem}-{number:06}", split, str(book), text)


def sentences(book: Path) -> Iterator[str]:
    """Cut after . ! ? and where a line is empty. An apostrophe stays within a word."""
    page = book.read_text(encoding="utf-8", errors="replace").upper().replace("\u2019", "'")
    for sentence in re.split(r"[.!?]+(?=\W)|\n\s*\n", page):
        words = re.sub(r"(?<![A-Z])'|'(?![A-Z])|[^A-Z']", " ", sentence).split()
        if words:
            yield " ".join(words)
