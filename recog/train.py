"""The training loop. It knows of a model only that it has a `loss`; what varies is a hook with a name."""

from __future__ import annotations

import math
import signal
import threading
import time
from contextlib import closing, contextmanager, nullcontext
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Callable, Iterator, Literal, NamedTuple, Sequence

import torch
from torch import Tensor, nn

from . import checkpoint, memory, optim, ranks
from .batching import BatchConfig
from .errors import TrainError
from .examples import Examples
from .gradients import gradients
from .perturb import PerturbConfig
from .progress import Metrics, Progress
from .types import Batch, Hook


@dataclass(frozen=True)
class TrainConfig:
    """How a model is trained."""

    epochs: int = 50                     # passes over the training set, at most
    seed: int = 1                        # of the initial weights, the order, the noise: all of it
    start: str = ""                      # a model, by name or folder, whose weights the training starts from; "": random ones
    initial: float = 0.0                 # random weights are drawn evenly from +-initial (0.1 in Graves 2013); 0: as each layer draws its own
    clip: float = 0.0                    # gradient norm is cut to this; 0: never
    average: float = 0.0                 # decay of the running average of the weights, which is then the model; 0: none
    patience: int = 0                    # evaluations without progress before stopping; 0: all epochs are run
    evaluate_every: int = 1              # epochs between evaluations on the development set
    metric: Literal["error", "loss", "last"] = "error"   # what the best model is best in, on the development set; last: the last is kept
    precision: Literal["float32", "bfloat16"] = "float32"   # bfloat16: mixed precision, for CUDA and for CPUs that have it in hardware (AMX)
    passes: int = 1                      # parts in which each batch is worked, one after the other: less memory, the same step
    checkpoint_seconds: float = 120.0    # time between saved states
    optimizer: optim.OptimizerConfig = field(default_factory=optim.OptimizerConfig)
    batch: BatchConfig = field(default_factory=BatchConfig)
    perturb: PerturbConfig = field(default_factory=PerturbConfig)

    def __post_init__(self):
        if min(self.epochs, self.evaluate_every, self.passes) < 1 or min(self.patience, self.clip, self.initial) < 0:
            raise ValueError("epochs, evaluate_every and passes must be at least 1, patience, clip and initial at least 0")
        if not 0 <= self.average < 1:
            raise ValueError("average must be at least 0 and below 1")


@dataclass
class Progressed:
    """Where a run stands: all that a state folder holds beside tensors."""

    step: int = 0                        # updates made
    epoch: int = 0                       # the epoch under way
    batch: int = 0                       # batches of it that are done
    loss: float = 0.0                    # sum over them, nats
    count: int = 0                       # utterances in them
    best: float = math.inf
    best_epoch: int = 0
    idle: int = 0                        # evaluations since the best
    factor: float = 1.0                  # of the learning rate, halved on a plateau
    averaged: int = 0                    # steps that the average has seen
    seconds: float = 0.0                 # training time so far

    def then(self, other: Progressed) -> Progressed:
        """Where another training stands that began where this one ended, counted from the start of this one."""
        return replace(other, step=self.step + other.step, epoch=self.epoch + other.epoch,
                       best_epoch=self.epoch + other.best_epoch, seconds=self.seconds + other.seconds)


