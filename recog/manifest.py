"""Manifests: the list of a corpus's utterances, one JSON object a line."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import fields
from pathlib import Path
from typing import Container, Iterable, Iterator, Mapping

from .components import nearest
from .errors import DataError
from .files import writing
from .seen import Seen
from .types import Utterance

_FIELDS = {f.name: f for f in fields(Utterance)}
_REQUIRED = ("id", "split", "source", "text")
_TYPES = {"id": str, "split": str, "source": str, "text": str, "speaker": str,
          "start": (int, float), "end": (int, float, type(None)), "extra": dict}


def write(path: Path, utterances: Iterable[Utterance]) -> int:
    """Writes a manifest, whole or not at all; gives the number of lines. Fields at their defaults are left out."""
    count = 0
    with writing(path) as partial, open(partial, "w", encoding="utf-8") as stream:
        for utterance in utterances:
            row = {name: value for name, value in vars(utterance).items()
                   if name in _REQUIRED or value not in (_FIELDS[name].default, {})}
            stream.write(json.dumps(row, ensure_ascii=False) + "\n")
            count += 1
    return count


def read(path: Path, split: str | None = None) -> Iterator[Utterance]:
    """The utterances of a manifest (of one split, if named). Raises DataError naming file and line."""
    try:
        stream = open(path, encoding="utf-8")
    except FileNotFoundError:
        raise DataError("no such manifest", where=path) from None
    with stream:
        try:
            for number, line in enumerate(stream, 1):
                if line.strip():
                    utterance = _parse(line, f"{path}:{number}")
                    if split is None or utterance.split == split:
                        yield utterance
        except UnicodeDecodeError as error:
            raise DataError(f"is not UTF-8 text: {error}", where=path) from None


def _parse(line: str, where: str) -> Utterance:
    try:
        row = json.loads(line)
    except json.JSONDecodeError as error:
        raise DataError(f"is not JSON: {error}", where=where, hint="was the manifest cut short?") from None
    if not isinstance(row, dict):
        raise DataError("is not a JSON object", where=where)
    for name in _REQUIRED:
        if name not in row:
            raise DataError(f"has no '{name}'", where=where)
    for name, value in row.items():
        if name not in _FIELDS:
            raise DataError(f"unknown field '{name}'{nearest(name, _FIELDS)}", where=where)
        if not isinstance(value, _TYPES[name]) or isinstance(value, bool):
            raise DataError(f"'{name}' has the wrong type: {value!r}", where=where)
    return Utterance(**row)


def check(utterances: Iterable[Utterance], expect: Mapping[str, int], where: object, optional: Container[str] = ()) -> Iterator[Utterance]:
    """Passes utterances through; raises DataError for a duplicate id, an empty transcript, or a wrong count.

    Keeps 16 bytes of each; in a long manifest a duplicate id is noticed some thousands of utterances later, or at the end.
    optional: splits that need not be there, but if they are, whole.
    """
    seen = Seen()
    counts: Counter[str] = Counter()

    def once(id: str | None) -> None:
        if id is not None:
            raise DataError(f"the id '{id}' occurs twice", where=where, hint="ids name utterances everywhere")

    for utterance in utterances:
        once(seen.twice(utterance.id))
        if not utterance.text.strip():
            raise DataError(f"utterance '{utterance.id}' has an empty transcript", where=where,
                            hint="leave it out in prepare, or give its text")
        counts[utterance.split] += 1
        yield utterance
    once(seen.rest())
    if not counts:
        raise DataError("the corpus gave no utterances", where=where, hint="is this the folder that the recipe expects?")
    wrong = [f"{split}: {counts[split]} utterances, expected {number}"
             for split, number in expect.items() if counts[split] != number and not (split in optional and not counts[split])]
    if wrong:
        raise DataError("; ".join(wrong), where=where, hint="the corpus is incomplete or of another edition")
