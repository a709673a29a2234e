"""A run that is stopped, interrupted or killed at any moment ends as if nothing had happened, to the bit."""

import re
import signal
from dataclasses import replace

import pytest
import torch
from tiny_runs import NOISY, Stop, StopAt, killed_and_ended, learned, noise, rows, run, same

from recog import checkpoint, train
from recog.errors import DataError, TrainError
from recog.testing import FAST, spelled

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    return spelled(tmp_path_factory.mktemp("spelled"))


@pytest.fixture(scope="module")
def undisturbed(corpus, tmp_path_factory):
    folder = tmp_path_factory.mktemp("undisturbed")
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    model, _ = run(corpus, NOISY, folder, hooks=noise())
    torch.set_num_threads(threads)
    return model.state_dict(), rows(folder)


def test_the_same_run_twice_is_the_same_to_the_bit_and_another_seed_is_not(corpus, tmp_path, undisturbed):
    model, _ = run(corpus, replace(NOISY, checkpoint_seconds=1000.0), tmp_path / "a", hooks=noise())
    assert same(model.state_dict(), undisturbed[0]) and rows(tmp_path / "a") == undisturbed[1]
    other, _ = run(corpus, replace(NOISY, seed=2), tmp_path / "b", hooks=noise())
    assert not same(other.state_dict(), undisturbed[0])


@pytest.mark.parametrize("kind", [Stop, signal.SIGINT, signal.SIGTERM], ids=["error", "SIGINT", "SIGTERM"])
@pytest.mark.parametrize("step", [0, 12, 17, 34])                 # 12 batches an epoch, 3 epochs
def test_stopped_at_any_step_it_goes_on_to_the_same_end(corpus, tmp_path, undisturbed, kind, step):
    # checkpoint_seconds: an error loses what is not saved, an interruption saves before it ends
    config = NOISY if kind is Stop else replace(NOISY, checkpoint_seconds=1000.0)
    with pytest.raises(Stop if kind is Stop else KeyboardInterrupt):
        run(corpus, config, tmp_path, hooks=[*noise(), StopAt(step, kind)])
    if kind is not Stop:
        assert [p.name for p in (tmp_path / "state").iterdir()] == [f"step-{step + 1:09d}"]
    model, ended = run(corpus, config, tmp_path, hooks=noise())
    assert ended.step == 36 and same(model.state_dict(), undisturbed[0])
    assert rows(tmp_path) == undisturbed[1]


def test_interrupted_at_the_last_step_it_goes_on_to_the_same_end(corpus, tmp_path, undisturbed):
    with pytest.raises(KeyboardInterrupt):
        run(corpus, NOISY, tmp_path, hooks=[*noise(), StopAt(23, signal.SIGINT)])
    with pytest.raises(Stop):                        # a second stop, in the next epoch, before anything else is saved
        run(corpus, replace(NOISY, checkpoint_seconds=1000.0), tmp_path, hooks=[*noise(), StopAt(25, Stop)])
    model, _ = run(corpus, NOISY, tmp_path, hooks=noise())
    assert same(model.state_dict(), undisturbed[0]) and rows(tmp_path) == undisturbed[1]


def test_what_is_left_is_guessed_from_the_pace_since_it_went_on(corpus, tmp_path, monkeypatch, capsys):
    restore = train.Training.restore

    def slowly(self):
        found = restore(self)
        self.at.seconds += 1e6                       # as after a day beside other work
        return found

    with pytest.raises(KeyboardInterrupt):
        run(corpus, NOISY, tmp_path, hooks=[StopAt(12 + 6, signal.SIGINT)])
    monkeypatch.setattr(train.Training, "restore", slowly)
    run(corpus, NOISY, tmp_path)
    left = [float(minutes) for minutes in re.findall(r"left ([0-9.]+) min", capsys.readouterr().err)]
    assert len(left) == 3 and max(left) < 10 and left[-1] == 0


def test_an_interruption_during_an_evaluation_is_not_forgotten(corpus, tmp_path):
    def evaluate(model):
        signal.raise_signal(signal.SIGINT)
        return {"error": 0.0, "loss": 0.0}

    with pytest.raises(KeyboardInterrupt):
        run(corpus, replace(FAST, epochs=1), tmp_path, evaluate)


