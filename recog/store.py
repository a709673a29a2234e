"""Many arrays [T, D] of one width on disk: shards of raw numbers with an index, read through memory maps."""

from __future__ import annotations

import functools
import hashlib
import json
from array import array
from pathlib import Path
from typing import Iterable, Iterator, Sequence

import numpy as np

from . import manifest
from .errors import DataError
from .files import digest, read_json, writing
from .names import Names
from .remaking import UTTERANCES, Wanted, remade, remaking
from .types import Utterance
from .views import Features, ViewsConfig


FLOATS, BYTES = "frames.f32", "frames.u8"        # what a shard's numbers are, by its file's name
_KINDS = {FLOATS: "<f4", BYTES: "u1"}
OPEN = 256                                       # shards that are mapped at once: each takes one of the process's open files


def write_shard(folder: Path, number: int, items: Iterable[tuple[str, int, np.ndarray]], instead: Sequence[Utterance] = ()) -> None:
    """Writes one shard, a folder, whole or not at all. Items are (utterance id, view, frames [T, D]), all in bytes or all in float32.

    instead: what the frames are made of; it is kept, and the frames are not, but for how many they are.
    """
    with writing(shard_path(folder, number)) as partial:
        partial.mkdir()
        rows, offset, width, kind, found = [], 0, None, FLOATS, hashlib.sha256()
        with open(partial / kind, "wb") as stream:
            for id, view, frames in items:
                width, kind = frames.shape[1], BYTES if frames.dtype == np.uint8 else FLOATS
                numbers = np.ascontiguousarray(frames, dtype=_KINDS[kind]).tobytes()
                stream.write(b"" if instead else numbers)
                found.update(numbers)
                rows.append([id, view, offset, len(frames)])
                offset += len(frames)
        if instead:
            (partial / FLOATS).unlink()
            manifest.write(partial / UTTERANCES, instead)
        else:
            (partial / FLOATS).rename(partial / kind)
        (partial / "index.json").write_text(json.dumps({"width": width, "frames": offset, "sha256": found.hexdigest(), "rows": rows}))


def shard_path(folder: Path, number: int) -> Path:
    return folder / f"shard-{number:05d}"


