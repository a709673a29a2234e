"""Model folders: saving and loading changes nothing, loading runs nothing, and every kind of damage is named."""

import json
import pickle
from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from recog import modeldir
from recog.catalog import export_model
from recog.config import Component
from recog.decode.ctc_beam import CtcBeamConfig
from recog.errors import ConfigError, ModelError
from recog.features import Normalizer
from recog.files import digest
from recog.lm.arpa import write as write_arpa
from recog.lm.kneser_ney import KneserNeyConfig, train
from recog.testing import CONFIG, WIDTH, tiny_model
from recog.text import Units, UnitsConfig, learn

pytestmark = pytest.mark.usefixtures("one_thread")
UNITS = Units("char", ["<blank>", *"0123"])
FACTS = {"medium": "audio", "data_licence": "none", "provenance": {"made": "by a test"}, "scores": {}}


def save(folder, half=False, normalize="corpus", units=UNITS):
    config = replace(CONFIG, features=replace(CONFIG.features, normalize=normalize))
    normalizer = Normalizer(np.arange(WIDTH, dtype=np.float32), np.full(WIDTH, 2.5, np.float32)) if normalize == "corpus" else None
    model = tiny_model(len(units))
    modeldir.save(folder, "tiny", config, model, units, normalizer, FACTS, half)
    return model.eval(), config, normalizer


@pytest.fixture
def folder(tmp_path):
    save(tmp_path / "model")
    return tmp_path / "model"


def test_a_language_model_goes_along_and_is_packed_in_a_small_copy(tmp_path, folder):
    grams = train("0 1 2\n1 1 2\n", KneserNeyConfig(2, discount_fallback=True))
    write_arpa(grams, tmp_path / "grams.arpa")
    modeldir.equip(folder, tmp_path / "grams.arpa", Component("beam", CtcBeamConfig(beam=3, lm=True)), ("01", "2"))
    whole, names = modeldir.load(folder), {}
    assert whole.lm.counts == [6, 6] and whole.words == ("01", "2") and whole.config.decoder.config.lm
    for copy, source, half in (("small", folder, True), ("again", tmp_path / "small", False), ("plain", folder, False)):
        export_model(str(source), tmp_path / copy, half, None, False)
        loaded = modeldir.load(tmp_path / copy)
        assert loaded.lm.counts == whole.lm.counts and np.array_equal(loaded.lm.alone, whole.lm.alone) and loaded.words == whole.words
        names[copy] = sorted(p.name for p in (tmp_path / copy).glob("lm.*"))
    assert names == {"small": ["lm.arpa.gz"], "again": ["lm.arpa.gz"], "plain": ["lm.arpa"]}
    modeldir.equip(tmp_path / "small", tmp_path / "grams.arpa", whole.config.decoder)
    assert modeldir.load(tmp_path / "small").lm.counts == whole.lm.counts and not (tmp_path / "small" / "lm.arpa.gz").exists()


def some_input():
    return torch.randn(2, 9, WIDTH, generator=torch.Generator().manual_seed(0)), torch.tensor([9, 4])


def test_saving_and_loading_changes_nothing(tmp_path):
    model, config, normalizer = save(tmp_path / "model")
    loaded = modeldir.load(tmp_path / "model")
    (expected, n), (found, m) = model.log_probs(*some_input()), loaded.model.log_probs(*some_input())
    assert torch.equal(found, expected) and torch.equal(m, n)
    assert (loaded.name, loaded.config, loaded.units.symbols) == ("tiny", config, UNITS.symbols)
    assert np.array_equal(loaded.normalizer.mean, normalizer.mean) and np.array_equal(loaded.normalizer.std, normalizer.std)
    assert not loaded.model.training and loaded.info["provenance"] == FACTS["provenance"]
    assert loaded.info["weights"] == sum(w.numel() for w in model.parameters())
    assert loaded.frame_seconds == pytest.approx(0.01)


