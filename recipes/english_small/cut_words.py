"""Cut real recordings of several words into single words and pairs, for training on isolated words.

    python recipes/english_small/cut_words.py --model MODEL --corpus DIR

MODEL is any recog model of the same units (recipes/an4 trains one). Reads the training speakers of DIR/an4,
aligns each utterance with the model, cuts at the quietest point between neighbouring words, and writes
DIR/words.jsonl, which names stretches of the AN4 files; no sound is copied. Test speakers are never read.
"""

from __future__ import annotations

import argparse
import os
from collections import defaultdict
from dataclasses import replace
from pathlib import Path
from typing import Iterable, Iterator

import numpy as np

import recog
from recog import audio, manifest, pronounce, recipe
from recog.augment import trim
from recog.decode.align import align
from recog.errors import DataError
from recog.features import extract, finish
from recog.types import Utterance, Waveform

SHORTEST, PHONE = 0.12, 0.05             # seconds of sound in a cut, and for each of its phones; with less it has lost its word
FRAME = 0.01                             # seconds, of the loudness that cuts are chosen by
PAIRS = 0.3                              # share of neighbouring words that are cut as a pair as well
FEWEST, MOST = 30, 60                    # cuts of one and the same text: rare words are taken again, common ones left out


def words_of(transcriber, wave: Waveform, text: str) -> list[tuple[str, float, float]]:
    """(word, start, end) of each word, seconds; the words share their borders. Raises DataError if it does not fit."""
    loaded = transcriber.loaded
    frames = finish(extract(wave, loaded.config.features), loaded.config.features, loaded.normalizer)
    import torch

    log_probs, _ = loaded.model.log_probs(torch.from_numpy(frames)[None], torch.tensor([len(frames)]))
    spans = align(log_probs[0].numpy(), loaded.units.encode(text)).spans
    step, begun, words = loaded.frame_seconds, 0, []
    for word in text.split():
        words.append((word, spans[begun][0] * step, spans[begun + len(word) - 1][1] * step))
        begun += len(word) + 1
    cuts = [0.0] + [quietest(wave, a[2], b[1]) for a, b in zip(words, words[1:])] + [wave.seconds]
    return [(word, start, end) for (word, _, _), start, end in zip(words, cuts, cuts[1:])]


def quietest(wave: Waveform, start: float, end: float) -> float:
    """The quietest moment between two times."""
    size = int(FRAME * wave.rate)
    first, last = int(start / FRAME), max(int(end / FRAME), int(start / FRAME) + 1)
    loudness = [float(np.square(wave.samples[i * size:(i + 1) * size]).sum()) for i in range(first, last)]
    smooth = np.convolve(np.pad(loudness, 2, mode="edge"), np.ones(5), mode="valid")
    return (first + int(smooth.argmin()) + 0.5) * FRAME


def cut(transcriber, corpus: Path) -> Iterator[Utterance]:
    rng, said = np.random.default_rng(1), pronounce.read(Path(__file__).parent / "lexicon.txt")
    for utterance in recipe.find("an4").prepare()(corpus / "an4"):
        if utterance.split != "train" or len(utterance.text.split()) < 2:
            continue
        wave = audio.read(utterance.source)
        try:
            words = words_of(transcriber, wave, utterance.text)
        except DataError:
            continue                     # too short for its text: leave it whole
        source = os.path.relpath(utterance.source, corpus)
        runs = [words[i:i + 1] for i in range(len(words))]
        runs += [words[i:i + 2] for i in range(len(words) - 1) if rng.random() < PAIRS]
        for number, run in enumerate(runs):
            start, end = run[0][1], run[-1][2]
            sound = trim(wave.samples[int(start * wave.rate):int(end * wave.rate)], wave.rate)
            if len(sound) / wave.rate >= max(SHORTEST * len(run), PHONE * sum(len(said[word][0]) for word, _, _ in run)):
                yield Utterance(f"{utterance.id}-cut{number:02d}", "train", source, " ".join(word for word, _, _ in run),
                                utterance.speaker, round(start, 3), round(end, 3))


def balanced(cuts: Iterable[Utterance]) -> Iterator[Utterance]:
    """Of each single word FEWEST to MOST, so that a word alone may be any word, not only one of AN4's letters."""
    rng, by_text = np.random.default_rng(1), defaultdict(list)
    for utterance in cuts:
        by_text[utterance.text].append(utterance)
    for text, found in sorted(by_text.items()):
        chosen = [found[i] for i in rng.permutation(len(found))[:MOST]]
        yield from chosen
        for again in range(1, -(-FEWEST // len(chosen)) if " " not in text else 1):
            yield from (replace(utterance, id=f"{utterance.id}-again{again}") for utterance in chosen)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", required=True)
    parser.add_argument("--corpus", type=Path, required=True)
    arguments = parser.parse_args()
    count = manifest.write(arguments.corpus / "words.jsonl", balanced(cut(recog.load(arguments.model), arguments.corpus)))
    print(f"{count} cuts in {arguments.corpus / 'words.jsonl'}")


if __name__ == "__main__":
    main()
