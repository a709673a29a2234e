"""How many of the judges' recordings a model writes down without an error, by kind and by package.

    python recipes/english_small/judge.py --model english_small --judges CORPUS/judges [--decoder greedy]
"""

from __future__ import annotations

import argparse
from collections import Counter
from pathlib import Path

import recog
from recog import manifest
from recog.api import TranscribeOptions

KINDS = ("digit", "word", "letter", "phrase")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="english_small")
    parser.add_argument("--judges", type=Path, required=True)
    parser.add_argument("--decoder")
    parser.add_argument("--wrong", action="store_true", help="list what was heard instead")
    arguments = parser.parse_args()
    utterances = list(manifest.read(arguments.judges / "manifest.jsonl"))
    transcriber = recog.load(arguments.model)
    heard = transcriber.transcribe([arguments.judges / u.source for u in utterances], TranscribeOptions(decoder=arguments.decoder))
    said, right = Counter(), Counter()
    for utterance, transcript in zip(utterances, heard, strict=True):
        for row in (utterance.speaker, "all"):
            said[row, utterance.extra["kind"]] += 1
            right[row, utterance.extra["kind"]] += transcript.text == utterance.text
        if arguments.wrong and transcript.text != utterance.text:
            print(f"{utterance.speaker:36} {utterance.text:28} heard {transcript.text or '-'}")
    print(f"{'right of all':36}" + "".join(f"{kind:>12}" for kind in KINDS) + f"{'digit+word':>14}")
    for row in sorted({row for row, _ in said} - {"all"}) + ["all"]:
        cells = [f"{right[row, kind]} / {said[row, kind]}" if said[row, kind] else "-" for kind in KINDS]
        both = [sum(table[row, kind] for kind in ("digit", "word")) for table in (right, said)]
        cells.append(f"{both[0]} / {both[1]} {100 * both[0] / both[1]:.0f} %" if both[1] else "-")
        print(f"{row:36}" + "".join(f"{cell:>12}" for cell in cells[:-1]) + f"{cells[-1]:>16}")


if __name__ == "__main__":
    main()
