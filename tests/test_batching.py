"""Batches: every utterance once, within the limits, the same for the same seed; and the thread that makes them ahead."""

import threading
import time

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from recog.batching import BatchConfig, ahead, pad, plan, waste
from recog.examples import Example, Examples
from recog.features import FeatureConfig, finish
from recog.perturb import PerturbConfig
from recog.store import Store, write_shard

lengths = st.lists(st.integers(1, 300), max_size=80).map(lambda found: np.array(found, dtype=np.int64))
configs = st.builds(BatchConfig, utterances=st.integers(1, 9), frames=st.integers(1, 1500), pool=st.integers(1, 5))
generators = st.none() | st.integers(0, 99)


def planned(lengths, config, seed):
    return plan(lengths, config, None if seed is None else np.random.default_rng(seed))


@given(lengths, configs, generators)
def test_every_utterance_once_and_the_limits_are_kept(lengths, config, seed):
    batches = planned(lengths, config, seed)
    assert sorted(np.concatenate([*batches, []]).astype(int)) == list(range(len(lengths)))
    for batch in batches:
        assert 1 <= len(batch) <= config.utterances
        assert len(batch) == 1 or len(batch) * lengths[batch].max() <= config.frames


@given(lengths, configs, st.integers(0, 99))
def test_a_seed_is_an_order(lengths, config, seed):
    as_lists = lambda batches: [list(batch) for batch in batches]
    assert as_lists(planned(lengths, config, seed)) == as_lists(planned(lengths, config, seed))


def test_another_seed_is_another_order_and_none_is_by_length():
    lengths = np.random.default_rng(0).integers(10, 500, 200)
    first, second = (np.concatenate(planned(lengths, BatchConfig(), seed)).tolist() for seed in (1, 2))
    assert first != second
    plain = np.concatenate(planned(lengths, BatchConfig(utterances=4, pool=100), None))
    assert (np.diff(lengths[plain]) >= 0).all()


def test_batches_of_an_epoch_do_not_come_by_length():
    lengths = np.random.default_rng(0).integers(10, 500, 800)
    means = [lengths[batch].mean() for batch in planned(lengths, BatchConfig(), 1)]
    assert abs(np.corrcoef(means, range(len(means)))[0, 1]) < 0.5


@pytest.mark.parametrize("count", [948, 5000])
def test_padding_is_less_than_a_tenth_on_lengths_like_those_of_speech(count):
    seconds = np.random.default_rng(0).lognormal(np.log(3), 0.6, count).clip(0.4, 20)      # AN4: 0.4 to 7 s; LibriSpeech to 35 s
    lengths = np.ceil(seconds * 100 / 3).astype(int)
    for config in (BatchConfig(), BatchConfig(utterances=32, frames=6000)):
        assert waste(lengths, planned(lengths, config, 1)) < 0.10


def test_waste_is_the_share_of_padding():
    assert waste(np.array([4, 2, 5]), [np.array([0, 1]), np.array([2])]) == pytest.approx(1 - 11 / 13)
    assert waste(np.array([]), []) == 0


def test_pad_by_hand():
    xs = [np.full((n, 2), n, np.float32) for n in (3, 1)]
    xs[1].setflags(write=False)                                   # as stored frames are
    batch = pad(["a", "b"], xs, [(4, 5), ()])
    assert batch.ids == ("a", "b") and batch.x_len.tolist() == [3, 1] and batch.y_len.tolist() == [2, 0]
    assert batch.x.tolist() == [[[3, 3]] * 3, [[1, 1], [0, 0], [0, 0]]] and batch.y.tolist() == [[4, 5], [0, 0]]
    assert batch.x.dtype == torch.float32 and batch.y.dtype == torch.long
    assert pad(["a"], xs[:1], [()]).y.shape == (1, 1)


@pytest.mark.parametrize("depth", [1, 3])
def test_ahead_delivers_in_order_and_not_too_far_ahead(depth):
    made, seen = [], 0

    def make(n):
        made.append(n)
        return n * n

    for value in ahead(make, range(20), depth):
        assert value == seen * seen
        seen += 1
        time.sleep(0.001)
        assert len(made) <= seen + depth + 1                      # the queue, and the one in hand
    assert seen == 20 and made == list(range(20))


