"""Processes that work on one task as ranks 0, 1, ...: which one this is, and what they tell each other. Alone, it is rank 0 of 1.

Nothing is set up, and nothing of torch's is loaded, before `joined`; alone, every function here gives back what it got.
All ranks call the functions that speak to the others in the same order; a rank that is gone makes them raise `Lost`.
"""

from __future__ import annotations

import os
import threading
import time
from contextlib import ExitStack, contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from multiprocessing import parent_process
from typing import TYPE_CHECKING, Any, Callable, Iterator, Sequence, TypeVar
from uuid import uuid4

from .errors import ConfigError, TrainError

if TYPE_CHECKING:
    from torch import Tensor, device as Device

T = TypeVar("T")
DAYS = 7                                 # how long a rank waits for the others: features of a large corpus take long. One that died is noticed at once


@dataclass(frozen=True)
class Place:
    rank: int = 0
    size: int = 1                        # ranks in all
    local: int = 0                       # number on this machine
    beside: int = 1                      # ranks on this machine

    def __post_init__(self):
        if not (0 <= self.rank < self.size and 0 <= self.local < self.beside):
            raise ValueError("a rank counts from 0 and stays below the number of ranks")


class Lost(TrainError):
    """Another rank is gone."""

    def __init__(self):
        super().__init__("another process of this run is gone", hint="run the same command again to go on from the last saved state")


class Rest(Exception):
    """The rest of this stage is rank 0's alone."""


_place = Place()
_store: Any = None


def rank() -> int:
    return _place.rank


def size() -> int:
    return _place.size


def first() -> bool:
    """This is the rank that talks and writes."""
    return _place.rank == 0


def beside() -> int:
    """The ranks on this machine, this one among them."""
    return _place.beside


def place() -> Place | None:
    """The place that torchrun (or recog itself) gave this process in its environment; None: it is alone."""
    try:
        given = Place(*(int(os.environ.get(name, default)) for name, default in
                        (("RANK", "0"), ("WORLD_SIZE", "1"), ("LOCAL_RANK", "0"), ("LOCAL_WORLD_SIZE", "1"))))
    except ValueError:
        raise ConfigError("are not what torchrun sets", where="RANK, WORLD_SIZE, LOCAL_RANK, LOCAL_WORLD_SIZE", hint="unset them") from None
    if given.size == 1 or "MASTER_ADDR" not in os.environ:
        return None
    if not os.environ.get("MASTER_PORT", "").isdecimal() or os.environ["MASTER_PORT"] == "0":      # nobody would ever answer
        raise ConfigError(f"'{os.environ.get('MASTER_PORT', '')}' is no port", where="MASTER_PORT", hint="torchrun --standalone finds a free one on this machine")
    return given


def restarted() -> bool:
    """torchrun has started this job before: it goes on, and begins nothing anew."""
    return os.environ.get("TORCHELASTIC_RESTART_COUNT", "0") != "0"


