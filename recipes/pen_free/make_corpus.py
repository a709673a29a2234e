"""Make a corpus of handwriting that anyone may use for anything: lines of books in the characters of free data.

    python recipes/pen_free/make_corpus.py --data DIR --out CORPUS [--judge IAM-ONDB] [--lines 6000] [--seed 1]

DIR holds hershey_fonts/*.jhf, omniglot/strokes_background_small1.zip, pendigits/data/pendigits-{train,test} and text/*.txt (books).
CORPUS gets train/*.json and dev/*.json (ink, a line to a file) with their texts in train.tsv and dev.tsv, and in texts.txt the
lines of the books that were not written, for language models. With --judge, IAM-OnDB is linked into it. Drawers 17 to 20 and the digits of pendigits-test
are in dev alone, as is one of 20 lines of text.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Mapping

import numpy as np

import compose
import glyphs
from recog import ink
from recog.errors import RecogError
from recog.lm import books

ALPHABET = """ !"#%&'()*+,-./0123456789:;?ABCDEFGHIJKLMNOPQRSTUVWXYZ[]abcdefghijklmnopqrstuvwxyz"""
DEV_DRAWERS, DEV_LINES = 4, 0.05
LEAST = 12                                     # characters in a line
SCRIPT = 0.5                                   # share of lines that are of one font alone; others are of people's letters


def fonts_of(data: Path) -> dict[str, dict[str, glyphs.Glyph]]:
    return {name: glyphs.hershey(data / "hershey_fonts" / f"{name}.jhf") for name in glyphs.FONTS}


def letters_of(fonts: Mapping, drawn: Mapping, digits: Mapping, rng: np.random.Generator) -> tuple[compose.Letters, bool]:
    """A hand's characters, and whether they are of a font whose letters touch."""
    name = glyphs.FONTS[rng.integers(len(glyphs.FONTS))]
    if rng.random() < SCRIPT:
        return {character: (glyph,) for character, glyph in fonts[name].items()}, name in ("scripts", "cursive")
    person = drawn[list(drawn)[rng.integers(len(drawn))]]
    upright = fonts["rowmans" if rng.random() < 0.6 else name]              # capitals and marks
    start = int(rng.integers(min(map(len, digits.values())) - 10))         # one writer's digits lie together
    return ({character: (glyph,) for character, glyph in upright.items()} | {letter: (glyph,) for letter, glyph in person.items()}
            | {digit: drawings[start:start + 10] for digit, drawings in digits.items()}), False


def with_numbers(line: str, rng: np.random.Generator) -> str:
    """Books have few numbers, capitals and marks: some words become such."""
    words = line.split()
    for place in np.flatnonzero(rng.random(len(words)) < 0.06):
        word = words[place]
        words[place] = [str(rng.integers(10 ** rng.integers(1, 5))), word.upper(), f"({word})", f"'{word}'", f"{word}?", word.capitalize(),
                        "".join(ALPHABET[i] for i in rng.integers(1, len(ALPHABET), 3))][rng.integers(7)]
    return " ".join(words)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--lines", type=int, default=6000, help="of training")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--judge", type=Path, help="the unpacked IAM-OnDB, whose testset_t is to be scored")
    given = parser.parse_args()
    rng = np.random.default_rng(given.seed)
    fonts, drawers = fonts_of(given.data), glyphs.latin(given.data / "omniglot" / "strokes_background_small1.zip")
    lines = [line for book in sorted((given.data / "text").rglob("*.txt")) for line in books.lines(book, ALPHABET) if len(line) >= LEAST]
    rng.shuffle(lines)
    for split, wanted, source in (("train", given.lines, "pendigits-train"), ("dev", round(given.lines * DEV_LINES), "pendigits-test")):
        digits = glyphs.digits(given.data / "pendigits" / "data" / source)
        drawn = {d: drawers[d] for d in drawers if (d > glyphs.DRAWERS - DEV_DRAWERS) == (split == "dev")}
        (given.out / split).mkdir(parents=True, exist_ok=True)
        rows = []
        for number in range(wanted):
            letters, joined = letters_of(fonts, drawn, digits, rng)
            text = with_numbers(lines.pop(), rng)
            ink.write(compose.write(text, compose.draw_hand(letters, joined, rng), rng), given.out / split / f"{number:05}.json")
            rows.append(f"{split}/{number:05}\t{text}\n")
        (given.out / f"{split}.tsv").write_text("".join(rows), encoding="utf-8")
        print(f"{split}: {wanted} lines")
    (given.out / "texts.txt").write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    if given.judge is not None and not (given.out / "iam_ondb").is_symlink():
        (given.out / "iam_ondb").symlink_to(given.judge.resolve())


if __name__ == "__main__":
    try:
        main()
    except (RecogError, OSError) as error:
        raise SystemExit(str(error)) from None
