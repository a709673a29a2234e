"""Many arrays [T, D] of one width on disk: shards of raw numbers with an index, read through memory maps."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Iterable

import numpy as np

from .errors import DataError
from .files import read_json, writing


FLOATS, BYTES = "frames.f32", "frames.u8"        # what a shard's numbers are, by its file's name
_KINDS = {FLOATS: "<f4", BYTES: "u1"}


def write_shard(folder: Path, number: int, items: Iterable[tuple[str, int, np.ndarray]]) -> None:
    """Writes one shard, a folder, whole or not at all. Items are (utterance id, view, frames [T, D]), all in bytes or all in float32."""
    with writing(shard_path(folder, number)) as partial:
        partial.mkdir()
        rows, offset, width, kind = [], 0, None, FLOATS
        with open(partial / kind, "wb") as stream:
            for id, view, frames in items:
                width, kind = frames.shape[1], BYTES if frames.dtype == np.uint8 else FLOATS
                stream.write(np.ascontiguousarray(frames, dtype=_KINDS[kind]).tobytes())
                rows.append([id, view, offset, len(frames)])
                offset += len(frames)
        (partial / FLOATS).rename(partial / kind)
        (partial / "index.json").write_text(json.dumps({"width": width, "frames": offset, "rows": rows}))


def shard_path(folder: Path, number: int) -> Path:
    return folder / f"shard-{number:05d}"


class Store:
    """Reads all shards of a folder. A view number tells the copies of one utterance apart (speeds, channels)."""

    def __init__(self, folder: Path):
        self._maps: list[np.ndarray] = []
        self._rows: dict[str, list[tuple[int, int, int]]] = {}
        for shard in sorted(folder.glob("shard-[0-9]*[0-9]")):
            self._open(shard)
        if not self._rows:
            raise DataError("holds no features", where=folder)

    def _open(self, shard: Path) -> None:
        index = read_json(shard / "index.json")
        if not index["rows"]:
            return
        file = shard / (BYTES if (shard / BYTES).exists() else FLOATS)
        shape, kind = (index["frames"], index["width"]), np.dtype(_KINDS[file.name])
        if not file.exists() or file.stat().st_size != shape[0] * shape[1] * kind.itemsize:
            raise DataError("is cut short or missing", where=file, hint="delete its folder and run again")
        self._maps.append(np.memmap(file, dtype=kind, mode="r", shape=shape) if shape[0] else np.empty(shape, kind))
        for id, view, offset, length in index["rows"]:
            views = self._rows.setdefault(id, [])
            if view != len(views):
                raise DataError(f"utterance '{id}' has view {view} where {len(views)} was due", where=shard)
            views.append((len(self._maps) - 1, offset, length))

    def __contains__(self, id: str) -> bool:
        return id in self._rows

    def ids(self) -> list[str]:
        return list(self._rows)

    def views(self, id: str) -> int:
        return len(self._rows[id])

    def length(self, id: str, view: int = 0) -> int:
        return self._rows[id][view][2]

    def frames(self, id: str, view: int = 0) -> np.ndarray:
        """[T, D], read-only, not copied."""
        part, offset, length = self._rows[id][view]
        return self._maps[part][offset:offset + length]
