"""Bad input to a recipe: each is one line with the name and the remedy, and leaves nothing half-written."""

import json
from pathlib import Path

import pytest

from recog.errors import RecogError
from recog.stages import run_recipe
from recog.testing import ROWS, SETTINGS, tiny_recipe, tone_corpus

pytestmark = pytest.mark.usefixtures("one_thread")


def refused(tmp_path, rows=ROWS, settings="", expect="", overrides=(), corpus=None, seconds=None):
    """Runs a recipe that must fail; gives its line, after looking at what it left."""
    recipe = tiny_recipe(tmp_path / "mine", settings, expect)
    corpus = corpus or tone_corpus(tmp_path / "corpus", rows, seconds)
    with pytest.raises(RecogError) as caught:
        run_recipe(str(recipe), corpus, None, list(overrides), tmp_path / "exp", None, "score", None, False)
    line = str(caught.value)
    assert "\n" not in line
    left = [p for p in (tmp_path / "exp").rglob("*") if p.is_file()]
    assert not [p for p in left if p.suffix == ".partial"]
    for path in left:
        if path.suffix == ".json":
            json.loads(path.read_text())
    return line


def done(tmp_path):
    """The stages that finished."""
    return {p.parent.name.split("-")[0] for p in (tmp_path / "exp").rglob("done.json")}


@pytest.mark.parametrize("assignment, words", [
    ("encoder.layer=5", "encoder.layer: unknown setting (did you mean 'layers'?)"),
    ("encoder.units=many", "encoder.units: must be a whole number, not 'many'"),
    ("train.optimizer.kind=adm", "train.optimizer.kind: unknown value 'adm' (did you mean 'adam'?)"),
    ("encoder.kind=blsm", "unknown encoder 'blsm' (did you mean 'blstm'?)"),
    ("train.epochs=0", "epochs, evaluate_every and passes must be at least 1"),
    ("train.optimizer.rate=nan", "train.optimizer.rate"),
    ("features.mels=2", "features: "),
    ("features.window_ms=0.01", "features: "),
    ("encoder", "not of the form section.key=value")])
def test_a_wrong_setting_is_refused_before_anything_is_read(tmp_path, assignment, words):
    assert words in refused(tmp_path, overrides=[assignment], corpus=Path("nowhere"))
    assert not (tmp_path / "exp").exists()


def test_all_wrong_settings_are_named_at_once(tmp_path):
    line = refused(tmp_path, overrides=["encoder.layer=5", "train.epoch=3", "features.mels=yes"], corpus=Path("nowhere"))
    assert "encoder.layer" in line and "train.epoch" in line and "features.mels" in line and "ctc.toml" in line


def test_a_missing_corpus(tmp_path):
    assert "there is no such folder" in refused(tmp_path, corpus=tmp_path / "nowhere") and done(tmp_path) == set()


def test_no_corpus_named(tmp_path):
    recipe = tiny_recipe(tmp_path / "mine")
    with pytest.raises(RecogError, match="--corpus FOLDER"):
        run_recipe(str(recipe), None, None, [], tmp_path / "exp", None, "score", None, False)


def test_wrong_counts(tmp_path):
    line = refused(tmp_path, expect="[expect]\ntrain = 9\ndev = 2\ntest = 5")
    assert "train: 8 utterances, expected 9; test: 2 utterances, expected 5" in line and "dev:" not in line
    assert done(tmp_path) == set() and not list(tmp_path.rglob("manifest.jsonl"))


def test_duplicate_ids(tmp_path):
    line = refused(tmp_path, [*ROWS, ("dev0", "test", "01")])
    assert "'dev0' occurs twice" in line and done(tmp_path) == set() and not list(tmp_path.rglob("manifest.jsonl"))


@pytest.mark.parametrize("text", ["", "  "])
def test_an_empty_transcript(tmp_path, text):
    line = refused(tmp_path, [*ROWS, ("train9", "train", text)])
    assert "'train9' has an empty transcript" in line and done(tmp_path) == set()


def test_a_split_without_utterances(tmp_path):
    assert "no utterance in the split 'dev'" in refused(tmp_path, [row for row in ROWS if row[1] != "dev"])
    assert done(tmp_path) == set()


def test_no_utterances(tmp_path):
    assert "gave no utterances" in refused(tmp_path, [])


@pytest.mark.parametrize("split", ["dev", "train"])
def test_a_sound_that_is_not_there_or_is_none(tmp_path, split):
    corpus = tone_corpus(tmp_path / "corpus")
    (corpus / f"{split}1.wav").unlink()
    line = refused(tmp_path, corpus=corpus)
    assert f"'{split}1'" in line and f"{split}1.wav" in line and done(tmp_path) == {"prepare"}


def test_a_sound_that_is_cut_short(tmp_path):
    corpus = tone_corpus(tmp_path / "corpus")
    path = corpus / "train3.wav"
    path.write_bytes(path.read_bytes()[:30])
    line = refused(tmp_path, corpus=corpus)
    assert "'train3'" in line and "train3.wav" in line and not list(tmp_path.glob("exp/**/shard-*"))


def test_a_development_transcript_with_an_unknown_unit(tmp_path):
    line = refused(tmp_path, [*ROWS, ("dev7", "dev", "0x1")])
    assert "'dev7'" in line and "'x'" in line and "3 char units" in line
    assert done(tmp_path) == {"prepare", "features", "units"} and not (tmp_path / "exp" / "mine" / "ctc" / "model").exists()


def test_a_test_transcript_with_an_unknown_unit_only_counts_as_an_error(tmp_path):
    recipe, corpus = tiny_recipe(tmp_path / "mine"), tone_corpus(tmp_path / "corpus", [*ROWS, ("test7", "test", "x")])
    assert "test" in run_recipe(str(recipe), corpus, None, [], tmp_path / "exp", None, "score", None, False)


def test_utterances_too_short_for_their_labels_are_listed(tmp_path):
    lengths = {"train2": 0.045, "train6": 0.035}                  # 3 and 2 frames for '20' and '201'
    line = refused(tmp_path, seconds=lambda id: lengths.get(id, 0.5))
    assert "1 utterances cannot be learned" in line and "'train6' (2 frames, 3 needed)" in line and "train2" not in line
    listing = (tmp_path / "exp" / "mine" / "ctc" / "train" / "unfit.txt").read_text()
    assert listing == "train6\t2 frames, 3 needed\n"
    assert "unfit.txt" in line and "leave them out" in line


def test_subsampling_counts_when_utterances_are_too_short(tmp_path):
    line = refused(tmp_path, settings=SETTINGS.replace("units = 8", "units = 8\nsubsample = [8]"), seconds=lambda id: 0.175)
    assert "'train6' (2 frames, 3 needed)" in line                # 16 frames, eight joined to one


def test_after_a_refusal_a_mended_corpus_or_setting_just_runs(tmp_path):
    refused(tmp_path, [*ROWS, ("dev7", "dev", "0x1")])
    tone_corpus(tmp_path / "corpus", ROWS)
    (tmp_path / "corpus" / "dev7.wav").unlink()
    assert "test" in run_recipe(str(tmp_path / "mine"), tmp_path / "corpus", None, [], tmp_path / "exp", None, "score", None, False)
