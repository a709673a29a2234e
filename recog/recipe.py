"""Recipe folders: recipe.toml, prepare.py and models/*.toml, found by path or by the name of one that comes with recog."""

from __future__ import annotations

import importlib.util
import shutil
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Callable, Iterator, Literal, Sequence

from .augment import ChannelConfig
from .components import nearest
from .config import Component, build, component, override, read_toml
from .errors import ConfigError
from .files import digest, digest_of, writing
from .models.recognizer import RecognizerConfig
from .features import FeatureConfig
from .text import UnitsConfig
from .train import TrainConfig
from .types import Utterance

Prepare = Callable[[Path], Iterator[Utterance]]


@dataclass(frozen=True)
class RecipeConfig:
    """recipe.toml: what the corpus is. Nothing about models."""

    description: str
    data_licence: str                            # goes into every model trained here
    medium: Literal["audio", "ink", "image"] = "audio"
    model: str = "ctc"                           # the model file used when none is named
    generated: bool = False                      # prepare makes the corpus itself, in the folder it is given
    dev: str = "dev"                             # the split that stops training
    test: tuple[str, ...] = ("test",)            # the splits that are scored
    score: tuple[Literal["word", "char", "phone"], ...] = ("word", "char")   # the first one stops training and is quoted
    expect: dict[str, int] = field(default_factory=dict)    # utterances per split, as published


@dataclass(frozen=True)
class ViewsConfig:
    """Copies of each training utterance whose features are stored; each epoch uses one of them, drawn anew."""

    speeds: tuple[float, ...] = (1.0,)           # one copy at each speed; 1.1 is faster and higher
    channels: int = 0                            # more copies, each through a channel drawn from [views.channel]
    seed: int = 0
    channel: ChannelConfig = field(default_factory=ChannelConfig)

    def __post_init__(self):
        if not self.speeds and not self.channels:
            raise ValueError("speeds must name at least one speed, or channels be above 0")
        if any(not 0.5 <= speed <= 2 for speed in self.speeds) or self.channels < 0:
            raise ValueError("speeds must be from 0.5 to 2, and channels at least 0")


def _greedy() -> tuple[Component, ...]:
    return (component("decoder", default="greedy").default_factory(),)


@dataclass(frozen=True)
class Experiment:
    """models/NAME.toml: a model and how it is trained and decoded."""

    encoder: Component = component("encoder")
    head: Component = component("head", default="ctc")
    decoders: tuple[Component, ...] = field(metadata={"of": "decoder"}, default_factory=_greedy)  # the first goes into the model
    hooks: tuple[Component, ...] = field(metadata={"of": "hook"}, default=())
    features: FeatureConfig = field(default_factory=FeatureConfig)
    units: UnitsConfig = field(default_factory=UnitsConfig)
    views: ViewsConfig = field(default_factory=ViewsConfig)
    train: TrainConfig = field(default_factory=TrainConfig)

    def __post_init__(self):
        if not self.decoders:
            raise ValueError("decoders must name at least one decoder")

    @property
    def recognizer(self) -> RecognizerConfig:
        return RecognizerConfig(encoder=self.encoder, head=self.head, decoder=self.decoders[0],
                                features=self.features, units=self.units)


@dataclass(frozen=True)
class Recipe:
    """A recipe folder, read and checked."""

    name: str
    folder: Path
    config: RecipeConfig

    def models(self) -> list[str]:
        return sorted(p.stem for p in (self.folder / "models").glob("*.toml"))

    def experiment(self, model: str, overrides: Sequence[str] = ()) -> Experiment:
        """The settings of one model file, with `section.key=value` overrides on top."""
        path = self.folder / "models" / f"{model}.toml"
        if not path.is_file():
            raise ConfigError(f"there is no model '{model}'{nearest(model, self.models())}", where=self.folder)
        table = read_toml(path)
        for assignment in overrides:
            override(table, assignment)
        return build(Experiment, table, where=path)

    def prepare(self) -> Prepare:
        """The function `prepare` of prepare.py."""
        path = self.folder / "prepare.py"
        if not path.is_file():
            raise ConfigError("has no prepare.py", where=self.folder)
        spec = importlib.util.spec_from_file_location(f"recog_recipe_{self.name}", path, submodule_search_locations=[str(self.folder)])
        module = sys.modules[spec.name] = importlib.util.module_from_spec(spec)     # dataclasses and relative imports look there
        spec.loader.exec_module(module)
        if not callable(getattr(module, "prepare", None)):
            raise ConfigError("has no function prepare(corpus)", where=path)
        return module.prepare

    def digest(self) -> str:
        """Of the code and facts that prepare may use: every .py and .txt file of the folder."""
        files = sorted(p for p in self.folder.rglob("*") if p.suffix in (".py", ".txt") and "__pycache__" not in p.parts)
        return digest_of({str(p.relative_to(self.folder)): digest(p) for p in files})


def find(name: str | Path) -> Recipe:
    """A recipe from its folder, or from the name of one that comes with recog."""
    folder = Path(name)
    if not folder.is_dir() and str(name) in shipped():
        folder = home() / str(name)
    if not folder.is_dir():
        raise ConfigError(f"there is no such recipe folder, and none of this name comes with recog{nearest(str(name), shipped())}", where=name)
    table: dict[str, Any] = read_toml(folder / "recipe.toml")
    expect = table.pop("expect", {})
    if not isinstance(expect, dict) or any(type(v) is not int for v in expect.values()):
        raise ConfigError("expect: must map splits to whole numbers", where=folder / "recipe.toml")
    config = build(RecipeConfig, table, where=folder / "recipe.toml")
    return Recipe(folder.resolve().name, folder, RecipeConfig(**{**vars(config), "expect": expect}))


def home() -> Path:
    """Where the recipes that come with recog lie: inside an installed package, beside it in a checkout."""
    package = Path(__file__).parent
    return package / "recipes" if (package / "recipes").is_dir() else package.parent / "recipes"


def shipped() -> list[str]:
    return sorted(p.parent.name for p in home().glob("*/recipe.toml"))


def copy(name: str, target: Path) -> Path:
    """Copies a shipped recipe to a new folder, to be changed there."""
    source = find(name).folder
    target = target / source.resolve().name if target.is_dir() else target
    if target.exists():
        raise ConfigError("is there already", where=target, hint="choose another folder")
    with writing(target) as partial:
        shutil.copytree(source, partial, ignore=shutil.ignore_patterns("__pycache__", "*.pyc"))
    return target
