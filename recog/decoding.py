"""A split decoded by every decoder asked for: at once, or in parts by several processes or jobs, put together afterwards."""

from __future__ import annotations

import json
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Mapping, Sequence

import numpy as np

from . import ensemble, nbest
from .decode import decode
from .evaluation import emissions_of
from .exports import ctm, stm
from .files import read_json, remove, write_text, writing
from .modeldir import LoadedModel
from .nbest import Answer, once
from .part import Part
from .store import Store, write_shard
from .text import Units
from .types import Decoder, Hypothesis, Utterance

Lists = dict[str, Sequence[Hypothesis]]      # by utterance, best first


@dataclass
class Decoded:
    """What was found in some utterances."""

    emissions: dict[str, np.ndarray] = field(default_factory=dict)       # [T, E] each
    lists: dict[str, Lists] = field(default_factory=dict)                # by decoder
    seconds: dict[str, float] = field(default_factory=dict)              # that each decoder took

    def add(self, other: Decoded) -> None:
        self.emissions |= other.emissions
        for name, lists in other.lists.items():
            self.lists.setdefault(name, {}).update(lists)
            self.seconds[name] = self.seconds.get(name, 0.0) + other.seconds[name]


def decode_split(loaded: LoadedModel, store: Store, utterances: Sequence[Utterance], decoders: Mapping[str, Decoder],
                 out: Path, members: Mapping[str, Sequence[LoadedModel]] = {}) -> dict[str, float]:
    """Writes reference.tsv, DECODER.tsv and (for CTC) the log-probabilities of a split; gives each decoder's real-time factor.

    members: models that read beside this one for a decoder, by the decoder's name. What `decode_part` has left in `out` is not done again.
    """
    out.mkdir(exist_ok=True)
    decoded = _kept(out)
    left = [u for u in utterances if u.id not in decoded.emissions]
    if left:
        decoded.add(_decoded(loaded, store, left, decoders, members))
    found = {u.id: decoded.emissions[u.id] for u in utterances}
    if loaded.model.predictor() is None:
        write_shard(out / "log_probs", 0, ((id, 0, rows) for id, rows in found.items()))
    write_text(out / "reference.tsv", "".join(f"{u.id}\t{u.text}\n" for u in utterances))
    times = {u.id: store.length(u.id) * loaded.config.features.step_ms / 1000 for u in utterances}
    write_text(out / "reference.stm", stm(utterances, times))
    for name, decoder in decoders.items():
        lists = {id: decoded.lists[name][id] for id in found}
        answers = {id: hypotheses[0] for id, hypotheses in lists.items()}
        write_text(out / f"{name}.tsv", "".join(f"{id}\t{loaded.units.decode(h.units)}\n" for id, h in answers.items()))
        if getattr(decoder.config, "nbest", 1) > 1 and not members.get(name):
            nbest.write(out / f"{name}.jsonl", {id: _told(hypotheses, loaded.units) for id, hypotheses in lists.items()})
        write_text(out / f"{name}.ctm", ctm(answers, loaded.units, loaded.seconds))
    for part in _parts(out):
        remove(part)
    return {name: decoded.seconds[name] / sum(times.values()) for name in decoders}


def decode_part(loaded: LoadedModel, store: Store, utterances: Sequence[Utterance], decoders: Mapping[str, Decoder],
                out: Path, members: Mapping[str, Sequence[LoadedModel]], part: Part) -> None:
    """Decodes a part of the split and keeps what is found in `out`, for `decode_split`; nothing, if that is there already."""
    folder, own = out / f"part-{part.number:05d}-of-{part.of:05d}", part.share(utterances)
    if folder.exists() or not own:
        return
    decoded = _decoded(loaded, store, own, decoders, members)
    with writing(folder) as partial:
        partial.mkdir()
        write_shard(partial, 0, ((id, 0, rows) for id, rows in decoded.emissions.items()))
        lists = {name: {id: [asdict(h) for h in found] for id, found in lists.items()} for name, lists in decoded.lists.items()}
        (partial / "answers.json").write_text(json.dumps({"lists": lists, "seconds": decoded.seconds}))


def _decoded(loaded: LoadedModel, store: Store, utterances: Sequence[Utterance], decoders: Mapping[str, Decoder],
             members: Mapping[str, Sequence[LoadedModel]]) -> Decoded:
    found = emissions_of(loaded, store, [u.id for u in utterances])
    decoded = Decoded(found)
    beside = {model.name: ensemble.heard(model, utterances) for model in {m.name: m for each in members.values() for m in each}.values()}
    for name, decoder in decoders.items():
        others = [beside[model.name] for model in members.get(name, ())]
        decode(decoder, next(iter(found.values()))[:1])            # compiled before it is timed
        began = time.perf_counter()
        decoded.lists[name] = {id: ensemble.agreed(decoder, [rows, *(other[id] for other in others)]) if others else decode(decoder, rows)
                               for id, rows in found.items()}
        decoded.seconds[name] = time.perf_counter() - began
    return decoded


def _parts(out: Path) -> list[Path]:
    return sorted(out.glob("part-*-of-*[0-9]"))


def _kept(out: Path) -> Decoded:
    """What is there of parts."""
    decoded = Decoded()
    for part in _parts(out):
        store, told = Store(part), read_json(part / "answers.json")
        lists = {name: {id: [_hypothesis(each) for each in found] for id, found in lists.items()} for name, lists in told["lists"].items()}
        decoded.add(Decoded({id: np.array(store.frames(id)) for id in store.ids()}, lists, told["seconds"]))
    return decoded


def _hypothesis(plain: dict[str, Any]) -> Hypothesis:
    return Hypothesis(tuple(plain["units"]), plain["score"], plain["parts"], tuple((start, end) for start, end in plain["spans"]),
                      tuple(plain["confidence"]))


def _told(hypotheses: Sequence[Hypothesis], units: Units) -> list[Answer]:
    return list(once(Answer(units.decode(h.units), h.score, h.parts) for h in hypotheses))
