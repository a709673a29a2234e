"""Several processes train as one does, whatever their number; and when one of them ends too early, all do, in one line, with a state to go on from."""

import json
import math
import multiprocessing
import os
import re
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
import ranked
import torch
from hypothesis import given
from hypothesis import strategies as st
from ranked import CONFIG, KINDS
from tiny_runs import rows, steps_done

from recog import checkpoint, ranks
from recog.batching import dealt, pad, some
from recog.bulk import transcribe_files
from recog.errors import ConfigError, DataError, TrainError
from recog.gradients import gradients
from recog.launch import launched
from recog.part import Part, parsed
from recog.stages import run_recipe
from recog.testing import SETTINGS, spelled, tiny_model, tiny_recipe, tone_corpus
from recog.types import Transcript

pytestmark = pytest.mark.usefixtures("one_thread")
ROOT = Path(__file__).parents[1]


@pytest.fixture(autouse=True)
def nothing_is_left_running():
    yield
    assert not multiprocessing.active_children()


@pytest.fixture(scope="module")
def features(tmp_path_factory):
    folder = tmp_path_factory.mktemp("features")
    (folder / "texts.json").write_text(json.dumps(spelled(folder).texts))
    return folder


def furthest(a, b):
    return max((a[name] - b[name]).abs().max().item() for name in a)


# --- a batch worked in several passes ---


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("passes", [2, 3, 9])                        # more than there are rows, too
def test_passes_leave_the_gradient_of_the_whole_batch(features, kind, passes):
    batch, found = next(ranked.learned(features).examples(CONFIG, perturb=CONFIG.perturb).epoch(0)), []
    for parts in (1, passes):
        model = tiny_model()
        hooks = ranked.hooks_for(kind, model)
        torch.manual_seed(5)
        total = gradients(model, batch, hooks, 1, 0, "float32", parts)
        found.append((total, torch.cat([w.grad.flatten() for w in [*model.parameters(), *(w for hook in hooks for w in hook.weights())]])))
    assert found[0][0] == pytest.approx(found[1][0], rel=1e-5)
    assert (found[0][1] - found[1][1]).abs().max() < 1e-5 * found[0][1].abs().max()


# --- how a batch is dealt out ---


@given(st.lists(st.integers(1, 1000), min_size=1, max_size=40), st.integers(1, 9))
def test_all_rows_of_a_batch_are_dealt_out_once_and_evenly(lengths, size):
    hands = [dealt(lengths, rank, size) for rank in range(size)]
    assert sorted(row for hand in hands for row in hand) == list(range(len(lengths)))
    assert all(hand == sorted(hand) for hand in hands) and max(map(len, hands)) - min(map(len, hands)) <= 1
    frames = [sum(lengths[row] for row in hand) for hand in hands]
    assert max(frames) - min(frames) <= max(lengths)


def test_some_rows_of_a_batch_are_padded_to_the_longest_of_them():
    import numpy as np

    batch = pad(["a", "b", "c"], [np.full((n, 2), n, np.float32) for n in (1, 3, 2)], [(1,), (1, 2, 3), ()])
    part = some(batch, [0, 2])
    assert part.ids == ("a", "c") and part.x.tolist() == [[[1, 1], [0, 0]], [[2, 2], [2, 2]]] and part.y.tolist() == [[1], [0]]
    assert some(batch, [0, 1, 2]) is batch and some(batch, []).ids == () and len(some(batch, []).x) == 0


# --- the same training ---


def test_gradients_of_two_ranks_are_those_of_one_process(features):
    alone, two = ranked.found_gradients(features), launched(2, ranked.found_gradients, features)
    assert math.isnan(alone.pop("poisoned")) and math.isnan(two.pop("poisoned"))
    assert alone.pop("told") == (0, 1, 0, [0], 0.5) and two.pop("told") == (0, 2, 0, [0, 1], 1.0) and ranks.size() == 1
    assert alone.keys() == two.keys() and len(alone) == 2 * len(KINDS)
    for key, (ids, total, gradients) in alone.items():
        assert two[key][0] == ids and two[key][1] == pytest.approx(total, rel=1e-6), key
        for a, b in zip(gradients, two[key][2]):
            close = {"rtol": 1e-2, "atol": 1e-4} if key[0].startswith("sequence") else {"rtol": 1e-4, "atol": 1e-6}     # each sequence has other draws
            torch.testing.assert_close(a, b, **close, msg=lambda text: f"{key}: {text}")


