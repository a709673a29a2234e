"""Picture files in and out: any common format, one kind of `Image`, in grey."""

from __future__ import annotations

import logging
import os
import re
import struct
import sys
import threading
import warnings
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Iterator

import numpy as np

from .errors import DataError
from .files import writing
from .types import Image

if TYPE_CHECKING:
    from PIL import Image as pillow

MOST_PIXELS = 80_000_000                 # an A3 page at 600 dpi has 70 million; far below what Pillow calls a bomb
FORMATS = ("PNG", "JPEG", "TIFF", "BMP", "GIF", "WEBP", "PPM")

_TIFF = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_MAGIC = (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"GIF87a", b"GIF89a", *_TIFF)
_PPM = re.compile(rb"P[1-6](?:\s|#[^\n\r]*[\n\r])+\d")                       # "P5", white space and comments, the width
_BMP_HEADERS = (12, 16, 40, 52, 56, 64, 108, 124)                            # sizes that the header behind the first 14 bytes may have
_BITS, _MEANING, _KIND = 258, 262, 339                                       # TIFF's tags: bits of a sample, which end is white, what numbers
_DAMAGE = (OSError, SyntaxError, ValueError, LookupError, TypeError, ArithmeticError, AttributeError, EOFError, RuntimeError, struct.error)
_QUIET = threading.Lock()


def read(path: str | Path, page: int = 0) -> Image:
    """The picture in a file, by content and not by name: PNG, JPEG, TIFF, BMP, GIF, WebP, and PGM with its kin.

    Colours become their brightness (ITU-R 601), what is transparent becomes white paper, 16 bits become 8 by the file's real depth, and the
    picture is turned as its EXIF orientation says. Of several pages (TIFF) that of number `page`: see `pages`; of a film, the first picture.
    Raises DataError that names the file when it is missing, is no picture, is damaged or cut short, or has more than MOST_PIXELS pixels.
    """
    with _opened(Path(path)) as picture:
        if page:
            _turn_to(picture, page)
        return Image(_gray(picture))


def pages(path: str | Path) -> int:
    """How many pages a file has: 1, but for TIFF. Raises DataError as `read` does, but decodes nothing."""
    with _opened(Path(path)) as picture:
        return picture.n_frames if picture.format == "TIFF" else 1


def is_image(path: str | Path) -> bool:
    """True if the first bytes are those of a format that `read` reads. False for what is no file, and for SVG, which is ink."""
    path = Path(path)
    try:
        if not path.is_file():
            return False
        with open(path, "rb") as stream:
            begins = stream.read(256)
    except OSError:
        return False
    bitmap = begins[:2] == b"BM" and int.from_bytes(begins[14:18], "little") in _BMP_HEADERS
    webp = begins[:4] == b"RIFF" and begins[8:12] == b"WEBP"
    return begins.startswith(_MAGIC) or bitmap or webp or bool(_PPM.match(begins))


def write(image: Image, path: str | Path) -> None:
    """Writes a PNG, whole or not at all. Raises DataError when there is a folder, DiskError when the disk refuses."""
    from PIL import Image as pillow

    path = Path(path)
    if path.is_dir():
        raise DataError("is a folder", where=path)
    picture = pillow.fromarray(np.ascontiguousarray(image.pixels, np.uint8))
    with writing(path) as partial:
        picture.save(partial, format="PNG")


