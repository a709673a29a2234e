"""Work on several processes of this machine, or as one of those that torchrun has started; and what is said when one ends too early."""

from __future__ import annotations

import multiprocessing
import os
import pickle
import signal
import sys
import time
from contextlib import contextmanager
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection, wait
from typing import Any, Callable, Iterator

from . import ranks
from .errors import ConfigError, RecogError, TrainError

GRACE = 5.0                              # seconds that the others have to end by themselves after one has failed
LOST, INTERRUPTED = 75, 130              # exit statuses of ranks
STOPS = (signal.SIGINT, signal.SIGTERM)
AGAIN = "run the same command again to go on from the last saved state"


def launched(processes: int | None, work: Callable, *arguments: Any) -> Any:
    """What work(*arguments) gives on rank 0: of as many processes as are asked for, of torchrun's if it has started this one, or here alone.

    Raises what a rank raises, once; and TrainError that names the rank when one dies. All others have ended then.
    """
    place = ranks.place()
    if processes is None:
        return work(*arguments) if place is None else _among_others(place, work, arguments)
    if processes < 1:
        raise ConfigError(f"{processes} processes cannot work", where="--nproc", hint="one or more")
    if place is not None:
        raise ConfigError("this is one of several processes already", where="--nproc", hint="torchrun --nproc-per-node says how many")
    return work(*arguments) if processes == 1 else _Job(processes, work, arguments).result()


def _among_others(place: ranks.Place, work: Callable, arguments: tuple) -> Any:
    """As one of torchrun's processes. All end in failure when one does, and one of them says why."""
    with ranks.joined(place):
        try:
            return work(*arguments)
        except (RecogError, OSError, KeyboardInterrupt) as error:
            if not ranks.speaks():
                sys.stderr = open(os.devnull, "w")
            raise _of_rank(place.rank, error)


def _of_rank(rank: int, error: BaseException) -> BaseException:
    if rank and isinstance(error, RecogError) and not isinstance(error, ranks.Lost):
        error.what = f"rank {rank}: {error.what}"
    return error


class _Job:
    """Ranks of this machine: processes that end when this one does."""

    def __init__(self, size: int, work: Callable, arguments: tuple):
        self.size, self.work, self.arguments = size, work, arguments
        self.processes: list[multiprocessing.process.BaseProcess] = []
        self.pipes: dict[Connection, int] = {}
        self.told: dict[tuple[int, str], Any] = {}                       # by rank and kind: "value" or "error"
        self.asked, self.ended_by_us = False, set()

    def _start(self, port: int) -> None:
        context = multiprocessing.get_context("spawn")
        resource_tracker.ensure_running()                                # it lifts the block below if it starts within
        for rank in range(self.size):
            if self.asked:
                return
            here, there = context.Pipe(duplex=False)
            place = ranks.Place(rank, self.size, rank, self.size)
            process = context.Process(target=_child, args=(place, port, there, self.work, self.arguments), name=f"rank {rank}")
            before = signal.pthread_sigmask(signal.SIG_BLOCK, STOPS)     # handed down: a child is deaf until it can hear
            process.start()
            self.processes.append(process)
            self.pipes[here] = rank
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
            there.close()

    def result(self) -> Any:
        from torch.distributed import TCPStore

        failed = None                                                    # when the first one did
        store = TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False)
        with self._passing_on():
            self._start(store.port)
            while alive := [process for process in self.processes if process.is_alive()]:
                wait([*(process.sentinel for process in alive), *self.pipes], timeout=0.5)
                self._listen()
                if failed is None and any(process.exitcode for process in self.processes):
                    failed = time.monotonic()
                if failed is not None and time.monotonic() - failed > GRACE:
                    self.ended_by_us |= {process for process in self.processes if process.is_alive()}
                    for process in self.ended_by_us:
                        process.kill()
            self._listen()
        self._complain()
        return self.told.get((0, "value"))

    @contextmanager
    def _passing_on(self) -> Iterator[None]:
        """Ctrl-C and SIGTERM go to all ranks, which stop after the present step; a second one stops them at once."""

        def ask(number, frame) -> None:
            self.asked = True
            for process in self.processes:
                if process.is_alive():
                    os.kill(process.pid, number)

        before = {number: signal.signal(number, ask) for number in STOPS}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
            for process in self.processes:
                process.kill()                                           # of one that is over, this does nothing

    def _listen(self) -> None:
        for pipe, rank in list(self.pipes.items()):
            try:
                while pipe.poll():
                    kind, value = pickle.loads(pipe.recv_bytes())
                    self.told[rank, kind] = value
            except (EOFError, OSError):
                del self.pipes[pipe]

    def _complain(self) -> None:
        """Raises what ended the ranks too early: an error that one of them met, a wish to stop, or the death of one."""
        errors = {rank: error for (rank, kind), error in sorted(self.told.items()) if kind == "error"}
        if errors:
            raise _of_rank(*next(iter(errors.items())))
        codes = {rank: process.exitcode for rank, process in enumerate(self.processes) if process not in self.ended_by_us}
        if self.asked or INTERRUPTED in codes.values():
            raise KeyboardInterrupt
        for rank, code in codes.items():
            if code not in (0, LOST):
                raise TrainError(f"rank {rank} of {len(self.processes)} {_how(code)}; the others were stopped", hint=AGAIN)
        if any(codes.values()):
            raise ranks.Lost


def _how(code: int) -> str:
    if code >= 0:
        return f"ended with status {code}"
    return f"was killed by {signal.Signals(-code).name}" + (", as when memory is short" if code == -signal.SIGKILL else "")


def _child(place: ranks.Place, port: int, told: Connection, work: Callable, arguments: tuple) -> None:
    """One rank. Out of the reach of the terminal's Ctrl-C, which the parent passes on."""
    os.setpgid(0, 0)
    ranks.end_with_parent()
    signal.pthread_sigmask(signal.SIG_UNBLOCK, STOPS)
    os.environ |= {"RANK": str(place.rank), "WORLD_SIZE": str(place.size), "LOCAL_RANK": str(place.local), "LOCAL_WORLD_SIZE": str(place.beside),
                   "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "TORCHELASTIC_USE_AGENT_STORE": "True"}     # the parent keeps the store

    def tell(kind: str, value: Any) -> None:
        told.send_bytes(pickle.dumps((kind, value)))     # whole: torch would hand over tensors by reference, to memory that ends with this process

    try:
        if "OMP_NUM_THREADS" not in os.environ:
            import torch

            torch.set_num_threads(max(1, (os.cpu_count() or 1) // place.beside))
        with ranks.joined(place):
            tell("value", work(*arguments))
    except ranks.Lost:
        _leave(LOST)
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)            # all stop together: what this rank last said to the others may still be on its way
    except (RecogError, OSError) as error:
        tell("error", error)
        _leave(1)


def _leave(status: int) -> None:
    """Ends a rank that failed as it is: torch's threads still wait for the others, and would abort it in a proper end."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)
