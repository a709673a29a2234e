"""Tuning takes the best pair of all that it tried, draws them, and puts the model where it belongs."""

from dataclasses import replace

import numpy as np
import pytest
from test_fusion import CHARS, SPOKEN, model

from recog import modeldir, tuning
from recog.config import Component
from recog.config import build as build_config
from recog.decode import decode, make
from recog.decode.ctc_beam import CtcBeamConfig
from recog.errors import ConfigError, DataError
from recog.models.recognizer import RecognizerConfig, build
from recog.score import error_rate
from recog.store import write_shard


class Loaded:
    """As much of a model as tuning looks at."""

    def __init__(self, lm):
        self.lm, self.units, self.words, self.model = lm, CHARS, (), self

    def predictor(self):
        return None                                        # of a model with the ctc head


@pytest.fixture
def heard(tmp_path):
    rng = np.random.default_rng(3)
    texts = {f"u{n}": text for n, text in enumerate(SPOKEN * 2)}
    log_probs = {}
    for id, text in texts.items():
        path = [u for c in text for u in (CHARS.symbols.index(c), 0)]
        logits = rng.normal(0, 1.6, (len(path), 4)) + 3 * np.eye(4)[path]
        log_probs[id] = logits - np.log(np.exp(logits).sum(1, keepdims=True))
    return log_probs, texts


def test_the_best_pair_is_taken_and_beats_no_model(tmp_path, heard):
    loaded, component = Loaded(model(tmp_path, SPOKEN)[0]), Component("beam", CtcBeamConfig(beam=20, lm=True))
    log_probs, texts = heard
    said = []
    pair = tuning.tune(loaded, component, log_probs, texts, "word", None, tmp_path / "tune.svg", said.append)

    def error(**settings):
        decoder = make(Component("beam", replace(component.config, **settings)), CHARS, (), lm=loaded.lm)
        return error_rate(list(texts.values()), [CHARS.decode(decode(decoder, log_probs[id])[0].units) for id in texts], "word")

    grid = np.array([[error(lm_weight=w, word_bonus=b) for b in tuning.BONUSES] for w in tuning.WEIGHTS])
    padded, ones = np.pad(grid, 1), np.pad(np.ones_like(grid), 1)
    shifts = [(i, j) for i in (-1, 0, 1) for j in (-1, 0, 1)]
    means = (sum(np.roll(padded, at, (0, 1)) for at in shifts) / np.maximum(1, sum(np.roll(ones, at, (0, 1)) for at in shifts)))[1:-1, 1:-1]
    column = tuning.BONUSES.index(pair["word_bonus"])
    best = np.unravel_index(means.argmin(), means.shape)
    assert abs(pair["word_bonus"]) <= abs(tuning.BONUSES[best[1]]) and means[:, column].min() <= 1.5 * means.min()
    assert abs(pair["lm_weight"] - tuning.WEIGHTS[means[:, column].argmin()]) <= tuning.FINER
    assert error(**pair) < grid[0, 2]                                              # than without a model
    assert f"{100 * error(**pair):.2f} %" in said[0] and f"{100 * error(**pair):.2f}" in (tmp_path / "tune.svg").read_text()


def test_units_get_a_length_bonus(tmp_path, heard):
    loaded = Loaded(model(tmp_path, ["A <space> A B", "B B <space> A"])[0])
    component = Component("beam", CtcBeamConfig(beam=4, lm=True))
    assert set(tuning.tune(loaded, component, *heard, "char", None, tmp_path / "tune.svg", len)) == {"lm_weight", "length_bonus"}


def test_a_difference_counts_when_it_is_more_than_its_standard_error():
    rng = np.random.default_rng(0)
    noise = rng.normal(0, 1, 400)
    noise -= noise.mean()
    assert tuning._no_worse(noise + 0.9 * noise.std() / 20) and not tuning._no_worse(noise + 1.1 * noise.std() / 20)
    assert tuning._no_worse(np.zeros(5)) and tuning._no_worse(-np.ones(5)) and not tuning._no_worse(np.ones(5))


@pytest.fixture
def run(tmp_path, heard):
    """A run's folder, as far as tuning reads it."""
    settings = {"encoder": {"kind": "blstm", "layers": 1, "units": 2}, "features": {"mels": 4, "normalize": "utterance"},
                "decoder": {"kind": "beam", "beam": 4, "boost": 3.0, "token_threshold": 9.0, "length_bonus": 1.0}}
    config = build_config(RecognizerConfig, settings, "test")
    folder, (log_probs, texts) = tmp_path / "run", heard
    modeldir.save(folder / "model", "tiny", config, build(config, len(CHARS)), CHARS, None, {"medium": "audio", "data_licence": "none"})
    (folder / "decode" / "dev").mkdir(parents=True)
    write_shard(folder / "decode" / "dev" / "log_probs", 0, ((id, 0, rows.astype(np.float32)) for id, rows in log_probs.items()))
    (folder / "decode" / "dev" / "reference.tsv").write_text("".join(f"{id}\t{text}\n" for id, text in texts.items()))
    model(tmp_path, SPOKEN)
    return folder


def test_the_run_s_decoder_keeps_what_is_not_tuned(run, monkeypatch):
    monkeypatch.setattr(tuning, "tune", lambda *_: {"lm_weight": 0.5, "word_bonus": 2.0})
    tuning.tune_run(run, run.parent / "lm.arpa", beam=7)
    wanted = CtcBeamConfig(beam=7, lm=True, lm_weight=0.5, word_bonus=2.0, boost=3.0, token_threshold=9.0)
    assert modeldir.load(run / "model").config.decoder == Component("beam", wanted)


def test_phones_are_folded_as_the_run_s_were(run, monkeypatch):
    asked = []
    monkeypatch.setattr(tuning, "tune", lambda *settings: asked.append(settings[5]) or {})
    tuning.tune_run(run, run.parent / "lm.arpa", unit="phone")
    (run / "score").mkdir()
    (run / "score" / "fold.txt").write_text("A a vowel\nB - stop\n")
    tuning.tune_run(run, run.parent / "lm.arpa", unit="phone")
    assert asked[0] is None and asked[1](["A", "B", "A"]) == ["a", "a"]
    with pytest.raises(ConfigError, match="phones are folded before they are scored .add --unit phone"):
        tuning.tune_run(run, run.parent / "lm.arpa")


def test_an_utterance_that_was_not_heard_is_named(run):
    with open(run / "decode" / "dev" / "reference.tsv", "a") as file:
        file.write("other\tA AB\n")
    with pytest.raises(DataError, match="holds no log-probabilities of 'other'"):
        tuning.tune_run(run, run.parent / "lm.arpa")
