"""N-gram models in the ARPA format: a writer, and a plain reader that believes nothing."""

from __future__ import annotations

import gzip
import math
import re
import zlib
from array import array
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Iterator

import numpy as np

from ..errors import DataError
from ..files import writing

LOWEST = -99.0                                # log10 of a probability of zero, by custom
CHUNK = 1 << 18                               # n-grams written at a time


@dataclass(frozen=True)
class Arpa:
    """A back-off model: p(w | h) is that of h w if listed, else the back-off weight of h times p(w | h without its first word)."""

    words: list[str]                          # the vocabulary; row w of the unigrams is word w
    grams: list[np.ndarray]                   # by order n: [K, n] int32, word numbers
    probs: list[np.ndarray]                   # by order: [K] float64, log10
    backoffs: list[np.ndarray]                # by order, without the highest: [K] float64, log10

    @property
    def order(self) -> int:
        return len(self.grams)

    @property
    def counts(self) -> list[int]:
        return [len(table) for table in self.grams]


def write(model: Arpa, path: Path) -> None:
    """Writes beside `path`, then renames; compressed when the name ends in .gz. Seven digits behind the point."""
    from ..kernels.arpa import lines

    spelled = [word.encode() for word in model.words]
    letters = np.frombuffer(b"".join(spelled), np.uint8)
    starts = np.concatenate([[0], np.cumsum([len(word) for word in spelled])]).astype(np.int64)
    none = np.zeros(0)
    with writing(path) as partial, _create(partial, path.suffix == ".gz") as out:
        counts = "".join(f"ngram {n}={count}\n" for n, count in enumerate(model.counts, 1))
        out.write(f"\\data\\\n{counts}".encode())
        for n, (grams, probs) in enumerate(zip(model.grams, model.probs), 1):
            out.write(f"\n\\{n}-grams:\n".encode())
            for at in range(0, len(grams), CHUNK):
                part = slice(at, at + CHUNK)
                weights = model.backoffs[n - 1][part] if n < model.order else none
                out.write(lines(np.ascontiguousarray(grams[part]), probs[part], weights, letters, starts).data)
        out.write(b"\n\\end\\\n")


@contextmanager
def _create(path: Path, compressed: bool) -> Iterator[BinaryIO]:
    if not compressed:
        with open(path, "wb") as stream:
            yield stream
    else:                                     # no name and no time in the header: the same model, the same bytes
        with open(path, "wb") as raw, gzip.GzipFile("", "wb", 6, raw, 0) as stream:
            yield stream


def read(path: Path) -> Arpa:
    """An ARPA file, plain or gzip. Raises DataError that names the file, the line and what is wrong."""
    try:
        with open(path, "rb") as raw:
            compressed = raw.read(2) == b"\x1f\x8b"
        with (gzip.open if compressed else open)(path, "rb") as stream:
            return _Reader(path, stream).model()
    except FileNotFoundError:
        raise DataError("no such file", where=path) from None
    except IsADirectoryError:
        raise DataError("is a folder, not an ARPA file", where=path) from None
    except (EOFError, gzip.BadGzipFile, zlib.error):
        raise DataError("is not readable gzip", where=path, hint="was it cut short?") from None