def test_a_saved_model_is_the_same_file_for_file_when_saved_again(tmp_path):
    save(tmp_path / "a")
    loaded = modeldir.load(tmp_path / "a")
    modeldir.save(tmp_path / "b", loaded.name, loaded.config, loaded.model, loaded.units, loaded.normalizer, FACTS)
    names = sorted(p.name for p in (tmp_path / "a").iterdir())
    assert names == ["model.json", "normalizer.json", "units.json", "weights.safetensors"]
    assert all((tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes() for name in names)


def test_pieces_travel_with_the_model(tmp_path):
    units = learn(UnitsConfig("piece", 11), ["one two", "two three", "three one"] * 3)
    save(tmp_path / "model", units=units)
    loaded = modeldir.load(tmp_path / "model").units
    assert loaded.encode("two one") == units.encode("two one") and loaded.decode(loaded.encode("two one")) == "two one"


def test_half_precision_is_the_rounded_weights_in_half_the_space(tmp_path):
    model, *_ = save(tmp_path / "half", half=True)
    save(tmp_path / "full")
    stored = load_file(tmp_path / "half" / "weights.safetensors")
    loaded = modeldir.load(tmp_path / "half").model.state_dict()
    for name, w in model.state_dict().items():
        assert stored[name].dtype == torch.float16 and loaded[name].dtype == torch.float32
        assert torch.equal(loaded[name], w.half().float())
    sizes = [(tmp_path / name / "weights.safetensors").stat().st_size for name in ("half", "full")]
    numbers = sum(w.numel() for w in model.parameters())
    assert sizes[1] - sizes[0] == pytest.approx(2 * numbers, abs=64)


def test_export_copies_halves_renames_and_overwrites_only_when_told(tmp_path, folder):
    export_model(str(folder), tmp_path / "copy", True, "smaller", False)
    copy = modeldir.load(tmp_path / "copy")
    assert copy.name == "smaller" and copy.info["provenance"] == FACTS["provenance"]
    before = digest(tmp_path / "copy" / "weights.safetensors")
    with pytest.raises(ConfigError, match="is there already"):
        export_model(str(folder), tmp_path / "copy", False, None, False)
    assert digest(tmp_path / "copy" / "weights.safetensors") == before
    export_model(str(folder), tmp_path / "copy", False, None, True)
    assert (tmp_path / "copy" / "weights.safetensors").read_bytes() == (folder / "weights.safetensors").read_bytes()


def test_loading_unpickles_nothing_and_imports_nothing_that_the_folder_names(folder, monkeypatch):
    def refuse(*args, **kwargs):
        raise AssertionError("loading a model must not unpickle")

    for place, name in ((pickle, "load"), (pickle, "loads"), (pickle, "Unpickler"), (torch, "load")):
        monkeypatch.setattr(place, name, refuse)
    modeldir.load(folder)
    edit(folder, lambda info: info["config"]["encoder"].update(kind="os:system"))
    refused(folder, "model.json", "unknown encoder 'os:system'")


def refused(folder, *words):
    with pytest.raises(ModelError) as caught:
        modeldir.load(folder)
    line = str(caught.value)
    assert "\n" not in line and "Traceback" not in line
    for word in (str(folder), *words):
        assert word in line, line


def edit(folder, change):
    """Edits model.json; its own text has no digest."""
    path = folder / "model.json"
    info = json.loads(path.read_text())
    change(info)
    path.write_text(json.dumps(info))


def forge(folder, file):
    """Makes model.json agree with an edited file, as one would who wants to cheat."""
    path = folder / file
    edit(folder, lambda info: info["files"].update({file: {"bytes": path.stat().st_size, "sha256": digest(path)}}))


FILES = ["weights.safetensors", "units.json", "normalizer.json"]


@pytest.mark.parametrize("file", FILES)
def test_a_missing_file_is_named(folder, file):
    (folder / file).unlink()
    refused(folder, file, "missing", "copy or train it again")


@pytest.mark.parametrize("file", FILES)
def test_a_file_cut_short_is_named(folder, file):
    path = folder / file
    path.write_bytes(path.read_bytes()[:-7])
    refused(folder, file, "bytes", "cut short")


@pytest.mark.parametrize("file", FILES)
@pytest.mark.parametrize("place", [0, 0.5, 1])
def test_a_flipped_bit_is_named(folder, file, place):
    path = folder / file
    content = bytearray(path.read_bytes())
    content[int(place * (len(content) - 1))] ^= 1
    path.write_bytes(content)
    refused(folder, file, "altered")


def test_edited_units_are_named(folder):
    path = folder / "units.json"
    path.write_text(path.read_text().replace('"3"', '"4"'))
    refused(folder, "units.json", "altered")


def test_no_folder_and_no_model_json(tmp_path, folder):
    refused(tmp_path / "nothing", "no model.json")
    (folder / "model.json").unlink()
    refused(folder, "no model.json")


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '"model"', "{}", '{"format": 1, "files": 5, "name": "a", "config": {}}',
                                  '{"format": 1, "files": {"units.json": {}}, "name": "a", "config": {}}'])
def test_a_description_that_is_none_is_named(folder, text):
    (folder / "model.json").write_text(text)
    refused(folder, "model.json", "is not a model description")


def test_a_description_cut_short_is_named(folder):
    path = folder / "model.json"
    whole = path.read_bytes()
    for size in range(0, len(whole) - 2, 97):
        path.write_bytes(whole[:size])
        refused(folder, "model.json", "is not a model description")