def test_stopped_inside_an_evaluation_it_goes_on_to_the_same_end(corpus, tmp_path, undisturbed):
    judge, calls = corpus.evaluate(NOISY), []

    def evaluate(model):
        calls.append(1)
        if len(calls) == 2:
            raise Stop
        return judge(model)

    with pytest.raises(Stop):
        run(corpus, NOISY, tmp_path, evaluate, noise())
    model, _ = run(corpus, NOISY, tmp_path, hooks=noise())
    assert same(model.state_dict(), undisturbed[0]) and rows(tmp_path) == undisturbed[1]


def test_metrics_written_after_the_last_saved_state_are_not_kept_twice(corpus, tmp_path, undisturbed):
    config = replace(NOISY, checkpoint_seconds=1000.0)               # nothing is saved before the error
    with pytest.raises(Stop):
        run(corpus, config, tmp_path, hooks=[*noise(), StopAt(30, Stop)])
    assert len(rows(tmp_path)) == 2
    with open(tmp_path / "metrics.jsonl", "a") as stream:
        stream.write('{"step": 3')                                   # a line cut short by a kill
    run(corpus, config, tmp_path, hooks=noise())
    assert rows(tmp_path) == undisturbed[1]


def child(features, folder):
    run(learned(features), NOISY, folder, hooks=noise())


def test_killed_three_times_it_ends_as_if_nothing_had_happened(tmp_path, tmp_path_factory, undisturbed):
    folder = tmp_path / "run"
    preload = ["recog.hooks.weight_noise", "recog.train"]
    killed_at = killed_and_ended(child, preload, tmp_path_factory.mktemp("features"), folder, (1, 12, 23), 9)
    found = checkpoint.load(folder / "state")[0]
    assert killed_at[-1] < 36 and same(found["best"], undisturbed[0]), f"killed at steps {killed_at}"
    assert rows(folder) == undisturbed[1], f"killed at steps {killed_at}"
    assert not list(folder.rglob("*.partial"))


def test_a_half_written_state_is_ignored_and_older_ones_are_removed(corpus, tmp_path, undisturbed):
    with pytest.raises(Stop):
        run(corpus, NOISY, tmp_path, hooks=[*noise(), StopAt(20, Stop)])
    partial = tmp_path / "state" / "step-000000099.partial"
    partial.mkdir()
    (partial / "model.safetensors").write_bytes(b"half")
    model, _ = run(corpus, NOISY, tmp_path, hooks=noise())
    assert same(model.state_dict(), undisturbed[0])
    assert [p.name for p in (tmp_path / "state").iterdir()] == ["step-000000036"]


@pytest.mark.parametrize("file, damage", [
    ("model.safetensors", lambda b: b[:100]), ("model.safetensors", lambda b: b[:-4]), ("optimizer.safetensors", lambda b: b""),
    ("state.json", lambda b: b[:50]), ("state.json", lambda b: b"{}"), ("state.json", lambda b: b"")])
def test_a_damaged_state_is_one_line_that_names_it(corpus, tmp_path, file, damage):
    with pytest.raises(Stop):
        run(corpus, NOISY, tmp_path, hooks=[*noise(), StopAt(3, Stop)])
    path = tmp_path / "state" / "step-000000003" / file
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises((TrainError, DataError), match="step-000000003"):
        run(corpus, NOISY, tmp_path, hooks=noise())


@pytest.mark.parametrize("file", ["model.safetensors", "optimizer.safetensors", "average.safetensors", "state.json"])
def test_a_state_that_lacks_a_file_is_one_line_that_names_it(corpus, tmp_path, file):
    with pytest.raises(Stop):
        run(corpus, NOISY, tmp_path, hooks=[*noise(), StopAt(3, Stop)])
    (tmp_path / "state" / "step-000000003" / file).unlink()
    with pytest.raises((TrainError, DataError), match="step-000000003"):
        run(corpus, NOISY, tmp_path, hooks=noise())
