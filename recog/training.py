"""The stage `train`: from stored features to a model folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Iterator

import torch
from torch import nn

from . import manifest, modeldir, ranks, results, splice
from .errors import DataError
from .evaluation import DevelopmentSet, emissions
from .examples import Example, Examples, Packed
from .features import Normalizer, limited, values
from .files import digest
from .ledger import say
from .models.recognizer import Recognizer, build
from .pen.features import to_the_right
from .perturb import PerturbConfig
from .phases import Phase, phases, train_phases
from .plan import Run
from .pretrain import pretrain
from .text import Units
from .train import TrainConfig
from .types import Utterance


def train_model(run: Run, out: Path, device: torch.device, variant: str | None) -> dict[str, Any]:
    """Trains, or goes on training, in the stage's folder `out`; writes the model folder and gives the figures of the run."""
    experiment, config, recipe = run.experiment, run.experiment.train, run.recipe
    material = Material(run, Units.load(run.folder / "units" / "units.json"), out / "unfit.txt")
    model, started = fresh(run, material, begun=(out / "state").exists())
    model.to(device)

    steps = phases(config, experiment.hooks, experiment.second)

    def examples(phase: Phase) -> Examples:
        wanted = phase is steps[-1] and experiment.splice.share
        splices = ranks.from_first(lambda: material.splices(model)) if wanted else None      # one hears for all: all cut alike
        return material.examples(model, "train", phase.train, phase.train.perturb, splices)

    dev = material.examples(model, recipe.config.dev, config, PerturbConfig())
    evaluate = DevelopmentSet(dev, material.units, material.texts(recipe.config.dev), recipe.config.score[0], recipe.folding())
    first = material.examples(model, "train", config, config.perturb)
    say(f"train: {sum(w.numel() for w in model.parameters()):,} weights, {len(first)} utterances, {first.batches_in(0)} batches an epoch, "
        f"padding {first.waste(0):.1%}, on {device}")
    ended, figures = train_phases(model, examples, evaluate, steps, out, say)
    ranks.rest_is_for_the_first()
    facts = {"medium": recipe.config.medium, "data_licence": recipe.facts(variant).data_licence,
             "provenance": results.provenance(recipe, run.name, ended, device, started, variant) | figures, "scores": {}}
    words = sorted({word for text in material.texts("train") for word in text.split()}) if material.units.kind in ("char", "piece") else []
    modeldir.save(run.folder / "model", run.name, experiment.recognizer, model, material.units, material.normalizer, facts, words=words)
    return {**figures, "weights": digest(run.folder / "model" / "weights.safetensors"), "epochs": ended.epoch,
            "best_epoch": ended.best_epoch, "best": ended.best, "minutes": round(ended.seconds / 60, 1)}


def fresh(run: Run, material: Material, begun: bool) -> tuple[Recognizer, str | None]:
    """The model before its first step, and the digest of the weights that it starts from, if it does from any.

    begun: a state will be restored over it, so that what takes time can be left out.
    """
    config = run.experiment.train
    torch.manual_seed(config.seed)
    model = build(run.experiment.recognizer, len(material.units))
    if config.initial:
        for w in model.parameters():
            nn.init.uniform_(w, -config.initial, config.initial)
    if getattr(run.experiment.head.config, "pretrain_epochs", 0) and not begun:      # a transducer's prediction network
        pretrain(model.head, [material.labels(u) for u in material.read("train")], config.seed, say)
    return model, modeldir.start_from(model, material.units, config.start) if config.start else None


class Material:
    """What a training learns from: stored features, and the texts of their utterances as labels."""

    def __init__(self, run: Run, units: Units, listing: Path):
        """listing: where utterances that cannot be learned are written down."""
        self.experiment, self.units, self.store, self.listing = run.experiment, units, run.store(), listing
        self.manifest, self.texts_file, self.normalizer = run.manifest, run.texts, None
        self._packed: dict[str, Packed] = {}
        if run.experiment.features.normalize == "corpus":
            rows = ([self.store.row(u.id, view) for view in range(self.store.views(u.id))] for u in self.read("train"))
            self.normalizer = Normalizer.fit(limited(values(frames), run.experiment.features)
                                             for views in self.store.batches(rows) for frames in views)

    def read(self, split: str) -> Iterator[Utterance]:
        """From the manifest each time: there may be millions."""
        return manifest.read(self.manifest, split)

    def texts(self, split: str) -> Iterator[str]:
        return (u.text for u in self.read(split))

    def labels(self, utterance: Utterance) -> list[int]:
        return self.units.encode(utterance.text, where=f"utterance '{utterance.id}'")

    def examples(self, model: Recognizer, split: str, config: TrainConfig, perturb: PerturbConfig,
                 splices: splice.Splicer | None = None) -> Examples:
        """Raises DataError when the model cannot learn some of them."""
        if split not in self._packed:
            self._packed[split] = Packed(self.store, (Example(u.id, tuple(self.labels(u)), u.speaker, len(u.text.split())) for u in self.read(split)))
        rows = self._packed[split]
        self._refuse_unfit(rows, model)
        return Examples(self.store, rows, self.experiment.features, self.normalizer, config.batch, perturb, config.seed, splices)

    def splices(self, model: Recognizer) -> splice.Splicer:
        """Words of the training set, cut where the model hears them end."""
        whole = self.examples(model, "train", self.experiment.train, PerturbConfig())
        features = self.experiment.features
        noticed = {"audio": splice.loudness, "ink": lambda frames: -to_the_right(frames, features), "image": splice.darkness}[features.medium]
        texts = self._free_texts() if self.experiment.splice.letters else []
        return splice.make(self.experiment.splice, self.units, self.store, list(self.read("train")), emissions(model, whole), noticed, texts)

    def _free_texts(self) -> list[str]:
        """Lines in characters that there are units for."""
        known = set(self.units.symbols)
        lines = [line for line in self.texts_file.read_text().splitlines() if known.issuperset(line)] if self.texts_file.is_file() else []
        if not lines:
            raise DataError("there is no free text to write in letters of the corpus", where=self.texts_file,
                            hint="give the corpus books in text/, or set splice.letters = 0")
        return lines

    def _refuse_unfit(self, rows: Packed, model: Recognizer) -> None:
        """Raises DataError when an utterance has frames out of the encoder from which the head cannot learn its labels."""
        per_frame = self.experiment.features.stack * model.encoder.subsampling
        unfit = []
        for i, number in enumerate(rows.numbers):
            labels, lengths = rows.labels(i).tolist(), -(-self.store.lengths[self.store.first[number]:self.store.first[number + 1]] // per_frame)
            unfit += [(rows.id(i), reason) for reason in [next(filter(None, (model.head.unfit(n, labels) for n in lengths.tolist())), "")] if reason]
        if unfit:
            self.listing.write_text("".join(f"{id}\t{reason}\n" for id, reason in unfit))
            raise DataError(f"{len(unfit)} utterances cannot be learned: "
                            + ", ".join(f"'{id}' ({reason})" for id, reason in unfit[:3]), where=self.listing,
                            hint="leave them out in prepare, or change features.stack, encoder.subsample, views.speeds or head.memory_mb")
