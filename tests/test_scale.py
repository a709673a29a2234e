"""What holds millions of utterances: ids that are seen, names that are found, examples as arrays, shards that are verified."""

import json
import random
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from test_command import called
from test_store import folder, frames                                # noqa: F401  (a fixture)

from recog import corpus, manifest, names, remaking, seen, store
from recog.batching import BatchConfig
from recog.errors import DataError
from recog.examples import Example, Examples, Packed
from recog.features import FeatureConfig
from recog.files import digest_of
from recog.names import Names
from recog.perturb import PerturbConfig
from recog.seen import Seen
from recog.store import Store, shard_path, verify, write_shard
from recog.stages import run_recipe
from recog.testing import tiny_recipe, tone_corpus
from recog.types import Utterance
from recog.views import ViewsConfig

few = st.lists(st.text(st.characters(exclude_categories=[]), max_size=2), max_size=60)


@given(few, st.integers(2, 9))
def test_an_id_that_comes_again_is_named_a_block_later_at_most(ids, block):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(seen, "BLOCK", block)
        found, known = None, Seen()
        for number, id in enumerate(ids):
            if (found := known.twice(id)) is not None:
                break
        else:
            number, found = len(ids), known.rest()
    if found is None:
        assert len(set(ids)) == len(ids)
    else:
        again = next(i for i, id in enumerate(ids) if id in ids[:i])
        assert ids[:number + 1].count(found) > 1 and again <= number < again + block + 1


def test_a_long_manifest_with_one_id_twice(monkeypatch):
    monkeypatch.setattr(seen, "BLOCK", 64)
    rows = [Utterance(f"u{i}", "train", "a.wav", "x") for i in range(1000)]
    assert len(list(manifest.check(rows, {"train": 1000}, "corpus"))) == 1000
    for again in (0, 63, 64, 500, 999):
        with pytest.raises(DataError, match=f"corpus: the id 'u{again}' occurs twice"):
            list(manifest.check([*rows, rows[again]], {}, "corpus"))


@given(few)
def test_names_are_found_and_those_that_came_twice(given_names):
    table = Names()
    for name in given_names:
        table.add(name)
    assert list(table) == given_names and sorted(table.twice()) == sorted({n for n in given_names if given_names.count(n) > 1})
    for guess, name in enumerate([*given_names, "none of them"]):
        assert table.find(name, guess - 1) in (guess - 1, table.find(name)) and table.find(name) == (given_names.index(name) if name in given_names else -1)


def test_names_of_one_hash_are_told_apart(monkeypatch):
    monkeypatch.setattr(names, "hash", len, raising=False)
    table = Names()
    for name in ("a", "bb", "cc", "d", "a"):
        table.add(name)
    assert [table.find(name) for name in ("a", "bb", "cc", "d", "e", "ee")] == [0, 1, 2, 3, -1, -1] and list(table.twice()) == ["a"]


def test_examples_as_arrays_are_the_same_examples(folder):              # noqa: F811
    rows = [Example("c", (3, 1, 2), "ann", 2), Example("a", (), "bob", 0), Example("b", (70000,))]
    packed = Packed(Store(folder), iter(rows))
    assert list(packed) == rows and len(packed) == 3 and packed.labels(0).tolist() == [3, 1, 2]
    with pytest.raises(KeyError, match="z"):
        Packed(Store(folder), [Example("z", ())])


def test_an_utterance_in_two_shards_is_named(folder):                   # noqa: F811
    write_shard(folder, 2, [("b", 0, frames(3))])
    with pytest.raises(DataError, match="'b' is in two places"):
        Store(folder)


def test_few_files_are_open_at_once_and_all_shards_are_read(tmp_path, monkeypatch):
    monkeypatch.setattr(store, "OPEN", 4)
    for number in range(20):
        write_shard(tmp_path, number, [(f"u{number}", 0, frames(5, number))])
    opened, order = Store(tmp_path), list(range(20)) * 3
    random.Random(0).shuffle(order)
    for number in order:
        assert np.array_equal(opened.frames(f"u{number}"), frames(5, number))
        assert sum("shard-" in line for line in Path("/proc/self/maps").read_text().splitlines() if str(tmp_path) in line) <= 5