def test_ahead_passes_errors_on_after_what_came_before():
    def make(n):
        if n == 3:
            raise KeyError("utterance 'u3'")
        return n

    got = []
    with pytest.raises(KeyError, match="u3"):
        for value in ahead(make, range(9)):
            got.append(value)
    assert got == [0, 1, 2]

    def numbers():
        yield 0
        raise ValueError("no more")

    with pytest.raises(ValueError, match="no more"):
        list(ahead(make, numbers()))


@pytest.mark.parametrize("taken", [0, 1, 5])
def test_closing_early_stops_the_thread(taken):
    before = set(threading.enumerate())
    batches = ahead(lambda n: n, range(10**9), 2)
    for _ in range(taken):
        next(batches)
    batches.close()
    assert set(threading.enumerate()) == before


def test_an_error_of_the_reader_stops_the_thread():
    before = set(threading.enumerate())
    with pytest.raises(ZeroDivisionError):
        for value in ahead(lambda n: n, range(10**9), 2):
            1 / 0
    assert set(threading.enumerate()) == before


FEATURES = FeatureConfig(mels=4, normalize="mean", stack=2)


@pytest.fixture
def examples(tmp_path):
    rng = np.random.default_rng(0)
    rows = {f"u{i:02d}": [rng.normal(size=(n, 4)).astype(np.float32) for n in rng.integers(3, 40, 3)] for i in range(30)}
    write_shard(tmp_path, 0, [(id, view, frames) for id, views in rows.items() for view, frames in enumerate(views)])

    def made(seed=0, perturb=PerturbConfig(noise=0.5)):
        labels = [Example(id, (int(id[1:]) + 1,)) for id in rows]
        return Examples(Store(tmp_path), labels, FEATURES, None, BatchConfig(utterances=4), perturb, seed)

    return made


def same(a, b):
    return a.ids == b.ids and all(torch.equal(getattr(a, name), getattr(b, name)) for name in ("x", "x_len", "y", "y_len"))


def test_an_epoch_follows_from_its_seed_and_number_and_can_start_anywhere(examples):
    whole = list(examples().epoch(3))
    assert len(whole) == examples().batches_in(3) and sorted(id for batch in whole for id in batch.ids) == [f"u{i:02d}" for i in range(30)]
    for start in (0, 1, len(whole) - 1, len(whole)):
        late = list(examples().epoch(3, start))
        assert len(late) == len(whole) - start and all(map(same, late, whole[start:]))
    for other in (examples().epoch(4), examples(seed=1).epoch(3)):
        assert not all(map(same, other, whole))
    assert examples().waste(3) == pytest.approx(1 - sum(int(b.x_len.sum()) for b in whole) / sum(b.x.shape[0] * b.x.shape[1] for b in whole))


def test_labels_stay_with_their_frames_and_each_epoch_picks_a_view(examples):
    source, views = examples(perturb=PerturbConfig()), {}
    for epoch in range(6):
        for batch in source.epoch(epoch):
            for id, x, n, y in zip(batch.ids, batch.x.numpy(), batch.x_len.tolist(), batch.y.tolist()):
                assert y == [int(id[1:]) + 1]
                found = [v for v in range(3) if np.array_equal(finish(source.store.frames(id, v), FEATURES, None), x[:n])]
                assert len(found) == 1 and (x[n:] == 0).all()
                views.setdefault(id, set()).add(found[0])
    assert np.mean([len(v) for v in views.values()]) > 2


def test_in_order_is_every_utterance_once_unperturbed_by_length(examples):
    batches = list(examples().in_order())
    sizes = [n for batch in batches for n in batch.x_len.tolist()]
    assert len(sizes) == 30 and sizes == sorted(sizes)
    store = examples().store
    for batch in batches:
        for id, x, n in zip(batch.ids, batch.x.numpy(), batch.x_len.tolist()):
            assert np.array_equal(x[:n], finish(store.frames(id), FEATURES, None))