def test_two_ranks_train_as_one_does_and_resume_with_another_number(features, tmp_path):
    config = replace(CONFIG, checkpoint_seconds=1000.0)                          # 14 batches an epoch, 3 epochs
    alone, steps = ranked.trained(features, tmp_path / "alone", config)
    two, _ = launched(2, ranked.trained, features, tmp_path / "two", config)
    assert steps == 42 and furthest(alone, two) < 1e-5
    for a, b in zip(rows(tmp_path / "alone"), rows(tmp_path / "two"), strict=True):
        assert a.keys() == b.keys() and a["step"] == b["step"] and a["train_loss"] == pytest.approx(b["train_loss"], rel=1e-5)
        assert a["dev_error"] == b["dev_error"] and a["dev_loss"] == pytest.approx(b["dev_loss"], rel=1e-5)
    mixed = tmp_path / "mixed"
    with pytest.raises(KeyboardInterrupt):                                       # one rank hears it, all stop after the same step
        launched(2, ranked.trained, features, mixed, config, (9, 1, signal.SIGTERM))
    assert [p.name for p in (mixed / "state").iterdir()] == ["step-000000010"]
    with pytest.raises(KeyboardInterrupt):
        ranked.trained(features, mixed, config, (19, 0, signal.SIGINT))
    assert steps_done(mixed) == 20
    again, steps = launched(2, ranked.trained, features, mixed, config)
    assert steps == 42 and furthest(alone, again) < 1e-5
    assert [row["step"] for row in rows(mixed)] == [14, 28, 42] and not list(tmp_path.rglob("*.partial"))


# --- one that fails ---


def test_a_rank_that_is_killed_ends_the_job_and_leaves_a_state(features, tmp_path):
    config = replace(CONFIG, checkpoint_seconds=0.0)
    with pytest.raises(TrainError) as caught:
        launched(2, ranked.trained, features, tmp_path / "run", config, (17, 1, signal.SIGKILL))
    assert str(caught.value) == ("rank 1 of 2 was killed by SIGKILL, as when memory is short; the others were stopped "
                                 "(run the same command again to go on from the last saved state)")
    saved = tmp_path / "run" / "state" / "step-000000017"                         # before the step at which it died
    assert time.time() - saved.stat().st_mtime < 60 and steps_done(tmp_path / "run") == 17
    alone, steps = ranked.trained(features, tmp_path / "run", config)
    whole, _ = ranked.trained(features, tmp_path / "whole", config)
    assert steps == 42 and furthest(alone, whole) < 1e-5


def test_what_one_rank_meets_ends_all_and_is_said_once(capfd):
    with pytest.raises(DataError) as caught:
        launched(2, ranked.failing)
    assert str(caught.value) == "a.wav: rank 1: is cut short" and capfd.readouterr().err == ""


def test_what_cannot_be_is_said_in_a_line(monkeypatch):
    with pytest.raises(ConfigError, match="--nproc: 0 processes cannot work"):
        launched(0, ranked.failing)
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("MASTER_ADDR", "127.0.0.1")
    monkeypatch.setenv("MASTER_PORT", "0")
    with pytest.raises(ConfigError, match="MASTER_PORT: '0' is no port"):
        launched(None, ranked.failing)
    monkeypatch.setenv("MASTER_PORT", "29500")
    with pytest.raises(ConfigError, match="one of several processes already"):
        launched(2, ranked.failing)
    monkeypatch.setenv("RANK", "x")
    with pytest.raises(ConfigError, match="are not what torchrun sets"):
        launched(None, ranked.failing)


# --- parts ---


