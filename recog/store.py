"""Many arrays [T, D] of one width on disk: shards of raw float32 with an index, read through memory maps."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Iterable

import numpy as np

from .errors import DataError
from .files import read_json, writing


def write_shard(folder: Path, number: int, items: Iterable[tuple[str, int, np.ndarray]]) -> None:
    """Writes one shard, a folder, whole or not at all. Items are (utterance id, view, frames [T, D])."""
    with writing(shard_path(folder, number)) as partial:
        partial.mkdir()
        rows, offset, width = [], 0, None
        with open(partial / "frames.f32", "wb") as stream:
            for id, view, frames in items:
                width = frames.shape[1]
                stream.write(np.ascontiguousarray(frames, dtype="<f4").tobytes())
                rows.append([id, view, offset, len(frames)])
                offset += len(frames)
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
        file = shard / "frames.f32"
        if not index["rows"]:
            return
        if not file.exists() or file.stat().st_size != index["frames"] * index["width"] * 4:
            raise DataError("is cut short or missing", where=file, hint="delete its folder and run again")
        shape = (index["frames"], index["width"])
        self._maps.append(np.memmap(file, dtype="<f4", mode="r", shape=shape) if shape[0] else np.empty(shape, "<f4"))
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
