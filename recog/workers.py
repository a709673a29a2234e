"""Work for several processes: what they give comes in order, a bounded number of parts is under way, and none outlives its caller."""

from __future__ import annotations

import os
import threading
from collections import deque
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context
from typing import Any, Callable, Iterable, Iterator

from .errors import RecogError


def cores() -> int:
    """That this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def spread(call: Callable, parts: Iterable, jobs: int, begin: Callable[..., None], *arguments: Any) -> Iterator:
    """call(part) of each part, in order, by `jobs` processes, of which each begins with begin(*arguments).

    At most 2 * jobs parts are under way or done and not yet taken: memory does not grow with their number. Raises what a call
    raises, and RecogError when a process was killed. Functions and parts are pickled. Closed early, it ends the processes at once.
    """
    context = get_context("spawn")
    held, ours = context.Pipe(duplex=False)
    pool = ProcessPoolExecutor(jobs, context, _begin, (held, begin, arguments))
    waiting: deque = deque()
    try:
        for part in parts:
            waiting.append(pool.submit(call, part))
            if len(waiting) == 2 * jobs:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
        pool.shutdown()
    except BrokenProcessPool:
        raise RecogError("a worker process was killed; was memory short?", hint="free some, and run again") from None
    finally:
        ours.close()                         # processes that are still at work end
        held.close()
        pool.shutdown(wait=False, cancel_futures=True)


def _begin(held: Any, begin: Callable[..., None], arguments: tuple) -> None:
    """A process does not outlive its caller, or it could write into the files of the next run; Ctrl-C is its caller's matter."""
    import signal

    signal.signal(signal.SIGINT, signal.SIG_IGN)

    def follow() -> None:
        held.poll(None)                      # until the other end is closed, by the caller or by its death
        os._exit(1)

    threading.Thread(target=follow, daemon=True).start()
    begin(*arguments)


def set_threads(count: int) -> None:
    """How a process begins whose calls use torch: with this many of its threads."""
    import torch

    torch.set_num_threads(count)
