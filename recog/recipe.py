"""Recipe folders: recipe.toml, prepare.py and models/*.toml, found by path or by the name of one that comes with recog."""

from __future__ import annotations

import importlib.util
import shutil
import sys
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Callable, Iterator, Literal, Sequence

from . import phones
from .components import nearest
from .config import build, override, read_toml
from .errors import ConfigError
from .files import digest, digest_of, recipes_home, writing
from .phones import Folding
from .types import Utterance

if TYPE_CHECKING:
    from .experiment import Experiment, PixelExperiment, TextExperiment, WritingExperiment
    from .pixels import Picture

Prepare = Callable[[Path], Iterator[Utterance]]


@dataclass(frozen=True)
class VariantConfig:
    """[variants.NAME] in recipe.toml: another edition of the corpus, which prepare.py tells apart by its function `variant`."""

    description: str
    data_licence: str
    expect: dict[str, int] = field(default_factory=dict)    # utterances per split


@dataclass(frozen=True)
class RecipeConfig:
    """recipe.toml: what the corpus is. Nothing about models."""

    description: str
    data_licence: str                            # goes into every model trained here
    medium: Literal["audio", "ink", "image", "text", "writing", "pixels"] = "audio"     # writing: ink that is to be written; pixels: see pixels.py
    model: str = "ctc"                           # the model file used when none is named
    generated: bool = False                      # prepare makes the corpus itself, in the folder it is given
    dev: str = "dev"                             # the split that stops training
    test: tuple[str, ...] = ("test",)            # the splits that are scored
    optional: tuple[str, ...] = ()               # those of them that a copy of the corpus may lack
    score: tuple[Literal["word", "char", "phone"], ...] = ("word", "char")   # the first one stops training and is quoted
    classes: tuple[str, ...] = ()                # of pixels: the names of classes 1, 2, ...; class 0 is the background
    fold: str = ""                               # a phone table beside recipe.toml: phones are folded by it before they are scored
    expect: dict[str, int] = field(default_factory=dict)    # utterances per split, as published
    variants: dict[str, VariantConfig] = field(default_factory=dict)

    def __post_init__(self):
        if not set(self.optional) <= set(self.test):
            raise ValueError("optional may only name splits of test")
        if self.fold and self.score != ("phone",):
            raise ValueError('fold needs score = ["phone"]')
        if (self.medium == "pixels") != bool(self.classes) or len(set(self.classes)) < len(self.classes):
            raise ValueError('medium = "pixels" needs classes, each with a name of its own; no other medium has them')


@dataclass(frozen=True)
class Recipe:
    """A recipe folder, read and checked."""

    name: str
    folder: Path
    config: RecipeConfig

    def models(self) -> list[str]:
        return sorted(p.stem for p in (self.folder / "models").glob("*.toml"))

    def experiment(self, model: str, overrides: Sequence[str] = ()) -> Experiment | TextExperiment | WritingExperiment | PixelExperiment:
        """The settings of one model file, with `section.key=value` overrides on top."""
        from . import experiment                                     # torch: not needed to list recipes

        path = self.folder / "models" / f"{model}.toml"
        if not path.is_file():
            raise ConfigError(f"there is no model '{model}'{nearest(model, self.models())}", where=self.folder)
        table = read_toml(path)
        for assignment in overrides:
            override(table, assignment)
        kinds = {"text": experiment.TextExperiment, "writing": experiment.WritingExperiment, "pixels": experiment.PixelExperiment}
        return build(kinds.get(self.config.medium, experiment.Experiment), table, where=path)

    def prepare(self) -> Prepare:
        """The function `prepare` of prepare.py."""
        module = self._module()
        if not callable(getattr(module, "prepare", None)):
            raise ConfigError("has no function prepare(corpus)", where=self.folder / "prepare.py")
        return module.prepare

    def texts(self, corpus: Path) -> Iterator[str] | None:
        """Free texts for language models, line by line, if prepare.py has a function `texts`."""
        found = getattr(self._module(), "texts", None)
        return None if found is None else found(corpus)

    def picture(self) -> Callable[[Utterance], Picture] | None:
        """What reads the picture of an utterance, if prepare.py has a function `picture`; else pictures are files."""
        return getattr(self._module(), "picture", None)

    def installed(self) -> Path | None:
        """The corpus in an installed package, if prepare.py has a function `installed` that finds it."""
        found = getattr(self._module(), "installed", None)
        return None if found is None else found()

    def variant(self, corpus: Path) -> str | None:
        """Which of [variants] the corpus is, as prepare.py says; None: the one that [expect] describes."""
        if not self.config.variants:
            return None
        name = self._module().variant(corpus)
        if name is not None and name not in self.config.variants:
            raise ConfigError(f"prepare.py names a variant '{name}', which is not in recipe.toml", where=self.folder)
        return name

    def facts(self, variant: str | None) -> VariantConfig:
        """What is known of the corpus, or of a variant of it."""
        config = self.config
        return VariantConfig(config.description, config.data_licence, config.expect) if variant is None else config.variants[variant]

    def folding(self) -> Folding | None:
        """How phones are folded before they are scored."""
        return phones.read(self.folder / self.config.fold, name=f"{self.name}/{self.config.fold}") if self.config.fold else None

    def _module(self) -> Any:
        path = self.folder / "prepare.py"
        if not path.is_file():
            raise ConfigError("has no prepare.py", where=self.folder)
        spec = importlib.util.spec_from_file_location(f"recog_recipe_{self.name}", path, submodule_search_locations=[str(self.folder)])
        module = sys.modules[spec.name] = importlib.util.module_from_spec(spec)     # dataclasses and relative imports look there
        spec.loader.exec_module(module)
        return module

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
    expect, variants = _expect(table, folder), table.pop("variants", {})
    if not isinstance(variants, dict) or not all(isinstance(variant, dict) for variant in variants.values()):
        raise ConfigError("variants: must be sections, [variants.NAME]", where=folder / "recipe.toml")
    config = build(RecipeConfig, table, where=folder / "recipe.toml")
    if config.fold and not (folder / config.fold).is_file():
        raise ConfigError(f"fold: there is no {config.fold} beside it", where=folder / "recipe.toml")
    counts = {name: _expect(variant, folder) for name, variant in variants.items()}
    built = {name: replace(build(VariantConfig, variant, where=f"{folder / 'recipe.toml'}: variants.{name}"), expect=counts[name])
             for name, variant in variants.items()}
    return Recipe(folder.resolve().name, folder, replace(config, expect=expect, variants=built))


def _expect(table: dict[str, Any], folder: Path) -> dict[str, int]:
    """Takes `expect` out of a table: its keys are the corpus's own."""
    expect = table.pop("expect", {})
    if not isinstance(expect, dict) or any(type(v) is not int for v in expect.values()):
        raise ConfigError("expect: must map splits to whole numbers", where=folder / "recipe.toml")
    return expect


def home() -> Path:
    """Where the recipes that come with recog lie."""
    return recipes_home()


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
