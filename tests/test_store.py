"""Stored frames come back as they were; a damaged shard is named."""

import json

import numpy as np
import pytest

from recog.errors import DataError
from recog.store import Store, shard_path, write_shard


def frames(count, seed=0, width=3):
    return np.random.default_rng(seed).normal(size=(count, width)).astype(np.float32)


@pytest.fixture
def folder(tmp_path):
    write_shard(tmp_path, 0, [("a", 0, frames(4, 1)), ("a", 1, frames(5, 2)), ("b", 0, frames(1, 3))])
    write_shard(tmp_path, 1, [("c", 0, frames(7, 4))])
    return tmp_path


def test_frames_come_back_as_they_were(folder):
    store = Store(folder)
    assert store.ids() == ["a", "b", "c"] and "a" in store and "z" not in store
    assert [store.views(id) for id in "abc"] == [2, 1, 1]
    for id, view, seed, count in (("a", 0, 1, 4), ("a", 1, 2, 5), ("b", 0, 3, 1), ("c", 0, 4, 7)):
        assert store.length(id, view) == count and np.array_equal(store.frames(id, view), frames(count, seed))
    with pytest.raises(ValueError):
        store.frames("a")[0, 0] = 1                      # read-only


def test_any_layout_in_memory_is_stored_the_same(tmp_path):
    source = frames(6, width=4)
    write_shard(tmp_path, 0, [("a", 0, source[::2]), ("b", 0, np.asfortranarray(source)), ("c", 0, source.astype(np.float64))])
    store = Store(tmp_path)
    assert np.array_equal(store.frames("a"), source[::2]) and np.array_equal(store.frames("b"), source) and np.array_equal(store.frames("c"), source)


def test_a_shard_is_whole_or_absent(tmp_path):
    def items():
        yield "a", 0, frames(4)
        raise DataError("utterance 'b': no sound")

    with pytest.raises(DataError, match="'b'"):
        write_shard(tmp_path, 0, items())
    assert list(tmp_path.iterdir()) == []
    write_shard(tmp_path, 0, [("a", 0, frames(4))])
    partial = tmp_path / "shard-00001.partial"
    partial.mkdir()                                       # what a kill leaves
    (partial / "frames.f32").write_bytes(b"half")
    assert Store(tmp_path).ids() == ["a"]


def test_a_shard_cut_short_is_named(folder):
    file = shard_path(folder, 1) / "frames.f32"
    file.write_bytes(file.read_bytes()[:-4])
    with pytest.raises(DataError, match="shard-00001/frames.f32: is cut short or missing"):
        Store(folder)
    file.unlink()
    with pytest.raises(DataError, match="shard-00001/frames.f32: is cut short or missing"):
        Store(folder)


def test_an_index_that_is_missing_or_none_is_named(folder):
    index = shard_path(folder, 0) / "index.json"
    index.write_text(index.read_text()[:20])
    with pytest.raises(DataError, match="index.json"):
        Store(folder)
    index.unlink()
    with pytest.raises(DataError, match="index.json"):
        Store(folder)


def test_a_view_that_is_missing_is_named(folder):
    index = shard_path(folder, 0) / "index.json"
    row = json.loads(index.read_text())
    del row["rows"][0]
    index.write_text(json.dumps(row))
    with pytest.raises(DataError, match="utterance 'a' has view 1 where 0 was due"):
        Store(folder)


def test_an_empty_folder_is_named(tmp_path):
    with pytest.raises(DataError, match="holds no features"):
        Store(tmp_path)


def test_bytes_stay_bytes(tmp_path):
    pixels = np.random.default_rng(5).integers(0, 256, (9, 4), dtype=np.uint8)
    write_shard(tmp_path, 0, [("a", 0, pixels[:4]), ("b", 0, pixels[4:])])
    write_shard(tmp_path, 1, [("c", 0, frames(2, width=4))])
    store = Store(tmp_path)
    assert store.frames("b").dtype == np.uint8 and np.array_equal(store.frames("b"), pixels[4:])
    assert store.frames("c").dtype == np.float32
    (shard_path(tmp_path, 0) / "frames.u8").write_bytes(b"1234")
    with pytest.raises(DataError, match="frames.u8.*cut short"):
        Store(tmp_path)
