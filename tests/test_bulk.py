"""`recog transcribe` of many files: several processes, one order; killed and run again, it ends as undisturbed."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_transcribe import bursts, model                          # noqa: F401  (a fixture)

from recog import audio, bulk
from recog.bulk import transcribe_files
from recog.errors import ConfigError, DiskError, RecogError
from recog.growing import growing
from recog.workers import spread

COUNT = 40                                                         # three parts: 16, 16 and 8


@pytest.fixture(scope="module")
def many(tmp_path_factory):
    folder = tmp_path_factory.mktemp("many")
    rng = np.random.default_rng(0)
    for i in range(COUNT):
        audio.write(folder / f"{i:02d}.wav", bursts(rng.uniform(0.2, 1.0), seed=i))
    (folder / "07.wav").write_bytes((folder / "07.wav").read_bytes()[:20])
    (folder / "39.wav").write_bytes(b"RIFF")
    return folder


GOOD = [f"{i:02d}" for i in range(COUNT) if i not in (7, 39)]


@pytest.fixture(scope="module")
def undisturbed(many, model, tmp_path_factory):                    # noqa: F811
    """The file of results, and what a folder of results holds."""
    home = tmp_path_factory.mktemp("undisturbed")
    assert transcribe_files([str(many)], str(model), "jsonl", {}, output=home / "all.jsonl", jobs=1) == 1
    assert transcribe_files([str(many)], str(model), "jsonl", {}, home / "each", jobs=1) == 1
    return (home / "all.jsonl").read_bytes(), contents(home / "each")


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_each_good_file_once_in_order(undisturbed):
    assert [json.loads(line)["id"] for line in undisturbed[0].splitlines()] == GOOD
    assert b"".join(undisturbed[1][f"{id}.jsonl"] for id in GOOD) == undisturbed[0] and len(undisturbed[1]) == len(GOOD)


def test_two_processes_write_what_one_writes(many, model, undisturbed, tmp_path, capsys):      # noqa: F811
    assert transcribe_files([str(many)], str(model), "jsonl", {}, output=tmp_path / "all.jsonl", jobs=2) == 1
    err = capsys.readouterr().err.splitlines()
    texts = [[json.loads(line)["text"] for line in found.splitlines()] for found in ((tmp_path / "all.jsonl").read_bytes(), undisturbed[0])]
    assert texts[0] == texts[1] and any(texts[0]) and os.listdir(tmp_path) == ["all.jsonl"]
    assert len(err) == 4 and "07.wav" in err[0] and "39.wav" in err[1] and err[3] == "recog: 2 could not be transcribed"
    assert err[2].startswith("recog: 40 files (") and "seconds of sound) in " in err[2] and err[2].endswith(" times real time, 2 at once")
    assert transcribe_files([str(many)], str(model), "tsv", {}, jobs=2) == 1                    # to standard output
    assert [line.split("\t")[0] for line in capsys.readouterr().out.splitlines()] == GOOD


SLOW = """
import sys, time
from recog import bulk, growing
from recog.bulk import transcribe_files
from pathlib import Path
def slow(call):
    def slowed(*arguments):
        call(*arguments)
        time.sleep(0.1)
    return slowed
if __name__ == "__main__":
    growing.Growing.add = slow(growing.Growing.add)
    bulk.write_text = slow(bulk.write_text)
    files, model, target, jobs = sys.argv[1:]
    where = {"output": Path(target)} if target.endswith("jsonl") else {"output_dir": Path(target), "skip_existing": True}
    sys.exit(transcribe_files([files], model, "jsonl", {}, jobs=int(jobs), **where))
