"""Files are whole or absent: crashes, full disks and read-only places lose nothing and leave nothing half-written."""

import errno
import os
import subprocess

import pytest

from recog import files
from recog.errors import DataError, DiskError
from recog.files import digest, digest_of, read_json, remove, write_json, write_text, writing


@pytest.fixture(params=["file", "folder"])
def kind(request):
    return request.param


def write(path, kind, text):
    """Writes a file, or a folder of two, with this text."""
    with writing(path) as partial:
        if kind == "file":
            partial.write_text(text)
        else:
            (partial / "deep").mkdir(parents=True)
            (partial / "a").write_text(text)
            (partial / "deep" / "b").write_text(text)


def content(path):
    return {str(p.relative_to(path)): p.read_text() for p in sorted(path.rglob("*")) if p.is_file()} if path.is_dir() else path.read_text()


def names(folder):
    return sorted(p.name for p in folder.iterdir())


def test_what_was_written_is_there_and_nothing_else(tmp_path, kind):
    write(tmp_path / "new" / "x", kind, "one")
    first = content(tmp_path / "new" / "x")
    assert first == ("one" if kind == "file" else {"a": "one", "deep/b": "one"})
    write(tmp_path / "new" / "x", kind, "two")
    assert content(tmp_path / "new" / "x") != first and names(tmp_path / "new") == ["x"]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit])
def test_a_crash_in_the_block_leaves_the_old(tmp_path, kind, error):
    write(tmp_path / "x", kind, "old")
    before = content(tmp_path / "x")
    with pytest.raises(error):
        with writing(tmp_path / "x") as partial:
            partial.mkdir() if kind == "folder" else partial.write_text("new")
            raise error
    assert content(tmp_path / "x") == before and names(tmp_path) == ["x"]


def test_what_an_earlier_kill_left_is_swept_away(tmp_path, kind):
    (tmp_path / "x.partial").mkdir()
    (tmp_path / "x.partial" / "stale").write_text("half")
    write(tmp_path / "x", kind, "new")
    assert names(tmp_path) == ["x"] and "stale" not in str(content(tmp_path / "x"))


REFUSALS = [(errno.ENOSPC, "the disk is full"), (errno.EDQUOT, "quota"), (errno.EACCES, "may not be written to"), (errno.EROFS, "read-only")]


@pytest.mark.parametrize("number, words", REFUSALS)
@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_a_disk_that_refuses_is_named_and_the_old_stays(tmp_path, kind, monkeypatch, number, words, call):
    write(tmp_path / "x", kind, "old")
    before = content(tmp_path / "x")

    def refuse(*arguments):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(files.os, call, refuse)
    with pytest.raises(DiskError, match=words) as caught:
        write(tmp_path / "x", kind, "new")
    assert str(tmp_path / "x") in str(caught.value) and "nothing was changed" in str(caught.value)
    assert content(tmp_path / "x") == before and names(tmp_path) == ["x"]


def test_a_folder_that_cannot_be_put_in_place_of_the_old_one_leaves_it(tmp_path, monkeypatch):
    write(tmp_path / "x", "folder", "old")
    before, replace = content(tmp_path / "x"), os.replace

    def refuse(source, target):
        if str(source) == str(tmp_path / "x.partial"):
            raise OSError(errno.ENOSPC, "No space left on device")
        replace(source, target)

    monkeypatch.setattr(files.os, "replace", refuse)
    with pytest.raises(DiskError, match="the disk is full"):
        write(tmp_path / "x", "folder", "new")
    assert content(tmp_path / "x") == before and names(tmp_path) == ["x"]


def test_a_disk_that_refuses_inside_the_block(tmp_path, kind):
    write(tmp_path / "x", kind, "old")
    before = content(tmp_path / "x")
    with pytest.raises(DiskError, match="the disk is full"):
        with writing(tmp_path / "x") as partial:
            partial.write_text("half")
            raise OSError(errno.ENOSPC, "No space left on device")
    assert content(tmp_path / "x") == before and names(tmp_path) == ["x"]


def test_other_errors_of_the_system_are_passed_on(tmp_path):
    with pytest.raises(IsADirectoryError):
        with writing(tmp_path / "x"):
            raise IsADirectoryError(errno.EISDIR, "is a folder")
    assert names(tmp_path) == []