class _Reader:
    """Goes through the lines once and knows the number of the one at hand."""

    def __init__(self, path: Path, stream: BinaryIO):
        self.path, self.stream, self.line = path, stream, 0

    def fail(self, what: str, line: int | None = None, hint: str | None = None):
        raise DataError(what, where=f"{self.path}: line {line or self.line}", hint=hint)

    def next(self, wanted: str) -> bytes:
        """The next line that is not empty."""
        for line in self.stream:
            self.line += 1
            if line := line.strip():
                return line
        self.fail(f"the file ends where {wanted} should be", hint="was it cut short?")

    def model(self) -> Arpa:
        counts = self.header()
        self.words: dict[bytes, int] = {}
        grams, probs, backoffs = [], [], []
        for n, count in enumerate(counts, 1):
            table, prob, weight = self.section(n, count, n == len(counts))
            grams.append(table), probs.append(prob), backoffs.append(weight)
        if (line := self.next("\\end\\")) != b"\\end\\":
            self.fail(f"'{_shown(line)}' stands where \\end\\ should be")
        try:
            words = [word.decode() for word in self.words]
        except UnicodeDecodeError:
            raise DataError("its words are not UTF-8", where=self.path, hint="convert it, such as by iconv -t UTF-8") from None
        return Arpa(words, grams, probs, backoffs[:-1])

    def header(self) -> list[int]:
        for line in self.stream:
            self.line += 1
            if line.strip() == b"\\data\\":
                break
        else:
            raise DataError("is no ARPA file: it has no line \\data\\", where=self.path)
        counts = []
        while True:
            line = self.next("\\1-grams:")
            if line.startswith(b"\\"):
                break
            match = re.fullmatch(rb"ngram\s+(\d+)\s*=\s*(\d+)", line)
            if not match or int(match[1]) != len(counts) + 1:
                self.fail(f"'{_shown(line)}' stands where 'ngram {len(counts) + 1}=COUNT' should be")
            counts.append(int(match[2]))
        if not counts:
            self.fail("the file says no counts of n-grams")
        self.title = line
        return counts

    def section(self, n: int, count: int, highest: bool):
        if self.title != f"\\{n}-grams:".encode():
            self.fail(f"'{_shown(self.title)}' stands where \\{n}-grams: should be")
        began, numbers = self.line, array("i")
        probs, weights = array("d"), array("d")
        known = self.words
        for _ in range(count):
            line = self.stream.readline()
            self.line += 1
            fields = line.split()
            try:
                probs.append(float(fields[0]))
                weights.append(float(fields[n + 1]) if len(fields) == n + 2 else 0.0)
                if n == 1:
                    numbers.append(known.setdefault(fields[1], len(known)))
                else:
                    numbers.extend([known[word] for word in fields[1:n + 1]])
            except (ValueError, KeyError, IndexError):
                self.explain(n, line, count, highest)
            if not n + 1 <= len(fields) <= n + 2 - highest:
                self.explain(n, line, count, highest)
        prob, weight = self.checked(np.array(probs), began), self.checked(np.array(weights), began, weight=True)
        table = np.array(numbers, np.int32).reshape(count, n)
        self.unrepeated(table, began)
        self.after(n, highest)
        return table, prob, weight

    def explain(self, n: int, line: bytes, count: int, highest: bool):
        """Raises for a line that is no n-gram."""
        fields = line.split()
        if not line.endswith(b"\n") and not fields:
            self.fail(f"the file ends within the {n}-grams", hint="was it cut short?")
        if not fields or line.startswith(b"\\"):
            self.fail(f"there are fewer {n}-grams than the {count} that the file says")
        if not n + 1 <= len(fields) <= n + 2 - highest:
            self.fail(f"has {len(fields)} fields, which is no {n}-gram", hint=None if line.endswith(b"\n") else "was the file cut short?")
        for field in (fields[0], *fields[n + 1:]):
            try:
                float(field)
            except ValueError:
                self.fail(f"'{_shown(field)}' is not a number")
        unknown = [word for word in fields[1:n + 1] if word not in self.words]
        self.fail(f"'{_shown(unknown[0])}' is not among the unigrams")

    def checked(self, values: np.ndarray, began: int, weight: bool = False) -> np.ndarray:
        """Zero probabilities by the custom's number; raises for what is no log probability."""
        wrong = ~(values < math.inf) if weight else ~(values <= 0)
        if wrong.any():
            row = int(np.argmax(wrong))
            self.fail(f"{values[row]:g} is not a log {'weight' if weight else 'probability'}", began + 1 + row)
        return np.maximum(values, LOWEST) if np.isneginf(values).any() else values

    def unrepeated(self, table: np.ndarray, began: int):
        """Raises when an n-gram stands twice: those of equal first words are ranked, word by word."""
        rank = table[:, 0].astype(np.int64)
        for column in table.T[1:]:
            rank = np.unique(rank * len(self.words) + column, return_inverse=True)[1]
        order = np.argsort(rank, kind="stable")
        twice = np.flatnonzero(rank[order[1:]] == rank[order[:-1]])
        if len(twice):
            row = int(order[1:][twice].min())
            words = list(self.words)
            gram = b" ".join(words[word] for word in table[row])
            self.fail(f"the n-gram '{_shown(gram)}' stands twice", began + 1 + row)

    def after(self, n: int, highest: bool):
        """What follows a section is the next one's title, or the end."""
        if highest:
            return
        self.title = self.next(f"\\{n + 1}-grams:")
        if not self.title.startswith(b"\\"):
            self.fail(f"there are more {n}-grams than the file says")


def _shown(raw: bytes) -> str:
    return raw[:60].decode(errors="replace")
