"""The speech engines of Debian: which voices there are, and how each is asked to read a sentence.

A `Voice` is one engine voice; a `Reading` says how an utterance is spoken. Each engine has a
function that respells a sentence so that single letters become letter names, and one that writes
WAV files. Rates and shifts are factors: rate 1.2 speaks 1.2 times as fast, and shift 1.1 raises
pitch and formants by 1.1 (by resampling, in `make_corpus.py`), at an unchanged rate.
"""

from __future__ import annotations

import random
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import kokoro

PACKAGES = {"flite": "flite", "espeak-ng": "espeak-ng",
            "festival": "festival festvox-kallpc16k festvox-kdlpc16k festvox-us-slt-hts"}

FLITE_VOICES = ("kal", "kal16", "awb", "rms", "slt")
FESTIVAL_VOICES = ("kal_diphone", "ked_diphone", "cmu_us_slt_arctic_hts")
ESPEAK_ACCENTS = ("en-us", "en-us-nyc", "en-gb", "en-gb-scotland", "en-gb-x-rp", "en-gb-x-gbclan",
                  "en-gb-x-gbcwmd", "en-029")
# Robots, whispers and jokes are left out.
ESPEAK_VARIANTS = (
    "m1 m2 m3 m4 m5 m6 m7 m8 f1 f2 f3 f4 f5 adam Alex Alicia Andrea Andy Annie antonio aunty "
    "belinda benjamin boris caleb david Denis Diogo ed edward Gene Gene2 gustave Henrique Hugo "
    "iven iven2 iven3 iven4 Jacky john Lee linda marcelo Marco Mario max Michael michel miguel "
    "Mike Nguyen pablo paul pedro quincy rob robert sandro shelby steph steph2 steph3 Storm travis "
    "victor zac anika grandpa grandma klatt klatt2 klatt3 klatt4").split()

# Wholly kept from training. The accent is held out with every variant, the variants with every
# accent, so that no training voice has either half.
HELD_OUT = {"en-gb-x-gbcwmd", "steph3", "travis", "f5", "victor", "ked_diphone"}
BRITISH = ("en-gb", "en-029")            # accents that mostly say zed

ESPEAK_SPELLING = {"A": "[['eI]]", "I": "eye", "RUBOUT": "rub-out", "ZED": "zed", "ZEE": "zee"}
FLITE_SPELLING = {"A": "ay", "ZED": "zed", "ZEE": "zee"}
FESTIVAL_LETTERS = {"A": "ey", "ZEE": "z iy", "ZED": "z eh d"}


@dataclass(frozen=True)
class Voice:
    engine: str                          # flite, espeak-ng, festival or kokoro
    name: str                            # as the engine calls it, "rms" or "en-gb+f2"

    @property
    def speaker(self) -> str:
        return f"{self.engine}-{self.name}"

    @property
    def held_out(self) -> bool:
        return any(part in HELD_OUT or part in kokoro.HELD_OUT for part in self.name.split("+"))

    @property
    def british(self) -> bool:
        return self.name.startswith(BRITISH) or (self.engine == "kokoro" and self.name.startswith("b"))


@dataclass(frozen=True)
class Reading:
    voice: Voice
    rate: float                          # speed, 1 is the engine's own
    pitch: float                         # 0 lowest to 1 highest, 0.5 the voice's own
    shift: float                         # factor on pitch and formants, made by resampling
    gap: int                             # silence between words, 1/100 s, espeak-ng only
    zed: bool                            # say Z as zed, not zee


def voices(engine: str) -> list[Voice]:
    """All voices of an engine, held-out ones too."""
    if engine == "flite":
        return [Voice(engine, name) for name in FLITE_VOICES]
    if engine == "festival":
        return [Voice(engine, name) for name in FESTIVAL_VOICES]
    return [Voice(engine, f"{accent}+{variant}")
            for accent in ESPEAK_ACCENTS for variant in ESPEAK_VARIANTS]


