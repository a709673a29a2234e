"""The ledger: a finished stage is skipped, an unfinished one is resumed, a stale one is done again or guarded."""

import json
from dataclasses import replace

import pytest

from recog.errors import ConfigError, DataError
from recog.ledger import Stage, differences, run


class Work:
    """Leaves a file behind, counts its calls, and remembers what it found."""

    def __init__(self, result=None, fails=None):
        self.calls, self.found, self.result, self.fails = 0, [], result or {"n": 1}, fails

    def __call__(self, folder):
        self.calls += 1
        self.found.append(sorted(p.name for p in folder.iterdir()))
        (folder / "made.txt").write_text("x")
        if self.fails:
            raise self.fails
        return self.result


@pytest.fixture
def stage(tmp_path):
    return Stage("features", tmp_path / "features", 1, {"mels": 40, "view": {"speeds": [1.0]}}, {"manifest": "abc"})


def test_done_once_then_skipped(stage, capsys):
    work = Work({"count": 3})
    assert run(stage, work) == run(stage, work) == {"count": 3}
    assert work.calls == 1 and work.found == [["begun.json"]]
    assert capsys.readouterr().err == "features: skip, unchanged\n"


@pytest.mark.parametrize("change", [{"version": 2}, {"settings": {"mels": 41}}, {"inputs": {"manifest": "abd"}}, {"inputs": {}}])
def test_any_change_is_done_again_from_nothing(stage, capsys, change):
    run(stage, Work({"n": 1}))
    work = Work({"n": 2})
    assert run(replace(stage, **change), work) == {"n": 2}
    assert work.found == [["begun.json"]] and "features: again (" in capsys.readouterr().err


def test_force_does_it_again(stage, capsys):
    run(stage, Work({"n": 1}))
    assert run(stage, Work({"n": 2}), force=True) == {"n": 2}
    assert "again (asked for by --from)" in capsys.readouterr().err


def test_an_unfinished_stage_is_taken_up_where_it_is(stage, capsys):
    with pytest.raises(KeyboardInterrupt):
        run(stage, Work(fails=KeyboardInterrupt()))
    assert not (stage.folder / "done.json").exists()
    work = Work()
    run(stage, work)
    assert work.found == [["begun.json", "made.txt"]] and "going on where it stopped" in capsys.readouterr().err


def test_an_unfinished_stage_with_other_settings_starts_from_nothing(stage):
    with pytest.raises(DataError):
        run(stage, Work(fails=DataError("no")))
    work = Work()
    run(replace(stage, version=2), work)
    assert work.found == [["begun.json"]]


def test_leftovers_without_a_record_are_not_trusted(stage):
    stage.folder.mkdir(parents=True)
    (stage.folder / "made.txt").write_text("from nobody knows where")
    work = Work()
    run(stage, work)
    assert work.found == [["begun.json"]]


def test_a_costly_stage_is_guarded(stage):
    stage = replace(stage, costly=True)
    run(stage, Work({"n": 1}))
    changed = replace(stage, settings={"mels": 41, "view": {"speeds": [1.0]}})
    work = Work({"n": 2})
    with pytest.raises(ConfigError) as caught:
        run(changed, work)
    assert "mels 40 -> 41" in str(caught.value) and "--from" in str(caught.value) and str(stage.folder) in str(caught.value)
    assert work.calls == 0 and run(stage, work) == {"n": 1}
    assert run(changed, work, force=True) == {"n": 2}


@pytest.mark.parametrize("state", [True, False])
def test_a_costly_stage_that_stopped_is_guarded_if_it_can_go_on(stage, state):
    stage = replace(stage, costly=True)
    with pytest.raises(DataError):
        run(stage, Work(fails=DataError("utterance 'a' is too short")))
    if state:
        (stage.folder / "state").mkdir()
        with pytest.raises(ConfigError, match="was run with other settings"):
            run(replace(stage, version=2), Work())
    else:
        assert run(replace(stage, version=2), Work()) == {"n": 1}


@pytest.mark.parametrize("file", ["done.json", "begun.json"])
@pytest.mark.parametrize("text", ["", '{"key": '])
def test_a_record_cut_short_is_named(stage, file, text):
    with pytest.raises(DataError):
        run(stage, Work(fails=DataError("no")))
    (stage.folder / file).write_text(text)
    with pytest.raises(DataError, match=file):
        run(stage, Work())


def test_what_a_stage_gave_is_what_its_record_says(stage):
    run(stage, Work({"n": 1}))
    assert json.loads((stage.folder / "done.json").read_text()) == {"key": stage.key, "result": {"n": 1}}


def test_differences_are_named():
    old = {"settings": {"train": {"epochs": 10, "rate": 0.1}, "gone": 1}, "version": 1}
    new = {"settings": {"train": {"epochs": 20, "rate": 0.1}, "new": "x"}, "version": 1}
    assert differences(old, new) == ["gone 1 -> default", "new default -> x", "train.epochs 10 -> 20"]
    assert differences(old, old) == []
    (line,) = differences({"a": "x" * 100}, {"a": 1})
    assert len(line) < 30
