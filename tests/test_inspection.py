import json
import re

import numpy as np
import pytest
import soundfile

from recog import inspection, manifest, modeldir
from recog.config import build
from recog.errors import DataError, ModelError
from recog.files import write_json
from recog.inspection import describe
from recog.models.recognizer import RecognizerConfig, build as build_model
from recog.text import UnitsConfig, learn
from recog.types import Utterance

RATE = 16000


def noise(seconds, deviation, seed=0):
    return np.random.default_rng(seed).normal(0, deviation, int(seconds * RATE)).astype(np.float32)


def rows(text):
    return {line[:12].strip(): line[13:] for line in text.splitlines()}


# --- sound ---


def test_levels_of_a_square_wave(tmp_path):
    path = tmp_path / "square.wav"
    soundfile.write(path, np.where(np.arange(8000) % 80 < 40, 0.5, -0.5), 8000)
    said = rows(describe(path))
    assert said["peak"] == said["rms"] == "-6.0 dBFS"
    assert said["length"] == "1.00 seconds" and said["clipped"].startswith("0.000%")
    assert "Signed 16 bit PCM, 8000 Hz, mono" in said["format"]


@pytest.mark.parametrize("subtype", ["PCM_16", "PCM_U8", "ULAW", "ALAW"])
def test_clipping_shows_in_every_coding(tmp_path, subtype):
    path = tmp_path / "loud.wav"
    sound = noise(1, 0.1)
    sound[:4000] = 1.0
    soundfile.write(path, sound, RATE, subtype=subtype)
    assert rows(describe(path))["clipped"].startswith("25.0")


def test_speech_is_found_between_pauses(tmp_path):
    path = tmp_path / "talk.flac"
    quiet, loud = noise(2, 0.001), noise(1, 0.2, seed=1)
    soundfile.write(path, np.concatenate([quiet, loud, quiet, loud, quiet]), RATE)
    said = rows(describe(path))
    assert "in 2 stretches" in said["speech"] and "takes a recording this short whole" in said["speech"]
    times = [tuple(map(float, pair.split("-"))) for pair in said["stretches"].split(", ")]
    assert np.allclose(times, [(2, 3), (5, 6)], atol=0.4)


def test_silence_has_no_level_and_no_speech(tmp_path):
    path = tmp_path / "nothing.wav"
    soundfile.write(path, np.zeros(RATE), RATE)
    said = rows(describe(path))
    assert said["peak"] == said["rms"] == "silence"
    assert said["speech"].startswith("0.00 seconds in 0 stretches") and "stretches" not in said


def test_stereo_is_named(tmp_path):
    path = tmp_path / "two.wav"
    soundfile.write(path, np.stack([noise(1, 0.1), noise(1, 0.1)], axis=1), 44100)
    assert "44100 Hz, stereo" in rows(describe(path))["format"]


# --- manifest ---


def test_a_manifest_is_counted(tmp_path):
    (tmp_path / "wav").mkdir()
    soundfile.write(tmp_path / "wav" / "a.wav", noise(36, 0.1), RATE)
    path = tmp_path / "list.jsonl"
    manifest.write(path, [Utterance("a", "train", "wav/a.wav", "ONE TWO", "ann"),
                          Utterance("b", "train", "wav/a.wav", "THREE", "bob", start=0.0, end=36.0),
                          Utterance("c", "test", "wav/none.wav", "O", "ann")])
    text = describe(path)
    assert re.search(r"^train +2 +0\.02 +2 +3 +12$", text, re.MULTILINE)
    assert re.search(r"^test +1 +- +1 +1 +1$", text, re.MULTILINE)
    said = rows(text)
    assert said["not found"] == "1 of 3 files are not there or cannot be read"
    assert said["vocabulary"] == "4 different words, 8 different characters: ' EHNORTW'"
    assert said["shortest"] == "1 characters, 'c': O" and said["longest"] == "7 characters, 'a': ONE TWO"


def test_a_bad_manifest_is_named(tmp_path):
    path = tmp_path / "list.jsonl"
    path.write_text("")
    with pytest.raises(DataError, match="holds no utterances"):
        describe(path)
    path.write_text('{"id": "a"}\n')
    with pytest.raises(DataError, match="list.jsonl:1"):
        describe(path)


# --- model ---