class Store:
    """Reads all shards of a folder. A view number tells the copies of one utterance apart (speeds, channels).

    Views are rows of arrays: those of utterance number n are `first[n]` to before `first[n + 1]`, and `lengths` are their frames.
    """

    def __init__(self, folder: Path, made: tuple[Features, ViewsConfig] | None = None):
        """made: how frames are made that are not kept."""
        self._names, self._shards, self._made, self.kept = Names(), [], made, True
        first, lengths, offsets, shards = array("q"), array("q"), array("q"), array("i")
        due, last = 0, None
        for shard in sorted(folder.glob("shard-[0-9]*[0-9]"), key=lambda path: (len(path.name), path.name)):
            for id, view, offset, length in self._read(shard):
                if id != last:
                    self._names.add(id)
                    first.append(len(lengths))
                    due, last = 0, id
                if view != due:
                    raise DataError(f"utterance '{id}' has view {view} where {due} was due", where=shard)
                due += 1
                lengths.append(length)
                offsets.append(offset)
                shards.append(len(self._shards) - 1)
        if not lengths:
            raise DataError("holds no features", where=folder)
        for id in self._names.twice():
            raise DataError(f"utterance '{id}' is in two places", where=folder, hint="delete the folder and run again")
        first.append(len(lengths))
        self.first, self.lengths, self._offsets, self._in = (np.frombuffer(each, each.typecode) for each in (first, lengths, offsets, shards))
        self._map = functools.lru_cache(OPEN)(self._opened)

    def _read(self, shard: Path) -> list[tuple[str, int, int, int]]:
        """The rows of a shard's index: utterance, view, first frame, frames."""
        index = read_json(shard / "index.json")
        if not index["rows"]:
            return []
        if (shard / UTTERANCES).exists():
            self.kept = False
            self._shards.append((shard, (0, 0), np.dtype("u1")))
            return index["rows"]
        file = shard / (BYTES if (shard / BYTES).exists() else FLOATS)
        shape, kind = (index["frames"], index["width"]), np.dtype(_KINDS[file.name])
        if not file.exists() or file.stat().st_size != shape[0] * shape[1] * kind.itemsize:
            raise DataError("is cut short or missing", where=file, hint="delete its folder and run again")
        self._shards.append((file, shape, kind))
        return index["rows"]

    def _opened(self, shard: int) -> np.ndarray:
        file, shape, kind = self._shards[shard]
        return np.memmap(file, dtype=kind, mode="r", shape=shape) if shape[0] else np.empty(shape, kind)

    def __contains__(self, id: str) -> bool:
        return self._names.find(id) >= 0

    def ids(self) -> list[str]:
        return list(self._names)

    def id(self, number: int) -> str:
        return self._names[number]

    def number(self, id: str, guess: int = -1) -> int:
        """Of an utterance, in the order of the shards. guess: what it may be. Raises KeyError."""
        number = self._names.find(id, guess)
        if number < 0:
            raise KeyError(id)
        return number

    def views(self, id: str) -> int:
        number = self.number(id)
        return int(self.first[number + 1] - self.first[number])

    def row(self, id: str, view: int = 0) -> int:
        if not 0 <= view < self.views(id):
            raise IndexError(view)
        return int(self.first[self.number(id)]) + view

    def length(self, id: str, view: int = 0) -> int:
        return int(self.lengths[self.row(id, view)])

    def frames(self, id: str, view: int = 0) -> np.ndarray:
        """[T, D], read-only, not copied."""
        return self.at(self.row(id, view))

    def at(self, row: int) -> np.ndarray:
        """The frames of a view, by its row."""
        if not self.kept:
            return remade([self._wanted(row)], *self._how())[0]
        offset = self._offsets[row]
        return self._map(int(self._in[row]))[offset:offset + self.lengths[row]]

    def batches(self, rows: Iterable[Sequence[int]]) -> Iterator[list[np.ndarray]]:
        """The frames of views, by their rows, for one batch after the other; those that are not kept are made ahead by other processes."""
        if self.kept:
            return ([self.at(row) for row in batch] for batch in rows)
        return remaking(([self._wanted(row) for row in batch] for batch in rows), *self._how())

    def _how(self) -> tuple[Features, ViewsConfig]:
        if self._made is None:
            raise DataError("the frames are not kept here, but made when they are needed", where=self._shards[0][0].parent,
                            hint="run with views.store = true")
        return self._made

    def _wanted(self, row: int) -> Wanted:
        """What the frames of a view are made of."""
        number = int(np.searchsorted(self.first, row, "right")) - 1
        beginning = int(np.searchsorted(self._in, self._in[row]))            # the first row of the shard
        return self._shards[self._in[row]][0], number - int(np.searchsorted(self.first, beginning)), row - int(self.first[number])


def verify(folder: Path) -> tuple[int, int]:
    """Reads every number: how many shards are as they were written, and how many say nothing about it (written before 2026-12).

    Raises DataError that names the first that is not.
    """
    good = silent = 0
    for shard in sorted(folder.glob("shard-[0-9]*[0-9]")):
        recorded = read_json(shard / "index.json").get("sha256")
        if (shard / UTTERANCES).exists():
            continue
        file = next((shard / name for name in _KINDS if (shard / name).exists()), None)
        if file is None:
            raise DataError("is cut short or missing", where=shard / FLOATS, hint="delete its folder and run again")
        if recorded is not None and digest(file) != recorded:
            raise DataError("was changed after it was written", where=file, hint="delete its folder and run again")
        good, silent = good + (recorded is not None), silent + (recorded is None)
    return good, silent
