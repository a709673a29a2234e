"""Make data/samples: short recordings from Debian packages for the README's demo.

    python recipes/english_small/make_samples.py --out data/samples

Their sources, licences and texts are in the README.md beside them. Needs flite and espeak-ng.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path

import numpy as np
import soundfile

import fetch_judges
import voices
from voices import Reading, Voice

# (file, speaker in fetch_judges, name, text); the suffix is the format.
RECORDED = (
    ("go_forward.sph", "pocketsphinx-testdata/goforward", "goforward", "GO FORWARD TEN METERS"),
    ("digits.flac", "pocketsphinx-testdata/dhd.2934z", "tidigits/dhd.2934z",
     "TWO NINE THREE FOUR ZERO"),
    ("numbers.ogg", "pocketsphinx-testdata/numbers", "numbers", "THIRTY THREE FOUR SIX NINETY TWO"),
    ("seven.wav", "asterisk-core-sounds-en-wav/allison", "digits-7", "SEVEN"),
    ("october.wav", "asterisk-core-sounds-en-wav/allison", "digits-mon-9", "OCTOBER"),
    ("letter_m.wav", "asterisk-core-sounds-en-wav/allison", "letters-m", "M"),
    ("five_8bit.wav", "fossil/bennefall", "5", "FIVE"),
)
PLAIN = {"rate": 0.9, "pitch": 0.5, "shift": 1.0, "gap": 0, "zed": False}
SPOKEN = (
    ("enter.flac", Reading(Voice("flite", "slt"), **PLAIN), "ENTER FOUR, FIVE, ONE"),
    ("rubout.ogg", Reading(Voice("espeak-ng", "en-us+m3"), **PLAIN),
     "RUBOUT G, M, E, F, THREE NINE"),
)


def write_sphere(path: Path, x: np.ndarray, rate: int) -> None:
    """Write a NIST SPHERE file: a header of 1024 bytes, then 16-bit little-endian samples."""
    fields = (f"channel_count -i 1\nsample_count -i {len(x)}\nsample_rate -i {rate}\n"
              "sample_n_bytes -i 2\nsample_byte_format -s2 01\nsample_coding -s3 pcm\n"
              "sample_sig_bits -i 16\nend_head\n")
    header = f"NIST_1A\n   1024\n{fields}".ljust(1023) + "\n"
    samples = np.round(np.clip(x, -1, 1 - 2 ** -15) * 2 ** 15).astype("<i2")
    path.write_bytes(header.encode("ascii") + samples.tobytes())


def write(path: Path, x: np.ndarray, rate: int) -> None:
    if path.suffix == ".sph":
        write_sphere(path, x, rate)
    elif path.suffix == ".ogg":
        soundfile.write(path, x, rate, format="OGG", subtype="VORBIS")
    else:
        soundfile.write(path, x, rate, subtype="PCM_U8" if "8bit" in path.stem else "PCM_16")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True, help="folder for the samples")
    out = parser.parse_args().out
    missing = voices.missing_engines()
    if missing:
        raise SystemExit("\n".join(missing))
    out.mkdir(parents=True, exist_ok=True)
    lines = []
    with tempfile.TemporaryDirectory() as folder:
        scratch = Path(folder)
        sources = (fetch_judges.asterisk, fetch_judges.fossil, fetch_judges.pocketsphinx)
        found = {(r.speaker, r.name): r for source in sources for r in source(scratch)}
        for name, speaker, key, text in RECORDED:
            r = found[speaker, key]
            assert r.text == text, f"{name} says {r.text!r}"
            write(out / name, r.samples, r.rate)
            lines.append((name, text, speaker))
        for name, reading, say in SPOKEN:
            speak = voices.speak_flite if reading.voice.engine == "flite" else voices.speak_espeak
            speak(say, reading, scratch / "spoken.wav")
            write(out / name, *soundfile.read(scratch / "spoken.wav", dtype="float32"))
            lines.append((name, say.replace(",", ""), reading.voice.speaker))
    rows = [{"id": Path(name).stem, "split": "sample", "source": name, "text": text,
             "speaker": speaker, "start": 0.0, "end": None, "extra": {}}
            for name, text, speaker in lines]
    (out / "manifest.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))


if __name__ == "__main__":
    main()
