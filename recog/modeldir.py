"""A model is a folder that explains itself and cannot run anything.

    model.json           format version, settings, digests, provenance, scores, data licence
    weights.safetensors  float32 (or float16, widened on loading)
    units.json           the inventory
    normalizer.json      the training set's mean and deviation (normalize = "corpus" only)
    lexicon.txt          the words of the training texts (characters and pieces only)
    lm.arpa              a language model, if it has one; or lm.arpa.gz

Loading unpickles nothing and imports only what the catalogue knows; every file's size and digest is checked.
"""

from __future__ import annotations

import gzip
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Callable, Sequence

import torch
from torch import nn

from .components import nearest
from .config import Component, build as build_config, plain
from .errors import ConfigError, DataError, ModelError
from .features import Normalizer
from .files import digest, read_json, write_json, write_tensors, write_text, writing
from .lm.ngram import Ngram
from .lm.tokens import read_bytes
from .models.recognizer import Recognizer, RecognizerConfig, build
from .text import Units

FORMAT = 1
WEIGHTS, UNITS, _NORMALIZER, _LEXICON, LM = "weights.safetensors", "units.json", "normalizer.json", "lexicon.txt", "lm.arpa"
MEMBERS = "members"                      # a folder of model folders, in the order of "members" in model.json
PACKED = LM + ".gz"
DEFAULTS = {"audio": "english_small", "ink": "pen", "image": "line"}          # bundled models, by the medium that they read


@dataclass(frozen=True)
class LoadedModel:
    """A recognizer ready for use (in evaluation mode), with all that goes with it."""

    name: str
    config: RecognizerConfig
    model: Recognizer
    units: Units
    normalizer: Normalizer | None
    words: tuple[str, ...]               # of the training texts; none if they were not kept
    lm: Ngram | None                     # the language model, if it has one
    info: dict[str, Any]                 # model.json as it stands
    members: tuple[LoadedModel, ...] = ()    # others that read beside it: ensemble.py

    @property
    def frame_seconds(self) -> float:
        """Time from one row of log-probabilities to the next."""
        return self.config.features.frame_seconds * self.model.encoder.subsampling

    def seconds(self, frame: int) -> float:
        """When row `frame` of the log-probabilities begins: between the middles of two windows, the first with the sound."""
        features = self.config.features
        return frame * self.frame_seconds + (features.window_ms - features.step_ms) / 2000 if frame else 0.0


def save(folder: Path, name: str, config: RecognizerConfig, model: nn.Module, units: Units, normalizer: Normalizer | None,
         facts: dict[str, Any], half: bool = False, words: Sequence[str] = (), lm: Path | None = None,
         members: Sequence[LoadedModel] = ()) -> None:
    """Writes a model folder, whole or not at all. facts: medium, data_licence, provenance, scores, ...; lm: a file to take along.

    half: as small as can be, the weights in float16 and the language model compressed. members: go in without language models.
    """
    if members:
        facts = facts | {"members": [member.name for member in members]}
    kind = torch.float16 if half else torch.float32
    with writing(folder) as partial:
        partial.mkdir()
        write_tensors(partial / WEIGHTS, {key: value.to(kind) for key, value in model.state_dict().items()})
        units.save(partial / UNITS)
        if normalizer is not None:
            normalizer.save(partial / _NORMALIZER)
        if words:
            write_text(partial / _LEXICON, "".join(f"{word}\n" for word in words))
        if lm is not None and half:
            (partial / PACKED).write_bytes(gzip.compress(read_bytes(lm), mtime=0))
        elif lm is not None:
            shutil.copyfile(lm, partial / (PACKED if lm.suffix == ".gz" else LM))
        files = {p.name: {"bytes": p.stat().st_size, "sha256": digest(p)} for p in sorted(partial.iterdir())}
        for m in members:
            save(partial / MEMBERS / m.name, m.name, m.config, m.model, m.units, m.normalizer, facts_of(m.info), half)
        write_json(partial / "model.json", {**facts, "format": FORMAT, "name": name, "config": plain(config), "files": files,
                                            "weights": sum(w.numel() for w in model.parameters())})


def facts_of(info: dict[str, Any]) -> dict[str, Any]:
    """What model.json says beyond what follows from the model itself."""
    return {key: value for key, value in info.items() if key not in ("format", "name", "config", "files", "weights", "members")}


def load(folder: Path) -> LoadedModel:
    """Raises ModelError naming the file that is missing, cut short, altered or at odds with another."""
    info = described(folder)
    if info.get("medium") == "text":
        raise ModelError("is a language model of characters, and recognizes nothing", where=folder,
                         hint="it is for --lm of recog transcribe, and for recog lm tune and recog lm rescore")
    if info.get("medium") == "writing":
        raise ModelError("is a model that writes, and recognizes nothing", where=folder)
    if info.get("medium") == "pixels":
        raise ModelError("is a model that classifies pixels, and transcribes nothing", where=folder)
    try:
        config = build_config(RecognizerConfig, info["config"], where=folder / "model.json")
    except ConfigError as error:
        raise ModelError(error.what, where=error.where, hint="was it made by another version of recog?") from None
    try:
        units = Units.load(folder / UNITS)
        normalizer = Normalizer.load(folder / _NORMALIZER) if config.features.normalize == "corpus" else None
    except DataError as error:
        raise ModelError(error.what, where=error.where, hint="the model folder is incomplete: copy or train it again") from None
    if normalizer is not None and len(normalizer.mean) != config.features.width:
        raise ModelError(f"has {len(normalizer.mean)} values, the features have {config.features.width}", where=folder / _NORMALIZER)
    model = build(config, len(units))
    fill(model, folder / WEIGHTS)
    lexicon = folder / _LEXICON
    words = tuple(lexicon.read_text(encoding="utf-8").split()) if _LEXICON in info["files"] else ()
    path = language_model(folder, info)
    lm = None if path is None else Ngram.read(path)
    members = tuple(load(folder / MEMBERS / Path(name).name) for name in info.get("members", ()))
    return LoadedModel(info["name"], config, model.eval(), units, normalizer, words, lm, info, members)


