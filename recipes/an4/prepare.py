"""AN4 as published: wav/an4_clstk and wav/an4test_clstk hold SPHERE files, etc/ the official lists and transcripts."""

import re
from pathlib import Path

from recog.errors import DataError
from recog.types import Utterance

EVERY = 15                               # of the training speakers, one in so many judges when to stop


def prepare(corpus: Path):
    lists = {split: (_lines(corpus / f"etc/an4_{split}.fileids"), _lines(corpus / f"etc/an4_{split}.transcription"))
             for split in ("train", "test")}
    dev = set(development(lists["train"][0]))
    for split, (files, lines) in lists.items():
        texts = dict(map(_transcript, lines))
        for file in files:
            path, speaker = corpus / "wav" / f"{file}.sph", Path(file).parent.name
            if path.stem not in texts:
                raise DataError(f"utterance '{path.stem}' has no transcript", where=corpus / f"etc/an4_{split}.transcription")
            if not path.is_file():
                raise DataError("is in the list but not there", where=path)
            yield Utterance(path.stem, "dev" if speaker in dev and split == "train" else split, str(path), texts[path.stem], speaker)


def development(files: list[str]) -> list[str]:
    """The development speakers: every fifteenth training speaker in alphabetical order, 4 in all; none is in the test set."""
    speakers = sorted({Path(file).parent.name for file in files})
    return speakers[EVERY - 1::EVERY]


def _transcript(line: str) -> tuple[str, str]:
    found = re.fullmatch(r"(?:<s>)?\s*(.*?)\s*(?:</s>)?\s*\((\S+)\)", line)
    if not found:
        raise DataError(f"is not a transcript line: '{line}'", where="etc/*.transcription")
    return found[2], found[1]


def _lines(path: Path) -> list[str]:
    if not path.is_file():
        raise DataError("is missing", where=path, hint="is this the folder that holds etc/ and wav/?")
    return [line.strip() for line in path.read_text().splitlines() if line.strip()]
