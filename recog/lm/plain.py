"""The plain reader of the ARPA format: a line at a time, and a line to say about whatever is wrong."""

from __future__ import annotations

import io
import math
import re
from array import array
from pathlib import Path

import numpy as np

from ..errors import DataError
from .backoff import LOWEST, Arpa


class Plain:
    """Goes through the lines once and knows the number of the one at hand."""

    def __init__(self, path: Path, raw: bytes):
        self.path, self.stream, self.line = path, io.BytesIO(raw), 0

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
            match = re.fullmatch(rb"ngram\s+(\d{1,4})\s*=\s*(\d{1,15})", line)
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
        """Raises when an n-gram stands twice."""
        order = np.lexsort(table.T)
        twice = np.flatnonzero((table[order[1:]] == table[order[:-1]]).all(axis=1))
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
