"""Manifests: what is written is read, and what is wrong is named with its line."""

import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from recog import manifest
from recog.errors import DataError
from recog.types import Utterance

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
times = st.sampled_from([0.0, 1.5]) | st.floats(0, 1e6)
utterances = st.lists(st.builds(Utterance, id=texts, split=texts, source=texts, text=texts, speaker=texts, start=times,
                                end=st.none() | times, extra=st.dictionaries(texts, st.integers() | texts, max_size=2)), max_size=5)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(utterances)
def test_what_is_written_is_read(tmp_path, rows):
    path = tmp_path / "manifest.jsonl"
    assert manifest.write(path, rows) == len(rows)
    assert list(manifest.read(path)) == rows
    assert path.read_text(encoding="utf-8").count("\n") == len(rows)


def rows(*pairs):
    return [Utterance(id, split, "a.wav", text) for id, split, text in pairs]


def test_one_split_and_no_defaults_written(tmp_path):
    path = tmp_path / "manifest.jsonl"
    manifest.write(path, rows(("a", "train", "x"), ("b", "dev", "y"), ("c", "train", "z")))
    assert [u.id for u in manifest.read(path, "train")] == ["a", "c"] and [u.id for u in manifest.read(path)] == ["a", "b", "c"]
    assert json.loads(path.read_text().splitlines()[0]) == {"id": "a", "split": "train", "source": "a.wav", "text": "x"}


GOOD = '{"id": "a", "split": "train", "source": "a.wav", "text": "x"}\n'


@pytest.mark.parametrize("line, words", [
    ('{"id": "b", "sp', "is not JSON"), ("[]", "is not a JSON object"), ("5", "is not a JSON object"),
    ('{"id": "b", "split": "train", "source": "b.wav"}', "has no 'text'"),
    (GOOD.replace('"text"', '"speeker": "m", "text"'), "unknown field 'speeker' (did you mean 'speaker'?)"),
    (GOOD.replace('"x"', "7"), "'text' has the wrong type: 7"),
    (GOOD.replace('"x"', '"x", "end": true'), "'end' has the wrong type: True"),
    (GOOD.replace('"x"', '"x", "start": "0"'), "'start' has the wrong type: '0'")])
def test_a_wrong_line_is_named(tmp_path, line, words):
    path = tmp_path / "manifest.jsonl"
    path.write_text(GOOD + "\n" + line.strip() + "\n")
    with pytest.raises(DataError) as caught:
        list(manifest.read(path))
    assert str(caught.value).startswith(f"{path}:3: ") and words in str(caught.value)


def test_a_file_that_is_no_text_or_not_there(tmp_path):
    with pytest.raises(DataError, match="no such manifest"):
        list(manifest.read(tmp_path / "none.jsonl"))
    (tmp_path / "bad.jsonl").write_bytes(GOOD.encode() + b"\xff\xfe\n")
    with pytest.raises(DataError, match="bad.jsonl"):
        list(manifest.read(tmp_path / "bad.jsonl"))


def test_a_failure_half_way_leaves_the_old_manifest(tmp_path):
    path = tmp_path / "manifest.jsonl"
    manifest.write(path, rows(("a", "train", "x")))
    before = path.read_text()
    with pytest.raises(DataError):
        manifest.write(path, manifest.check(rows(("b", "train", "x"), ("b", "train", "y")), {}, "corpus"))
    assert path.read_text() == before and [p.name for p in tmp_path.iterdir()] == ["manifest.jsonl"]


def test_check_passes_what_is_right():
    good = rows(("a", "train", "x"), ("b", "dev", "y"))
    assert list(manifest.check(good, {"train": 1, "dev": 1}, "corpus")) == good


@pytest.mark.parametrize("given, expect, words", [
    ([("a", "train", "x"), ("a", "dev", "y")], {}, "the id 'a' occurs twice"),
    ([("a", "train", " \t")], {}, "utterance 'a' has an empty transcript"),
    ([], {}, "gave no utterances"),
    ([("a", "train", "x")], {"train": 2, "test": 1}, "train: 1 utterances, expected 2; test: 0 utterances, expected 1")])
def test_check_names_what_is_wrong(given, expect, words):
    with pytest.raises(DataError) as caught:
        list(manifest.check(rows(*given), expect, "corpus"))
    assert str(caught.value).startswith("corpus: ") and words in str(caught.value)
