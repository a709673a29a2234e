"""Settings: what TOML may say, what is refused and how it is said, and back to plain values."""

import json
import tomllib
from dataclasses import dataclass, field
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recog.components import CATALOGUE, find, nearest
from recog.config import Component, build, component, override, plain, read_toml
from recog.errors import ConfigError
from recog.experiment import Experiment


@dataclass(frozen=True)
class Inner:
    width: int = 3
    rate: float = 0.5

    def __post_init__(self):
        if self.width < 1:
            raise ValueError("width must be at least 1")


@dataclass(frozen=True)
class Outer:
    name: str
    steps: int = 10
    quick: bool = False
    kind: Literal["soft", "hard"] = "soft"
    limit: float | None = None
    sizes: tuple[int, ...] = (1, 2)
    inner: Inner = field(default_factory=Inner)
    encoder: Component = component("encoder", default="blstm")
    decoders: tuple[Component, ...] = field(metadata={"of": "decoder"}, default=())


def made(text):
    return build(Outer, tomllib.loads(text), "here.toml")


def test_defaults_and_every_type():
    assert made('name = "a"') == Outer("a")
    full = made('name = "b"\nsteps = 3\nquick = true\nkind = "hard"\nlimit = 2\nsizes = [4]\ninner.rate = 1\n'
                'encoder = {kind = "blstm", units = 7}\ndecoders = [{kind = "greedy"}, {kind = "beam", beam = 5}]')
    assert (full.steps, full.quick, full.kind, full.limit, full.sizes, full.inner) == (3, True, "hard", 2.0, (4,), Inner(3, 1.0))
    assert type(full.limit) is float and type(full.inner.rate) is float
    assert full.encoder.config.units == 7 and [d.kind for d in full.decoders] == ["greedy", "beam"] and full.decoders[1].config.beam == 5


@pytest.mark.parametrize("text, words", [
    ("", "name: missing"),
    ("stebs = 3", "stebs: unknown setting (did you mean 'steps'?)"),
    ("[iner]\nwidth = 3", "iner: unknown section (did you mean 'inner'?)"),
    ("inner.whidth = 3", "inner.whidth: unknown setting (did you mean 'width'?)"),
    ("zzz = 3", "zzz: unknown setting (one of: name, steps,"),
    ('steps = "3"', "steps: must be a whole number, not '3'"),
    ("steps = 3.0", "steps: must be a whole number, not 3.0"),
    ("steps = true", "steps: must be a whole number, not True"),
    ("quick = 1", "quick: must be true or false, not 1"),
    ("name = 5", "name: must be a string, not 5"),
    ('limit = "x"', "limit: must be a number, not 'x'"),
    ("limit = true", "limit: must be a number, not True"),
    ("limit = nan", "limit: must be a number, not nan"),
    ("inner.rate = inf", "inner.rate: must be a number, not inf"),
    ('kind = "sofd"', "kind: unknown value 'sofd' (did you mean 'soft'?)"),
    ("kind = [1]", "kind: unknown value [1]"),
    ("sizes = 4", "sizes: must be a list, not 4"),
    ('sizes = [1, "a"]', "sizes[1]: must be a whole number, not 'a'"),
    ("inner = 4", "inner: must be a section, not 4"),
    ("inner.width = 0", "inner: width must be at least 1"),
    ("encoder = 4", "encoder: must be a section with a 'kind'"),
    ("encoder.units = 4", "encoder: must be a section with a 'kind'"),
    ('encoder.kind = "blsdm"', "encoder.kind: unknown encoder 'blsdm' (did you mean 'blstm'?)"),
    ('encoder = {kind = "blstm", layers = 0}', "encoder: layers and units must be at least 1"),
    ('encoder = {kind = "blstm", layer = 2}', "encoder.layer: unknown setting (did you mean 'layers'?)"),
    ('decoders = [{kind = "greedy"}, {kind = "bean"}]', "decoders[1].kind: unknown decoder 'bean' (did you mean 'beam'?)")])
