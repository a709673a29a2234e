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
from tiny_runs import rows, same, steps_done

from recog import checkpoint, launch, ranks
from recog.batching import dealt, pad, some
from recog.bulk import transcribe_files
from recog.errors import ConfigError, DataError, TrainError
from recog.launch import launched
from recog.part import Part, parsed
from recog.stages import run_recipe
from recog.testing import SETTINGS, spelled, tiny_recipe, tone_corpus

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
    began = time.monotonic()
    with pytest.raises(TrainError) as caught:
        launched(2, ranked.trained, features, tmp_path / "run", config, (17, 1, signal.SIGKILL))
    assert str(caught.value) == ("rank 1 of 2 was killed by SIGKILL, as when memory is short; the others were stopped "
                                 "(run the same command again to go on from the last saved state)")
    assert time.monotonic() - began < 60 and steps_done(tmp_path / "run") == 17
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
