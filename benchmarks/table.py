"""Rows of the benchmark table, the machine they were measured on, and fair comparison on a machine that is not idle."""

from __future__ import annotations

import os
import platform
import re
import statistics
import time
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from importlib.metadata import version
from pathlib import Path
from typing import Callable, Iterable, Iterator


@dataclass(frozen=True)
class Row:
    """One measured value."""

    name: str
    value: float
    unit: str
    bar: str = ""                    # what was promised, such as "< 0.4"; empty: nothing was
    met: bool | None = None          # None when there is no bar


def at_least(name: str, value: float, unit: str, bar: float) -> Row:
    return Row(name, value, unit, f">= {bar:g}", value >= bar)


def at_most(name: str, value: float, unit: str, bar: float) -> Row:
    return Row(name, value, unit, f"<= {bar:g}", value <= bar)


def below(name: str, value: float, unit: str, bar: float) -> Row:
    return Row(name, value, unit, f"< {bar:g}", value < bar)


WALL, PROCESSOR = time.perf_counter, time.process_time     # the same on one thread, if the machine has no other work
Clock = Callable[[], float]


def seconds(work: Callable[[], object], clock: Clock = WALL) -> float:
    began = clock()
    work()
    return clock() - began


def side_by_side(works: Iterable[Callable[[], object]], repeats: int, clock: Clock = WALL) -> list[tuple[float, ...]]:
    """Seconds of each work, `repeats` times, taking turns, so that what else runs here slows all of them alike."""
    works = list(works)
    return [tuple(seconds(work, clock) for work in works) for _ in range(repeats)]


@contextmanager
def torch_threads(count: int) -> Iterator[None]:
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def ratio(times: Iterable[tuple[float, ...]], over: int = 0, under: int = 1) -> float:
    """Median of the ratios within each turn: steadier than the ratio of medians."""
    return statistics.median(row[over] / row[under] for row in times)


def median(times: Iterable[tuple[float, ...]], of: int) -> float:
    return statistics.median(row[of] for row in times)


def machine() -> list[str]:
    """Lines on the processor, its load, versions and thread counts."""
    import torch

    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0
    busy = "; it has other work: trust ratios and processor time, not wall time" if load > 0.5 else ""
    system = f"{os.cpu_count()} cores, {platform.system()} {platform.release()}"
    return [f"date      {date.today()}",
            f"machine   {_processor()}, {system}, load {load:.1f}{busy}",
            f"versions  Python {platform.python_version()}, " + ", ".join(f"{name} {_version(name)}" for name in LIBRARIES),
            f"threads   torch {torch.get_num_threads()}, OMP_NUM_THREADS {os.environ.get('OMP_NUM_THREADS', 'not set')}, "
            f"kernels for {torch.backends.cpu.get_cpu_capability()}; rows that say 'one core' set torch to one thread"]


def peak(process: int | str = "self") -> float:
    """Megabytes of a process at its most so far. Linux's getrusage begins with the peak of the process that started it."""
    status = Path(f"/proc/{process}/status")
    if status.exists():
        return next((int(line.split()[1]) / 1024 for line in status.read_text().splitlines() if line.startswith("VmHWM")), 0.0)
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2 ** 20 if platform.system() == "Darwin" else 1024)


LIBRARIES = ("recog", "torch", "numpy", "numba", "typer")


def _version(name: str) -> str:
    if name == "recog":
        import recog

        return recog.__version__
    return version(name)


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def plain(title: str, rows: Iterable[Row]) -> str:
    """An aligned table."""
    cells = [(row.name, _number(row.value), row.unit, row.bar, _verdict(row)) for row in rows]
    width = [max(len(line[i]) for line in cells) for i in range(5)]
    lines = [f"  {name:{width[0]}}  {value:>{width[1]}} {unit:{width[2]}}  {bar:{width[3]}}  {met}".rstrip()
             for name, value, unit, bar, met in cells]
    return "\n".join([title, *lines])


def section(name: str, facts: Iterable[str], rows: Iterable[Row]) -> str:
    """A benchmark's part of the document: where and when it was measured, and its table."""
    lines = [f"## {name}", "", "```text", *facts, "```", "", "| what | value | unit | bar | met |", "|---|---:|---|---|---|"]
    lines += [f"| {row.name} | {_number(row.value)} | {row.unit} | {row.bar} | {_verdict(row)} |" for row in rows]
    return "\n".join(lines) + "\n"


def merged(document: str, name: str, text: str, order: Iterable[str]) -> str:
    """The document with this section in the place of the one of its name; the others, and what stands before them, stay as they are.

    Sections stand in `order`; names that are not in it come last.
    """
    before, *old = re.split(r"^(?=## )", document, flags=re.MULTILINE)
    sections = {part.split("\n")[0].removeprefix("## ").strip(): part.rstrip("\n") + "\n" for part in old} | {name: text}
    places = {each: place for place, each in enumerate(order)}
    ordered = sorted(sections, key=lambda each: places.get(each, len(places)))
    return "\n".join([*([before.rstrip("\n") + "\n"] if before.strip() else []), *(sections[each] for each in ordered)])


def measured(document: str, name: str, row: str) -> float | None:
    """A value of a document's section, or None where it is not there."""
    for part in re.split(r"^(?=## )", document, flags=re.MULTILINE):
        if part.split("\n")[0] == f"## {name}":
            for line in part.splitlines():
                cells = [cell.strip() for cell in line.strip("|").split(" | ")]
                if line.startswith("| ") and cells[0] == row:
                    return float(cells[1].replace(",", ""))
    return None


def _number(value: float) -> str:
    return f"{value:.1e}" if 0 < abs(value) < 1e-3 else f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def _verdict(row: Row) -> str:
    return {True: "yes", False: "NO", None: ""}[row.met]
