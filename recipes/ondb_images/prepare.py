"""IAM-OnDB as recipes/iam_online reads it. The features are of images: each line's strokes are drawn when they are extracted."""

from pathlib import Path
from typing import Iterator

from recog import recipe
from recog.types import Utterance


def prepare(corpus: Path) -> Iterator[Utterance]:
    return recipe.find("iam_online").prepare()(corpus)


def texts(corpus: Path) -> Iterator[str]:
    return recipe.find("iam_online").texts(corpus)
