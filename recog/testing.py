"""Tiny corpora that a model learns in seconds: frames that spell digits, and a recipe of a few short tones."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Callable, Sequence

import numpy as np

from .batching import BatchConfig
from .config import Component
from .encoders.blstm import BlstmConfig
from .evaluation import DevelopmentSet
from .examples import Example, Examples
from .features import FeatureConfig
from .heads.ctc import CtcConfig
from .models.recognizer import Recognizer, RecognizerConfig, build
from .optim import OptimizerConfig
from .perturb import PerturbConfig
from .store import Store, write_shard
from .text import Units
from .train import TrainConfig
from .types import Waveform

DIGITS = "0123"
WIDTH = 6
CONFIG = RecognizerConfig(encoder=Component("blstm", BlstmConfig(layers=1, units=12)), head=Component("ctc", CtcConfig()),
                          features=FeatureConfig(mels=WIDTH, normalize="none"))
FAST = TrainConfig(epochs=12, clip=5.0, batch=BatchConfig(utterances=8), optimizer=OptimizerConfig(rate=0.03, schedule="linear"))


@dataclass(frozen=True)
class Spelled:
    """Utterances as arrays: each digit a level of its own in one of the features, gaps between, noise on top."""

    store: Store
    texts: dict[str, str]
    units: Units

    def examples(self, config: TrainConfig, split: str = "train", perturb: PerturbConfig = PerturbConfig()) -> Examples:
        rows = [Example(id, tuple(self.units.encode(text))) for id, text in self.texts.items() if id.startswith(split)]
        return Examples(self.store, rows, CONFIG.features, None, config.batch, perturb, config.seed)

    def evaluate(self, config: TrainConfig, split: str = "dev") -> DevelopmentSet:
        examples = self.examples(config, split)
        return DevelopmentSet(examples, self.units, [self.texts[e.id] for e in examples.examples], "char")


def spelled(folder: Path, train: int = 96, dev: int = 16, seed: int = 0) -> Spelled:
    """Writes the frames of `train` + `dev` utterances of one to four digits to a store in `folder`."""
    rng = np.random.default_rng(seed)
    ids = [f"{split}{number:03d}" for split, count in (("train", train), ("dev", dev)) for number in range(count)]
    texts = {id: "".join(rng.choice(list(DIGITS), rng.integers(1, 5))) for id in ids}
    write_shard(folder, 0, ((id, 0, frames(text, rng)) for id, text in texts.items()))
    return Spelled(Store(folder), texts, Units("char", ["<blank>", *DIGITS]))


def frames(text: str, rng: np.random.Generator) -> np.ndarray:
    """float32 [T, WIDTH]: two to four frames for a digit, one or two between."""
    parts = [np.zeros((2, WIDTH))]
    for digit in text:
        spoken = np.zeros((rng.integers(2, 5), WIDTH))
        spoken[:, int(digit)] = 1
        parts += [spoken, np.zeros((rng.integers(1, 3), WIDTH))]
    clean = np.concatenate(parts)
    return (clean + rng.normal(0, 0.1, clean.shape)).astype(np.float32)


def tiny_model(units: int = len(DIGITS) + 1, seed: int = 1) -> Recognizer:
    import torch

    torch.manual_seed(seed)
    return build(CONFIG, units)


def tiny_recipe(folder: Path, settings: str = "", expect: str = "") -> Path:
    """A recipe folder that reads what `tone_corpus` writes; `settings` go to its model file, `expect` to [expect]."""
    (folder / "models").mkdir(parents=True)
    (folder / "recipe.toml").write_text(
        f'description = "tones in a folder"\ndata_licence = "Apache-2.0"\nscore = ["char"]\n{expect}\n')
    (folder / "prepare.py").write_text(_PREPARE)
    (folder / "models" / "ctc.toml").write_text(settings or SETTINGS)
    return folder


_PREPARE = '''\
from recog.types import Utterance


def prepare(corpus):
    for line in (corpus / "list.tsv").read_text().splitlines():
        id, split, text = line.split("\\t")
        yield Utterance(id, split, str(corpus / f"{id}.wav"), text)
'''

SETTINGS = """\
[features]
mels = 12
normalize = "utterance"

[encoder]
kind = "blstm"
layers = 1
units = 8

[train]
epochs = 2
batch.utterances = 4
optimizer.rate = 0.01
"""

ROWS = [(f"{split}{number}", split, text) for split, texts in
        {"train": ["01", "12", "20", "0", "1", "2", "201", "10"], "dev": ["12", "0"], "test": ["21", "10"]}.items()
        for number, text in enumerate(texts)]


def tone_corpus(folder: Path, rows: Sequence[tuple[str, str, str]] = tuple(ROWS), seconds: Callable[[str], float] | None = None) -> Path:
    """Writes list.tsv (id, split, text) and a WAV file for each row: a tone for each digit, or `seconds(id)` of silence."""
    from . import audio

    folder.mkdir(parents=True, exist_ok=True)
    (folder / "list.tsv").write_text("".join("\t".join(row) + "\n" for row in rows))
    for id, _, text in rows:
        sound = np.concatenate([tone(c) for c in text]) if text.strip() else np.zeros(1600)
        if seconds is not None:
            sound = np.zeros(int(seconds(id) * 16000))
        audio.write(folder / f"{id}.wav", Waveform(sound.astype(np.float32), 16000))
    return folder


def tone(character: str) -> np.ndarray:
    """A tenth of a second at a pitch of its own, and a gap."""
    time = np.arange(1600) / 16000
    return np.concatenate([0.5 * np.sin(2 * np.pi * (200 + 40 * (ord(character) % 50)) * time), np.zeros(800)])