def test_numbers_that_changed_are_found_by_their_digest(folder, monkeypatch, capsys):      # noqa: F811
    assert verify(folder) == (2, 0)
    status, out, _ = called(monkeypatch, capsys, "inspect", folder)
    assert status == 0 and "utterances   3, 4 with all copies" in out and "shards       2 as they were written" in out
    index = shard_path(folder, 1) / "index.json"
    told = json.loads(index.read_text())
    index.write_text(json.dumps({key: value for key, value in told.items() if key != "sha256"}))          # as older ones are
    assert verify(folder) == (1, 1) and len(Store(folder).ids()) == 3
    file = shard_path(folder, 0) / "frames.f32"
    numbers = bytearray(file.read_bytes())
    numbers[7] ^= 1
    file.write_bytes(numbers)
    Store(folder)                                                       # opening looks at sizes alone
    status, out, err = called(monkeypatch, capsys, "inspect", folder)
    assert (status, out) == (1, "") and "shard-00000/frames.f32: was changed after it was written" in err


def test_the_fingerprint_of_a_corpus_is_that_of_its_list(tmp_path):
    assert corpus.fingerprint(tmp_path) == digest_of([])
    (tmp_path / "b").mkdir()
    for name in ("b/ü.wav", "a.wav", "c"):
        (tmp_path / name).write_text(name)
    listed = [[name, (tmp_path / name).stat().st_size, (tmp_path / name).stat().st_mtime_ns] for name in ("a.wav", "c", "b/ü.wav")]
    assert corpus.fingerprint(tmp_path) == digest_of(listed)


@pytest.fixture(scope="module")
def two_stores(tmp_path_factory):
    """Features of ten tones, three views each: kept, and to be made anew."""
    home = tmp_path_factory.mktemp("stores")
    spoken = [(f"u{number}", "train" if number < 8 else "dev", "0123456789"[:1 + number]) for number in range(10)]
    tone_corpus(home, spoken)
    manifest.write(home / "manifest.jsonl", [Utterance(id, split, str(home / f"{id}.wav"), text) for id, split, text in spoken])
    features = FeatureConfig(mels=12, normalize="utterance", stack=2)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(corpus, "SHARD", 4)
        patch.setattr(corpus, "cores", lambda: 1)
        stores = []
        for kept in (True, False):
            config = ViewsConfig(speeds=(1.0, 1.1), channels=1, store=kept)
            corpus.store_features(home / "manifest.jsonl", ["train", "dev"], features, config, home / str(kept))
            stores.append(Store(home / str(kept), (features, config)))
    return features, *stores


def test_frames_made_anew_are_those_that_would_be_stored(two_stores):
    features, kept, made = two_stores
    assert kept.kept and not made.kept and made.ids() == kept.ids() and made.lengths.tolist() == kept.lengths.tolist()
    for row in range(len(kept.lengths)):
        assert np.array_equal(made.at(row), kept.at(row)) and made.at(row).dtype == kept.at(row).dtype
    with pytest.raises(DataError, match="the frames are not kept here"):
        Store(made._shards[0][0].parent).at(0)


def test_batches_made_anew_are_the_same_batches(two_stores, monkeypatch):
    monkeypatch.setattr(remaking, "cores", lambda: 1)
    features, *stores = two_stores
    kept, made = (Examples(each, [Example(f"u{n}", (1 + n % 3,)) for n in range(8)], features, None, BatchConfig(utterances=3), PerturbConfig(noise=0.3), 7)
                  for each in stores)
    for ours, theirs in ((kept.epoch(2, 1), made.epoch(2, 1)), (kept.in_order(), made.in_order())):
        batches = list(zip(ours, theirs, strict=True))
        assert len(batches) >= 2
        for a, b in batches:
            assert a.ids == b.ids and all(torch.equal(getattr(a, name), getattr(b, name)) for name in ("x", "x_len", "y", "y_len"))


@pytest.mark.usefixtures("one_thread")
def test_a_training_with_frames_made_anew_ends_with_the_same_weights(tmp_path, monkeypatch):
    monkeypatch.setattr(remaking, "cores", lambda: 1)
    recipe, sounds, digests = tiny_recipe(tmp_path / "tiny"), tone_corpus(tmp_path / "corpus"), []
    for kept in ("true", "false"):
        run_recipe(str(recipe), sounds, "ctc", [f"views.store={kept}", "features.normalize=corpus", "train.epochs=1"], tmp_path / kept, None,
                   "train", None, False)
        digests.append((tmp_path / kept / "tiny" / "ctc" / "model" / "weights.safetensors").read_bytes())
    assert digests[0] == digests[1]
    (made,) = (tmp_path / "false" / "tiny").glob("features-*[0-9a-f]")
    assert not list(made.rglob("frames*")) and list(made.rglob("utterances.jsonl"))