@pytest.fixture
def model(tmp_path):
    table = {"encoder": {"kind": "blstm", "layers": 1, "units": 4}, "features": {"normalize": "none", "mels": 5, "stack": 2}}
    config = build(RecognizerConfig, table, where="test")
    units = learn(UnitsConfig(), ["ABC"])
    figures = {"error_rate": 0.125, "interval": [0.1, 0.15], "errors": 1, "tokens": 8, "utterances": 4}
    facts = {"medium": "audio", "data_licence": "free to all", "provenance": {"recipe": "r", "date": "2026-11-21"},
             "scores": {"test": {"greedy": {"word": figures, "char": {**figures, "interval": None}}}}}
    modeldir.save(tmp_path / "m", "tiny", config, build_model(config, len(units)), units, None, facts)
    return tmp_path / "m"


def test_a_model_is_described(model):
    said = rows(describe(model))
    assert said["model"] == f"tiny (audio), {model}"
    assert said["units"] == "3 of kind char, and the blank"
    assert said["step"].startswith("20 ms")
    assert said["encoder"].startswith("blstm, ") and "units 4" in said["encoder"]
    assert "mels 5" in said["features"]
    assert said["licence"] == "free to all"
    assert said["made"] == "date 2026-11-21, recipe r"
    assert said["scores"] == "test, greedy: char errors 12.50 % (1 / 8), word errors 12.50 % [10.00, 15.00] (1 / 8)"
    weights = int(said["weights"].split(",  ")[0].split(", ")[0].replace(",", ""))
    assert weights == sum(w.numel() for w in modeldir.load(model).model.parameters())


def test_a_damaged_model_is_refused(model):
    path = model / "weights.safetensors"
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(ModelError, match="bytes"):
        describe(model)


# --- run ---


def finished(folder, result, key=None):
    folder.mkdir(parents=True)
    write_json(folder / "begun.json", key or {})
    if result is not None:
        write_json(folder / "done.json", {"key": key or {}, "result": result})


@pytest.fixture
def run(tmp_path):
    home = tmp_path / "exp" / "birds"
    finished(home / "prepare", {"counts": {"train": 7, "test": 3}})
    finished(home / "features-0123abcd", {"utterances": 10})
    finished(home / "ctc" / "units", {"count": 28})
    finished(home / "ctc" / "train", None, {"inputs": {"features": "0123abcd" + "f" * 56}})
    return home / "ctc"


def test_a_run_under_way(run):
    said = rows(describe(run))
    assert said["prepare"] == "done: test 3, train 7"
    assert said["features"] == "done: 10 utterances" and said["units"] == "done: 27 units and the blank"
    assert said["train"] == "under way" and said["decode"] == said["score"] == "not begun"
    errors = enumerate((0.5, 0.2, 0.3), 1)
    lines = [{"step": n, "epoch": n, "train_loss": 5.0 / n, "dev_error": error} for n, error in errors]
    (run / "train" / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines) + '{"step": 4, "ep')
    assert rows(describe(run))["train"] == \
        "under way: 3 epochs, training loss 1.6667; best epoch 2 with 20.00 % errors on the development set"


def test_a_finished_run_shows_its_table(run):
    result = {"epochs": 9, "best_epoch": 7, "best": 0.25, "minutes": 1.5}
    write_json(run / "train" / "done.json", {"key": {}, "result": result})
    finished(run / "decode", {"real_time_factors": {}})
    finished(run / "score", {"table": "birds: best\ntest 1.00"})
    text = describe(run)
    assert text.endswith("\n\nbirds: best\ntest 1.00")
    assert rows(text)["train"] == "done: best of 9 epochs: 7, at 0.2500 on the development set, 1.5 minutes"


def test_the_folder_above_a_run_points_to_it(run):
    with pytest.raises(DataError, match="look at .*ctc"):
        describe(run.parent)


# --- what is nothing of these ---


def test_what_recog_does_not_know(tmp_path):
    for path in (tmp_path / "none", tmp_path):
        with pytest.raises(DataError) as caught:
            describe(path)
        assert str(path) in str(caught.value) and caught.value.hint
    text = tmp_path / "a.txt"
    text.write_text("hello")
    with pytest.raises(DataError, match="not a kind of file"):
        describe(text)
    empty = tmp_path / "a.wav"
    empty.write_bytes(b"")
    with pytest.raises(DataError, match="is empty"):
        describe(empty)


def test_importing_is_light():
    import subprocess
    import sys

    code = ("import sys, recog.inspection, recog.doctor; "
            "print([m for m in ('torch', 'soundfile', 'numba') if m in sys.modules])")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
    assert inspection.STAGES == ("units", "train", "lm", "decode", "score")