@contextmanager
def _opened(path: Path) -> Iterator[pillow.Image]:
    """The file's picture, not decoded yet; whatever Pillow raises in the block says that the file is damaged."""
    from PIL import Image as pillow

    try:
        if path.is_dir():
            raise DataError("is a folder, not a picture", where=path)
        if path.exists() and not path.is_file():
            raise DataError("is neither a file nor a folder", where=path)
        if not path.stat().st_size:
            raise DataError("is empty", where=path)
        path.open("rb").close()
    except OSError as error:
        raise DataError((error.strerror or str(error)).lower(), where=path) from None
    if not is_image(path):
        raise DataError("is not a picture that recog can read", where=path, hint="PNG, JPEG, TIFF, BMP, GIF, WebP and PGM are read")
    try:
        # not by name: Pillow would map some TIFFs into memory, and those it turns wrongly
        with path.open("rb") as stream, _quiet(stream), pillow.open(stream, formats=FORMATS) as picture:
            _check_size(picture)
            yield picture
    except DataError as error:
        raise DataError(error.what, where=path, hint=error.hint) from None
    except (pillow.DecompressionBombError, MemoryError):
        raise DataError(_too_large(""), where=path) from None
    except pillow.UnidentifiedImageError:
        raise DataError("is damaged or cut short", where=path) from None
    except _DAMAGE as error:
        raise DataError(f"is damaged or cut short: {error}", where=path) from None


@contextmanager
def _quiet(stream: BinaryIO) -> Iterator[None]:
    """Pillow's warnings and log are not for users, nor what libtiff prints: what is wrong is said in one line, once."""
    log, nowhere = logging.getLogger("PIL"), logging.NullHandler()
    with _QUIET, warnings.catch_warnings():                # filters and standard error are the whole process's: one file at a time
        warnings.simplefilter("ignore")
        log.addHandler(nowhere)
        try:
            tiff = stream.read(4) in _TIFF
            stream.seek(0)
            with _muted() if tiff else nullcontext():
                yield
        finally:
            log.removeHandler(nowhere)


@contextmanager
def _muted() -> Iterator[None]:
    """What C libraries write to standard error goes nowhere."""
    sys.stderr.flush()
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


def _turn_to(picture: pillow.Image, page: int) -> None:
    try:
        picture.seek(page)
    except EOFError:
        raise DataError(f"has no page {page + 1}") from None
    _check_size(picture)


def _check_size(picture: pillow.Image) -> None:
    if picture.width * picture.height > MOST_PIXELS:
        raise DataError(_too_large(f"{picture.width} x {picture.height}, "))
    if not picture.width or not picture.height:
        raise DataError(f"has no pixels: {picture.width} x {picture.height}")


def _too_large(size: str) -> str:
    return f"has too many pixels: {size}more than {MOST_PIXELS // 1_000_000} million"


def _gray(picture: pillow.Image) -> np.ndarray:
    """Decoded and turned, uint8 [H, W]."""
    from PIL import Image as pillow
    from PIL import ImageOps

    tags = dict(getattr(picture, "tag_v2", {}))            # turning would lose them
    picture.load()
    picture = ImageOps.exif_transpose(picture)
    if picture.mode.startswith("I"):
        return _narrowed(picture, tags)
    if picture.mode == "F":
        raise DataError("holds floating-point numbers, and nothing says which is white", hint="save it with 8 or 16 bits a pixel")
    if picture.has_transparency_data:
        paper = pillow.new("RGBA", picture.size, "white")
        paper.alpha_composite(picture.convert("RGBA"))
        picture = paper
    elif picture.mode not in ("1", "L", "RGB"):
        picture = picture.convert("RGB")
    return np.array(picture.convert("L"))


def _narrowed(picture: pillow.Image, tags: dict) -> np.ndarray:
    """Pixels of more than 8 bits to 8 bits."""
    bits = max(tags.get(_BITS, (16,)))
    if bits > 16 or tags.get(_KIND, (1,))[0] != 1:
        raise DataError(f"has pixels of {bits} bits, or signed ones", hint="save it with 8 or 16 bits a pixel")
    most = (1 << bits) - 1
    gray = np.round(np.clip(np.asarray(picture), 0, most) * np.float32(255 / most)).astype(np.uint8)
    return 255 - gray if tags.get(_MEANING) == 0 else gray                   # white is 0: Pillow minds this only where there are 8 bits
