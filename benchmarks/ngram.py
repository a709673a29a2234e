"""Training an order-5 word model from the command line: seconds, memory, counts; then reading it and asking it."""

from __future__ import annotations

import os
import random
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Iterator

import numpy as np

from recog.kernels.ngram import ngram_scores
from recog.lm import arpa
from recog.lm.ngram import Ngram

from .table import PROCESSOR, Row, at_most, peak, seconds

TEXT = Path(__file__).parents[2] / "shared" / "data" / "text" / "gutenberg"
LMPLZ = (31_321, 320_259, 648_107, 727_374, 674_504)       # what lmplz counts in TEXT
ORDER = 5


def rows(quick: bool = False, text: Path | None = None) -> Iterator[Row]:
    """`text`: a folder of .txt files, or one file; upper-cased, anything but A-Z and ' made a space, a sentence a line."""
    text = text or (TEXT if TEXT.is_dir() else None)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        content = generated(400 if quick else 100_000) if quick or text is None else capitals(text)
        what = "generated text" if quick or text is None else text.name
        (folder / "text").write_text(content)
        yield Row(f"{what}: words", len(content.split()), "")
        if not quick:
            train(folder)                                  # compiles
        wall, busy, megabytes, counts = train(folder)
        yield at_most(f"recog lm train --order {ORDER}: wall time", wall, "s", 15)
        yield at_most("    processor time", busy, "s", 15)
        yield at_most("    peak memory", megabytes, "MB", 1000)
        for n, count in enumerate(counts, 1):
            yield counted(n, count, LMPLZ[n - 1] if what == TEXT.name else None)
        yield from used(folder / "lm.arpa", content)


def counted(n: int, count: int, wanted: int | None) -> Row:
    return Row(f"    {n}-grams", count, "") if wanted is None else Row(f"    {n}-grams", count, "", f"= {wanted:,}", count == wanted)


def used(path: Path, content: str) -> Iterator[Row]:
    """The model as a decoder uses it."""
    models = []
    yield Row("reading the ARPA file: processor time", seconds(lambda: models.append(arpa.read(path)), PROCESSOR), "s")
    Ngram(models[0])                                       # compiles
    yield Row("making the automaton: processor time", seconds(lambda: models.append(Ngram(models[0])), PROCESSOR), "s")
    lm = models[1]
    ids = np.array([lm.id(word) for word in content.split()[:300_000]], np.int32)
    out, start = np.empty(len(ids)), np.int32(lm.start())
    ngram_scores(lm.automaton, start, ids, out)
    busy = seconds(lambda: ngram_scores(lm.automaton, start, ids, out), PROCESSOR)
    yield Row("one query of the automaton", 1e9 * busy / len(ids), "ns")
    yield Row("the automaton's size", sum(part.nbytes for part in lm.automaton if part is not lm.automaton.probs) / 1e6, "MB")


def train(folder: Path) -> tuple[float, float, float, list[int]]:
    """Wall seconds, processor seconds, MB at the peak, and the counts, of a process of its own."""
    command = [sys.executable, "-m", "recog", "lm", "train", str(folder / "text"), "-o", str(folder / "lm.arpa"), "--order", str(ORDER),
               "--discount-fallback", "--force"]
    began = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parent.parent)
    ended, megabytes = 0, 0.0
    while not ended:                                     # its own peak is gone with it, and getrusage's begins with ours
        megabytes = max(megabytes, peak(process.pid))
        time.sleep(0.005)
        ended, status, usage = os.wait4(process.pid, os.WNOHANG)
    said = process.stdout.read()
    wall = time.perf_counter() - began
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0
    counts = [int(count.replace(",", "")) for count in said.rpartition("n-grams ")[2].split(" / ")]
    return wall, usage.ru_utime + usage.ru_stime, megabytes, counts


def capitals(text: Path) -> str:
    files = sorted(text.glob("*.txt")) if text.is_dir() else [text]
    read = (file.read_text(encoding="utf-8", errors="replace").upper() for file in files)
    return "".join(re.sub(r"[^A-Z'\n]", " ", page if page.endswith("\n") else page + "\n") for page in read)


def generated(lines: int) -> str:
    """Words by Zipf's law, nine a line."""
    rng = random.Random(0)
    words, weights = [f"W{k}" for k in range(20_000)], [1 / (k + 1) for k in range(20_000)]
    drawn = rng.choices(words, weights, k=9 * lines)
    return "".join(" ".join(drawn[at:at + 9]) + "\n" for at in range(0, len(drawn), 9))
