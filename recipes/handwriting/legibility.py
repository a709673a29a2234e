"""How well what a model writes can be read: sentences of books, written and read back, before and after checking.

    python recipes/handwriting/legibility.py --model hand --texts BOOKS.txt [--count 100] [--seeds 3] [--bias 0.75] [--reader pen]

BOOKS.txt has a sentence to a line, none of which the model has learned. The reader is asked without a language model, and must never have learned from
synthesized ink.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from recog import modeldir, writingmodel
from recog.errors import RecogError
from recog.synthesis import READER, reading
from recog.writing.alphabet import checked
from recog.writing.writer import WriteOptions, write

SHORTEST, LONGEST = 15, 50                     # characters of a sentence that is taken: one line
POOR = 0.3                                     # of a line's characters read wrongly


def sentences(path: Path, count: int, symbols: list[str]) -> list[str]:
    """Spread evenly over the file, each once."""
    found = []
    for line in dict.fromkeys(path.read_text(encoding="utf-8").splitlines()):
        try:
            text = checked(line, symbols)
        except RecogError:
            continue
        if SHORTEST <= len(text) <= LONGEST:
            found.append(text)
    if len(found) < count:
        raise SystemExit(f"{path}: holds only {len(found)} sentences of {SHORTEST} to {LONGEST} characters that the model can write")
    return [found[i * len(found) // count] for i in range(count)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="hand")
    parser.add_argument("--texts", type=Path, required=True)
    parser.add_argument("--reader", default=READER)
    parser.add_argument("--count", type=int, default=100)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--bias", type=float, default=0.75)
    given = parser.parse_args()
    writer, read = writingmodel.load(modeldir.locate(given.model)), reading(given.reader)
    texts = sentences(given.texts, given.count, writer.units.symbols[1:])
    print(f"{len(texts)} sentences x {given.seeds} seeds, bias {given.bias:g}, read by {given.reader} without a language model")
    for name, tries in (("as drawn", 1), ("checked", WriteOptions.tries)):
        errors, letters, rates, drawn = 0.0, 0, [], 0
        for seed in range(given.seeds):
            page = write(writer, "\n".join(texts), WriteOptions(bias=given.bias, seed=seed, tries=tries), reader=read)
            for line in page.lines:
                errors, letters, drawn = errors + line.error * len(line.text), letters + len(line.text), drawn + line.tries
                rates.append(line.error)
        print(f"{name:10} character error {100 * errors / letters:.2f} %, lines over {POOR:.0%}: {100 * np.mean(np.array(rates) > POOR):.1f} %, "
              f"drawn {drawn / len(rates):.2f} times each")


if __name__ == "__main__":
    try:
        main()
    except (RecogError, OSError) as error:
        raise SystemExit(str(error)) from None