@given(st.integers(0, 50), st.integers(1, 9), st.integers(1, 4))
def test_parts_hold_each_item_once(items, of, size):
    parts = [Part(number, of) for number in range(1, of + 1)]
    assert sorted(item for part in parts for item in part.share(range(items))) == list(range(items))
    for part in parts:
        among = [item for rank in range(size) for item in part.among(rank, size).share(range(items))]
        assert sorted(among) == list(part.share(range(items)))


@pytest.mark.parametrize("text", ["", "3", "0/4", "5/4", "1/0", "-1/4", "1/4/2", "a/b", "1.0/2", "1/99999999999"])
def test_a_part_that_is_none_is_refused(text):
    with pytest.raises(ConfigError, match="--shard: '.*' is no part of a whole .3/16 is the third of sixteen"):
        parsed(text)
    assert parsed("3/16") == Part(3, 16) and parsed(None).whole


@pytest.fixture
def corpus(tmp_path):
    return tone_corpus(tmp_path / "corpus")


def test_parts_of_features_and_decoding_add_up_to_the_whole(tmp_path, corpus, monkeypatch, capsys):
    monkeypatch.setattr("recog.corpus.SHARD", 3)                                 # 12 utterances
    monkeypatch.setattr("os.cpu_count", lambda: 1)                               # in this process
    recipe = tiny_recipe(tmp_path / "mine", SETTINGS + '[[decoders]]\nkind = "beam"\nbeam = 4\nnbest = 3\n')

    def run(exp, until="score", shard=None, again=None):
        return run_recipe(str(recipe), corpus, None, [], tmp_path / exp, None, until, again, False, shard)

    with pytest.raises(ConfigError, match="prepare: has not finished.*--until prepare, without --shard"):
        run("parts", "features", "1/3")
    run("parts", "prepare")
    for shard in ("2/3", "2/3", "1/3"):                                          # one twice, one never
        run("parts", "features", shard)
    folder, = (tmp_path / "parts" / "mine").glob("features-*[0-9a-f]/")
    assert sorted(path.name for path in folder.glob("shard-*")) == ["shard-00000", "shard-00001", "shard-00003"] and not (folder / "done.json").exists()
    written = (folder / "shard-00003" / "index.json").stat().st_mtime_ns
    with pytest.raises(ConfigError, match="features-.*has not finished"):
        run("parts", "decode", "1/2")
    run("parts", "train")
    assert (folder / "shard-00003" / "index.json").stat().st_mtime_ns == written and len(list(folder.glob("shard-*"))) == 4
    for shard in ("1/2", "1/2", "1/3"):
        run("parts", "decode", shard)
    table = run("parts")
    assert [line.split()[:3] for line in run("whole").splitlines()[1:]] == [line.split()[:3] for line in table.splitlines()[1:]]
    for split in ("dev", "test"):
        whole, parts = (tmp_path / exp / "mine" / "ctc" / "decode" / split for exp in ("whole", "parts"))
        assert sorted(p.name for p in whole.iterdir()) == sorted(p.name for p in parts.iterdir())
        for name in ("beam.tsv", "beam.ctm", "reference.stm", "log_probs/shard-00000/index.json"):
            assert (whole / name).read_bytes() == (parts / name).read_bytes(), name
    capsys.readouterr()
    run("parts", "features", "1/3")
    assert capsys.readouterr().err == "features: skip, unchanged\n"
    for until, again in (("train", None), ("score", None), ("features", "features")):
        with pytest.raises(ConfigError, match="--shard: goes with --until features or --until decode, and not with --from"):
            run("parts", until, "1/2", again)


def test_parts_of_what_is_to_be_transcribed(tmp_path, corpus, monkeypatch, capsys):
    done = []

    def transcripts(models, part, *_):
        for source in part.sources:
            done.append(Path(source).stem)
            yield Transcript(done[-1], source, f"text of {done[-1]}", 0.0, {}, (), ())

    monkeypatch.setattr("recog.bulk._Models.transcribe", transcripts)

    def transcribe(**options):
        done.clear()
        return transcribe_files([str(corpus)], "english_small", "text", {}, tmp_path / "out", jobs=1, **options)

    names = sorted(path.stem for path in corpus.glob("*.wav"))
    assert transcribe(shard="2/5") == 0 and done == names[1::5]
    assert transcribe(shard="5/5") == 0 and done == names[4::5]
    with pytest.raises(ConfigError, match="is there already"):
        transcribe(shard="2/5")
    assert transcribe(shard="2/5", skip_existing=True) == 0 and done == []
    assert transcribe(skip_existing=True) == 0 and done == sorted({*names} - {*names[1::5], *names[4::5]})
    assert transcribe(skip_existing=True) == 0 and done == []
    assert sorted(path.stem for path in (tmp_path / "out").iterdir()) == names
    for shard in ("2/0", "3"):
        with pytest.raises(ConfigError, match="is no part of a whole"):
            transcribe(shard=shard)


