"""A language model from where a user keeps it: an ARPA file, KenLM's binary, or the folder of a character network."""

from __future__ import annotations

from pathlib import Path

from . import textmodel
from .errors import ConfigError
from .lm import binary
from .lm.ngram import Ngram
from .lm.rnn import Rnn


def open_scorer(path: Path) -> Ngram | binary.Binary:
    """An n-gram model that scores the words of sentences."""
    return binary.Binary(path) if binary.is_binary(path) else Ngram.read(path)


def open_guide(path: Path) -> Ngram | Rnn | binary.Binary:
    """A model that can guide a search."""
    if path.is_dir():
        return textmodel.load(path)
    if binary.is_binary(path):
        model = binary.Binary(path)
        if not model.words:
            raise ConfigError("holds no list of its words, so that it cannot guide a search", where=path,
                              hint="build_binary keeps it by default; or give the ARPA file")
        return model
    return Ngram.read(path)