"""


def children(pid):
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def alive(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().split()[2] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


@pytest.mark.parametrize("kind, jobs", [("all.jsonl", 1), ("all.jsonl", 2), ("each", 1)])
def test_killed_and_run_again_it_ends_as_undisturbed(many, model, undisturbed, tmp_path, kind, jobs):      # noqa: F811
    target, script = tmp_path / kind, tmp_path / "slow.py"
    script.write_text(SLOW)
    command = [sys.executable, str(script), str(many), str(model), str(target), str(jobs)]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(Path(bulk.__file__).parents[1]), os.environ.get("PYTHONPATH", "")])}

    def done():
        if kind == "each":
            return len(list(target.glob("*.jsonl")))
        journal = target.with_name(target.name + ".journal")
        return journal.read_bytes().count(b"\n") - 1 if journal.exists() else 0

    for least in (1, 2):
        child = subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL)
        while child.poll() is None and done() < least:
            time.sleep(0.005)
        workers = children(child.pid) if child.poll() is None else []
        child.kill()
        assert child.wait() == -signal.SIGKILL, "it ended before it was killed"
        deadline = time.monotonic() + 20
        while any(map(alive, workers)):
            assert time.monotonic() < deadline, "a worker outlived its caller"
            time.sleep(0.02)
    before = {path: path.stat().st_mtime_ns for path in target.glob("*.jsonl")} if kind == "each" else {}
    last = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert last.returncode == 1 and "07.wav" in last.stderr and "39.wav" in last.stderr
    assert (contents(target) == undisturbed[1]) if kind == "each" else (target.read_bytes() == undisturbed[0])
    assert sorted(os.listdir(tmp_path)) == sorted([kind, "slow.py"])
    assert all(path.stat().st_mtime_ns == time for path, time in before.items())


def test_a_result_that_is_there_is_kept_or_written_anew(many, model, tmp_path, capsys):      # noqa: F811
    target, few = tmp_path / "all.tsv", [str(many / "00.wav"), str(many / "01.wav")]
    assert transcribe_files(few, str(model), "tsv", {}, output=target) == 0
    before = target.stat().st_mtime_ns
    with pytest.raises(ConfigError, match="all.tsv: is there already"):
        transcribe_files(few, str(model), "tsv", {}, output=target)
    assert transcribe_files(few, str(model), "tsv", {}, output=target, skip_existing=True) == 0 and target.stat().st_mtime_ns == before
    assert transcribe_files(few[:1], str(model), "tsv", {}, output=target, force=True) == 0 and target.read_text().count("\n") == 1
    with pytest.raises(ConfigError, match="srt cannot be gone on with"):
        transcribe_files(few[:1], str(model), "srt", {}, output=tmp_path / "all.srt")
    assert capsys.readouterr().err == ""


def test_what_was_begun_with_other_options_is_not_gone_on_with(many, model, tmp_path, monkeypatch, capsys):      # noqa: F811
    target, few = tmp_path / "all.jsonl", [str(many / "00.wav")]
    monkeypatch.setattr(bulk, "render_all", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        transcribe_files(few, str(model), "jsonl", {}, output=target)
    monkeypatch.undo()
    for names, options in ((few, {"nbest": 2}), ([*few, str(many / "01.wav")], {})):
        with pytest.raises(ConfigError, match="all.jsonl.partial: was begun from other files"):
            transcribe_files(names, str(model), "jsonl", options, output=target)
    assert transcribe_files(few, str(model), "jsonl", {"nbest": 2}, output=target, force=True) == 0
    assert len(json.loads(target.read_text())["nbest"]) == 2


PARTS = ["a\n", "", "béb\n" * 3, "c\n"]


@given(st.integers(0, len(PARTS)), st.integers(0, 60), st.integers(0, 200))
def test_a_file_that_grows_is_whole_whatever_a_kill_left(tmp_path_factory, added, cut, journal_cut):
    path = tmp_path_factory.mktemp("growing") / "all.txt"
    with pytest.raises(ZeroDivisionError), growing(path, "k") as file:
        for number, part in enumerate(PARTS[:added]):
            file.add(part, [number])
        1 / 0
    assert not path.exists()
    for name, size in ((".partial", cut), (".journal", journal_cut)):
        beside = path.with_name(path.name + name)
        beside.write_bytes(beside.read_bytes()[:size])
    with growing(path, "k") as file:
        assert len(file.notes) <= added and file.notes == [[number] for number in range(len(file.notes))]
        for number in range(len(file.notes), len(PARTS)):
            file.add(PARTS[number], [number])
    assert path.read_text(encoding="utf-8") == "".join(PARTS) and os.listdir(path.parent) == ["all.txt"]


def test_only_one_at_a_time_writes_a_file(tmp_path):
    with growing(tmp_path / "all.txt", "k"), pytest.raises(DiskError, match="another recog is at work here"):
        with growing(tmp_path / "all.txt", "k"):
            pass


def test_a_bounded_number_of_parts_is_under_way():
    drawn = []

    def parts():
        for number in range(-20, 0):
            drawn.append(number)
            yield number

    for taken, value in enumerate(spread(abs, parts(), 2, bool), 1):
        assert value == 21 - taken and len(drawn) <= taken + 2 * 2
    assert taken == 20


def test_a_process_that_is_killed_is_one_line():
    with pytest.raises(RecogError, match="a worker process was killed.*run again"):
        list(spread(os._exit, [3], 1, bool))
