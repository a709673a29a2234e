"""Pictures with a class for each pixel: read from files, stored, and served as batches that a seed and a number determine."""

from __future__ import annotations

import functools
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Iterable, Iterator

import numpy as np

from .batching import BatchConfig, ahead, plan
from .errors import DataError
from .files import read_json, writing
from .types import Batch, Utterance


@dataclass(frozen=True)
class Picture:
    """A picture, and the class of each of its pixels."""

    id: str
    pixels: np.ndarray                        # uint8 [H, W, C]
    classes: np.ndarray                       # uint8 [H, W]; 0 is the background

    @property
    def shown(self) -> int:
        """The one class beside the background that it shows; 0: none, or several."""
        found = np.unique(self.classes[self.classes > 0])
        return int(found[0]) if len(found) == 1 else 0


def read(utterance: Utterance) -> Picture:
    """The picture in the file `source`, and its classes from the file `extra["classes"]`: a picture of one number a pixel, grey or palette.

    Raises DataError that names the file which is missing, damaged, or not of 8 bits, or when the two are not of one size.
    """
    if not isinstance(utterance.extra.get("classes"), str):
        raise DataError(f"'{utterance.id}' has no extra['classes'], the file of its pixels' classes", where=utterance.source)
    pixels = _opened(Path(utterance.source), {"L": "L", "1": "L", "P": "RGB", "RGB": "RGB", "RGBA": "RGB"})
    classes = _opened(Path(utterance.extra["classes"]), {"L": "L", "P": "P"})
    return Picture(utterance.id, pixels.reshape(*pixels.shape[:2], -1), classes)


def _opened(path: Path, modes: dict[str, str]) -> np.ndarray:
    """modes: those that it may have, and what becomes of them."""
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(path) as picture:
            if picture.mode not in modes:
                raise DataError(f"is a picture of mode {picture.mode}, not {' or '.join(modes)}", where=path)
            return np.array(picture if modes[picture.mode] == picture.mode else picture.convert(modes[picture.mode]))
    except FileNotFoundError:
        raise DataError("no such file", where=path) from None
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise DataError(f"cannot be read as a picture: {error}", where=path, hint="was it cut short?") from None


def checked(picture: Picture, names: tuple[str, ...], channels: int | None) -> Picture:
    """Raises DataError when classes and pixels do not fit, a class has no name, or the picture has not `channels` colours (None: any)."""
    where, (height, width, depth) = f"'{picture.id}'", picture.pixels.shape
    if picture.classes.shape != (height, width):
        raise DataError(f"has {width} x {height} pixels, but classes for {picture.classes.shape[1]} x {picture.classes.shape[0]}", where=where)
    if not height * width:
        raise DataError("has no pixels", where=where)
    if picture.classes.max() > len(names):
        raise DataError(f"has a pixel of class {picture.classes.max()}, the recipe names {len(names)}", where=where)
    if channels is not None and depth != channels:
        raise DataError(f"has {depth} values a pixel, those before it {channels}", where=where, hint="all grey, or all in colours")
    return picture


def write(folder: Path, pictures: Iterable[Picture]) -> None:
    """The pictures of one split, a folder, whole or not at all."""
    with writing(folder) as partial:
        partial.mkdir()
        rows, channels = [], 0
        with open(partial / "pixels.u8", "wb") as pixels, open(partial / "classes.u8", "wb") as classes:
            for picture in pictures:
                height, width, channels = picture.pixels.shape
                pixels.write(np.ascontiguousarray(picture.pixels, np.uint8).tobytes())
                classes.write(np.ascontiguousarray(picture.classes, np.uint8).tobytes())
                rows.append([picture.id, height, width, picture.shown])
        (partial / "index.json").write_text(json.dumps({"channels": channels, "rows": rows}))


class Pictures:
    """The pictures of a split, as the trainer asks for them. Those of one size go together, so there is no padding.

    In a batch x is float32 [B, H, W, C], 0 to 1, and y [B, H, W] the classes; x_len and y_len [B] are H: a picture counts as H frames.
    """

    def __init__(self, folder: Path, batching: BatchConfig = BatchConfig(), seed: int = 0):
        index = read_json(folder / "index.json")
        self.batching, self.seed, self.channels = batching, seed, index["channels"]
        self.ids = [row[0] for row in index["rows"]]
        self.sizes = np.array([row[1:3] for row in index["rows"]])
        self.shown = np.array([row[3] for row in index["rows"]])         # as Picture.shown
        self._ends = np.cumsum(self.sizes.prod(1))
        self._pixels, self._classes = (self._map(folder / name, count) for name, count in (("pixels.u8", self.channels), ("classes.u8", 1)))

    def _map(self, file: Path, values: int) -> np.ndarray:
        if not file.exists() or file.stat().st_size != self._ends[-1] * values:
            raise DataError("is cut short or missing", where=file, hint="delete its folder and run again")
        return np.memmap(file, np.uint8, "r").reshape(-1, values)

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def whole(self) -> bool:
        """Each picture shows one class beside the background, and so has one itself."""
        return bool(self.shown.all())

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of all pictures; 0, 0 if they differ."""
        return tuple(self.sizes[0].tolist()) if (self.sizes == self.sizes[0]).all() else (0, 0)

    def pixels(self, number: int) -> np.ndarray:
        """uint8 [H, W, C]."""
        return self._of(self._pixels, number)

    def classes(self, number: int) -> np.ndarray:
        """uint8 [H, W]."""
        return self._of(self._classes, number)[:, :, 0]

    def _of(self, kept: np.ndarray, number: int) -> np.ndarray:
        height, width = self.sizes[number]
        return kept[self._ends[number] - height * width:self._ends[number]].reshape(height, width, -1)

    def batches_in(self, epoch: int) -> int:
        return len(self._order(epoch))

    def waste(self, epoch: int) -> float:
        return 0.0

    def epoch(self, epoch: int, start: int = 0) -> Iterator[Batch]:
        """The batches of a shuffled epoch from number `start` on, prepared ahead by a thread."""
        order = self._order(epoch)
        return ahead(lambda i: self.batch(order[i]), range(start, len(order)))

    def in_order(self) -> Iterator[tuple[np.ndarray, Batch]]:
        """Every picture once, with its number, in batches by size."""
        for numbers in self._batches(None):
            yield numbers, self.batch(numbers)

    @functools.lru_cache(maxsize=2)
    def _order(self, epoch: int) -> list[np.ndarray]:
        rng = np.random.default_rng((self.seed, epoch))
        batches = self._batches(rng)
        return [batches[i] for i in rng.permutation(len(batches))]

    def _batches(self, rng: np.random.Generator | None) -> list[np.ndarray]:
        sizes, kinds = np.unique(self.sizes, axis=0, return_inverse=True)
        groups = [np.flatnonzero(kinds.ravel() == kind) for kind in range(len(sizes))]
        return [group[chosen] for group in groups for chosen in plan(self.sizes[group, 0], self.batching, rng)]

    def batch(self, numbers: np.ndarray) -> Batch:
        """Pictures of one size."""
        import torch

        height, width = self.sizes[numbers[0]].tolist()
        x, rows = torch.zeros(len(numbers), height, width, self.channels), torch.full((len(numbers),), height)
        y = torch.zeros(len(numbers), height, width, dtype=torch.long)
        for i, number in enumerate(numbers):
            x.numpy()[i], y.numpy()[i] = self.pixels(number) / np.float32(255), self.classes(number)
        return Batch(tuple(self.ids[number] for number in numbers), x, rows, y, rows)
