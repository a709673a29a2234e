"""Single characters as pen strokes: from Hershey's fonts, Omniglot's Latin letters, and pen digits.

All are brought to one measure: the baseline is y = 0, small letters reach up to y = -1 (y grows downwards), x begins at 0.
"""

from __future__ import annotations

import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from recog.errors import DataError
from recog.ink import unipen

Strokes = list[np.ndarray]                     # each [N, 2]: x, y

FONTS = ("scripts", "cursive", "rowmans", "futural")          # those of single lines, as a pen would draw them
FLAT = "acemnorsuvwxz"                         # letters between baseline and corpus line
TOPS = dict.fromkeys("bdfhkl", -1.9) | {"t": -1.6, "i": -1.55, "j": -1.5}       # how high other letters reach, in heights of small ones
BOTTOMS = dict.fromkeys("gjpqy", 0.8)
DIGIT_TOP = -1.6
DRAWERS, LATIN = 20, "abcdefghijklmnopqrstuvwxyz"
JHF_GLYPHS = 95                                # the printable characters of ASCII, in order


@dataclass(frozen=True)
class Glyph:
    strokes: Strokes                           # in the order of writing; none for a space
    width: float                               # from the left edge to where the next character may begin


def hershey(path: Path) -> dict[str, Glyph]:
    """The characters of a font in James Hurt's format. Raises DataError."""
    found: dict[str, tuple[Strokes, float, float]] = {}
    records = path.read_text(encoding="latin-1").splitlines()
    while records and len(found) < JHF_GLYPHS:
        record = records.pop(0)
        try:
            count = int(record[5:8])
            while len(record) < 8 + 2 * count:             # a long glyph goes on in the next line
                record += records.pop(0)
        except (ValueError, IndexError):
            raise DataError(f"glyph {len(found) + 1} is cut short or no glyph", where=path) from None
        pairs = [record[i:i + 2] for i in range(8, 8 + 2 * count, 2)]
        strokes = [[_place(pair) for pair in part.split("|")] for part in "|".join(pairs[1:]).split("| R|") if part]
        left, right = _place(pairs[0])
        found[chr(32 + len(found))] = [np.array(stroke, float) for stroke in strokes], left, right
    flat = [np.concatenate(found[letter][0])[:, 1] for letter in FLAT if letter in found]
    if len(flat) < len(FLAT):
        raise DataError("lacks small letters", where=path)
    base, height = np.median([y.max() for y in flat]), np.median([np.ptp(y) for y in flat])
    return {character: Glyph([(stroke - (left, base)) / height for stroke in strokes], (right - left) / height)
            for character, (strokes, left, right) in found.items()}


def _place(pair: str) -> tuple[int, int]:
    return ord(pair[0]) - ord("R"), ord(pair[1]) - ord("R")


def latin(archive: Path) -> dict[int, dict[str, Glyph]]:
    """Omniglot's small letters, by drawer (1 to 20), from strokes_background_small1.zip. Raises DataError."""
    drawers: dict[int, dict[str, Glyph]] = {drawer: {} for drawer in range(1, DRAWERS + 1)}
    try:
        with zipfile.ZipFile(archive) as zipped:
            for name in zipped.namelist():
                place = Path(name)
                if place.parent.parent.name == "Latin" and place.suffix == ".txt" and "__MACOSX" not in name:
                    letter = LATIN[int(place.parent.name.removeprefix("character")) - 1]
                    strokes = _omniglot(zipped.read(name).decode("ascii"))
                    drawers[int(place.stem[-2:])][letter] = _between(strokes, TOPS.get(letter, -1.0), BOTTOMS.get(letter, 0.0))
    except (OSError, zipfile.BadZipFile, ValueError, IndexError):
        raise DataError("is not Omniglot's strokes_background_small1.zip", where=archive) from None
    if any(len(letters) < len(LATIN) for letters in drawers.values()):
        raise DataError("lacks Latin letters", where=archive)
    return drawers


def _omniglot(text: str) -> Strokes:
    """x, y, milliseconds in each line; y grows upwards."""
    parts = [part.split() for part in text.replace("START", "").split("BREAK")]
    return [np.array([[float(x), -float(y)] for x, y, _ in (row.split(",") for row in part)]) for part in parts if part]


def digits(path: Path) -> dict[str, list[Glyph]]:
    """All drawings of each digit in a UNIPEN file of pen digits. Raises DataError."""
    found: dict[str, list[Glyph]] = {str(digit): [] for digit in range(10)}
    for label, ink in unipen.segments(path):
        strokes = [np.column_stack([stroke[:, 0], stroke[:, 1]]) for stroke in ink.strokes]
        found[label.strip('"')].append(_between(strokes, DIGIT_TOP, 0.0))
    if not all(found.values()):
        raise DataError("lacks digits", where=path)
    return found


def _between(strokes: Strokes, top: float, bottom: float) -> Glyph:
    """Scaled so that its height fits; a margin of a fifth of a small letter stands to its right."""
    points = np.concatenate(strokes)
    low, high = points.min(0), points.max(0)
    scale = (bottom - top) / max(high[1] - low[1], 1e-6)
    if (high[0] - low[0]) * scale > 3:                        # a flat scribble: not wider than three letters
        scale = 3 / (high[0] - low[0])
    return Glyph([(stroke - (low[0], high[1])) * scale + (0.1, bottom) for stroke in strokes], (high[0] - low[0]) * scale + 0.2)