class Training:
    """A run in the making: model, optimizer, average and progress, in and out of a state folder."""

    def __init__(self, model: nn.Module, config: TrainConfig, hooks: Sequence[Hook], folder: Path):
        self.model, self.config, self.hooks = model, config, hooks
        self.folder = folder
        self.optimizer = optim.make(config.optimizer, model.parameters())
        self.average = optim.Average(model, config.average) if config.average else None
        self.best: dict[str, Tensor] = {}
        self.best_hooks: list[dict[str, Tensor]] = [{} for _ in hooks]
        self.at = Progressed()
        self._saved = self._ticked = time.monotonic()

    def restore(self) -> bool:
        """Takes up the newest saved state; false when there is none."""
        found = checkpoint.load(self.folder / "state")
        if found is None:
            return False
        tensors, facts = found
        self.model.load_state_dict(tensors["model"])
        checkpoint.unpack(self.optimizer, tensors.get("optimizer", {}), facts["optimizer"])
        self.at = Progressed(**facts["at"])
        self.best = tensors.get("best", {})
        if self.average:
            self.average.weights, self.average.steps = tensors["average"], self.at.averaged
            self.average.weights = {name: w.to(self._device) for name, w in self.average.weights.items()}
        for number, hook in enumerate(self.hooks):
            hook.restore(tensors.get(f"hook{number}", {}))
            self.best_hooks[number] = tensors.get(f"best_hook{number}", {})
        return True

    def tick(self) -> None:
        """Adds the time since the last tick to the training time."""
        now = time.monotonic()
        self.at.seconds, self._ticked = self.at.seconds + now - self._ticked, now

    def save(self) -> None:
        if not ranks.first():
            return
        self.tick()
        packed, values = checkpoint.pack(self.optimizer)
        groups = {"model": self.model.state_dict(), "optimizer": packed, "best": self.best}
        if self.average:
            groups["average"], self.at.averaged = self.average.weights, self.average.steps
        groups |= {f"hook{number}": hook.state() for number, hook in enumerate(self.hooks)}
        groups |= {f"best_hook{number}": state for number, state in enumerate(self.best_hooks)}
        checkpoint.save(self.folder / "state", self.at.step, {k: v for k, v in groups.items() if v},
                        {"at": asdict(self.at), "optimizer": values})
        self._saved = time.monotonic()

    def agree(self) -> None:
        """Raises TrainError when ranks stand at different steps or with different weights."""
        if ranks.size() > 1:
            stands = ranks.gathered((self.at.step, sum(w.double().sum().item() for w in self.model.parameters())))
            odd = next((number for number, stand in enumerate(stands) if stand != stands[0]), None)
            if odd is not None:
                raise TrainError(f"rank {odd} stands at step {stands[odd][0]}, rank 0 at step {stands[0][0]}, with weights that differ",
                                 where=self.folder, hint="all ranks must see this folder, and be machines of one kind")

    @property
    def over(self) -> bool:
        patience = self.config.patience
        return self.at.epoch >= self.config.epochs or (patience > 0 and self.at.idle >= patience)

    @property
    def due(self) -> bool:
        return time.monotonic() - self._saved > self.config.checkpoint_seconds

    @property
    def _device(self) -> torch.device:
        return next(self.model.parameters()).device

    def update(self, batch: Batch, done: float) -> float:
        """One step: gives the summed loss in nats. Everything random in it follows from (seed, step)."""
        config, at = self.config, self.at
        torch.manual_seed(hash((config.seed, at.step)))
        for group in self.optimizer.param_groups:
            group["lr"] = at.factor * optim.rate_at(config.optimizer, done / config.epochs)
        self.model.train()
        total = gradients(self.model, batch, self.hooks, config.seed, at.step, config.precision, config.passes)
        for hook in self.hooks:
            hook.before_update(self.model)
        norm = nn.utils.clip_grad_norm_(self.model.parameters(), config.clip or math.inf)
        if not (math.isfinite(total) and math.isfinite(norm.item())):
            raise TrainError(f"the loss or its gradient is not a number at step {at.step}, in the batch of {', '.join(batch.ids)}",
                             hint="look at these utterances, or lower train.optimizer.rate or set train.clip")
        self.optimizer.step()
        for hook in self.hooks:
            hook.after_step(self.model, at.step)
        if self.average:
            self.average.update(self.model)
        at.step, at.batch, at.loss, at.count = at.step + 1, at.batch + 1, at.loss + total, at.count + len(batch.ids)
        return total

    def judge(self, evaluate: Callable[[nn.Module], dict[str, float]]) -> dict[str, float]:
        """Evaluates (the average, if there is one), keeps the weights if they are the best so far."""
        self.model.eval()
        with self.average.inside(self.model) if self.average else nullcontext():
            scores = evaluate(self.model) if getattr(evaluate, "shared", False) else ranks.from_first(lambda: evaluate(self.model))
            last, at = self.config.metric == "last", self.at
            value = scores["error" if last else self.config.metric]
            if last or value < at.best or not self.best:
                at.best, at.best_epoch, at.idle = value, at.epoch + 1, 0
                self.best = _copied(self.model.state_dict())
                self.best_hooks = [_copied(hook.state()) for hook in self.hooks]
            else:
                at.idle += 1
        plateau = self.config.optimizer
        if plateau.schedule == "plateau" and at.idle and at.idle % plateau.plateau_patience == 0:
            at.factor /= 2
        return scores


