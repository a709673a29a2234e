"""IAM-OnDB as published: lineStrokes/ holds one XML file per line, ascii/ one transcript per form, LIST.txt the forms of a list."""

from pathlib import Path
from typing import Iterator

from recog.errors import DataError
from recog.ledger import say
from recog.lm import books
from recog.types import Utterance

LISTS = {"trainset": ("train", 5364), "testset_v": ("testset_v", 1438), "testset_t": ("testset_t", 1518), "testset_f": ("testset_f", 3859)}
MAY_BE_ABSENT = "testset_f"
ALPHABET = """ !"#%&'()*+,-./0123456789:;?ABCDEFGHIJKLMNOPQRSTUVWXYZ[]abcdefghijklmnopqrstuvwxyz"""


def prepare(corpus: Path):
    for name, (split, expected) in LISTS.items():
        path = corpus / f"{name}.txt"
        if not path.is_file():
            if name == MAY_BE_ABSENT:
                continue
            raise DataError("is missing", where=path, hint="is this the folder that holds lineStrokes/, ascii/ and the lists?")
        forms = read(path).split()
        found = {form: strokes(corpus, form, path) for form in forms}
        count = sum(map(len, found.values()))
        say(f"prepare: {name} {len(forms)} forms, {count} lines")
        if count != expected:
            raise DataError(f"names {count} lines, as published it has {expected}", where=path,
                            hint="the corpus is incomplete or of another edition")
        for form, files in found.items():
            yield from lines(corpus, form, files, split)


def read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise DataError("is not UTF-8", where=path) from None


def strokes(corpus: Path, form: str, where: Path) -> list[Path]:
    """The files of a form's lines, in order."""
    folder = corpus / "lineStrokes" / form[:3] / form[:7]
    found = sorted(folder.glob(f"{form}-[0-9][0-9].xml"))
    if not found:
        raise DataError(f"names the form '{form}', of which there are no stroke files in {folder}", where=where)
    return found


def lines(corpus: Path, form: str, files: list[Path], split: str):
    """Rule: a form whose transcript has not as many lines as there are stroke files is left out, for nobody knows which line is which."""
    texts = transcript(corpus / "ascii" / form[:3] / form[:7] / f"{form}.txt")
    if len(texts) != len(files):
        say(f"prepare: {form} left out: {len(texts)} lines of transcript for {len(files)} files of strokes")
        return
    for file, text in zip(files, texts):
        yield Utterance(file.stem, split, str(file), text, form)


def transcript(path: Path) -> list[str]:
    """The lines of the block CSR, what was really written."""
    try:
        block = path.read_text(encoding="latin-1").partition("CSR:")[2]
    except FileNotFoundError:
        raise DataError("is missing", where=path, hint="ascii/ is part of the corpus") from None
    found = [" ".join(line.split()) for line in block.splitlines() if line.strip()]
    if not found:
        raise DataError("has no block CSR", where=path)
    return found


def texts(corpus: Path) -> Iterator[str]:
    """Books for the language models: any files CORPUS/text/*.txt."""
    found = sorted((corpus / "text").glob("*.txt"))
    if not found:
        say(f"prepare: no books in {corpus / 'text'}; language models learn from the training transcripts alone")
    for book in found:
        yield from books.lines(book, ALPHABET)
