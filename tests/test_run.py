"""`recog run` from sound files to a scored table: once, again, killed, with other settings, and with bad input."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import recog
from recog import modeldir
from recog.api import TranscribeOptions
from recog.errors import ConfigError
from recog.files import digest
from recog.stages import STAGES, run_recipe
from recog.testing import ROWS, SETTINGS, tiny_recipe, tone_corpus

pytestmark = pytest.mark.usefixtures("one_thread")
ROOT = Path(__file__).parents[1]
PLAIN = [stage for stage in STAGES if stage != "lm"]               # of a model without a language model


def run(recipe, corpus, exp, overrides=(), name=None, until="score", again=None, record=False):
    return run_recipe(str(recipe), corpus, None, list(overrides), exp, name, until, again, record)


def talk(capsys):
    """What was said on stderr, as {stage: its first line}."""
    said = {}
    for line in capsys.readouterr().err.splitlines():
        stage, _, words = line.partition(": ")
        said.setdefault(stage, words)
    return said


def contents(folder):
    return {str(p.relative_to(folder)): digest(p) for p in folder.rglob("*") if p.is_file()}


@pytest.fixture
def corpus(tmp_path):
    return tone_corpus(tmp_path / "corpus")


@pytest.fixture
def recipe(tmp_path):
    return tiny_recipe(tmp_path / "mine")


def test_a_run_leaves_a_table_a_model_and_reports_and_a_second_run_does_nothing(tmp_path, recipe, corpus, capsys):
    exp = tmp_path / "exp"
    table = run(recipe, corpus, exp)
    assert [line.split()[:2] for line in table.splitlines()[2:]] == [["dev", "greedy"], ["test", "greedy"]]
    folder = exp / "mine" / "ctc"
    info = json.loads((folder / "model" / "model.json").read_text())
    assert info["data_licence"] == "Apache-2.0" and info["scores"]["test"]["greedy"]["char"]["tokens"] == 4
    assert (folder / "report.html").is_file() and (folder / "train" / "metrics.jsonl").read_text().count("\n") == 2
    assert not list(exp.rglob("*.partial"))
    before, _ = contents(exp), talk(capsys)
    assert run(recipe, corpus, exp) == table
    assert talk(capsys) == {stage: "skip, unchanged" for stage in PLAIN} and contents(exp) == before


def test_until_stops_and_the_next_run_goes_on(tmp_path, recipe, corpus, capsys):
    assert run(recipe, corpus, tmp_path / "exp", until="units") == ""
    assert not (tmp_path / "exp" / "mine" / "ctc" / "train").exists()
    talk(capsys)
    run(recipe, corpus, tmp_path / "exp", until="train")
    said = talk(capsys)
    assert [said[s] for s in ("prepare", "features", "units")] == ["skip, unchanged"] * 3 and "train" in said and "decode" not in said
    with pytest.raises(ConfigError, match="no stage 'trian' .did you mean 'train'"):
        run(recipe, corpus, tmp_path / "exp", until="trian")


def test_other_settings_need_force_or_another_name(tmp_path, recipe, corpus, capsys):
    exp = tmp_path / "exp"
    run(recipe, corpus, exp)
    before = contents(exp)
    with pytest.raises(ConfigError) as caught:
        run(recipe, corpus, exp, ["encoder.units=6"])
    assert "encoder.units 8 -> 6" in str(caught.value) and "--from train" in str(caught.value) and "--name" in str(caught.value)
    assert contents(exp) == before
    talk(capsys)
    run(recipe, corpus, exp, ["encoder.units=6"], name="small")
    said = talk(capsys)
    assert said["prepare"] == said["features"] == "skip, unchanged" and said["units"] != "skip, unchanged"
    after = contents(exp)
    assert before.items() <= after.items() and any(name.startswith("mine/small/model") for name in after)
    run(recipe, corpus, exp, ["encoder.units=6"], again="train")
    weights = json.loads((exp / "mine" / "ctc" / "model" / "model.json").read_text())["config"]["encoder"]["units"]
    assert weights == 6


def test_a_change_of_the_decoder_decodes_again_and_trains_no_more(tmp_path, recipe, corpus, capsys):
    exp = tmp_path / "exp"
    run(recipe, corpus, exp)
    weights = digest(exp / "mine" / "ctc" / "model" / "weights.safetensors")
    talk(capsys)
    table = run(recipe, corpus, exp, ['decoders=[{kind="greedy"}, {kind="beam", beam=4}]'])
    said = talk(capsys)
    assert said["train"] == "skip, unchanged" and said["decode"].startswith("again") and said["score"].startswith("again")
    assert "beam" in table and digest(exp / "mine" / "ctc" / "model" / "weights.safetensors") == weights


def test_a_language_model_is_trained_tuned_and_put_into_the_model(tmp_path, corpus, capsys):
    texts = ["01 2", "1 20", "2 0 1", "0", "12 2", "20 1 1"]
    corpus = tone_corpus(tmp_path / "words", [(f"{split}{n}", split, text) for split in ("train", "dev", "test") for n, text in enumerate(texts)])
    decoders = '[[decoders]]\nkind = "beam"\nbeam = 4\nlm = true\n[[decoders]]\nkind = "greedy"\n[lm]\norder = 2\n'
    recipe, exp = tiny_recipe(tmp_path / "mine", SETTINGS + decoders), tmp_path / "exp"
    run(recipe, corpus, exp, until="train")
    assert [t.parts["lm"] for t in recog.load(exp / "mine" / "ctc" / "model").transcribe([corpus / "test0.wav"])] == [0.0]
    table = run(recipe, corpus, exp)
    assert [line.split()[1] for line in table.splitlines()[2:]] == ["beam+lm", "greedy"] * 2
    said = talk(capsys)
    assert said["lm"].endswith("n-grams of words from 6 sentences") and "lm_weight" in said["tune"]
    folder = exp / "mine" / "ctc"
    assert "<svg" in (folder / "lm" / "beam+lm.svg").read_text()
    loaded, weights = modeldir.load(folder / "model"), digest(folder / "model" / "weights.safetensors")
    tuned = json.loads((folder / "lm" / "done.json").read_text())["result"]["lm"]["tuned"]["beam+lm"]
    assert loaded.lm.order == 2 and {key: getattr(loaded.config.decoder.config, key) for key in tuned} == tuned
    sounds = [corpus / "test0.wav", corpus / "test1.wav"]
    ours = {lm: [t.parts["lm"] for t in recog.load(folder / "model").transcribe(sounds, TranscribeOptions(lm=lm, lm_weight=weight))]
            for lm, weight in ((None, 1.0), ("none", None), (str(folder / "lm" / "lm.arpa"), 1.0))}
    assert ours[None] == ours[str(folder / "lm" / "lm.arpa")] and all(lm < 0 for lm in ours[None]) and ours["none"] == [0.0, 0.0]
    assert run(recipe, corpus, exp) == table and talk(capsys)["lm"] == "skip, unchanged"
    run(recipe, corpus, exp, ["lm.order=1"])                       # the network stays
    assert talk(capsys)["train"] == "skip, unchanged" and digest(folder / "model" / "weights.safetensors") == weights
    assert modeldir.load(folder / "model").lm.order == 1
    (tmp_path / "units.arpa").write_bytes((folder / "lm" / "lm.arpa").read_bytes())
    status, out, err = finished("lm", "tune", folder, tmp_path / "units.arpa", "--unit", "char", "--beam", 8)
    assert status == 0 and "char errors on the development set" in out and "<svg" in (folder / "tune.svg").read_text(), err
    assert modeldir.load(folder / "model").config.decoder.config.beam == 8
    status, out, err = finished("lm", "tune", folder, tmp_path / "units.arpa", "--split", "nowhere")
    assert status == 1 and out == "" and "holds no log-probabilities of 'nowhere'" in err and err.count("\n") == 1


@pytest.mark.parametrize("decoders, what", [('[[decoders]]\nkind = "beam"\nlm = true', "needs .lm."), ("[lm]", "needs a decoder with lm = true")])
def test_a_language_model_and_who_asks_it_go_together(tmp_path, corpus, decoders, what):
    with pytest.raises(ConfigError, match=what):
        run(tiny_recipe(tmp_path / "mine", SETTINGS + decoders), corpus, tmp_path / "exp")


def test_another_corpus_is_noticed(tmp_path, recipe, corpus, capsys):
    exp = tmp_path / "exp"
    run(recipe, corpus, exp)
    tone_corpus(corpus, [*ROWS, ("more", "test", "012")])
    with pytest.raises(ConfigError, match="other settings"):
        run(recipe, corpus, exp)
    assert "skip" not in talk(capsys)["prepare"]


def test_record_adds_a_row_and_nothing_else(tmp_path, recipe, corpus):
    for _ in range(2):
        run(recipe, corpus, tmp_path / "exp", record=True)
    rows = [line for line in (recipe / "RESULTS.md").read_text().splitlines() if line.startswith("| 2")]
    assert len(rows) == 2 and rows[0] == rows[1] and "CER" in rows[0] and "| test |" in rows[0]


def command(*arguments, cwd=ROOT):
    """Runs the command line in a process of its own."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    return subprocess.Popen([sys.executable, "-m", "recog", *map(str, arguments)], cwd=cwd, env=environment, text=True,
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True)


