"""Batches: utterances of like length together, padding bounded, the same order for the same seed."""

from __future__ import annotations

import queue
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Callable, Iterable, Iterator, Sequence

import numpy as np

from .types import Batch

if TYPE_CHECKING:
    from torch import device as Device


@dataclass(frozen=True)
class BatchConfig:
    """How utterances are put together."""

    utterances: int = 16             # at most this many in a batch
    frames: int = 20000              # at most this many frames, padding included, as the encoder sees them
    pool: int = 50                   # batches' worth of utterances that are sorted by length together

    def __post_init__(self):
        if min(self.utterances, self.frames, self.pool) < 1:
            raise ValueError("utterances, frames and pool must be positive")


def plan(lengths: np.ndarray, config: BatchConfig, rng: np.random.Generator | None) -> list[np.ndarray]:
    """Index arrays, one per batch, that hold every utterance once. Without `rng`: sorted by length, no shuffling.

    lengths: [N] frames. An utterance longer than `config.frames` makes a batch of its own.
    """
    order = np.argsort(lengths, kind="stable") if rng is None else rng.permutation(len(lengths))
    batches: list[np.ndarray] = []
    size = config.utterances * config.pool
    for start in range(0, len(order), size):
        pool = order[start:start + size]
        pool = pool[np.argsort(lengths[pool], kind="stable")]
        batches += _cut(pool, lengths, config)
    if rng is not None:
        batches = [batches[i] for i in rng.permutation(len(batches))]
    return batches


def _cut(pool: np.ndarray, lengths: np.ndarray, config: BatchConfig) -> list[np.ndarray]:
    """Cuts a pool sorted by length into batches that keep both limits."""
    batches, begin, frames = [], 0, lengths[pool].tolist()
    for end in range(1, len(pool) + 1):
        full = end - begin == config.utterances
        if end == len(pool) or full or (end - begin + 1) * frames[end] > config.frames:
            batches.append(pool[begin:end])
            begin = end
    return batches


def waste(lengths: np.ndarray, batches: Sequence[np.ndarray]) -> float:
    """The share of padded frames that are padding, 0 to 1."""
    if not len(batches):
        return 0.0
    sizes = np.array([len(batch) for batch in batches])
    frames = lengths[np.concatenate(batches)]
    padded = int((np.maximum.reduceat(frames, np.cumsum(sizes) - sizes) * sizes).sum())
    return 1 - int(frames.sum()) / padded if padded else 0.0


def pad(ids: Sequence[str], xs: Sequence[np.ndarray], ys: Sequence[Sequence[int]]) -> Batch:
    """xs: [T_i, D] each; ys: U_i unit numbers each."""
    import torch

    x_len = torch.tensor([len(x) for x in xs])
    y_len = torch.tensor([len(y) for y in ys])
    x = torch.zeros(len(xs), int(x_len.max()), xs[0].shape[1])      # torch's memory is aligned: sums repeat to the bit
    y = torch.zeros(len(ys), max(1, int(y_len.max())), dtype=torch.long)
    for i, (frames, labels) in enumerate(zip(xs, ys)):
        x.numpy()[i, :len(frames)] = frames              # stored frames are read-only: torch may not wrap them
        y[i, :len(labels)] = torch.tensor(labels)
    return Batch(tuple(ids), x, x_len, y, y_len)


def to_device(batch: Batch, device: Device) -> Batch:
    if device.type == "cpu":
        return batch
    return Batch(batch.ids, *(t.to(device, non_blocking=True) for t in (batch.x, batch.x_len, batch.y, batch.y_len)))


def dealt(lengths: Sequence[int], rank: int, size: int) -> list[int]:
    """The rows of a batch that one of `size` ranks works on: dealt out from the longest, so that all get as many frames, to about one row."""
    order = sorted(range(len(lengths)), key=lambda row: -lengths[row])
    return sorted(order[size - 1 - rank::size])          # rank 0, which has more to do, is the last to get one


def some(batch: Batch, rows: Sequence[int]) -> Batch:
    """These rows as a batch of their own, padded to the longest of them."""
    if len(rows) == len(batch.ids):
        return batch
    chosen = list(rows)
    x_len, y_len = batch.x_len[chosen], batch.y_len[chosen]
    frames, labels = max(x_len.tolist(), default=0), max([1, *y_len.tolist()])
    return Batch(tuple(batch.ids[row] for row in chosen), batch.x[chosen, :frames], x_len, batch.y[chosen, :labels], y_len)


def singles(batch: Batch) -> list[Batch]:
    """Each utterance as a batch of its own, without padding."""
    return [Batch((id,), batch.x[i:i + 1, :frames], batch.x_len[i:i + 1], batch.y[i:i + 1, :max(1, labels)], batch.y_len[i:i + 1])
            for i, (id, frames, labels) in enumerate(zip(batch.ids, batch.x_len.tolist(), batch.y_len.tolist()))]


def ahead(make: Callable[[int], Batch], numbers: Iterable[int], depth: int = 3) -> Iterator[Batch]:
    """make(n) for each n, in order, prepared by one thread up to `depth` ahead. Its errors are raised here."""
    ready: queue.Queue = queue.Queue(depth)
    stop = threading.Event()

    def put(item) -> None:
        while not stop.is_set():
            try:
                return ready.put(item, timeout=0.1)
            except queue.Full:
                continue

    def work() -> None:
        try:
            for number in numbers:
                if stop.is_set():
                    return
                put((make(number), None))
            put((None, None))
        except BaseException as error:       # handed over, not hidden: raised in the reader below
            put((None, error))

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    try:
        while True:
            batch, error = ready.get()
            if error is not None:
                raise error
            if batch is None:
                return
            yield batch
    finally:
        stop.set()
        thread.join()
