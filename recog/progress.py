"""What training says while it runs: a bar on a terminal, plain lines elsewhere, JSON lines and TensorBoard always."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any


class Metrics:
    """Appends rows to metrics.jsonl (and to TensorBoard, when installed). Rows after `step` are dropped on resuming."""

    def __init__(self, folder: Path, step: int):
        self.path = folder / "metrics.jsonl"
        rows = []
        if self.path.exists():
            rows = [line for line in self.path.read_text().splitlines() if _step_of(line) <= step]
        self.path.write_text("".join(line + "\n" for line in rows))
        self._board = _board(folder / "tensorboard", step)

    def add(self, row: dict[str, Any]) -> None:
        with open(self.path, "a", encoding="utf-8") as stream:
            stream.write(json.dumps(row) + "\n")
        if self._board is not None:
            for name, value in row.items():
                if isinstance(value, (int, float)) and name not in ("step", "epoch"):
                    self._board.add_scalar(name, value, row["step"])
            self._board.flush()


def _step_of(line: str) -> float:
    try:
        return json.loads(line)["step"]
    except (json.JSONDecodeError, KeyError, TypeError):
        return float("inf")                 # a line cut short by a kill


def _board(folder: Path, step: int):
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        return None
    return SummaryWriter(str(folder), purge_step=step + 1)


class Progress:
    """One line on a terminal that moves with every step, nothing elsewhere; `say` prints a line that stays."""

    def __init__(self, epochs: int):
        self.epochs = epochs
        self._bar = self._task = None
        self._frames, self._since = 0, time.monotonic()
        if sys.stderr.isatty():
            from rich.console import Console
            from rich.progress import BarColumn, Progress as Bar, TextColumn, TimeRemainingColumn

            self._bar = Bar(TextColumn("epoch {task.fields[epoch]}/" + str(epochs)), BarColumn(),
                            TextColumn("{task.percentage:>5.1f} %  loss {task.fields[loss]:.3f}  {task.fields[speed]:.0f} frames/s"
                                       "  padding {task.fields[waste]:.1%}"),
                            TimeRemainingColumn(), console=Console(stderr=True), transient=True)

    def __enter__(self) -> Progress:
        if self._bar is not None:
            self._bar.start()
            self._task = self._bar.add_task("train", total=self.epochs, epoch=0, loss=0.0, speed=0.0, waste=0.0)
        return self

    def __exit__(self, *_) -> None:
        if self._bar is not None:
            self._bar.stop()

    def step(self, done: float, epoch: int, loss: float, frames: int, waste: float) -> None:
        """done: epochs, with the fraction of the present one."""
        self._frames += frames
        if self._bar is not None:
            speed = self._frames / max(1e-9, time.monotonic() - self._since)
            self._bar.update(self._task, completed=done, epoch=epoch + 1, loss=loss, speed=speed, waste=waste)

    def say(self, line: str) -> None:
        if self._bar is not None:
            self._bar.console.print(line, highlight=False, markup=False)
        else:
            print(line, file=sys.stderr, flush=True)