@pytest.mark.parametrize("file", FILES)
def test_a_file_whose_digest_was_taken_out_is_refused(folder, file):
    edit(folder, lambda info: info["files"].pop(file))
    refused(folder, file)


def test_another_format_is_refused(folder):
    edit(folder, lambda info: info.update(format=2))
    refused(folder, "format 2", "format 1")


def test_unknown_parts_and_settings_are_refused_with_the_nearest_name(folder):
    edit(folder, lambda info: info["config"]["encoder"].update(kind="blstn"))
    refused(folder, "model.json", "unknown encoder 'blstn'", "did you mean 'blstm'")
    edit(folder, lambda info: info["config"]["encoder"].update(kind="blstm", layer=2))
    refused(folder, "model.json", "encoder.layer", "did you mean 'layers'")
    edit(folder, lambda info: info.update(config=7))
    refused(folder, "model.json")


def test_a_normalizer_of_another_width_is_refused(folder):
    Normalizer(np.zeros(WIDTH + 1, np.float32), np.ones(WIDTH + 1, np.float32)).save(folder / "normalizer.json")
    forge(folder, "normalizer.json")
    refused(folder, "normalizer.json", f"{WIDTH + 1} values", str(WIDTH))


@pytest.mark.parametrize("row", [{}, [], {"mean": [0.0], "std": [1.0, 1.0]}, {"mean": [0.0], "std": [0.0]}, {"mean": ["a"], "std": [1.0]},
                                 {"mean": [float("nan")], "std": [1.0]}])
def test_a_normalizer_that_is_none_is_refused(folder, row):
    (folder / "normalizer.json").write_text(json.dumps(row))
    forge(folder, "normalizer.json")
    refused(folder, "normalizer.json", "is not a normalizer")


@pytest.mark.parametrize("row", [{}, [], {"kind": "char", "symbols": ["a", "b"]}, {"kind": "char", "symbols": ["<blank>", "a", "a"]},
                                 {"kind": "char", "symbols": 5}, {"kind": "piece", "symbols": ["<blank>", "a"], "pieces": "AAAA"},
                                 {"kind": "char", "symbols": ["<blank>", 1, 2, 3, 4]}, {"kind": "runes", "symbols": ["<blank>", *"0123"]}])
def test_units_that_are_none_are_refused(folder, row):
    (folder / "units.json").write_text(json.dumps(row))
    forge(folder, "units.json")
    refused(folder, "units.json")


def test_units_of_another_number_are_refused(folder):
    Units("char", ["<blank>", *"01234"]).save(folder / "units.json")
    forge(folder, "units.json")
    refused(folder, "weights.safetensors", "head.output")


@pytest.mark.parametrize("change", ["shape", "missing", "surplus", "garbage"])
def test_weights_that_do_not_fit_are_refused(folder, change):
    path = folder / "weights.safetensors"
    weights = load_file(path)
    if change == "shape":
        weights["head.output.weight"] = torch.zeros(5, 7)
    elif change == "missing":
        del weights["head.output.weight"]
    else:
        weights["head.output.more"] = torch.zeros(3)
    path.write_bytes(b"\xff" * 500) if change == "garbage" else save_file(weights, path)
    forge(folder, "weights.safetensors")
    refused(folder, "weights.safetensors", "" if change == "garbage" else "head.output")


def test_locate_knows_folders_and_bundled_names_and_suggests(tmp_path, folder):
    assert modeldir.locate(folder) == folder and modeldir.locate(str(folder)) == folder
    with pytest.raises(ModelError, match="no model.json"):
        modeldir.locate(tmp_path)
    with pytest.raises(ModelError, match="no bundled model"):
        modeldir.locate(tmp_path / "nothing")


def test_a_crash_while_saving_leaves_the_old_model(folder, monkeypatch):
    before = {p.name: p.read_bytes() for p in folder.iterdir()}
    monkeypatch.setattr(Units, "save", lambda self, path: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        save(folder, normalize="none")
    assert {p.name: p.read_bytes() for p in folder.iterdir()} == before
    assert [p.name for p in folder.parent.iterdir()] == ["model"]


def test_training_can_start_from_a_finished_model(folder):
    loaded = modeldir.load(folder)
    fresh = tiny_model(len(loaded.units), seed=99)
    assert modeldir.start_from(fresh, loaded.units, str(folder)) == loaded.info["files"]["weights.safetensors"]["sha256"]
    for key, w in loaded.model.state_dict().items():
        torch.testing.assert_close(fresh.state_dict()[key], w, rtol=0, atol=0)
    with pytest.raises(ModelError, match="other units"):
        modeldir.start_from(fresh, Units("char", ["<blank>", "x"]), str(folder))
