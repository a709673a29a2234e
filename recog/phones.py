"""Phones as papers score them: folded to fewer, and silence counted by each of three customs.

    strict       silence is a phone like any other
    free-sil     a deleted silence is no error (as with Kaldi's scoring of TIMIT by sclite): of all alignments, one with the
                 fewest errors under this rule; a silence that is inserted, or put in place of a phone, is an error, and the
                 rate is still per phone of the whole reference
    merged-sil   each run of silences becomes one, in the reference and in the hypothesis, and the rate is per phone of what is left
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Mapping, Sequence

from .errors import DataError
from .files import recipes_home
from .score import Comparison, Report, ScoreConfig, compare, score
from .transcripts import read_transcripts

CUSTOMS = ("strict", "free-sil", "merged-sil")
QUOTED = "strict"                            # the one that stands for all where there is room for one: it flatters least
FOLD = "fold.txt"                            # in the folder score of a run: the phone table that it was scored by
SILENCE = "silence"                          # the class of it in a phone table


@dataclass(frozen=True)
class Folding:
    """A phone table: what each phone becomes when it is scored, and of which class that is."""

    name: str
    phones: dict[str, str | None]             # None: left out
    classes: dict[str, str]                   # of the phones that are left

    def __call__(self, phones: Sequence[str]) -> list[str]:
        """What is left of these phones. Raises DataError for one that the table lacks; folding twice changes nothing."""
        unknown = sorted({phone for phone in phones if phone not in self.phones and phone not in self.classes})
        if unknown:
            raise DataError(f"{', '.join(map(repr, unknown[:5]))}: not among the {len(self.phones)} phones of {self.name}",
                            hint="is this the right phone table, and does the text hold phones?")
        folded = (self.phones.get(phone, phone) for phone in phones)
        return [phone for phone in folded if phone is not None]

    def merged(self, phones: Sequence[str]) -> list[str]:
        """Folded, and of each run of silences only the first."""
        folded, silence = self(phones), self.silence
        return [phone for i, phone in enumerate(folded) if not (i and phone in silence and folded[i - 1] in silence)]

    @property
    def silence(self) -> tuple[str, ...]:
        return tuple(sorted(phone for phone, name in self.classes.items() if name == SILENCE))


@dataclass(frozen=True)
class PhoneReport:
    """One set of hypotheses, scored by every custom."""

    folding: Folding
    customs: dict[str, Report]                # in the order of CUSTOMS

    @property
    def quoted(self) -> Report:
        return self.customs[QUOTED]

    def class_confusions(self) -> list[tuple[str | None, str | None, int, int]]:
        """(class said, class heard, all pairs, those of one phone) by the quoted custom; None: inserted or deleted."""
        pairs: Counter = Counter()
        same: Counter = Counter()
        for row in self.quoted.rows:
            for pair in row.pairs:
                key = tuple(None if phone is None else self.folding.classes[phone] for phone in pair)
                pairs[key] += 1
                same[key] += pair.kind == "C"
        return sorted(((*key, times, same[key]) for key, times in pairs.items()), key=lambda row: (row[0] or "~", row[1] or "~"))


def read(path: Path, column: int | None = None, name: str | None = None) -> Folding:
    """A phone table: PHONE, one or more columns of what it becomes ('-': nothing), CLASS. `column` is named by its size, such
    as 39; the default is the last. Raises DataError naming the line."""
    rows: list[list[str]] = []
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise DataError(f"cannot be read: {error.strerror}", where=path, hint="a phone table, or the name of a recipe that has one") from None
    for number, line in enumerate(lines, 1):
        words = line.split()
        if not words or line.startswith("#"):
            continue
        if len(words) < 3 or rows and len(words) != len(rows[0]):
            raise DataError("is not of the form PHONE FOLDED... CLASS", where=f"{path}:{number}")
        rows.append(words)
    if len({row[0] for row in rows}) != len(rows) or not rows:
        raise DataError("holds no phones" if not rows else "lists a phone twice", where=path)
    sizes = [len({row[at] for row in rows} - {"-"}) for at in range(1, len(rows[0]) - 1)]
    if column is not None and column not in sizes:
        raise DataError(f"has no column of {column} phones", where=path, hint=f"there is {' and '.join(map(str, sizes))}")
    at = 1 + (sizes.index(column) if column is not None else len(sizes) - 1)
    classes = {row[at]: row[-1] for row in rows if row[at] != "-"}
    odd = [row[0] for row in rows if row[at] != "-" and classes[row[at]] != row[-1]]
    if odd:
        raise DataError(f"'{odd[0]}' is folded to a phone of another class", where=path)
    return Folding(name or f"{path}:{sizes[at - 1]}", {row[0]: None if row[at] == "-" else row[at] for row in rows}, classes)


def find(name: str) -> Folding:
    """The phone table in a file, or of a recipe that comes with recog: timit, or timit:48 for another column than the last."""
    place, _, column = name.rpartition(":") if name.rpartition(":")[2].isdecimal() else (name, "", "")
    own = recipes_home() / place / "phones.txt"
    path = own if own.is_file() and not Path(place).is_file() else Path(place)
    return read(path, int(column) if column else None, name)


def score_phones(references: Mapping[str, str], hypotheses: Mapping[str, str], folding: Folding,
                 config: ScoreConfig = ScoreConfig(unit="phone"), name: str = "hypothesis") -> PhoneReport:
    """Scores by every custom. Raises as `score.score`, and DataError for phones that the table lacks."""
    settings = {"strict": (config, folding), "free-sil": (replace(config, free=folding.silence), folding),
                "merged-sil": (config, folding.merged)}
    return PhoneReport(folding, {custom: score(references, hypotheses, *settings[custom], name) for custom in CUSTOMS})


def score_phone_files(reference: Path, hypothesis: Path, folding: Folding,
                      config: ScoreConfig = ScoreConfig(unit="phone")) -> PhoneReport:
    return score_phones(read_transcripts(reference), read_transcripts(hypothesis), folding, config, str(hypothesis))


def compare_phones(first: PhoneReport, second: PhoneReport) -> dict[str, Comparison]:
    return {custom: compare(first.customs[custom], second.customs[custom]) for custom in CUSTOMS}
