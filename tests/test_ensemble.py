"""Models that read together: the order of their answers against a count of all paths; folders, refusals, a run."""

import itertools
import json
from dataclasses import replace

import numpy as np
import oracles
import pytest
import torch
from inks import written
from test_command import called
from test_transcribe import bursts

import recog
from recog import audio, ensemble, ink, modeldir, recipe
from recog.api import TranscribeOptions
from recog.config import build as build_config
from recog.decode import decode
from recog.decode.ctc_beam import CtcBeam, CtcBeamConfig
from recog.decode.greedy import Greedy
from recog.errors import ConfigError, ModelError
from recog.models.recognizer import RecognizerConfig, build
from recog.stages import run_recipe
from recog.text import BLANK, Units
from recog.types import Ink

pytestmark = pytest.mark.usefixtures("one_thread")
V = 4


def log_probs(frames, seed):
    rows = np.random.default_rng(seed).normal(size=(frames, V)) * 2
    return rows - np.log(np.exp(rows).sum(1, keepdims=True))


def counted(rows):
    """The log-probability of every labelling, by all paths."""
    found = {}
    for path in itertools.product(range(V), repeat=len(rows)):
        labels = tuple(k for k, _ in itertools.groupby(path) if k)
        found[labels] = found.get(labels, 0.0) + float(np.exp(sum(row[k] for row, k in zip(rows, path))))
    return {labels: float(np.log(p)) for labels, p in found.items()}


@pytest.mark.parametrize("seed", range(12))
def test_the_order_is_that_of_the_product_of_all_paths(seed):
    heard = [log_probs(frames, 10 * seed + i) for i, frames in enumerate((5, 4, 6))]
    each = [counted(rows) for rows in heard]
    both = {labels: np.mean([model[labels] for model in each]) for labels in each[0] if all(labels in model for model in each)}
    best = sorted(both, key=lambda labels: -both[labels])[:5]
    found = ensemble.agreed(CtcBeam(CtcBeamConfig(beam=2000, nbest=2000)), heard, nbest=5)
    assert [h.units for h in found] == best
    oracles.close("ensemble: scores, against all paths", [h.score for h in found], [both[labels] for labels in best], 1e-9)
    assert all(h.score == pytest.approx(sum(h.parts.values())) and len(h.spans) == len(h.units) for h in found)
    assert all(0 <= a < b <= len(heard[0]) for h in found for a, b in h.spans)


def test_totals_are_those_of_all_paths_and_nothing_where_there_are_too_few_frames():
    rows = log_probs(4, 1)
    expected = counted(rows)
    labels = [(), (1,), (2, 2), (1, 2, 3), (3, 1, 3, 1), (1, 1, 1)]
    found = ensemble.totals(rows, labels)
    oracles.close("ensemble: totals, against all paths", found[:5], [expected[each] for each in labels[:5]], 1e-12)
    assert found[5] == -np.inf


@pytest.mark.parametrize("steep", [1, 6, 30])                                    # from where sums of probabilities do to where only logarithms do
def test_totals_of_long_sequences_are_those_of_another_program(steep):
    rng = np.random.default_rng(steep)
    rows = rng.normal(size=(120, 30)) * steep
    rows -= np.logaddexp.reduce(rows, axis=1, keepdims=True)
    labels = [tuple(rng.integers(1, 30, count)) for count in (0, 1, 5, 40, 61, 100)] + [(3,) * 61]
    y = torch.tensor([list(each) + [0] * (100 - len(each)) for each in labels])
    lengths = torch.tensor([len(each) for each in labels])
    frames = torch.from_numpy(rows)[:, None].expand(-1, len(labels), -1)
    expected = -torch.nn.functional.ctc_loss(frames, y, torch.full((len(labels),), 120), lengths, reduction="none").numpy()
    found = ensemble.totals(rows, labels)
    assert found[-1] == expected[-1] == -np.inf                                    # 61 of one label need 121 frames
    oracles.close("ensemble: totals, against torch's loss", found, expected, 1e-12)