def test_every_fault_is_named_with_its_place(text, words):
    with pytest.raises(ConfigError) as caught:
        made(text if text.startswith("name") or not text else f'name = "a"\n{text}')
    assert str(caught.value).startswith("here.toml: ") and words in str(caught.value)


def test_all_faults_are_named_at_once():
    with pytest.raises(ConfigError) as caught:
        made('steps = "x"\nstebs = 1\ninner.width = 0\nencoder = {kind = "blstm", layer = 2}')
    for word in ("steps:", "stebs:", "inner:", "encoder.layer:", "name: missing"):
        assert word in str(caught.value)


@given(st.builds(Outer, name=st.text(), steps=st.integers(-5, 5), quick=st.booleans(), kind=st.sampled_from(["soft", "hard"]),
                 limit=st.none() | st.floats(allow_nan=False, allow_infinity=False), sizes=st.lists(st.integers()).map(tuple),
                 inner=st.builds(Inner, width=st.integers(1, 9), rate=st.floats(0, 1))))
def test_plain_and_build_are_each_others_reverse(outer):
    assert build(Outer, json.loads(json.dumps(plain(outer))), "here") == outer
    short = plain(outer, defaults=False)
    assert build(Outer, json.loads(json.dumps(short)), "here") == outer
    assert plain(Outer(name="x"), defaults=False) == {"name": "x"}


def test_an_experiment_comes_back_from_json():
    table = {"encoder": {"kind": "blstm", "units": 9}, "hooks": [{"kind": "weight_noise"}], "views": {"speeds": [0.9, 1.1]}}
    experiment = build(Experiment, table, "here")
    assert build(Experiment, json.loads(json.dumps(plain(experiment))), "there") == experiment
    assert plain(experiment, defaults=False) == table | {"encoder": {"kind": "blstm", "units": 9}, "hooks": [{"kind": "weight_noise"}]}
    assert plain(experiment)["encoder"]["units"] == 9 and experiment.decoders[0].kind == "greedy"


@pytest.mark.parametrize("assignment, expected", [
    ("steps=4", {"steps": 4}), (" steps = 4 ", {"steps": 4}), ("inner.width=2", {"inner": {"width": 2, "rate": 1.5}}),
    ("name=plain words", {"name": "plain words"}), ('name="quoted"', {"name": "quoted"}), ("name=a=b", {"name": "a=b"}),
    ("sizes=[1, 2]", {"sizes": [1, 2]}), ("new.section.key=true", {"new": {"section": {"key": True}}}), ("name=", {"name": ""})])
def test_overrides(assignment, expected):
    table = {"steps": 1, "inner": {"rate": 1.5}}
    override(table, assignment)
    assert {key: table[key] for key in expected} == expected


@pytest.mark.parametrize("assignment", ["steps", "=4", " =4", "steps.more=4"])
def test_overrides_that_cannot_be(assignment):
    with pytest.raises(ConfigError, match="--set"):
        override({"steps": 1}, assignment)


def test_toml_files_that_cannot_be_read(tmp_path):
    with pytest.raises(ConfigError, match="no such file"):
        read_toml(tmp_path / "none.toml")
    for content in (b"a = ", b"\xff\xfe"):
        (tmp_path / "bad.toml").write_bytes(content)
        with pytest.raises(ConfigError, match="bad.toml: is not valid TOML"):
            read_toml(tmp_path / "bad.toml")


def test_everything_in_the_catalogue_is_there_and_can_be_made_from_its_defaults():
    for kind, names in CATALOGUE.items():
        for name in names:
            assert build(find(kind, name).Config, {}, "here") == find(kind, name).Config()


def test_nearest():
    assert nearest("bema", ["greedy", "beam"]) == " (did you mean 'beam'?)"
    assert nearest("x", ["greedy", "beam"]) == " (one of: greedy, beam)"
