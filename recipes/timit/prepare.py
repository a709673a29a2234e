"""TIMIT in any layout and case: folders named after a speaker (fcjf0, or dr1-fcjf0) hold SA1.WAV or sa1.wav or SA1.WAV.wav, and
SA1.PHN. What an utterance belongs to follows from its speaker alone, by the lists beside this file."""

import os
import re
from collections import Counter
from pathlib import Path
from typing import Iterator

from recog.errors import DataError
from recog.ledger import say
from recog.types import Utterance

from .checks import Damaged, checked_phones

HERE = Path(__file__).parent
SPLITS = ("train", "dev", "test")
EACH = 8                                 # sentences of a speaker without the two SA, which all speakers read
SPEAKER = re.compile(r"(?:.*[-_])?([fm][a-z]{3}\d)", re.IGNORECASE)
SOUND = re.compile(r"(s[aix]\d+)((?:\.(?:wav|sph|nist|flac))+)", re.IGNORECASE)


def prepare(corpus: Path) -> Iterator[Utterance]:
    found = sounds(corpus)
    sample = variant(corpus, found) is not None
    split = sample_split() if sample else full_split()
    found = {id: path for id, path in found.items() if id.split("-")[0] in split}
    refuse_incomplete(found, split, corpus)
    kept, damaged, wrong = [], [], []
    for id, path in sorted(found.items()):
        try:
            phones = checked_phones(id, path, beside(path))
        except Damaged as error:
            (damaged if sample else wrong).append((id, error))
        except DataError as error:
            wrong.append((id, error))
        else:
            kept.append(Utterance(id, split[id.split("-")[0]], str(path), " ".join(name for *_, name in phones),
                                  id.split("-")[0], extra={"phones": [[start, end] for start, end, _ in phones]}))
    refuse_wrong(wrong, corpus)
    if damaged:
        say(f"prepare: {len(damaged)} of {len(found)} sounds are damaged and left out: {', '.join(id for id, _ in damaged)}")
    yield from kept


def variant(corpus: Path, found: dict[str, Path] | None = None) -> str | None:
    """'nltk_sample' when no other speakers are there than those of the sample."""
    speakers = {id.split("-")[0] for id in (sounds(corpus) if found is None else found)}
    return "nltk_sample" if speakers and speakers <= set(sample_split()) else None


def full_split() -> dict[str, str]:
    return {speaker: split for split in SPLITS for line in _lines(f"{split}_speakers.txt") for speaker in line}


def sample_split() -> dict[str, str]:
    return {speaker: split for split, *speakers in _lines("sample_split.txt") for speaker in speakers}


def sounds(corpus: Path) -> dict[str, Path]:
    """By id, such as fcjf0-si1027, without SA. Of SX9.WAV and SX9.WAV.wav in one folder, the re-packed one is taken."""
    found: dict[str, Path] = {}
    for folder, folders, files in os.walk(corpus, followlinks=True):
        folders.sort()
        speaker = SPEAKER.fullmatch(os.path.basename(folder))
        for name in sorted(files, key=len) if speaker else ():
            sound = SOUND.fullmatch(name)
            if not sound or sound[1].lower().startswith("sa"):
                continue
            id, path = f"{speaker[1]}-{sound[1]}".lower(), Path(folder, name)
            if id in found and found[id].parent != path.parent:
                raise DataError(f"utterance {id} is there twice, also as {path}", where=found[id],
                                hint="name the folder of one copy of the corpus")
            found[id] = path
    return found


def beside(sound: Path) -> Path:
    """The .phn file of a sound, in any case."""
    wanted = sound.name.split(".")[0].lower() + ".phn"
    for path in sound.parent.iterdir():
        if path.name.lower() == wanted:
            return path
    raise DataError(f"there is no {wanted.upper()} beside it", where=sound, hint="copy the .PHN files too: they hold the phones")


def refuse_incomplete(found: dict[str, Path], split: dict[str, str], corpus: Path) -> None:
    """Raises DataError that names speakers who are not there, or not with all their sentences."""
    there = Counter(id.split("-")[0] for id in found)
    missing = [f"{speaker} ({split[speaker]})" for speaker in sorted(split) if not there[speaker]]
    short = [f"{speaker} has {there[speaker]}" for speaker in sorted(split) if 0 < there[speaker] != EACH]
    if not found:
        raise DataError("holds no TIMIT utterances", where=corpus, hint="name the folder that holds TRAIN and TEST, or dr1-fvmh0 and so on")
    faults = [f"{len(missing)} of {len(split)} speakers are missing: {_first(missing, 5)}"] if missing else []
    faults += [f"{len(short)} speakers have not their {EACH} sentences without SA: {_first(short, 5)}"] if short else []
    if faults:
        raise DataError("; ".join(faults), where=corpus, hint="copy the corpus again: it is not whole")


def refuse_wrong(wrong: list[tuple[str, DataError]], corpus: Path) -> None:
    if len(wrong) == 1:
        raise wrong[0][1]
    if wrong:
        shown = "; ".join(f"{id}: {error.what}" for id, error in wrong[:3])
        raise DataError(f"{len(wrong)} utterances are wrong: {shown}{'; ...' if len(wrong) > 3 else ''}", where=corpus, hint=wrong[0][1].hint)


def _first(names: list[str], count: int) -> str:
    return ", ".join(names[:count]) + (f" and {len(names) - count} more" if len(names) > count else "")


def _lines(name: str) -> list[list[str]]:
    rows = (line.split("#")[0].split() for line in (HERE / name).read_text(encoding="utf-8").splitlines())
    return [row for row in rows if row]
