"""A file that grows part by part; a command that was killed goes on with it, and it ends with the same bytes as undisturbed.

Beside FILE grow FILE.partial and FILE.journal, a line for each part: how long FILE.partial is with it, and what else is to be
kept of it. What a kill left behind the last whole part is cut off.
"""

from __future__ import annotations

import json
import os
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, Iterator

from .errors import ConfigError
from .files import alone, remove


class Growing:
    """The file under way."""

    def __init__(self, partial: IO[bytes], journal: IO[bytes], notes: list[Any]):
        self.notes = notes                   # of each part that is in it, in order
        self._partial, self._journal = partial, journal

    def add(self, text: str, note: Any = None) -> None:
        """A part, whole or not at all. note: JSON."""
        self._partial.write(text.encode("utf-8"))
        _flush(self._partial)                # before the journal says that it is there
        self._journal.write(json.dumps({"bytes": self._partial.tell(), "note": note}, ensure_ascii=False).encode("utf-8") + b"\n")
        _flush(self._journal)
        self.notes.append(note)


@contextmanager
def growing(path: Path, key: str, anew: bool = False) -> Iterator[Growing]:
    """Goes on with what is there of `path`, or begins; `path` itself is there once the block has ended well.

    key: of all that the parts follow from. Raises ConfigError when what is there is of another key (anew: is thrown away), and
    DiskError when another process is at it.
    """
    partial, journal, lock = (path.with_name(path.name + suffix) for suffix in (".partial", ".journal", ".lock"))
    with alone(lock):
        if anew:
            remove(partial)
            remove(journal)
        size, notes = _before(partial, journal, key)
        with open(partial, "ab") as stream, open(journal, "ab") as lines:
            stream.truncate(size)
            stream.seek(size)
            if not lines.tell():
                lines.write(json.dumps({"key": key}).encode() + b"\n")
                _flush(lines)
            yield Growing(stream, lines, notes)
        os.replace(partial, path)
        remove(journal)
        remove(lock)


def _before(partial: Path, journal: Path, key: str) -> tuple[int, list[Any]]:
    """How many bytes of the partial file are whole parts, and their notes; cuts the journal after them."""
    if not (partial.exists() and journal.exists()):
        remove(journal)
        return 0, []
    there, size, notes, good = partial.stat().st_size, 0, [], 0
    with open(journal, "rb") as lines:
        for number, line in enumerate(lines):
            try:
                row = json.loads(line) if line.endswith(b"\n") else {}
            except ValueError:
                break
            if number == 0 and row and row.get("key") != key:
                raise ConfigError("was begun from other files, another model or other options", where=partial,
                                  hint="--force throws it away and begins anew")
            if not row or row.get("bytes", 0) > there:
                break
            if number:
                size = row["bytes"]
                notes.append(row["note"])
            good += len(line)
    os.truncate(journal, good)
    return size, notes


def _flush(stream: IO[bytes]) -> None:
    stream.flush()
    os.fsync(stream.fileno())
