"""What can go wrong through a user's hands: what, where, and what to do next, in one line."""

from __future__ import annotations


class RecogError(Exception):
    """A mistake that a user can make and mend. Printed as one line; exit status 1."""

    def __init__(self, what: str, *, where: object = None, hint: str | None = None):
        super().__init__(what)
        self.what, self.where, self.hint = what, where, hint

    def __str__(self) -> str:
        line = f"{self.where}: {self.what}" if self.where is not None else self.what
        if self.hint:
            line += f" ({self.hint})"
        return " ".join(line.split())


class ConfigError(RecogError):
    """A setting is unknown, of the wrong type, or cannot be combined with another."""


class DataError(RecogError):
    """A corpus, a manifest, a recording or a transcript is not what it should be."""


class ModelError(RecogError):
    """A model folder is incomplete, altered, or does not fit what is asked of it."""


class ScoreError(RecogError):
    """A reference and a hypothesis cannot be compared."""


class TrainError(RecogError):
    """Training cannot go on."""


class DiskError(RecogError):
    """A file could not be written: the disk is full, or the place may not be written to."""
