"""IAM-DB: images of lines, what they say, and the lists, found in the corpus's folder, that say which line belongs to which split."""

import html
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Iterable, Iterator, Sequence

from recog import iamdb
from recog.errors import DataError
from recog.ledger import say
from recog.types import Utterance

HERE = Path(__file__).parent
PLACES = (".", "splits", "largeWriterIndependentTextLineRecognitionTask")
OFFICIAL = {"train": "trainset.txt", "dev": "validationset1.txt", "dev2": "validationset2.txt", "test": "testset.txt"}
AACHEN = {"train": "tr.lst", "dev": "va.lst", "test": "te.lst"}
OPENSLR = {"train": "train.uttlist", "dev": "validation.uttlist", "test": "test.uttlist"}     # the same lists, as openslr.org/56 names them
OWN = "lists"                                # a folder of lists NAME.txt, as `recog ink render` writes it
ENTRIES = {None: ("official", [6161, 900, 940, 1861]), "aachen": ("Aachen", [747, 116, 336]), "aachen_115": ("Aachen", [747, 115, 336])}
LINES = 13353                                # of the whole corpus; less than half of them are a sample
CONTRACTIONS = {"'s", "'d", "'ll", "'m", "'ve", "'t", "'re"}
SHOWN = 3


@dataclass(frozen=True)
class Split:
    """Lists of lines or forms."""

    kind: str
    lists: dict[str, list[str]]              # by split, as they stand there
    files: dict[str, Path]


def prepare(corpus: Path) -> Iterator[Utterance]:
    split, rows, images = found(corpus), iamdb.rows(corpus), iamdb.images(corpus)
    published = edition(split, rows) != "unpublished"
    forms: dict[str, list[str]] = {}
    for id in rows:
        forms.setdefault(iamdb.form(id), []).append(id)
    belongs = assigned(split, rows, forms, images, published)
    say(f"prepare: {split.kind} lists in {next(iter(split.files.values())).parent}: "
        + ", ".join(f"{name} {count}" for name, count in Counter(belongs.values()).items()) + " lines")
    broken = {id for id in facts("broken.txt") if id in belongs}
    tell(broken, "images are known to be broken and left out")
    bare = [id for id in belongs if id not in images and id not in broken]
    if bare and published:
        raise DataError(f"{len(bare)} lines have no image: {first(bare)}", where=corpus / "lines", hint="unpack lines.tgz again: the corpus is not whole")
    tell(bare, "lines have no image and are left out")
    tell([id for id in images if id not in rows], "images are left out, for nothing says what they hold")
    tell([id for id in rows if id not in belongs], "lines are on no list")
    left = {*broken, *bare}
    tell([id for id in belongs if not rows[id].cut and id not in left],
         "lines are marked err, which could not be cut into words, and kept, for they are whole")
    for id, name in belongs.items():
        if id not in left:
            yield Utterance(id, name, str(images[id]), text_of(rows[id].words), iamdb.form(id), extra={} if rows[id].cut else {"cut": False})


def variant(corpus: Path) -> str | None:
    return edition(found(corpus), iamdb.rows(corpus))


def edition(split: Split, rows: dict) -> str | None:
    """Which counts are to be expected: by what the lists are called and how much they name; less than half of the lines are no edition."""
    has = split.kind, [len(entries) for entries in split.lists.values()]
    return next((name for name, published in ENTRIES.items() if published == has), "unpublished") if 2 * len(rows) >= LINES else "unpublished"


def found(corpus: Path) -> Split:
    """The one set of lists in the corpus's folder. Raises DataError for none, for several, and for one that is not whole."""
    sets = [(kind, {name: corpus / place / file for name, file in names.items()})
            for place in PLACES for kind, names in (("official", OFFICIAL), ("Aachen", AACHEN), ("Aachen", OPENSLR))]
    sets.append(("own", {path.stem: path for path in sorted((corpus / OWN).glob("*.txt"))}))
    sets = [(kind, files) for kind, files in sets if any(path.is_file() for path in files.values())]
    if not sets:
        raise DataError("has no lists that say which line belongs to which split", where=corpus,
                        hint=f"put {', '.join(OFFICIAL.values())}, or {', '.join(AACHEN.values())}, there or into splits/")
    if len(sets) > 1:
        named = "; ".join(", ".join(str(path.relative_to(corpus)) for path in files.values()) for _, files in sets)
        raise DataError(f"has several sets of lists: {named}", where=corpus, hint="leave one of them there")
    kind, files = sets[0]
    missing = [path for path in files.values() if not path.is_file()]
    if missing:
        raise DataError(f"is missing, and other {kind} lists are there", where=missing[0])
    return Split(kind, {name: entries(path) for name, path in files.items()}, files)


def entries(path: Path) -> list[str]:
    try:
        names = path.read_text(encoding="utf-8-sig").split()
    except UnicodeDecodeError:
        raise DataError("is not UTF-8", where=path) from None
    if not names:
        raise DataError("is empty", where=path)
    return names


def assigned(split: Split, rows: dict, forms: dict[str, list[str]], images: dict[str, Path], published: bool) -> dict[str, str]:
    """The split of each line that a list names, by its own id or its form's, in the order of the lists. Raises DataError for a line on two lists,
    and, in a published edition, for a name of which no row is there."""
    belongs: dict[str, str] = {}
    unknown: list[str] = []
    for name, listed in split.lists.items():
        for entry in listed:
            lines = [entry] if entry in rows else forms.get(entry, [])
            if not lines:
                unknown.append(entry)
            for id in lines:
                if id in belongs:
                    raise DataError(f"names {entry}, but the line {id} is named before, for '{belongs[id]}'", where=split.files[name])
                belongs[id] = name
    if unknown and published:
        raise DataError(f"nothing says what is written in {len(unknown)} lines or forms of the lists: {first(unknown)}", where=split.files["train"].parent,
                        hint="the corpus is incomplete or of another edition")
    there = [name for name in unknown if name in images]
    tell(there, "lines of the lists have an image and are left out, for nothing says what they hold")
    tell([name for name in unknown if name not in images], "names on the lists are of nothing that is there")
    return belongs


def text_of(tokens: Sequence[str]) -> str:
    """Words and punctuation with a space between any two, as lines.txt separates them. Spaces inside a word are not the line's ("M Ps" is MPs),
    and what was cut from a word is joined to it again ("We", "'ll")."""
    words: list[str] = []
    for token in tokens:
        word = "".join(html.unescape(token).split())
        if word.lower() in CONTRACTIONS and words:
            words[-1] += word
        elif word:
            words.append(word)
    return " ".join(words)


def facts(name: str) -> list[str]:
    lines = (HERE / name).read_text(encoding="utf-8").splitlines()
    return [line.strip() for line in lines if line.strip() and not line.startswith("#")]


def tell(ids: Iterable[str], what: str) -> None:
    if ids := list(ids):
        say(f"prepare: {len(ids):,} {what}: {first(ids)}")


def first(ids: Iterable[str]) -> str:
    ids = list(ids)
    return ", ".join(ids[:SHOWN]) + (f" and {len(ids) - SHOWN:,} more" if len(ids) > SHOWN else "")
