"""Several calls at once, each in a thread with its share of torch's threads.

Products of small matrices gain little from several threads each; side by side, they gain all.
"""

from __future__ import annotations

import functools
import os
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Callable

import torch

MOST = 64                                # threads beside the caller's, over all calls that are under way


def at_once(call: Callable, *arguments: Any) -> list:
    """[call(a0, b0, ...), call(a1, b1, ...), ...] of arguments (a0, a1, ...), (b0, b1, ...): the first here, the others beside."""
    here, *others = zip(*arguments, strict=True)
    if not others:
        return [call(*here)]
    threads = torch.get_num_threads()
    share = max(1, threads // (1 + len(others)))
    beside = [_pool().submit(_with_threads, share, call, other) for other in others]
    torch.set_num_threads(share)
    try:
        return [call(*here), *(each.result() for each in beside)]
    finally:
        for each in beside:
            each.exception()                                 # nothing is left running
        torch.set_num_threads(threads)


def shares(rows: int, least: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Where the parts begin and end into which torch's threads divide rows, of at least `least` rows where there are as many."""
    parts = max(1, min(torch.get_num_threads(), rows // least))
    borders = [rows * part // parts for part in range(parts + 1)]
    return tuple(borders[:-1]), tuple(borders[1:])


def _with_threads(threads: int, call: Callable, arguments: tuple) -> Any:
    torch.set_num_threads(threads)
    return call(*arguments)


@functools.lru_cache(maxsize=1)
def _pool() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(MOST, "beside")


os.register_at_fork(after_in_child=_pool.cache_clear)      # a forked process has no threads but one
