"""Training in one phase or two: Graves 2013 trains without noise first, then with noise from the best weights so far."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Callable, Literal, Sequence

from torch import nn

from . import ranks
from .components import find
from .config import Component
from .examples import Examples
from .files import write_tensors, writing
from .train import Progressed, TrainConfig, train


@dataclass(frozen=True)
class SecondConfig:
    """The second phase: from the best weights of the first, with an optimizer that has seen nothing yet.

    What is not named here is as in [train]; the hooks are those of this phase alone.
    """

    epochs: int = 50                             # at most
    metric: Literal["error", "loss", "last"] = "error"   # what the best model is best in, on the development set; last: the last is kept
    patience: int = 0                            # evaluations without progress before stopping; 0: all epochs are run
    rate: float = 0.0                            # the highest learning rate; 0: as in train.optimizer
    hooks: tuple[Component, ...] = field(metadata={"of": "hook"}, default=())

    def __post_init__(self):
        if self.epochs < 1 or min(self.patience, self.rate) < 0:
            raise ValueError("epochs must be at least 1, patience and rate at least 0")


@dataclass(frozen=True)
class Phase:
    """A training with its hooks; `folder` is where it stands in the folder of the stage."""

    folder: str
    train: TrainConfig
    hooks: tuple[Component, ...]


def phases(config: TrainConfig, hooks: tuple[Component, ...], second: SecondConfig | None) -> tuple[Phase, ...]:
    """The second phase has an order and draws of its own."""
    first = Phase(".", config, hooks)
    if second is None:
        return (first,)
    optimizer = replace(config.optimizer, rate=second.rate or config.optimizer.rate)
    return first, Phase(SECOND, replace(config, epochs=second.epochs, metric=second.metric, patience=second.patience,
                                        optimizer=optimizer, seed=config.seed + 1_000_000), second.hooks)


def train_phases(model: nn.Module, examples: Callable[[Phase], Examples], evaluate: Callable[[nn.Module], dict[str, float]],
                 phases: Sequence[Phase], out: Path, say: Callable[[str], None] = print) -> tuple[Progressed, dict[str, float]]:
    """Leaves the best weights of the last phase in the model; says where it stood, counted over all phases, and the hooks' last figures.

    Each phase has a state of its own, so the same call goes on after a kill as `train` does: a phase that is over gives its
    best weights at once. The examples of a phase are asked for when the model is what it starts from. What a hook knew of
    the best weights is left in HOOK.safetensors.
    """
    ended, figures = Progressed(), {}
    for phase in phases:
        folder, training = out / phase.folder, examples(phase)
        folder.mkdir(parents=True, exist_ok=True)
        if ended.epoch:
            say(f"train: {ended.epoch} epochs, best: {ended.best_epoch}, at {ended.best:.4f}; the second phase starts from there")
        hooks = [find("hook", hook.kind)(hook.config, model, len(training)) for hook in phase.hooks]
        ended = ended.then(train(model, training, evaluate, phase.train, folder, hooks))
        figures = {name: value for hook in hooks for name, value in hook.report().items()}
        for component, hook in zip(phase.hooks, hooks):
            if ranks.first() and (state := hook.state()):
                with writing(folder / f"{component.kind}.safetensors") as partial:
                    write_tensors(partial, state)
    return ended, figures


def last_folder(train: Path) -> Path:
    """Where the last phase of a finished training stands in the folder of the stage."""
    return train / SECOND if (train / SECOND).is_dir() else train


SECOND = "second"                                # the second phase's folder, in that of the first
