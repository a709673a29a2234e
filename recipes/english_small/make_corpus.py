"""Make the synthetic part of english_small's training corpus with Debian's speech engines.

    python recipes/english_small/make_corpus.py --out DIR --hours 3 --seed 1 --jobs 2

Writes DIR/wav/ID.flac (16 kHz, mono) and DIR/manifest.jsonl. The id of an utterance holds a digest
of its text and its reading, so a file that is there is the right one and is kept: running again
goes on where the last run stopped. The same seed gives the same corpus.
"""

from __future__ import annotations

import argparse
import collections
import hashlib
import json
import random
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

import voices
from sentences import Sentence, sentence
from voices import Reading

RATE = 16000
ENGINE_SHARES = {"flite": 0.45, "espeak-ng": 0.30, "festival": 0.25}    # of utterances
DEV_SHARE = 0.05                         # of utterances, read by the held-out voices
BLOCK = 400                              # utterances planned and read at a time
SHORTEST, QUIETEST = 0.12, 0.01          # seconds and peak below which a reading has failed


@dataclass(frozen=True)
class Plan:
    """One utterance before it is read."""
    index: int
    sentence: Sentence
    reading: Reading

    @property
    def id(self) -> str:
        content = json.dumps(asdict(self), sort_keys=True)
        return f"en{self.index:06d}-{hashlib.sha256(content.encode()).hexdigest()[:8]}"


def plan(seed: int, index: int) -> Plan:
    """Utterance `index` of the corpus with this seed, whatever else is made."""
    rng = random.Random(f"{seed} {index}")
    said = sentence(rng)
    held_out = rng.random() < DEV_SHARE
    engine = rng.choices(list(ENGINE_SHARES), list(ENGINE_SHARES.values()))[0]
    if held_out and engine == "flite":   # flite has too few voices to keep one back
        engine = "espeak-ng"
    voice = rng.choice([v for v in voices.voices(engine) if v.held_out == held_out])
    return Plan(index, said, voices.reading(voice, said.isolated, rng))


def read_and_store(wav: Path, target: Path, shift: float) -> None:
    """Bring an engine's WAV file to 16 kHz FLAC, shifted and at a common peak."""
    import soundfile
    import soxr

    x, rate = soundfile.read(wav, dtype="float32")
    x = soxr.resample(x, rate * shift, RATE).astype(np.float32)
    peak = float(np.abs(x).max(initial=0.0))
    if len(x) < SHORTEST * RATE or peak < QUIETEST:
        raise ValueError(f"{len(x) / RATE:.2f} s with peak {peak:.3f}")
    partial = target.with_name(target.name + ".partial")
    soundfile.write(partial, 0.7 * x / peak, RATE, format="FLAC", subtype="PCM_16")
    partial.rename(target)


def speak(plans: list[Plan], wav: Path) -> list[str]:
    """Read the plans of one voice into `wav`; gives a complaint for each one that failed."""
    failures = []
    with tempfile.TemporaryDirectory() as scratch:
        raw = {p.id: Path(scratch) / f"{p.id}.wav" for p in plans}
        if plans[0].reading.voice.engine == "festival":
            voices.speak_festival([(p.sentence.say, p.reading, raw[p.id]) for p in plans])
        for p in plans:
            try:
                if p.reading.voice.engine == "flite":
                    voices.speak_flite(p.sentence.say, p.reading, raw[p.id])
                elif p.reading.voice.engine == "espeak-ng":
                    voices.speak_espeak(p.sentence.say, p.reading, raw[p.id])
                read_and_store(raw[p.id], wav / f"{p.id}.flac", p.reading.shift)
            except (subprocess.CalledProcessError, OSError, RuntimeError, ValueError) as error:
                failures.append(f"{p.id} {p.reading.voice.speaker} {p.sentence.say!r}: {error}")
    return failures


def batches(plans: list[Plan]) -> list[list[Plan]]:
    """Plans grouped by voice for festival, and in groups of 25 for the others."""
    festival = collections.defaultdict(list)
    for p in plans:
        if p.reading.voice.engine == "festival":
            festival[p.reading.voice].append(p)
    others = [p for p in plans if p.reading.voice.engine != "festival"]
    by_voice = collections.defaultdict(list)
    for p in others:
        by_voice[p.reading.voice.engine].append(p)
    cut = [group[i:i + 25] for group in by_voice.values() for i in range(0, len(group), 25)]
    return list(festival.values()) + cut


def seconds(path: Path) -> float:
    import soundfile

    return soundfile.info(path).duration


def record(p: Plan) -> dict:
    """The manifest line of a finished utterance."""
    voice = p.reading.voice
    extra = {"engine": voice.engine, "voice": voice.name, "kind": p.sentence.kind,
             "rate": p.reading.rate, "pitch": p.reading.pitch, "shift": p.reading.shift}
    return {"id": p.id, "split": "dev" if voice.held_out else "train",
            "source": f"wav/{p.id}.flac", "text": p.sentence.text, "speaker": voice.speaker,
            "start": 0.0, "end": None, "extra": extra}


def make(out: Path, hours: float, seed: int, jobs: int) -> dict[str, float]:
    """Make the corpus; gives the hours by engine and split."""
    wav = out / "wav"
    wav.mkdir(parents=True, exist_ok=True)
    lines, total = [], collections.Counter()
    first = 0
    with ThreadPoolExecutor(jobs) as pool:
        while sum(total.values()) < hours * 3600:
            plans = [plan(seed, i) for i in range(first, first + BLOCK)]
            first += BLOCK
            todo = [p for p in plans if not (wav / f"{p.id}.flac").exists()]
            for failures in pool.map(lambda group: speak(group, wav), batches(todo)):
                for failure in failures:
                    print(f"left out: {failure}", file=sys.stderr)
            for p in plans:
                path = wav / f"{p.id}.flac"
                if path.exists():
                    line = record(p)
                    lines.append(line)
                    total[f"{line['split']} {line['extra']['engine']}"] += seconds(path)
            if not lines:
                raise SystemExit(f"no utterance of the first {BLOCK} could be read")
            print(f"{len(lines)} utterances, {sum(total.values()) / 3600:.2f} h", file=sys.stderr)
    partial = out / "manifest.jsonl.partial"
    partial.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    partial.rename(out / "manifest.jsonl")
    return {name: round(value / 3600, 3) for name, value in sorted(total.items())}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True, help="folder for the corpus")
    parser.add_argument("--hours", type=float, default=3.0, help="hours of speech, at least")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=2, help="engines run at a time")
    args = parser.parse_args()
    missing = voices.missing_engines()
    if missing:
        raise SystemExit("\n".join(missing))
    for name, value in make(args.out, args.hours, args.seed, args.jobs).items():
        print(f"{name:18} {value:.3f} h")


if __name__ == "__main__":
    main()
