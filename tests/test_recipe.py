"""Recipe folders: found, checked, copied; and every model file that recog ships loads."""

import pytest

from recog import recipe
from recog.errors import ConfigError
from recog.testing import tiny_recipe

SHIPPED = recipe.shipped()
MODELS = [(name, model) for name in SHIPPED for model in recipe.find(name).models()]


def test_the_recipes_are_there():
    assert {"tones", "an4", "english_small"} <= set(SHIPPED)
    assert all(recipe.find(name).models() for name in SHIPPED)


@pytest.mark.parametrize("name", SHIPPED)
def test_every_shipped_recipe_loads(name):
    found = recipe.find(name)
    assert found.name == name and found.config.description and found.config.data_licence
    assert callable(found.prepare()) and found.config.model in found.models()


@pytest.mark.parametrize("name, model", MODELS)
def test_every_shipped_model_file_loads(name, model):
    experiment = recipe.find(name).experiment(model)
    if name == "text":
        assert experiment.orders and experiment.network.units
    elif name.startswith("handwriting"):
        assert experiment.network.units and experiment.features.output_size == 3
    elif name.startswith("mdrnn2007"):
        assert experiment.networks[0].network.config.units == 25 and experiment.beside
    else:
        assert experiment.decoders and experiment.recognizer.features.output_size > 0


def test_overrides_reach_the_experiment():
    experiment = recipe.find("tones").experiment("ctc", ["encoder.units=9", "train.optimizer.kind=sgd", "views.speeds=[1.0, 1.1]"])
    assert experiment.encoder.config.units == 9 and experiment.train.optimizer.kind == "sgd" and experiment.views.speeds == (1.0, 1.1)


def test_by_path_by_name_and_by_neither(tmp_path):
    folder = tiny_recipe(tmp_path / "mine")
    assert recipe.find(folder).name == "mine" and recipe.find("an4").folder == recipe.home() / "an4"
    with pytest.raises(ConfigError, match="did you mean 'tones'"):
        recipe.find("tone")
    with pytest.raises(ConfigError, match="no model 'ctx' .did you mean 'ctc'"):
        recipe.find(folder).experiment("ctx")


@pytest.mark.parametrize("text, message", [
    ("", "description: missing"), ("x = ", "is not valid TOML"), ('description = "a"\ndata_licence = "b"\ntests = ["test"]', "tests: unknown"),
    ('description = "a"\ndata_licence = "b"\n[expect]\ntrain = "many"', "expect: must map"),
    ('description = "a"\ndata_licence = "b"\nexpect = 5', "expect: must map"),
    ('description = "a"\ndata_licence = "b"\nscore = ["words"]', "score")])
def test_a_wrong_recipe_file_is_named(tmp_path, text, message):
    folder = tiny_recipe(tmp_path / "mine")
    (folder / "recipe.toml").write_text(text)
    with pytest.raises(ConfigError, match=message) as caught:
        recipe.find(folder)
    assert str(folder / "recipe.toml") in str(caught.value)


def test_a_recipe_without_prepare_is_named(tmp_path):
    folder = tiny_recipe(tmp_path / "mine")
    (folder / "prepare.py").write_text("x = 1\n")
    with pytest.raises(ConfigError, match="no function prepare"):
        recipe.find(folder).prepare()
    (folder / "prepare.py").unlink()
    with pytest.raises(ConfigError, match="no prepare.py"):
        recipe.find(folder).prepare()


def test_the_digest_follows_code_and_facts_only(tmp_path):
    folder = tiny_recipe(tmp_path / "mine")
    before = recipe.find(folder).digest()
    (folder / "README.md").write_text("words")
    (folder / "models" / "other.toml").write_text("")
    assert recipe.find(folder).digest() == before
    (folder / "speakers.txt").write_text("a\n")
    with_list = recipe.find(folder).digest()
    (folder / "prepare.py").write_text((folder / "prepare.py").read_text() + "\n")
    assert len({before, with_list, recipe.find(folder).digest()}) == 3


def test_copying_gives_a_recipe_that_loads_and_overwrites_nothing(tmp_path):
    target = recipe.copy("tones", tmp_path)
    assert target == tmp_path / "tones" and recipe.find(target).experiment("ctc") == recipe.find("tones").experiment("ctc")
    assert recipe.copy("tones", tmp_path / "mine") == tmp_path / "mine"
    with pytest.raises(ConfigError, match="is there already"):
        recipe.copy("tones", tmp_path)
    assert not list(tmp_path.rglob("__pycache__")) and not list(tmp_path.rglob("*.partial"))


def test_prepare_may_hold_dataclasses_and_import_its_neighbours(tmp_path):
    folder = tiny_recipe(tmp_path / "mine")
    (folder / "speakers.py").write_text("LIST = ['a']\n")
    (folder / "prepare.py").write_text("from __future__ import annotations\nfrom dataclasses import dataclass\nfrom .speakers import LIST\n\n\n"
                                       "@dataclass\nclass Row:\n    id: str\n\n\ndef prepare(corpus):\n    return [Row(LIST[0])]\n")
    assert recipe.find(folder).prepare()(None)[0].id == "a"
