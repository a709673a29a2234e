"""Transcript files: which utterance says what. Three forms, told apart by the end of the name.

    .tsv      id<TAB>text
    .trn      text (id)             as NIST's sclite reads it; lines that begin with ;; are comments
    .jsonl    {"id": ..., "text": ...}      a manifest, or what `recog transcribe --format jsonl` prints
"""

from __future__ import annotations

import json
import re
from collections import Counter
from pathlib import Path
from typing import Iterable, Mapping

from .errors import DataError, ScoreError

_TRN = re.compile(r"(?P<text>.*)\((?P<id>[^()]+)\)\s*", re.DOTALL)


def read_transcripts(path: Path) -> dict[str, str]:
    """Text by id, in the order of the file. UTF-8, with or without a byte-order mark; blank lines are skipped.

    Raises DataError that names the file, and the line where there is one.
    """
    read_line = _READERS.get(path.suffix.lower())
    if read_line is None:
        raise DataError("is not a kind of transcript file that recog knows", where=path,
                        hint=f"give a file that ends in {', '.join(_READERS)}")
    found = []
    for number, line in enumerate(_lines(path), start=1):
        try:
            item = read_line(line.decode("utf-8")) if line.strip() else None
            if item is None:
                continue
            if not item[0]:
                raise ValueError("the id is empty")
            "".join(item).encode("utf-8")            # JSON can name half a character, which no file can hold
        except UnicodeError:
            raise DataError("is not UTF-8", where=f"{path}:{number}", hint="save the file as UTF-8") from None
        except ValueError as error:
            raise DataError(str(error), where=f"{path}:{number}") from None
        found.append(item)
    if not found:
        raise DataError("holds no transcripts", where=path, hint="did the step before end well?")
    again = [id for id, times in Counter(id for id, _ in found).items() if times > 1]
    if again:
        raise DataError(f"{_ids(again)} more than once: {_first(again)}", where=path,
                        hint="keep one line for each utterance")
    return dict(found)


def check_same_ids(reference: Mapping[str, str], hypothesis: Mapping[str, str], where: object = None) -> None:
    """Raises ScoreError that says how many ids one side lacks, and names the first three."""
    missing = [id for id in reference if id not in hypothesis]
    extra = [id for id in hypothesis if id not in reference]
    faults = []
    if missing:
        faults.append(f"{_ids(missing)} missing from the hypothesis: {_first(missing)}")
    if extra:
        faults.append(f"{_ids(extra)} not in the reference: {_first(extra)}")
    if faults:
        raise ScoreError("; ".join(faults), where=where, hint="both must hold the same utterances")


def _lines(path: Path) -> list[bytes]:
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise DataError("no such file", where=path) from None
    except OSError as error:
        raise DataError(f"cannot be read: {error.strerror}", where=path) from None
    return content.removeprefix(b"\xef\xbb\xbf").split(b"\n")


def _tsv(line: str) -> tuple[str, str]:
    fields = line.split("\t")
    if len(fields) != 2:
        raise ValueError(f"has {len(fields)} tab-separated columns instead of two, id and text")
    return fields[0].strip(), fields[1].strip()


def _trn(line: str) -> tuple[str, str] | None:
    if line.startswith(";;"):
        return None
    match = _TRN.fullmatch(line)
    if match is None:
        raise ValueError("does not end in an (id)")
    text = match["text"].strip()
    if "{" in text.split():
        raise ValueError("holds alternatives { a / b }, which recog does not score: choose one of them")
    return match["id"].strip(), text


def _jsonl(line: str) -> tuple[str, str]:
    try:
        value = json.loads(line)
    except json.JSONDecodeError as error:
        raise ValueError(f"is not readable JSON: {error.msg} at column {error.colno}") from None
    except RecursionError:
        raise ValueError("is not readable JSON: nested too deeply") from None
    if not isinstance(value, dict):
        raise ValueError("is not a JSON object with an id and a text")
    for key in ("id", "text"):
        if not isinstance(value.get(key), str):
            raise ValueError(f"{key!r} is not a string" if key in value else f"has no {key!r}")
    return value["id"].strip(), value["text"].strip()


_READERS = {".tsv": _tsv, ".trn": _trn, ".jsonl": _jsonl}


def _ids(ids: list[str]) -> str:
    return "1 id is" if len(ids) == 1 else f"{len(ids)} ids are"


def _first(ids: Iterable[str]) -> str:
    names = list(ids)
    return ", ".join(names[:3]) + (", ..." if len(names) > 3 else "")