def test_a_file_in_the_place_of_a_folder_is_one_line(tmp_path):
    (tmp_path / "exp").write_text("a file")
    with pytest.raises(DiskError, match="exp"):
        write_text(tmp_path / "exp" / "model" / "x", "text")
    with pytest.raises(DiskError, match="exp"):
        write_text(tmp_path / "exp" / "x", "text")
    assert (tmp_path / "exp").read_text() == "a file"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_may_not_be_written_to(tmp_path):
    (tmp_path / "x").write_text("old")
    tmp_path.chmod(0o555)
    try:
        with pytest.raises(DiskError, match="may not be written to"):
            write_text(tmp_path / "x", "new")
        assert (tmp_path / "x").read_text() == "old"
    finally:
        tmp_path.chmod(0o755)


@pytest.fixture
def tiny_disk(tmp_path):
    """A disk of 64 KiB, where we may mount one."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(folder)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("cannot mount a small disk")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def test_a_disk_that_is_really_full(tiny_disk):
    write_text(tiny_disk / "x", "old")
    with pytest.raises(DiskError, match="the disk is full"):
        write_text(tiny_disk / "x", "new" * 100_000)
    assert (tiny_disk / "x").read_text() == "old" and names(tiny_disk) == ["x"]
    write_text(tiny_disk / "x", "smaller")


def test_everything_that_is_saved_fails_alike_on_a_full_disk(tiny_disk):
    import numpy as np
    import torch

    from recog import checkpoint, manifest, modeldir
    from recog.store import write_shard
    from recog.testing import CONFIG, tiny_model
    from recog.text import Units
    from recog.types import Utterance

    model, units = tiny_model(5), Units("char", ["<blank>", *"0123"])
    large = {"w": torch.zeros(50_000)}
    facts = {"filler": "x" * 80_000}
    for work in (lambda: checkpoint.save(tiny_disk / "state", 1, {"model": large}, {}),
                 lambda: modeldir.save(tiny_disk / "model", "tiny", CONFIG, model, units, None, facts),
                 lambda: write_shard(tiny_disk, 0, [("a", 0, np.zeros((5000, 10), np.float32))]),
                 lambda: manifest.write(tiny_disk / "m.jsonl", (Utterance(str(i), "train", "a.wav", "x" * 50) for i in range(2000)))):
        with pytest.raises(DiskError, match="the disk is full"):
            work()
        assert not list(tiny_disk.rglob("*.partial")) and not [p for p in tiny_disk.rglob("*") if p.is_file()]


def test_json_that_cannot_be_read(tmp_path):
    write_json(tmp_path / "a.json", {"ü": [1, None]})
    assert read_json(tmp_path / "a.json") == {"ü": [1, None]}
    with pytest.raises(DataError, match="none.json: no such file"):
        read_json(tmp_path / "none.json")
    for text in (b"", b"{", b"\xff"):
        (tmp_path / "bad.json").write_bytes(text)
        with pytest.raises(DataError, match="bad.json: is not readable JSON"):
            read_json(tmp_path / "bad.json")


def test_digests(tmp_path):
    (tmp_path / "x").write_bytes(b"abc")
    assert digest(tmp_path / "x") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert digest_of({"a": 1, "b": [2]}) == digest_of({"b": [2], "a": 1}) != digest_of({"a": 1, "b": [3]})


def test_remove_takes_files_folders_links_and_nothing(tmp_path):
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept" / "x").write_text("")
    (tmp_path / "link").symlink_to(tmp_path / "kept")
    (tmp_path / "folder" / "deep").mkdir(parents=True)
    for name in ("link", "folder", "nothing"):
        remove(tmp_path / name)
    assert names(tmp_path) == ["kept"] and (tmp_path / "kept" / "x").exists()


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes with names here")
def test_what_is_neither_file_nor_folder_is_not_replaced(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(DiskError, match="neither a file nor a folder"):
        write_text(tmp_path / "pipe", "x")
    assert (tmp_path / "pipe").is_fifo() and sorted(p.name for p in tmp_path.iterdir()) == ["pipe"]
    with pytest.raises(DiskError, match="is no name"):
        write_text(type(tmp_path)(""), "x")
