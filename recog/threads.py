"""Several calls at once, each in a thread with its share of torch's threads.

Products of small matrices gain little from several threads each; side by side, they gain all.
"""

from __future__ import annotations

import functools
import os
from concurrent.futures import ThreadPoolExecutor, wait
from typing import Any, Callable

import torch

MOST = 64                                # threads beside the caller's, over all calls that are under way


def at_once(call: Callable, *arguments: Any) -> list:
    """[call(a0, b0, ...), call(a1, b1, ...), ...] of arguments (a0, a1, ...), (b0, b1, ...): the first here, the others beside.

    Beside as here, gradients are recorded or not, and tensors are those of inference or not.
    """
    here, *others = zip(*arguments, strict=True)
    if not others:
        return [call(*here)]
    threads = torch.get_num_threads()
    share, modes = max(1, threads // (1 + len(others))), (torch.is_inference_mode_enabled(), torch.is_grad_enabled())
    beside = [_pool().submit(_in_mode, share, *modes, call, other) for other in others]
    torch.set_num_threads(share)
    try:
        first = call(*here)
        rest = [call(*other) if each.cancel() else each.result() for each, other in zip(beside, others)]     # no thread was free: here
        return [first, *rest]
    finally:
        wait([each for each in beside if not each.cancel()])                 # nothing is left running
        torch.set_num_threads(threads)


def shares(rows: int, least: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Where the parts begin and end into which torch's threads divide rows, of at least `least` rows where there are as many."""
    parts = max(1, min(torch.get_num_threads(), rows // least))
    borders = [rows * part // parts for part in range(parts + 1)]
    return tuple(borders[:-1]), tuple(borders[1:])


def _in_mode(threads: int, inference: bool, gradients: bool, call: Callable, arguments: tuple) -> Any:
    torch.set_num_threads(threads)
    with torch.inference_mode(inference), torch.set_grad_enabled(gradients):
        return call(*arguments)


@functools.lru_cache(maxsize=1)
def _pool() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(MOST, "beside")


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_pool.cache_clear)      # a forked process has no threads but one