def finished(*arguments):
    process = command(*arguments)
    out, err = process.communicate(timeout=300)
    return process.returncode, out, err


def test_the_tones_recipe_from_the_command_line_twice(tmp_path):
    small = ["run", "tones", "--exp", tmp_path / "exp", "--set", "train.epochs=1", "--set", "encoder.units=8"]
    status, table, err = finished(*small)
    assert status == 0, err
    assert "tones: best of 1 epochs" in table and table.splitlines()[1].split()[:3] == ["split", "decoder", "CER"]
    assert {line.split()[0] for line in table.splitlines()[2:]} == {"dev", "test"}
    status, again, err = finished(*small)
    assert status == 0 and again == table
    assert [line for line in err.splitlines() if ":" in line] == [f"{stage}: skip, unchanged" for stage in PLAIN]


def kill_and_resume(tmp_path, recipe, corpus, kills, watch):
    """Runs in processes that are killed at random, then to the end; the weights must be those of an undisturbed run."""
    slowly = ["--set", "train.checkpoint_seconds=0.0"]
    draw = random.Random()
    delays, groups = [], []
    for number in range(kills):
        process = command("run", recipe, "--corpus", corpus, "--exp", tmp_path / "killed", *slowly)
        watch(number, process, tmp_path / "killed" / "mine")
        delays.append(draw.uniform(0, 0.1))
        time.sleep(delays[-1])
        process.kill()
        process.wait()
        groups.append(process.pid)
        if process.returncode == 0:                                # it was quicker than the kill
            break
    assert len(groups) > 1 or process.returncode == -signal.SIGKILL, "the run ended before it could be killed"
    status, table, err = finished("run", recipe, "--corpus", corpus, "--exp", tmp_path / "killed", *slowly)
    assert status == 0, (delays, err)
    status, expected, _ = finished("run", recipe, "--corpus", corpus, "--exp", tmp_path / "whole", *slowly)
    weights = [digest(tmp_path / exp / "mine" / "ctc" / "model" / "weights.safetensors") for exp in ("killed", "whole")]
    assert weights[0] == weights[1], delays
    assert [line.split()[:-1] for line in table.splitlines()[2:]] == [line.split()[:-1] for line in expected.splitlines()[2:]]
    assert not list((tmp_path / "killed").rglob("*.partial"))
    for group in groups:                                           # nor is a process left behind that goes on writing
        with pytest.raises(ProcessLookupError):
            os.killpg(group, signal.SIGKILL)