def missing_engines() -> list[str]:
    """One line for each engine that is not installed."""
    return [f"{engine} is not installed: apt-get install {packages}"
            for engine, packages in PACKAGES.items() if shutil.which(engine) is None]


def reading(voice: Voice, isolated: bool, rng: random.Random) -> Reading:
    """A random way to read; isolated words are read slower, as people read them."""
    slow = 0.85 if isolated else 1.0
    # Few flite and festival voices exist, so they are shifted more to make more throats.
    spread = 0.06 if voice.engine == "espeak-ng" else 0.14
    return Reading(voice=voice,
                   rate=round(slow * rng.uniform(0.75, 1.35), 3),
                   pitch=round(rng.uniform(0.1, 0.9), 3),
                   shift=round(1 + rng.uniform(-spread, spread), 3),
                   gap=rng.choice((0, 0, 0, 2, 5, 10)),
                   zed=rng.random() < (0.9 if voice.british else 0.04))


def spelled(say: str, reading: Reading, spelling: dict[str, str]) -> str:
    """The sentence as an engine must read it: words in lower case, letters by name."""
    out = []
    for word in say.split():
        bare, comma = word.rstrip(","), "," * word.endswith(",")
        if bare == "Z":
            bare = "ZED" if reading.zed else "ZEE"
        plain = bare if len(bare) == 1 else bare.lower()
        out.append(spelling.get(bare, plain) + comma)
    return " ".join(out)


def speak_flite(say: str, reading: Reading, target: Path) -> None:
    pitch = 70 + 110 * reading.pitch     # Hz; only kal and kal16 obey
    command = ["flite", "-voice", reading.voice.name,
               "--setf", f"duration_stretch={reading.shift / reading.rate:.3f}",
               "--setf", f"int_f0_target_mean={pitch:.0f}", "-o", str(target),
               "-t", spelled(say, reading, FLITE_SPELLING) + "."]
    subprocess.run(command, check=True, capture_output=True)


def speak_espeak(say: str, reading: Reading, target: Path) -> None:
    speed = round(150 * reading.rate / reading.shift)    # words per minute
    command = ["espeak-ng", "-v", reading.voice.name, "-s", str(max(80, speed)),
               "-p", str(round(99 * reading.pitch)), "-g", str(reading.gap), "-w", str(target),
               spelled(say, reading, ESPEAK_SPELLING)]
    subprocess.run(command, check=True, capture_output=True)


def speak_festival(jobs: list[tuple[str, Reading, Path]]) -> None:
    """Read many sentences in one festival process; all of them have the same voice."""
    voice = jobs[0][1].voice.name
    spelling = {letter: f"lettername{letter.lower()}" for letter in FESTIVAL_LETTERS}
    lines = [f"(voice_{voice})"]
    for letter, phones in FESTIVAL_LETTERS.items():
        lines.append(f"(lex.add.entry '(\"{spelling[letter]}\" n ((({phones}) 1))))")
    for say, reading, target in jobs:
        stretch = reading.shift / reading.rate
        if voice.endswith("hts"):
            lines.append(f"(set! hts_engine_params (append {voice}::hts_engine_params "
                         f"'((\"-r\" {1 / stretch:.3f}))))")
        else:
            lines.append(f"(Parameter.set 'Duration_Stretch {stretch:.3f})")
            lines.append("(set! int_lr_params '((target_f0_mean "
                         f"{80 + 60 * reading.pitch:.0f}) (target_f0_std 15) "
                         "(model_f0_mean 170) (model_f0_std 34)))")
        lines.append(f'(utt.save.wave (utt.synth (Utterance Text "{spelled(say, reading, spelling)}."'
                     f')) "{target}" \'riff)')
    subprocess.run(["festival", "--pipe"], input="\n".join(lines) + "\n", text=True, check=True,
                   capture_output=True)
