"""Hands that come with recog: what the model writes when nobody leads it, as unlike each other as they come.

    python recipes/handwriting/make_styles.py --model hand --out recog/styles [--draws 60] [--seed 1] [--bias 0.5] [--reader pen]

Every draw of a network that nothing leads is another hand. Those that are read without an error, and that the network itself can follow, are
measured (lean, width of a letter, how often the pen is lifted, how tall it writes), and of these the ones farthest from each other are kept.
Nothing is cut from a corpus.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from recog import modeldir, writingmodel
from recog.errors import RecogError
from recog.pen import normalize
from recog.synthesis import READER, reading
from recog.types import Ink
from recog.writing import styles
from recog.writing.styles import Style
from recog.writing.writer import WriteOptions, write

NAMES = ("alder", "birch", "cedar", "hazel", "maple", "rowan")
TEXT = "The quick boxing wizards jump over five dogs"


def traits(ink: Ink, letters: int) -> np.ndarray:
    """Lean, width of a letter, strokes for each letter, height of the whole line in heights of small letters."""
    strokes = normalize.without_slope([np.array(s) for s in ink.strokes])
    points = np.concatenate(strokes)
    top, base = normalize.lines(strokes)
    small = max(base - top, 1e-9)
    return np.array([normalize.slant(strokes), np.ptp(points[:, 0]) / letters / small, len(strokes) / letters, np.ptp(points[:, 1]) / small])


def apart(rows: np.ndarray, count: int) -> list[int]:
    """Of points [N, D], so many as far from each other as can be found one by one; the first is the nearest to the mean."""
    rows = (rows - rows.mean(0)) / np.maximum(rows.std(0), 1e-9)
    chosen = [int(np.linalg.norm(rows, axis=1).argmin())]
    while len(chosen) < min(count, len(rows)):
        nearest = np.min([np.linalg.norm(rows - rows[i], axis=1) for i in chosen], axis=0)
        chosen.append(int(nearest.argmax()))
    return chosen


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="hand")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--draws", type=int, default=60)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--bias", type=float, default=0.5)
    parser.add_argument("--reader", default=READER)
    given = parser.parse_args()
    writer, read = writingmodel.load(modeldir.locate(given.model)), reading(given.reader)
    page = write(writer, "\n".join([TEXT] * given.draws), WriteOptions(given.bias, given.seed, tries=1), reader=read)
    found = [Style("", TEXT, line.ink) for line in page.lines if line.ink is not None and line.error == 0]
    found = [style for style in found if styles.follows(style, writer)[0]]
    if not found:
        raise SystemExit(f"none of {given.draws} was read without an error and followed")
    chosen = apart(np.array([traits(style.ink, len(TEXT)) for style in found]), len(NAMES))
    given.out.mkdir(parents=True, exist_ok=True)
    for name, number in zip(NAMES, chosen):
        styles.save(found[number], given.out / f"{name}.json")
    print(f"{len(chosen)} of {len(found)} that were read without an error, of {given.draws} drawn: {', '.join(NAMES[:len(chosen)])}, in {given.out}")


if __name__ == "__main__":
    try:
        main()
    except (RecogError, OSError) as error:
        raise SystemExit(str(error)) from None
