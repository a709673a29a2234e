"""Make data/ink: handwriting for the README's demo, from Hershey's script fonts.

    python recipes/pen_free/make_samples.py --fonts hershey_fonts --out data/ink

Where the fonts come from, and their licence, is in the README.md beside the samples.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np

import compose
import glyphs
from recog import ink
from recog.errors import RecogError
from recog.types import Ink

SPACING = 3.6                                  # between the lines of a page, in heights of small letters
NOTES = {                                      # file, font, seed, height of small letters, lean, lines
    "note.inkml": ("futural", 11, 30.0, 0.2, ("Dear Anna, the train leaves", "at half past nine tonight.", "Do not forget the letters.")),
    "meeting.json": ("cursive", 5, 24.0, 0.1, ("The meeting is on Thursday",)),
    "address.svg": ("rowmans", 7, 20.0, 0.15, ("14 Castle Street, London",)),
}


def page(font: str, seed: int, height: float, lean: float, lines: tuple[str, ...], fonts: Path) -> Ink:
    rng = np.random.default_rng(seed)
    letters = {character: (glyph,) for character, glyph in glyphs.hershey(fonts / f"{font}.jhf").items()}
    hand = compose.Hand(letters, height, lean, rise=0.01, wide=1.0, spacing=0.0, gap=0.9, loose=0.04,
                        joins=0.0 if font in ("rowmans", "futural") else 1.0, late=1.0)
    strokes: list[np.ndarray] = []
    for number, line in enumerate(lines):
        clock = strokes[-1][-1, 2] + 0.8 if strokes else 0.0
        strokes += compose.write(line, hand, rng, (100.0, 100.0 + number * SPACING * height), clock).strokes
    return Ink(tuple(np.round(stroke, 2) for stroke in strokes))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--fonts", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    with (given.out / "manifest.jsonl").open("w", encoding="utf-8") as manifest:
        for name, (*how, lines) in NOTES.items():
            ink.write(page(*how, lines, given.fonts), given.out / name)
            manifest.write(json.dumps({"id": Path(name).stem, "split": "demo", "source": name, "text": " ".join(lines)}) + "\n")


if __name__ == "__main__":
    try:
        main()
    except (RecogError, OSError) as error:
        raise SystemExit(str(error)) from None