def test_a_model_with_too_few_frames_has_no_say_and_gives_way():
    heard, short = log_probs(6, 3), log_probs(1, 4)
    short[:] = [-40, 0, -40, -40]
    decoder = CtcBeam(CtcBeamConfig(beam=1, nbest=1))
    sure = np.log(np.full((6, V), 1e-12)) + 27.0 * np.eye(V)[[1, 0, 2, 0, 1, 0]]
    sure -= np.log(np.exp(sure).sum(1, keepdims=True))
    assert ensemble.agreed(decoder, [sure, short])[0].units in ((1, 2, 1), (1,))
    placed = ensemble.agreed(decoder, [short, sure])                              # found by the second, placed in the first's single frame
    assert len(placed[0].spans) == len(placed[0].units)
    alone = decode(Greedy(), heard)[0]
    assert ensemble.agreed(Greedy(), [heard])[0].units == alone.units


# --- folders ---


def saved(folder, name, seed, **more):
    torch.manual_seed(seed)
    config = build_config(RecognizerConfig, {"encoder": {"kind": "blstm", "layers": 1, "units": 8}, "decoder": {"kind": "beam", "beam": 8},
                                             "features": {"mels": 20, "normalize": "none", **more.pop("features", {})}, **more}, "test")
    units = Units("char", [BLANK, " ", *"ABC"])
    network = build(config, len(units))
    for w in network.parameters():
        w.data.mul_(4)
    modeldir.save(folder / name, name, config, network, units, None, {"medium": "audio", "data_licence": f"of {name}"})
    return folder / name


@pytest.fixture
def folders(tmp_path):
    return [saved(tmp_path, "first", 1), saved(tmp_path, "second", 2, features={"mels": 23})]


def test_joined_models_answer_as_one_and_a_copy_does_too(tmp_path, folders, monkeypatch, capsys):
    assert called(monkeypatch, capsys, "models", "join", *map(str, folders), "-o", str(tmp_path / "both"), "--name", "both")[0] == 0
    audio.write(tmp_path / "a.wav", bursts(2.0))
    together = recog.load(tmp_path / "both")
    found, = together.transcribe(tmp_path / "a.wav", TranscribeOptions(nbest=3))
    rows = []
    for folder in folders:
        loaded = modeldir.load(folder)
        rows += [ensemble.heard(loaded, [utterance(tmp_path / "a.wav")])["a"]]
    expected = ensemble.agreed(CtcBeam(CtcBeamConfig(beam=8, nbest=8)), rows, 3)
    assert [t.text for t in found.nbest] == [together.loaded.units.decode(h.units) for h in expected]
    assert found.score == pytest.approx(expected[0].score, rel=1e-5)
    assert called(monkeypatch, capsys, "models", "export", str(tmp_path / "both"), str(tmp_path / "copy"), "--half")[0] == 0
    copy = modeldir.load(tmp_path / "copy")
    assert [m.name for m in copy.members] == ["second"] and copy.members[0].info["data_licence"] == "of second" and copy.name == "both"
    alone, = recog.load(folders[0]).transcribe(tmp_path / "a.wav", TranscribeOptions(decoder="greedy"))
    greedy, = together.transcribe(tmp_path / "a.wav", TranscribeOptions(decoder="greedy"))
    assert alone.score != greedy.score                                              # the others have their say here too
    (tmp_path / "copy" / "members" / "second" / "weights.safetensors").write_bytes(b"x")
    with pytest.raises(ModelError, match="second"):
        modeldir.load(tmp_path / "copy")


def utterance(path):
    from recog.types import Utterance

    return Utterance("a", "train", str(path), "")


def test_what_cannot_read_together_is_refused(tmp_path, folders):
    first = modeldir.load(folders[0])
    other = replace(modeldir.load(folders[1]), units=Units("char", [BLANK, "x"]))
    with pytest.raises(ModelError, match="other units than 'first'"):
        ensemble.checked(first, other, folders[1])
    slow = saved(tmp_path, "slow", 3, features={"rate": 8000})
    with pytest.raises(ModelError, match="8000 samples a second"):
        ensemble.join([str(folders[0]), str(slow)], tmp_path / "out", None, False, False)
    transducer = saved(tmp_path, "transducer", 3, head={"kind": "transducer"})
    with pytest.raises(ModelError, match="transducer"):
        ensemble.join([str(folders[0]), str(transducer)], tmp_path / "out", None, False, False)
    with pytest.raises(ConfigError, match="two models or more"):
        ensemble.join([str(folders[0])], tmp_path / "out", None, False, False)
    with pytest.raises(ConfigError, match="one name"):
        ensemble.join([str(folders[0]), str(folders[0])], tmp_path / "out", None, False, False)
    ensemble.join(list(map(str, folders)), tmp_path / "out", None, False, False)
    with pytest.raises(ConfigError, match="is there already"):
        ensemble.join(list(map(str, folders)), tmp_path / "out", None, False, False)
    with pytest.raises(ModelError, match="itself several"):
        ensemble.join([str(saved(tmp_path, "third", 5)), str(tmp_path / "out")], tmp_path / "more", None, False, False)