@contextmanager
def joined(place: Place) -> Iterator[None]:
    """This process is one of the ranks within the block: they find each other by MASTER_ADDR and MASTER_PORT."""
    global _place, _store
    from datetime import timedelta

    import torch
    import torch.distributed as dist

    gpus = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if 0 < gpus < place.beside:
        raise ConfigError(f"{place.beside} processes cannot share {gpus} GPU{'s' * (gpus > 1)}", hint="one for each, or CUDA_VISIBLE_DEVICES= for the CPU")
    if gpus:
        torch.cuda.set_device(place.local)
    kept = os.environ.get("TORCHELASTIC_USE_AGENT_STORE") == "True"          # by whoever started the ranks; else by rank 0
    with _contact():
        store = dist.TCPStore(os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"]), is_master=place.rank == 0 and not kept)
        store = dist.PrefixStore(_round(store, place), store)
        dist.init_process_group("cpu:gloo,cuda:nccl" if gpus else "gloo", timeout=timedelta(days=DAYS),
                                store=store, rank=place.rank, world_size=place.size)
    _place, _store = place, store
    try:
        yield
        if gpus:
            torch.cuda.synchronize()
        dist.destroy_process_group()     # not after an error: the others may be gone
    finally:
        _place, _store = Place(), None


def _round(store: Any, place: Place) -> str:
    """A word that only the ranks that have come this time know: torchrun keeps its store when it starts them again, and what the dead left there."""
    if place.rank:
        word = uuid4().hex
        store.set(f"recog/hello/{place.rank}", word)
        found = store.get(f"recog/answer/{word}").decode()                   # waits for it
        store.add(f"recog/{found}", 1)
        return found
    found, answered = uuid4().hex, set()
    while store.add(f"recog/{found}", 0) < place.size - 1:
        for key in (f"recog/hello/{rank}" for rank in range(1, place.size)):
            if store.check([key]) and (word := store.get(key).decode()) not in answered:
                store.set(f"recog/answer/{word}", found)
                answered.add(word)
        time.sleep(0.01)
    return found


def speaks() -> bool:
    """Whether it is for this rank to say what ended the run: the first to ask, so that it is said once."""
    if _store is None:
        return True
    try:
        return _store.add("said", 1) == 1
    except RuntimeError:                 # the store went with the rank that kept it
        return True


@contextmanager
def quiet() -> Iterator[None]:
    """Ranks but the first print nothing within the block."""
    with ExitStack() as stack:
        if not first():
            nowhere = stack.enter_context(open(os.devnull, "w"))
            stack.enter_context(redirect_stdout(nowhere))
            stack.enter_context(redirect_stderr(nowhere))
        yield


def device() -> Device:
    """Where this rank's tensors live: a GPU of its own, or the CPU."""
    import torch

    return torch.device("cpu") if not torch.cuda.is_available() else torch.device("cuda", _place.local) if size() > 1 else torch.device("cuda")


def share(items: Sequence[T]) -> Sequence[T]:
    """Those of the items that are this rank's: every size-th."""
    return items[_place.rank::_place.size]


def from_first(make: Callable[[], T]) -> T:
    """What make() gives on rank 0, on all ranks."""
    if size() == 1:
        return make()
    import torch.distributed as dist

    told = [make() if first() else None]
    with _contact():
        dist.broadcast_object_list(told, 0)
    return told[0]


def gathered(value: T) -> list[T]:
    """The value of each rank, on all ranks."""
    if size() == 1:
        return [value]
    import torch.distributed as dist

    values: list[Any] = [None] * size()
    with _contact():
        dist.all_gather_object(values, value)
    return values


def merged(found: dict[str, T]) -> dict[str, T]:
    """What all ranks have found, on all ranks."""
    return found if size() == 1 else {key: value for one in gathered(found) for key, value in one.items()}


def added(value: float) -> float:
    """The sum over the ranks, in float64."""
    if size() == 1:
        return value
    import torch

    told = torch.tensor([value], dtype=torch.float64)
    _sum(told)
    return told.item()


def any_of(claim: bool) -> bool:
    """Whether it is so on any rank."""
    return claim if size() == 1 else added(float(claim)) > 0


def add_gradients(weights: Sequence[Tensor], total: float) -> float:
    """Sums each w.grad and the total over the ranks, in place; a weight without a gradient on all ranks keeps none. Gives the total."""
    if size() == 1:
        return total
    import torch

    there = torch.tensor([w.grad is not None for w in weights], dtype=torch.float32, device=weights[0].device)
    flat = torch.cat([there, *((torch.zeros_like(w) if w.grad is None else w.grad).flatten() for w in weights)])
    _sum(flat)
    sums = flat[len(weights):].split([w.numel() for w in weights])
    for w, found, anywhere in zip(weights, sums, flat[:len(weights)].tolist()):
        w.grad = found.view_as(w).clone() if anywhere else None
    return added(total)


def spread(tensors: Sequence[Tensor]) -> None:
    """Rank 0's values, into the same tensors of all ranks."""
    if size() == 1:
        return
    import torch.distributed as dist

    with _contact():
        for tensor in tensors:
            dist.broadcast(tensor, 0)


def rest_is_for_the_first() -> None:
    """Within the work of a stage: the other ranks leave it here, and get the result of rank 0."""
    if not first():
        raise Rest


def end_with_parent() -> None:
    """From now on this process, which another one has spawned, ends at once when that one does, however it does."""

    def follow() -> None:
        parent_process().join()
        os._exit(1)

    threading.Thread(target=follow, daemon=True).start()


def _sum(tensor: Tensor) -> None:
    import torch.distributed as dist

    with _contact():
        dist.all_reduce(tensor)


@contextmanager
def _contact() -> Iterator[None]:
    try:
        yield
    except RuntimeError as error:        # gloo's and NCCL's only kind: the connection is closed, reset, or refused
        raise Lost from error
