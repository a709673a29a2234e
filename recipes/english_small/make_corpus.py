"""Make the synthetic part of english_small's training corpus with Debian's speech engines, and with Kokoro.

    python recipes/english_small/make_corpus.py --out DIR --hours 6 --seed 1 --jobs 2
    python recipes/english_small/make_corpus.py --out DIR --hours 1.2 --seed 2 --kokoro package/voices

Writes DIR/wav/ID.flac (16 kHz, mono) and DIR/manifest.jsonl, with Kokoro DIR/kokoro.jsonl. The id of an utterance holds a digest
of its text and its reading, so a file that is there is the right one and is kept: running again
goes on where the last run stopped. The same seed gives the same corpus.
"""

from __future__ import annotations

import argparse
import collections
import functools
import hashlib
import json
import random
import subprocess
import sys
import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

import kokoro
import voices
from sentences import Sentence, sentence, vocabulary
from voices import Reading, Voice

RATE = 16000
# Of utterances. Few by espeak-ng: what it makes by rule is further from human speech than what the others cut or learned from it.
ENGINE_SHARES = {"flite": 0.45, "espeak-ng": 0.08, "festival": 0.47}
DEV_SHARE = 0.05                         # of utterances, read by the held-out voices
ANY_WORD = 0.6                           # of Kokoro's utterances, which cost more, are one word, each as often as any other
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
    if held_out:                         # flite has too few voices to keep one back
        engine = "festival"
    voice = rng.choice([v for v in voices.voices(engine) if v.held_out == held_out])
    return Plan(index, said, voices.reading(voice, said.isolated, rng))


def plan_kokoro(folder: Path, seed: int, index: int) -> Plan:
    """The same for Kokoro."""
    rng = random.Random(f"kokoro {seed} {index}")
    word = rng.choice(sorted(vocabulary() - {"OH"}))
    said = Sentence(word, "any_word") if rng.random() < ANY_WORD else sentence(rng)
    voice = Voice("kokoro", kokoro.draw_voice(folder, rng.random() < DEV_SHARE, rng))
    return Plan(index, said, voices.reading(voice, said.isolated, rng))


def speak_kokoro(engine: kokoro.Kokoro, plans: list[Plan], wav: Path) -> list[str]:
    for p in plans:
        reading = p.reading
        said = kokoro.phones(p.sentence.say, reading.zed, reading.voice.british)
        store(engine.say(said, reading.voice.name, reading.rate / reading.shift), kokoro.RATE, wav / f"{p.id}.flac", reading.shift)
    return []


def read_and_store(wav: Path, target: Path, shift: float) -> None:
    import soundfile

    store(*soundfile.read(wav, dtype="float32"), target, shift)


def store(x: np.ndarray, rate: int, target: Path, shift: float) -> None:
    """Bring an engine's samples to 16 kHz FLAC, shifted and at a common peak."""
    import soundfile
    import soxr

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


def make(out: Path, manifest: str, hours: float, planned: Callable[[int], Plan], speaking: Callable[[list[Plan], Path], list[str]],
         jobs: int) -> dict[str, float]:
    """Make (a part of) the corpus; gives the hours by engine and split."""
    wav = out / "wav"
    wav.mkdir(parents=True, exist_ok=True)
    lines, total = [], collections.Counter()
    first = 0
    with ThreadPoolExecutor(jobs) as pool:
        while sum(total.values()) < hours * 3600:
            plans = [planned(i) for i in range(first, first + BLOCK)]
            first += BLOCK
            todo = [p for p in plans if not (wav / f"{p.id}.flac").exists()]
            for failures in pool.map(lambda group: speaking(group, wav), batches(todo)):
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
            partial = out / f"{manifest}.partial"
            partial.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
            partial.rename(out / manifest)
    return {name: round(value / 3600, 3) for name, value in sorted(total.items())}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True, help="folder for the corpus")
    parser.add_argument("--hours", type=float, default=3.0, help="hours of speech, at least")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=2, help="engines run at a time")
    parser.add_argument("--kokoro", type=Path, metavar="VOICES", help="let Kokoro read, with the voices of this folder")
    args = parser.parse_args()
    if args.kokoro:
        engine = kokoro.Kokoro(args.kokoro)
        hours = make(args.out, "kokoro.jsonl", args.hours, functools.partial(plan_kokoro, args.kokoro, args.seed),
                     functools.partial(speak_kokoro, engine), args.jobs)
    else:
        missing = voices.missing_engines()
        if missing:
            raise SystemExit("\n".join(missing))
        hours = make(args.out, "manifest.jsonl", args.hours, functools.partial(plan, args.seed), speak, args.jobs)
    for name, value in hours.items():
        print(f"{name:18} {value:.3f} h")


if __name__ == "__main__":
    main()
