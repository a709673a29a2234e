"""What a finished stage has recorded, so that running again resumes, skips what is unchanged, and trusts nothing stale."""

from __future__ import annotations

import sys
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Callable

from . import ranks
from .errors import ConfigError
from .files import digest_of, read_json, remove, write_json


@dataclass(frozen=True)
class Stage:
    """One step of a recipe and all that its result follows from.

    `version` grows when the code of the stage or a default changes its results; `settings` leave out what is at its default,
    so that a new option leaves finished runs valid; `inputs` are digests of what the stage reads.
    """

    name: str
    folder: Path
    version: int
    settings: Any
    inputs: dict[str, str]
    costly: bool = False                     # its result, or a state to resume from, is not thrown away unasked
    shared: bool = False                     # all ranks work on it; the others are done by rank 0 while the rest wait

    @property
    def key(self) -> dict[str, Any]:
        return {"version": self.version, "settings": self.settings, "inputs": self.inputs}


DONE = "done.json"                           # is there when a stage has finished
RESUMABLE = "state"                          # the folder from which a costly stage resumes; before it is there, nothing is lost


def run(stage: Stage, work: Callable[[Path], Any], force: bool = False) -> dict[str, Any]:
    """Does `work(folder)` unless an equal run has finished; gives what the work returned, as JSON.

    A started but unfinished run with the same key is taken up (the folder is left as it is). One with
    another key is removed first; if that would cost much, ConfigError says which settings differ.
    Of several ranks, the first judges, keeps the books, and tells the others.
    """
    finished = ranks.from_first(lambda: begin(stage, force))
    if finished is not None:
        return finished["result"]

    def finish() -> dict[str, Any]:
        found = result if stage.shared else work(stage.folder)
        write_json(stage.folder / DONE, {"key": stage.key, "result": found})
        return found

    result = None
    with suppress(ranks.Rest):
        result = work(stage.folder) if stage.shared else None
    return ranks.from_first(finish)


def begin(stage: Stage, force: bool = False) -> dict[str, Any] | None:
    """What an equal run that has finished left, as {"key", "result"}; None when its folder is ready for the work."""
    done, begun = stage.folder / DONE, stage.folder / "begun.json"
    old = read_json(done) if done.exists() else {"key": read_json(begun)} if begun.exists() else None
    if old is not None and not differences(old["key"], stage.key) and not force:
        if done.exists():
            say(f"{stage.name}: skip, unchanged")
            return old
        say(f"{stage.name}: going on where it stopped")
    else:
        if old is not None:
            changes = ", ".join(differences(old["key"], stage.key)) or "asked for by --from"
            if stage.costly and not force and (done.exists() or (stage.folder / RESUMABLE).exists()):
                raise ConfigError(f"was run with other settings ({changes})", where=stage.folder,
                                  hint=f"--from {stage.name} starts it anew; --name NAME keeps both")
            say(f"{stage.name}: again ({changes})")
        remove(stage.folder)
        stage.folder.mkdir(parents=True)
        write_json(begun, stage.key)
    return None


def finished(stage: Stage) -> dict[str, Any]:
    """What it has given; raises ConfigError when it has not finished like this."""
    done = stage.folder / DONE
    old = read_json(done) if done.exists() else None
    if old is None or differences(old["key"], stage.key):
        raise ConfigError("has not finished with these settings", where=stage.folder, hint=f"first run with --until {stage.name}, without --shard")
    return old["result"]


def differences(old: Any, new: Any, path: str = "") -> list[str]:
    """Where two JSON values differ, as 'train.epochs 10 -> 20'. What is not set is as if it were not there."""
    if isinstance(old, dict) and isinstance(new, dict):
        return [line for key in sorted({*old, *new})
                for line in differences(old.get(key), new.get(key), f"{path}.{key}" if path else key)]
    return [] if old == new else [f"{path.removeprefix('settings.')} {_short(old)} -> {_short(new)}"]


def _short(value: Any) -> str:
    text = "default" if value is None else str(value)
    return text if len(text) <= 40 else digest_of(value)[:8]


def say(line: str) -> None:
    """Talk goes to stderr; results go to stdout."""
    print(line, file=sys.stderr, flush=True)