# --- one that follows the pen, and one that sees what it drew ---


def of(medium, folder, seed):
    torch.manual_seed(seed)
    parts = {"ink": {"features": {"kind": "offsets", "normalize": "none"}, "encoder": {"kind": "blstm", "layers": 1, "units": 8}},
             "image": {"features": {"kind": "columns", "height": 16}, "encoder": {"kind": "crnn", "channels": [2], "down": [2], "along": [2], "layers": 1, "units": 8}}}
    config = build_config(RecognizerConfig, parts[medium] | {"decoder": {"kind": "beam", "beam": 8}}, "test")
    units = Units("char", [BLANK, " ", *"ABC"])
    modeldir.save(folder / medium, medium, config, build(config, len(units)), units, None, {"medium": medium, "data_licence": "none"})
    return folder / medium


@pytest.fixture
def pen_and_picture(tmp_path):
    return [of("ink", tmp_path, 1), of("image", tmp_path, 2)]


def test_a_line_of_ink_is_read_by_both_as_a_picture_of_it_is_by_one(tmp_path, pen_and_picture):
    ensemble.join(list(map(str, pen_and_picture)), tmp_path / "both", None, False, False)
    ink.write(written("nvo pin lot"), tmp_path / "line.inkml")
    pen, picture = map(modeldir.load, pen_and_picture)
    rows = [ensemble.heard(model, [utterance(tmp_path / "line.inkml")])["a"] for model in (pen, picture)]
    assert rows[0].shape[1] == rows[1].shape[1] and len(rows[0]) != len(rows[1])
    found, = recog.load(tmp_path / "both").transcribe(tmp_path / "line.inkml")
    alone, = recog.load(pen_and_picture[0]).transcribe(tmp_path / "line.inkml")
    assert found.score != alone.score


def test_a_dot_is_read_too(tmp_path, pen_and_picture):
    ensemble.join(list(map(str, pen_and_picture)), tmp_path / "both", None, False, False)
    ink.write(Ink((np.array([[3.0, 4.0, 0.0]]),)), tmp_path / "dot.inkml")
    found, = recog.load(tmp_path / "both").transcribe(tmp_path / "dot.inkml")
    assert isinstance(found.text, str)


def test_what_sees_goes_second(tmp_path, pen_and_picture, folders):
    with pytest.raises(ModelError, match="name the one that reads ink first"):
        ensemble.join(list(map(str, reversed(pen_and_picture))), tmp_path / "out", None, False, False)
    with pytest.raises(ModelError, match="reads audio"):
        ensemble.join([str(pen_and_picture[0]), str(folders[0])], tmp_path / "out", None, False, False)


# --- a run ---


def test_a_recipe_scores_models_together(tmp_path):
    folder = recipe.copy("tones", tmp_path / "tones")
    models = tmp_path / "tones" / "models"
    small = (models / "ctc.toml").read_text()
    sets = ["train.epochs=1", "encoder.units=8", "encoder.layers=1"]
    run_recipe(str(tmp_path / "tones"), None, "ctc", sets, tmp_path / "exp", "one", "train", None, False)
    beams = [f'[[{where}decoders]]\nkind = "beam"\nbeam = 5\n{more}\n' for where in ("", "beside.") for more in ("", "lm = true\n")]
    (models / "two.toml").write_text(small + "".join(beams[:2]) + f"""
[lm]
order = 2
units = "unit"

[[beside]]
name = "both"
members = ["{tmp_path}/exp/tones/one/model"]

""" + "".join(beams[2:]))
    table = run_recipe(str(tmp_path / "tones"), None, "two", [*sets, "train.seed=7"], tmp_path / "exp", None, "score", None, False)
    assert folder and {"beam+both", "beam+lm+both"} <= {line.split()[1] for line in table.splitlines() if len(line.split()) > 1}
    done = json.loads((tmp_path / "exp" / "tones" / "two" / "decode" / "begun.json").read_text())
    assert "beam+both: " in json.dumps(done)