def until_there(process, folder, pattern):
    while process.poll() is None and not list(folder.glob(pattern)):
        time.sleep(0.002)


LONGER = SETTINGS.replace("epochs = 2", "epochs = 200")


def test_a_run_killed_in_its_stages_ends_with_the_same_weights(tmp_path, corpus):
    recipe = tiny_recipe(tmp_path / "mine", LONGER)
    moments = ["features-*/begun.json", "ctc/train/begun.json", f"ctc/train/state/step-*{random.randrange(10)}"]
    kill_and_resume(tmp_path, recipe, corpus, 3, lambda number, process, home: until_there(process, home, moments[number]))


def test_a_run_that_splices_killed_in_its_second_phase_ends_with_the_same_weights(tmp_path):
    texts = ["01 2", "1 20", "2 0 1", "0", "12 2", "20 1 1"]
    corpus = tone_corpus(tmp_path / "corpus", [(f"{split}{n}", split, text) for split in ("train", "dev", "test") for n, text in enumerate(texts)])
    recipe = tiny_recipe(tmp_path / "mine", SETTINGS + "[splice]\nshare = 0.8\n[second]\nepochs = 60\n")
    kill_and_resume(tmp_path, recipe, corpus, 2, lambda number, process, home: until_there(process, home, "ctc/train/second/state/step-*"))
    weights, plain = {}, tiny_recipe(tmp_path / "mine2", SETTINGS)
    for name, more in (("plain", ()), ("spliced", ("--set", "splice.share=0.8")), ("again", ("--set", "splice.share=0.8"))):     # from a model
        start = ("--set", f"train.start={tmp_path / 'whole/mine/ctc/model'}", "--set", "train.metric=last")
        status, _, err = finished("run", plain, "--corpus", corpus, "--exp", tmp_path / "more", "--name", name, *start, *more)
        assert status == 0, err
        weights[name] = digest(tmp_path / "more" / "mine2" / name / "model" / "weights.safetensors")
    assert weights["plain"] != weights["spliced"] == weights["again"]


@pytest.mark.slow
def test_a_run_killed_at_any_moment_ends_with_the_same_weights(tmp_path):
    rows = [(f"{split}{i:03d}", split, "".join(random.choices("0123", k=3))) for split, n in (("train", 300), ("dev", 20), ("test", 20))
            for i in range(n)]
    corpus, recipe = tone_corpus(tmp_path / "corpus", rows), tiny_recipe(tmp_path / "mine", SETTINGS.replace("epochs = 2", "epochs = 10"))
    kill_and_resume(tmp_path, recipe, corpus, 8, lambda number, process, home: time.sleep(random.uniform(2, 4 + number)))


def test_an_interrupted_run_goes_on(tmp_path, corpus):
    recipe = tiny_recipe(tmp_path / "mine", SETTINGS.replace("epochs = 2", "epochs = 400"))          # more than a slow signal misses
    process = command("run", recipe, "--corpus", corpus, "--exp", tmp_path / "exp")
    until_there(process, tmp_path / "exp" / "mine" / "ctc" / "train", "metrics.jsonl")
    time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130 and out == "" and "Traceback" not in err
    status, table, err = finished("run", recipe, "--corpus", corpus, "--exp", tmp_path / "exp")
    assert status == 0 and "train: going on where it stopped" in err and "best of 400 epochs" in table
