"""N-gram models in the ARPA format: a writer, and a reader that takes nothing on trust."""

from __future__ import annotations

import gzip
import re
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Iterator

import numpy as np

from ..files import writing
from .backoff import LOWEST, Arpa
from .plain import Plain
from .tokens import read_bytes

CHUNK = 1 << 18                               # n-grams written at a time


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
    """An ARPA file, plain or gzip. Raises DataError that names the file, the line and what is wrong.

    Compiled code reads what is in order; anything else is left to the plain reader, which finds the words for it.
    """
    raw = read_bytes(path)
    return _quick(raw) or Plain(path, raw).model()


def _quick(raw: bytes) -> Arpa | None:
    """The model, or None when something is odd."""
    from ..kernels.arpa import repeated, section

    head = re.match(rb"\\data\\\s*\n((?:ngram \d{1,4}=\d{1,15}\s*\n)+)\s*\\1-grams:\s*\n", raw)
    counts = [int(count) for count in re.findall(rb"=(\d+)", head[1])] if head else [0]
    if min(counts) == 0 or sum(counts) > len(raw) // 4 or re.findall(rb" (\d+)=", head[1]) != [b"%d" % n for n in range(1, len(counts) + 1)]:
        return None
    text, at = np.frombuffer(raw, np.uint8), head.end()
    table = np.full(1 << (2 * counts[0]).bit_length(), -1, np.int32)
    starts, ends = np.zeros(counts[0], np.int64), np.zeros(counts[0], np.int64)
    model = Arpa([], [], [], [])
    for n, count in enumerate(counts, 1):
        grams, probs, weights = np.zeros((count, n), np.int32), np.zeros(count), np.zeros(count)
        at = section(text, at, table, starts, ends, grams, probs, weights, n == len(counts))
        follows = re.compile(rb"\s*\\end\\\s" if n == len(counts) else rb"\s*\\%d-grams:[ \t\r]*\n" % (n + 1)).match(raw, at)
        if at < 0 or not follows or repeated(grams) >= 0:
            return None
        at = follows.end()
        model.grams.append(grams), model.probs.append(np.maximum(probs, LOWEST)), model.backoffs.append(weights)
    model.backoffs.pop()
    try:
        model.words.extend(raw[start:end].decode() for start, end in zip(starts.tolist(), ends.tolist()))
    except UnicodeDecodeError:
        return None
    return model
