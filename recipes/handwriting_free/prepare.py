"""The lines of the recipe pen_free, to be written rather than read."""

from pathlib import Path
from typing import Iterator

from recog import recipe
from recog.types import Utterance


def prepare(corpus: Path) -> Iterator[Utterance]:
    yield from (u for u in recipe.find("pen_free").prepare()(corpus) if u.split in ("train", "dev"))
