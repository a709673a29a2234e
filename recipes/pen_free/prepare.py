"""What make_corpus.py wrote; and where CORPUS/iam_ondb leads to IAM-OnDB, its testset_t, which nothing is learned or tuned from."""

from pathlib import Path
from typing import Iterator

from recog import recipe
from recog.errors import DataError
from recog.types import Utterance

JUDGE = "testset_t"


def prepare(corpus: Path) -> Iterator[Utterance]:
    for split in ("train", "dev"):
        table = corpus / f"{split}.tsv"
        if not table.is_file():
            raise DataError("is missing", where=table, hint="python recipes/pen_free/make_corpus.py makes the corpus")
        for line in table.read_text(encoding="utf-8").splitlines():
            id, text = line.split("\t")
            yield Utterance(id, split, str(corpus / f"{id}.json"), text)
    if (corpus / "iam_ondb").is_dir():
        yield from (u for u in recipe.find("iam_online").prepare()(corpus / "iam_ondb") if u.split == JUDGE)


def texts(corpus: Path) -> Iterator[str]:
    """The lines of the books that no ink was made of."""
    path = corpus / "texts.txt"
    return iter(path.read_text(encoding="utf-8").splitlines()) if path.is_file() else iter(())
