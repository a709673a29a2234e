"""Transcript files: three forms that read the same, and what is refused."""

from pathlib import Path

import pytest

from recog.errors import DataError
from recog.transcripts import read_transcripts


def write(folder, name, content):
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode("utf-8"))
    return path


SAME = {"a-1": "grüße an (alle)", "b 2": "", "c": "x"}


@pytest.mark.parametrize("name, content", [
    ("r.tsv", "a-1\tgrüße an (alle)\nb 2\t\nc\tx\n"),
    ("r.tsv", b"\xef\xbb\xbf" + "a-1\tgrüße an (alle)\r\n\r\nb 2\t\r\nc\tx".encode()),
    ("R.TRN", ";; a comment\ngrüße an (alle) (a-1)\n(b 2)\nx (c)  \n"),
    ("r.jsonl", '{"id": "a-1", "text": "grüße an (alle)", "score": -1.5}\n\n{"id": "b 2", "text": ""}\n'
                '{"split": "test", "text": "x", "id": "c", "source": "c.wav"}\n')])
def test_all_forms_read_the_same(tmp_path, name, content):
    assert read_transcripts(write(tmp_path, name, content)) == SAME


@pytest.mark.parametrize("separator", ["\u2028", "\x0b", "\x85", "\r"])
def test_only_newlines_end_lines(tmp_path, separator):
    assert read_transcripts(write(tmp_path, "r.tsv", f"a\tx{separator}y\n")) == {"a": f"x{separator}y"}


@pytest.mark.parametrize("name, content, message", [
    ("r.txt", "a\tb\n", "r.txt: is not a kind of transcript file that recog knows "
                        "(give a file that ends in .tsv, .trn, .jsonl)"),
    ("r.tsv", "", "r.tsv: holds no transcripts (did the step before end well?)"),
    ("r.trn", ";; nothing\n\n", "r.trn: holds no transcripts (did the step before end well?)"),
    ("r.tsv", "a\tb\nc d\n", "r.tsv:2: has 1 tab-separated columns instead of two, id and text"),
    ("r.tsv", "a\tb\t0.5\n", "r.tsv:1: has 3 tab-separated columns instead of two, id and text"),
    ("r.tsv", " \tb\n", "r.tsv:1: the id is empty"),
    ("r.tsv", b"a\tb\nc\t\xff\n", "r.tsv:2: is not UTF-8 (save the file as UTF-8)"),
    ("r.tsv", "a\tb\nc\td\na\te\n", "r.tsv: 1 id is more than once: a (keep one line for each utterance)"),
    ("r.tsv", "".join(f"{i}\tx\n" * 2 for i in range(4)),
     "r.tsv: 4 ids are more than once: 0, 1, 2, ... (keep one line for each utterance)"),
    ("r.trn", "a b\n", "r.trn:1: does not end in an (id)"),
    ("r.trn", "{ a / b } c (u1)\n",
     "r.trn:1: holds alternatives { a / b }, which recog does not score: choose one of them"),
    ("r.jsonl", '{"id": "a", "text": "b"}\n{"id": \n',
     "r.jsonl:2: is not readable JSON: Expecting value at column 8"),
    ("r.jsonl", "[" * 200_000, "r.jsonl:1: is not readable JSON: nested too deeply"),
    ("r.jsonl", '["a", "b"]\n', "r.jsonl:1: is not a JSON object with an id and a text"),
    ("r.jsonl", '{"id": "a"}\n', "r.jsonl:1: has no 'text'"),
    ("r.jsonl", '{"id": 7, "text": "b"}\n', "r.jsonl:1: 'id' is not a string"),
    ("r.jsonl", '{"id": "a", "text": "\\ud800"}\n', "r.jsonl:1: is not UTF-8 (save the file as UTF-8)")])
def test_unreadable_files_are_named_in_one_line(tmp_path, monkeypatch, name, content, message):
    write(tmp_path, name, content)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DataError) as caught:
        read_transcripts(Path(name))
    assert str(caught.value) == message


def test_missing_files_and_folders_are_named(tmp_path):
    (tmp_path / "folder.tsv").mkdir()
    with pytest.raises(DataError, match="none.tsv: no such file"):
        read_transcripts(tmp_path / "none.tsv")
    with pytest.raises(DataError, match="folder.tsv: cannot be read: Is a directory"):
        read_transcripts(tmp_path / "folder.tsv")