# --- the command ---


def command(*arguments):
    return subprocess.Popen([sys.executable, "-m", "recog", *map(str, arguments)], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def ranks_of(process):
    """The processes that a command has started as ranks."""
    found = []
    for children in Path(f"/proc/{process.pid}/task").glob("*/children"):
        found += [int(pid) for pid in children.read_text().split() if "spawn_main" in Path(f"/proc/{pid}/cmdline").read_text()]
    return found


def over(pid):
    """It has ended, or is a zombie that nobody has asked for its status."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


def gone(pids):
    for _ in range(200):
        if all(map(over, pids)):
            return True
        time.sleep(0.05)
    return False


LONG = SETTINGS.replace("epochs = 2", "epochs = 100000\ncheckpoint_seconds = 0.2")


def test_a_command_that_is_stopped_killed_and_run_with_one_process(tmp_path, corpus):
    recipe = tiny_recipe(tmp_path / "mine", LONG)
    arguments, state = ("run", recipe, "--corpus", corpus, "--exp", tmp_path / "exp", "--until", "train"), tmp_path / "exp/mine/ctc/train/state"
    process = command(*arguments, "--nproc", 2)
    while process.poll() is None and not list(state.glob("step-*[0-9]")):
        time.sleep(0.05)
    children = ranks_of(process)
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=120)
    assert process.returncode == 130 and out == "" and len(children) == 2 and gone(children)
    assert err.endswith("recog: interrupted; run the same command again to go on\n") and "Traceback" not in err and err.count("interrupted") == 1
    step = steps_done(state.parent)
    process = command(*arguments, "--nproc", 2)
    while process.poll() is None and steps_done(state.parent) == step:
        time.sleep(0.05)
    children = ranks_of(process)
    process.kill()                                                               # ranks do not outlive the command
    process.communicate()
    assert len(children) == 2 and gone(children)
    assert checkpoint.load(state) is not None and steps_done(state.parent) > step


@pytest.mark.slow
def test_torchrun_starts_anew_after_a_kill_and_ends_as_one_process_does(tmp_path, corpus):
    recipe = tiny_recipe(tmp_path / "mine", SETTINGS.replace("epochs = 2", "epochs = 200\ncheckpoint_seconds = 0.2"))
    arguments, state = ("run", recipe, "--corpus", corpus, "--exp", tmp_path / "exp", "--until", "train"), tmp_path / "exp/mine/ctc/train/state"
    process = subprocess.Popen([sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "--max-restarts", "1", "--standalone",
                                "-m", "recog", *map(str, arguments)], cwd=ROOT, stderr=subprocess.PIPE, text=True)
    while process.poll() is None and steps_done(state.parent) < 40:
        time.sleep(0.05)
    ranks_there = [int(pid) for path in Path(f"/proc/{process.pid}/task").glob("*/children") for pid in path.read_text().split()]
    victim = next(pid for pid in ranks_there if b"\0RANK=1\0" in Path(f"/proc/{pid}/environ").read_bytes())
    os.kill(victim, signal.SIGKILL)
    _, err = process.communicate(timeout=600)
    assert process.returncode == 0 and re.search("train: resumed at epoch", err) and err.count("another process of this run is gone") == 1
    weights = checkpoint.load(state)[0]["model"]
    run_recipe(str(recipe), corpus, None, [], tmp_path / "alone", None, "train", None, False)
    assert furthest(checkpoint.load(tmp_path / "alone/mine/ctc/train/state")[0]["model"], weights) < 1e-3
