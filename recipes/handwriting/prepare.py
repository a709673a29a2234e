"""IAM-OnDB as Graves 2013 used it to learn writing: all lines but those of testset_v, by which training stops."""

from dataclasses import replace
from pathlib import Path
from typing import Iterator

from recog import recipe
from recog.types import Utterance

JUDGE = "testset_v"


def prepare(corpus: Path) -> Iterator[Utterance]:
    for utterance in recipe.find("iam_online").prepare()(corpus):
        yield utterance if utterance.split == JUDGE else replace(utterance, split="train")


def variant(corpus: Path) -> str | None:
    """Most copies have all four lists; some lack the fourth."""
    return None if (corpus / "testset_f.txt").is_file() else "three_lists"