def language_model(folder: Path, info: dict[str, Any]) -> Path | None:
    """Its file in a model folder, if it has one."""
    return next((folder / name for name in (LM, PACKED) if name in info["files"]), None)


def equip(folder: Path, lm: Path, decoder: Component, words: Sequence[str] = ()) -> None:
    """Puts a language model, the decoder that asks it, and another lexicon if one is given, into a finished model folder."""
    info = described(folder)
    with writing(folder) as partial:
        shutil.copytree(folder, partial)
        shutil.copyfile(lm, partial / LM)
        (partial / PACKED).unlink(missing_ok=True)
        info["files"].pop(PACKED, None)
        if words:
            write_text(partial / _LEXICON, "".join(f"{word}\n" for word in words))
        for name in (LM, _LEXICON)[:2 if words else 1]:
            info["files"][name] = {"bytes": (partial / name).stat().st_size, "sha256": digest(partial / name)}
        write_json(partial / "model.json", info | {"config": info["config"] | {"decoder": plain(decoder)}})


def described(folder: Path) -> dict[str, Any]:
    if not (folder / "model.json").is_file():
        raise ModelError("is not a model folder: it has no model.json", where=folder)
    try:
        info = read_json(folder / "model.json")
        version, files = info["format"], {name: (facts["bytes"], facts["sha256"]) for name, facts in info["files"].items()}
        info["name"], info["config"]
    except (DataError, KeyError, TypeError, AttributeError):
        raise ModelError("is not a model description", where=folder / "model.json", hint="was it cut short or edited?") from None
    if version != FORMAT:
        raise ModelError(f"has format {version}, this recog reads format {FORMAT}", where=folder, hint="use the recog that made it")
    for name in (WEIGHTS, UNITS, *(p.name for p in folder.glob(_NORMALIZER))):
        if name not in files:
            raise ModelError("has no digest in model.json", where=folder / name, hint="was model.json edited?")
    for name, (size, sha256) in files.items():
        file = folder / Path(name).name
        if not file.is_file():
            raise ModelError("is missing", where=file, hint="the model folder is incomplete: copy or train it again")
        if file.stat().st_size != size:
            raise ModelError(f"has {file.stat().st_size} bytes, not {size}", where=file, hint="it was cut short: copy it again")
        if digest(file) != sha256:
            raise ModelError("was altered: its digest is not the one in model.json", where=file, hint="copy or train it again")
    return info


def rebuilt(folder: Path, medium: str, network: Any, what: str, hint: str) -> tuple[dict[str, Any], nn.Module, Units]:
    """A model folder that holds no recognizer but one network: model.json, the network with its weights, and the units.

    network: a class with a Config, made from that and the number of units. Raises ModelError saying `what` the folder is not.
    """
    info = described(folder)
    if info.get("medium") != medium:
        raise ModelError(what, where=folder, hint=hint)
    try:
        config = build_config(network.Config, info["config"], where=folder / "model.json")
    except ConfigError as error:
        raise ModelError(error.what, where=error.where, hint="was it made by another version of recog?") from None
    units = Units.load(folder / UNITS)
    model = network(config, len(units))
    fill(model, folder / WEIGHTS)
    return info, model, units


def fill(model: nn.Module, path: Path) -> None:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        model.load_state_dict({key: value.float() for key, value in load_file(path).items()}, strict=True)
    except (SafetensorError, FileNotFoundError) as error:
        raise ModelError(f"cannot be read: {error}", where=path) from None
    except RuntimeError as error:
        raise ModelError("does not fit the settings in model.json: " + str(error).split("\n", 1)[-1].strip(), where=path) from None


def start_from(model: nn.Module, units: Units, name: str, load: Callable[[Path], Any] = load) -> str:
    """Copies the weights of a finished model into a fresh one where names and shapes agree; gives their digest.

    load: what reads such a model's folder. Raises ModelError when the units differ or not one weight fits.
    """
    folder = locate(name)
    other = load(folder)
    if other.units.symbols != units.symbols:
        raise ModelError("has other units than this recipe, so its outputs mean something else", where=folder, hint="train.start")
    own = model.state_dict()
    fitting = {key: w for key, w in other.model.state_dict().items() if key in own and own[key].shape == w.shape}
    if not fitting:
        raise ModelError("has no weights of the shapes that are to be trained", where=folder, hint="train.start")
    model.load_state_dict(fitting, strict=False)
    return other.info["files"][WEIGHTS]["sha256"]


def bundled() -> list[str]:
    """Names of the models that come with recog."""
    return sorted(p.parent.name for p in _pretrained().glob("*/model.json"))


def locate(name: str | Path) -> Path:
    """A model's folder, from its path or the name of a bundled model."""
    if (Path(name) / "model.json").is_file():
        return Path(name)
    if str(name) in bundled():
        return _pretrained() / str(name)
    if Path(name).exists():
        raise ModelError("is not a model folder: it has no model.json", where=name)
    raise ModelError(f"no model folder and no bundled model has this name{nearest(str(name), bundled())}", where=name)


def _pretrained() -> Path:
    return Path(__file__).parent / "pretrained"