def train(model: nn.Module, examples: Examples, evaluate: Callable[[nn.Module], dict[str, float]], config: TrainConfig,
          folder: Path, hooks: Sequence[Hook] = ()) -> Progressed:
    """Trains in place, leaves the best weights in the model (and in the hooks what they then knew), and says where it stood.

    `evaluate` gives the development set's "loss" and "error": on rank 0, or on all ranks if it says that it is `shared`. Killed at any
    moment, the same call goes on from folder/state and ends with the same weights (same machine, same number of threads and ranks).
    """
    memory.keep()
    run = Training(model, config, hooks, folder)
    resumed = run.restore()
    if not resumed:
        ranks.spread(list(model.state_dict().values()))
    run.agree()
    at, metrics = run.at, Metrics(folder, run.at.step) if ranks.first() else None
    pace = _Pace(at.seconds, at.epoch + at.batch / examples.batches_in(at.epoch))
    with Progress(config.epochs) as progress, _interruptible() as interrupted:
        if resumed and not run.over:
            progress.say(f"train: resumed at epoch {at.epoch + 1}, batch {at.batch}")
        while not run.over:
            speed = _epoch(run, examples, progress, interrupted)
            row: dict[str, Any] = {"step": at.step, "epoch": at.epoch + 1, "train_loss": at.loss / at.count,
                                   "rate": run.optimizer.param_groups[0]["lr"], "padding": examples.waste(at.epoch),
                                   "frames_per_second": speed}
            if (at.epoch + 1) % config.evaluate_every == 0 or at.epoch + 1 == config.epochs:
                row |= {f"dev_{name}": value for name, value in run.judge(evaluate).items()}
            figures = {name: value for hook in hooks for name, value in hook.report().items()}
            at.epoch, at.batch, at.loss, at.count = at.epoch + 1, 0, 0.0, 0
            run.tick()
            run.agree()
            if metrics is not None:
                metrics.add(row | figures | {"seconds": at.seconds})
            progress.say(_line(row, at, config.epochs, pace.left(at, config.epochs)) + "".join(f"  {name} {value:.5g}" for name, value in figures.items()))
            stop = ranks.any_of(interrupted.is_set())
            if run.due or run.over or stop:
                run.save()
                if stop:
                    raise KeyboardInterrupt
    model.load_state_dict(run.best)
    for hook, state in zip(hooks, run.best_hooks):
        hook.restore(state)
    return at


def _copied(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name: w.detach().cpu().clone() for name, w in tensors.items()}


def _epoch(run: Training, examples: Examples, progress: Progress, interrupted: threading.Event) -> float:
    """What is left of the epoch under way; gives frames a second. The loop that everything is for."""
    at, began, frames = run.at, time.monotonic(), 0
    size, padding = examples.batches_in(at.epoch), examples.waste(at.epoch)
    with closing(examples.epoch(at.epoch, at.batch)) as batches:         # an interruption ends its thread too
        for batch in batches:
            done = at.epoch + at.batch / size
            loss = run.update(batch, done)
            frames += int(batch.x_len.sum())
            progress.step(done, at.epoch, loss / len(batch.ids), int(batch.x_len.sum()), padding)
            stop = ranks.any_of(interrupted.is_set())
            if at.batch < size and (run.due or stop):                    # the last batch is saved with its evaluation
                run.save()
                if stop:
                    raise KeyboardInterrupt
    return frames / (time.monotonic() - began)


class _Pace(NamedTuple):
    """Where this call began: an earlier one may have been on another machine, or beside other work."""

    seconds: float
    epochs: float

    def left(self, at: Progressed, epochs: int) -> float:
        """Seconds, if what is left takes as long as what this call did."""
        return (at.seconds - self.seconds) / (at.epoch - self.epochs) * (epochs - at.epoch)


def _line(row: dict[str, Any], at: Progressed, epochs: int, left: float) -> str:
    dev = "".join(f"  dev {name} {row['dev_' + name]:.4f}" for name in ("loss", "error") if "dev_" + name in row)
    return (f"train: epoch {row['epoch']}/{epochs}  loss {row['train_loss']:.4f}{dev}  best {at.best:.4f}"
            f"  rate {row['rate']:.1e}  {row['frames_per_second']:.0f} frames/s  padding {row['padding']:.1%}  left {left / 60:.1f} min")


@contextmanager
def _interruptible() -> Iterator[threading.Event]:
    """Ctrl-C and SIGTERM ask for a stop after the present step; a second one stops at once."""
    asked = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield asked
        return

    def ask(number, frame) -> None:
        if asked.is_set():
            raise KeyboardInterrupt
        asked.set()

    before = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield asked
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
