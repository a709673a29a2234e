"""Exported networks: they agree with recog's own, in any company, and need neither recog nor anything that their folder does not say."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from oracles import close
from test_command import called

from recog import ink, modeldir, reading
from recog.catalog import export_model
from recog.config import Component
from recog.decode import decode
from recog.decode.greedy import GreedyConfig
from recog.decode.transducer_greedy import TransducerGreedy
from recog.encoders.blstm import BlstmConfig
from recog.encoders.conv_blstm import ConvBlstmConfig
from recog.encoders.conv_mdrnn import ConvMdrnnConfig
from recog.encoders.crnn import CrnnConfig
from recog.encoders.mdrnn import MdrnnConfig
from recog.errors import ConfigError, ModelError
from recog.features import FeatureConfig, Normalizer
from recog.files import digest
from recog.heads.ctc import CtcConfig
from recog.heads.transducer import TransducerConfig
from recog.layers.mdlstm import MdLstm
from recog.models.recognizer import RecognizerConfig, build
from recog.portable import runtime
from recog.scan.features import ScanFeatureConfig
from recog.text import Units

pytest.importorskip("onnxruntime")
pytest.importorskip("onnx")
pytestmark = pytest.mark.usefixtures("one_thread")

ROOT = Path(__file__).parents[1]
UNITS = Units("char", ["<blank>", *"abcdefg"])
SOUND = FeatureConfig(mels=8, deltas=1, normalize="corpus", stack=2)
FACTS = {"medium": "audio", "data_licence": "none: noise", "provenance": {"made": "by a test"}, "scores": {}}
ENCODERS = {
    "lstm": ("blstm", BlstmConfig(layers=2, units=7)),
    "forwards": ("blstm", BlstmConfig(layers=2, units=7, bidirectional=False)),
    "subsampled": ("blstm", BlstmConfig(layers=3, units=5, subsample=(2, 1, 3), dropout=0.5)),
    "forwards subsampled": ("blstm", BlstmConfig(layers=2, units=5, bidirectional=False, subsample=(2, 2))),
    "peephole": ("blstm", BlstmConfig(layers=2, units=6, cell="peephole", subsample=(3, 1))),
    "peephole forwards": ("blstm", BlstmConfig(layers=1, units=6, cell="peephole", bidirectional=False)),
    "tanh": ("blstm", BlstmConfig(layers=2, units=6, cell="tanh")),
    "conv_blstm": ("conv_blstm", ConvBlstmConfig(layers=2, units=5, channels=(4, 3), strides=(2, 1), planes=4)),
    "conv_blstm subsampled": ("conv_blstm", ConvBlstmConfig(layers=2, units=5, channels=(3,), strides=(2,), subsample=(2, 1), cell="peephole")),
    "mdrnn": ("mdrnn", MdrnnConfig(units=(2, 3), along=(3, 2), down=(2, 4), between=(4,))),
    "mdrnn stable": ("mdrnn", MdrnnConfig(units=(2, 3, 4), along=(2, 1, 2), down=(2, 2, 1), between=(4, 3), cell="stable", dropout=0.5)),
    "conv_mdrnn": ("conv_mdrnn", ConvMdrnnConfig(channels=(3, 4, 5), down=(2, 1, 2), along=(2, 1, 1), units=(0, 3, 4))),
    "conv_mdrnn standard": ("conv_mdrnn", ConvMdrnnConfig(channels=(4, 4), down=(1, 2), along=(1, 3), units=(2, 0), cell="standard")),
    "crnn": ("crnn", CrnnConfig(layers=1, units=5, channels=(3, 4, 5), down=(2, 3, 1), along=(2, 1, 1))),
    "crnn subsampled": ("crnn", CrnnConfig(layers=1, units=5, channels=(4, 4), down=(1, 2), along=(1, 3), subsample=(2,), channel_dropout=0.5)),
}


def saved(folder, encoder, head=("ctc", CtcConfig()), features=SOUND):
    """A folder of a random model."""
    torch.manual_seed(5)
    config = RecognizerConfig(encoder=Component(*encoder), head=Component(*head), decoder=Component("greedy", GreedyConfig()), features=features)
    model = build(config, len(UNITS)).eval()
    for level in model.modules():
        if isinstance(level, MdLstm):                         # which begin so small that little would be seen
            for weight in level.parameters():
                weight.data *= 4
    normalizer = None
    if features.normalize == "corpus":
        normalizer = Normalizer(np.linspace(-3, 3, features.width, dtype=np.float32), np.linspace(1, 2, features.width, dtype=np.float32))
    modeldir.save(folder, "noise", config, model, UNITS, normalizer, FACTS | {"medium": features.medium})
    return model


def features_of(encoder):
    return ScanFeatureConfig(height=13, margin=2) if encoder[0] in ("crnn", "mdrnn", "conv_mdrnn") else SOUND


def ragged(batch, frames, width, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(batch, frames, width)).astype(np.float32)
    return x, np.append(frames, rng.integers(1, frames + 1, batch - 1))


def expected(model, x, n):
    rows, n = model.emissions(torch.from_numpy(x), torch.from_numpy(n))
    return rows.numpy(), n.numpy()


@pytest.mark.parametrize("name, to", [*((name, "onnx") for name in ENCODERS), *((name, "torchscript") for name in (
    "lstm", "forwards subsampled", "peephole", "tanh", "conv_blstm", "crnn", "crnn subsampled", "mdrnn", "conv_mdrnn"))])
def test_a_network_gives_what_recog_s_layers_give(tmp_path, name, to):
    features = features_of(ENCODERS[name])
    model = saved(tmp_path / "m", ENCODERS[name], features=features)
    export_model(str(tmp_path / "m"), tmp_path / "out", False, None, False, to)
    run = runtime.opened(tmp_path / "out" / f"model{runtime.SUFFIX[to]}", 1)
    for batch, frames in ((1, 1), (1, 40), (2, 7), (5, 23), (3, 24)):
        x, n = ragged(batch, frames, features.output_size, frames)
        (rows, ends), (found, lengths) = expected(model, x, n), run(x, n)
        assert found.shape == rows.shape and lengths.tolist() == ends.tolist()
        for a, b, end in zip(found, rows, ends):
            close(f"exported to {to}", a[:end], b[:end], 1e-5)
        beyond = np.where(np.arange(frames)[None, :, None] < n[:, None, None], x, np.nan).astype(np.float32)
        for i, (given, same) in enumerate(zip(run(beyond, n)[0], found)):
            close("an exported network and what is beyond an end", given[:ends[i]], same[:ends[i]], 1e-5)
            alone, (end,) = run(x[i:i + 1, :n[i]], n[i:i + 1])
            close("an exported network, alone and in company", alone[0, :end], same[:end], 1e-5)


@pytest.mark.parametrize("name, to", [*((name, "onnx") for name in ("lstm", "subsampled", "peephole", "tanh", "conv_blstm", "crnn")),
                                      ("peephole", "torchscript"), ("crnn", "torchscript"), ("conv_mdrnn", "onnx"), ("mdrnn", "torchscript")])
def test_eight_bits_are_near_and_small(tmp_path, name, to):
    features = features_of(ENCODERS[name])
    kind, config = ENCODERS[name]
    images = kind.endswith("mdrnn")
    model = saved(tmp_path / "m", (kind, config if images else replace(config, units=64)), features=features)
    for int8 in (False, True):
        export_model(str(tmp_path / "m"), tmp_path / f"out{int8}", False, None, False, to, int8)
    paths = [tmp_path / f"out{int8}" / f"model{runtime.SUFFIX[to]}" for int8 in (False, True)]
    assert name == "tanh" or images or paths[1].stat().st_size < 0.45 * paths[0].stat().st_size
    x, n = ragged(3, 25, features.output_size)
    (rows, ends), (found, lengths) = expected(model, x, n), runtime.opened(paths[1], 1)(x, n)
    assert lengths.tolist() == ends.tolist()
    for a, b, end in zip(found, rows, ends):
        assert np.abs(a[:end] - b[:end]).mean() < 0.02
    about = json.loads((tmp_path / "outTrue" / "frontend.json").read_text())
    assert about["to"]["int8"] and 1e-4 < about["networks"][0]["differs"]["largest"] < 0.2


TRANSDUCERS = {"additive": TransducerConfig(joint="additive", prediction_units=6),
               "hidden": TransducerConfig(joint_units=9, prediction_units=6),
               "peephole": TransducerConfig(joint_units=5, prediction_units=4, prediction_cell="peephole")}


@pytest.mark.parametrize("name, to, int8", [*((name, "onnx", False) for name in TRANSDUCERS), ("peephole", "onnx", True),
                                            ("additive", "torchscript", False), ("peephole", "torchscript", False), ("hidden", "torchscript", True)])
def test_a_transducer_s_three_parts_are_its_lattice(tmp_path, name, to, int8):
    model = saved(tmp_path / "m", ENCODERS["subsampled"], ("transducer", TRANSDUCERS[name]))
    export_model(str(tmp_path / "m"), tmp_path / "out", False, None, False, to, int8)
    files = [tmp_path / "out" / f"{part}{runtime.SUFFIX[to]}" for part in ("encoder", "prediction", "joint")]
    encoder, prediction, joint = (runtime.opened(file, 1) for file in files)
    x, n = ragged(2, 19, SOUND.output_size)
    emissions, lengths = encoder(x, n)
    predictor, labels, near = model.predictor(), [3, 1, 1, 7], 0.1 if int8 else 1e-5
    zeros = np.zeros((1, predictor.cells), np.float32)
    ps, h, c = [], zeros, zeros
    for label in (0, *labels):
        p, h, c = prediction(np.array([label]), h, c)
        ps.append(p)
    rows, ends = expected(model, x, n)
    for b, end in enumerate(ends):
        blank, label = predictor.lattice(rows[b, :end], labels)
        (found,) = joint(emissions[b, :end], np.concatenate(ps))
        assert found.shape == (end, len(labels) + 1, len(UNITS)) and lengths[b] == end
        assert np.abs(found[:, :, 0] - blank).max() < near
        assert np.abs(found[:, range(4), labels] - label[:, :4]).max() < near


def isolated(code, *arguments):
    """A Python that has neither recog nor, unless the code says so, torch."""
    blocked = "import sys\nsys.modules.update({'recog': None})\n" + code
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    done = subprocess.run([sys.executable, "-c", blocked, *map(str, arguments)], capture_output=True, text=True, cwd="/", env=environment)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def example(name, folder, source):
    code = f"sys.modules['torch'] = None\nimport runpy\nsys.argv[0] = 'x'\nrunpy.run_path({str(ROOT / 'docs' / 'examples' / name)!r})"
    return isolated(code, folder, source)


def test_a_transducer_is_decoded_without_recog(tmp_path):
    model = saved(tmp_path / "m", ENCODERS["peephole"], ("transducer", TRANSDUCERS["peephole"]))
    with torch.no_grad():
        model.head.to_units.bias[0] -= 0.3                    # so that something is said, and not too much
    config = modeldir.load(tmp_path / "m")
    modeldir.save(tmp_path / "m2", "noise", config.config, model, UNITS, config.normalizer, FACTS)
    export_model(str(tmp_path / "m2"), tmp_path / "out", False, None, False, "onnx")
    x, n = ragged(1, 40, SOUND.output_size)
    np.save(tmp_path / "x.npy", x[0])
    best = decode(TransducerGreedy(GreedyConfig(), model.predictor()), expected(model, x, n)[0][0])[0]
    assert example("decode_transducer_onnx.py", tmp_path / "out", tmp_path / "x.npy") == UNITS.decode(best.units) != ""


def test_torchscript_needs_torch_alone(tmp_path):
    model = saved(tmp_path / "m", ENCODERS["peephole"])
    export_model(str(tmp_path / "m"), tmp_path / "out", False, None, False, "torchscript")
    x, n = ragged(3, 17, SOUND.output_size)
    np.savez(tmp_path / "in.npz", x=x, n=n)
    isolated("import numpy, torch\ngiven = numpy.load(sys.argv[2])\nnetwork = torch.jit.load(sys.argv[1])\n"
             "rows, n = network(torch.from_numpy(given['x']), torch.from_numpy(given['n']))\nassert not rows.requires_grad\n"
             "numpy.save(sys.argv[3], rows.numpy())", tmp_path / "out" / "model.pt", tmp_path / "in.npz", tmp_path / "rows.npy")
    rows, ends = expected(model, x, n)
    for a, b, end in zip(np.load(tmp_path / "rows.npy"), rows, ends):
        close("TorchScript, loaded without recog", a[:end], b[:end], 1e-5)


@pytest.mark.skipif("english_small" not in modeldir.bundled(), reason="no model is bundled yet")
@pytest.mark.parametrize("int8", [False, True])
def test_sound_is_transcribed_without_recog(tmp_path, int8):
    export_model("english_small", tmp_path / "out", False, None, False, "onnx", int8)
    loaded = modeldir.load(modeldir.locate("english_small"))
    for name in ("seven.wav", "digits.flac"):                 # of 8 kHz, and of 16
        source = ROOT / "data" / "samples" / name
        (piece,) = reading.pieces(loaded, str(source))
        assert example("decode_onnx.py", tmp_path / "out", source) == greedily(loaded, piece.frames) != ""


@pytest.mark.skipif("pen" not in modeldir.bundled(), reason="no model of ink is bundled yet")
def test_frames_of_ink_are_read_without_recog(tmp_path):
    export_model("pen", tmp_path / "out", False, None, False, "onnx")
    loaded = modeldir.load(modeldir.locate("pen"))
    piece = next(reading.lines_of_ink(loaded, ink.read(ROOT / "data" / "ink" / "meeting.json")))
    np.save(tmp_path / "x.npy", piece.frames)
    assert example("decode_onnx.py", tmp_path / "out", tmp_path / "x.npy") == greedily(loaded, piece.frames) != ""


def greedily(loaded, frames):
    rows, _ = expected(loaded.model, frames[None], np.array([len(frames)]))
    from recog.decode.greedy import Greedy

    return loaded.units.decode(decode(Greedy(), rows[0])[0].units)


def test_the_folder_says_what_it_holds(tmp_path, monkeypatch, capsys):
    saved(tmp_path / "m", ENCODERS["subsampled"])
    status, out, err = called(monkeypatch, capsys, "models", "export", tmp_path / "m", tmp_path / "out", "--to", "onnx", "--name", "other")
    assert (status, err, out.count("\n")) == (0, "", 1) and f"{tmp_path / 'out' / 'model.onnx'}: 0.0" in out
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == ["frontend.json", "model.onnx", "units.json"]
    about, source = json.loads((tmp_path / "out" / "frontend.json").read_text()), modeldir.load(tmp_path / "m")
    assert {name: digest(tmp_path / "out" / name) for name in about["files"]} == {name: row["sha256"] for name, row in about["files"].items()}
    assert set(about["files"]) == {"model.onnx", "units.json"} and Units.load(tmp_path / "out" / "units.json").symbols == UNITS.symbols
    assert about["normalizer"]["mean"] == source.normalizer.mean.tolist() and about["normalizer"]["std"] == source.normalizer.std.tolist()
    assert about["features"] == source.info["config"]["features"] and about["sizes"] == {"width": 16, "output_size": 32, "window": 400,
                                                                                         "step": 160, "fft": 512}
    assert (about["name"], about["data_licence"], about["subsampling"], about["head"]) == ("other", "none: noise", 6, "ctc")
    assert about["frame_seconds"] == pytest.approx(0.12) and about["provenance"] == {"made": "by a test"}
    (network,) = about["networks"]
    assert network["inputs"] == [{"name": "x", "type": "float32", "shape": ["B", "T", 32]}, {"name": "x_len", "type": "int64", "shape": ["B"]}]
    assert network["outputs"][0] == {"name": "log_probs", "type": "float32", "shape": ["B", "T_out", len(UNITS)]}
    assert network["differs"]["largest"] < 1e-5
    import onnx

    stored = {each.key: each.value for each in onnx.load(tmp_path / "out" / "model.onnx").metadata_props}
    assert stored["data_licence"] == "none: noise" and stored["name"] == "other"
    with pytest.raises(ConfigError, match="is there already"):
        export_model(str(tmp_path / "m"), tmp_path / "out", False, None, False, "torchscript")
    assert (tmp_path / "out" / "model.onnx").exists()
    export_model(str(tmp_path / "m"), tmp_path / "out", False, None, True, "torchscript")
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == ["frontend.json", "model.pt", "units.json"]


@pytest.mark.parametrize("arguments, words", [
    (["--to", "onxx"], "no format 'onxx' (did you mean 'onnx'?)"), (["--int8"], "--int8: goes with --to alone"),
    (["--half", "--to", "onnx"], "--half: goes with copies alone")])
def test_wrong_options_are_one_line(tmp_path, monkeypatch, capsys, arguments, words):
    saved(tmp_path / "m", ENCODERS["lstm"])
    status, out, err = called(monkeypatch, capsys, "models", "export", tmp_path / "m", tmp_path / "out", *arguments)
    assert (status, out, err.count("\n")) == (1, "", 1) and words in err and not (tmp_path / "out").exists()


@pytest.mark.parametrize("package", ["onnx", "onnxruntime"])
def test_a_missing_package_is_one_line_that_names_the_extra(tmp_path, monkeypatch, capsys, package):
    saved(tmp_path / "m", ENCODERS["lstm"])
    monkeypatch.setitem(sys.modules, package, None)
    status, out, err = called(monkeypatch, capsys, "models", "export", tmp_path / "m", tmp_path / "out", "--to", "onnx")
    assert (status, out, err.count("\n")) == (1, "", 1) and f"needs the package {package}" in err and "pip install 'recog[onnx]'" in err
    assert called(monkeypatch, capsys, "models", "export", tmp_path / "m", tmp_path / "out", "--to", "torchscript")[0] == 0


def test_an_encoder_that_neither_format_has_is_refused_by_name(tmp_path, monkeypatch):
    from recog.encoders.blstm import Blstm
    from recog.portable import parts

    saved(tmp_path / "m", ENCODERS["lstm"])
    monkeypatch.delitem(parts.ENCODERS, Blstm)
    with pytest.raises(ModelError, match="cannot be exported: neither format has its encoder, Blstm"):
        export_model(str(tmp_path / "m"), tmp_path / "out", False, None, False, "onnx")
    assert not (tmp_path / "out").exists()


def test_a_network_that_does_not_agree_is_not_written(tmp_path, monkeypatch):
    from recog.portable import nodes

    saved(tmp_path / "m", ENCODERS["lstm"])
    monkeypatch.setattr(nodes, "_reordered", lambda gates: gates)
    with pytest.raises(ModelError, match="its model differs from recog's own by"):
        export_model(str(tmp_path / "m"), tmp_path / "out", False, None, False, "onnx")
    assert list(tmp_path.iterdir()) == [tmp_path / "m"]
