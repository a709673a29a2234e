"""Exported networks beside recog's own: how far their answers are off, how large and how fast they are, and what errors 8 bits cost."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any, Iterator, NamedTuple, Sequence

import numpy as np
import torch

from recog import manifest, reading
from recog.batching import pad
from recog.decode import decode
from recog.decode.greedy import Greedy
from recog.features import finish
from recog.modeldir import LoadedModel, bundled, load, locate
from recog.portable import runtime
from recog.portable.export import CLOSE, export
from recog.score import error_rate
from recog.sources import medium_of
from recog.types import Utterance
from recog.views import ViewsConfig, views

from .table import Row, at_most, median, ratio, side_by_side, torch_threads

DATA = Path(__file__).parents[1] / "data"
MODELS = {"english_small": (DATA / "samples" / "manifest.jsonl", "word"), "pen": (DATA / "ink" / "manifest.jsonl", "char"),
          "line": (DATA / "images" / "manifest.jsonl", "char")}
READS = {"audio": {"audio"}, "ink": {"ink"}, "image": {"image", "ink"}}      # ink is drawn
MOST = 130                                          # utterances; as many as AN4's test set has
TIMED = 24                                          # of them, one after the other


class Heard(NamedTuple):
    frames: np.ndarray                              # [T, D]
    text: str


def rows(quick: bool = False, manifests: Sequence[Path] = ()) -> Iterator[Row]:
    """manifests: of more sound or ink; of each its test split, whatever that is called, in the place of the samples."""
    for name, (samples, unit) in MODELS.items():
        if name in bundled() and not (quick and unit == "char"):
            loaded = load(locate(name))
            given = [each for each in manifests if _medium(each) in READS[loaded.config.features.medium]]
            for path in given or [samples]:
                heard = _heard(loaded, path)
                what = f"{name}, {len(heard)} {'utterances' if unit == 'word' else 'lines'}"
                with torch_threads(1):
                    yield from _compared(loaded, what, heard[:2] if quick else heard, unit, 1 if quick else 5, quick)


def _medium(path: Path) -> str:
    return medium_of(str(path.parent / next(manifest.read(path)).source))


def _heard(loaded: LoadedModel, path: Path) -> list[Heard]:
    utterances = [replace(u, source=str(path.parent / u.source)) for u in manifest.read(path)]
    utterances = [u for u in utterances if u.split.startswith("test")] or utterances
    return [each for u in utterances[::max(1, len(utterances) // MOST)][:MOST] for each in _read(loaded, u)]


def _read(loaded: LoadedModel, utterance: Utterance) -> list[Heard]:
    """An utterance; of a page of ink, or its picture, each line."""
    if medium_of(utterance.source) == loaded.config.features.medium != "audio":
        texts = utterance.text.splitlines()
        pieces = list(reading.pieces(loaded, utterance.source, lines=len(texts) > 1))
        return [Heard(piece.frames, text) for piece, text in zip(pieces, texts)] if len(pieces) == len(texts) else []
    features = loaded.config.features
    return [Heard(finish(next(views(utterance, features, ViewsConfig())), features, loaded.normalizer), utterance.text)]


def _compared(loaded: LoadedModel, what: str, heard: list[Heard], unit: str, repeats: int, quick: bool) -> Iterator[Row]:
    def own(x: np.ndarray, n: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        found, lengths = loaded.model.log_probs(torch.from_numpy(x), torch.from_numpy(n))
        return found.numpy(), lengths.numpy()

    runs: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder:
        for to in ("onnx",) if quick else ("onnx", "torchscript"):
            for int8 in (False, True):
                name, out = to + (" int8" if int8 else ""), Path(folder) / f"{to}{int8}"
                export(locate(loaded.name), out, to, int8, None, False)
                (path,) = out.glob(f"model{runtime.SUFFIX[to]}")
                runs[name] = runtime.opened(path, 1)
                yield Row(f"{what}: {name}, file", path.stat().st_size / 1e6, "MB")
    said = {"recog": _each(own, heard)} | {name: _each(run, heard) for name, run in runs.items()}
    for name in runs:
        off = np.concatenate([np.abs(a - b).ravel() for a, b in zip(said[name], said["recog"])])
        if "int8" not in name:
            yield at_most(f"{what}: {name}, log-probabilities off by at most", float(off.max()), "nats", CLOSE)
            yield at_most(f"{what}: {name}, in batches of 8, off by at most", _in_batches(runs[name], heard, said["recog"]), "nats", CLOSE)
        else:
            yield Row(f"{what}: {name}, probabilities off by, in the mean", float(np.mean([np.abs(np.exp(a) - np.exp(b)).mean() for a, b in
                                                                                      zip(said[name], said["recog"])])), "")
    for name, found in said.items():
        texts = [loaded.units.decode(decode(Greedy(), log_probs)[0].units) for log_probs in found]
        yield Row(f"{what}: {name}, {'WER' if unit == 'word' else 'CER'} of the best path",
                  100 * error_rate([each.text for each in heard], texts, unit), "%")
    timed = heard[:TIMED]
    times = side_by_side([lambda run=run: _each(run, timed) for run in (own, *runs.values())], repeats)
    frames = sum(len(each.frames) for each in timed)
    yield Row(f"{what}: recog, one core, one at a time", frames / median(times, 0), "frames/s")
    for number, name in enumerate(runs, 1):
        yield Row(f"{what}: {name}, times as fast as recog", ratio(times, 0, number), "times")


def _each(run: Any, heard: list[Heard]) -> list[np.ndarray]:
    return [run(each.frames[None], np.array([len(each.frames)]))[0][0] for each in heard]


def _in_batches(run: Any, heard: list[Heard], alone: list[np.ndarray]) -> float:
    worst = 0.0
    for i in range(0, len(heard), 8):
        batch = pad([""] * len(heard[i:i + 8]), [each.frames for each in heard[i:i + 8]], [()] * len(heard[i:i + 8]))
        found, lengths = run(batch.x.numpy(), batch.x_len.numpy())
        worst = max([worst, *(float(np.abs(a[:n] - b).max()) for a, b, n in zip(found, alone[i:i + 8], lengths))])
    return worst
