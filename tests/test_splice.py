"""Spliced utterances: cut where it is quiet, of one speaker, drawn from a seed, and made of stored frames only."""

import tomllib

import numpy as np
import pytest

from recog.batching import BatchConfig
from recog.config import build
from recog.errors import ConfigError
from recog.examples import Example, Examples
from recog.experiment import Experiment
from recog.features import FeatureConfig
from recog.splice import loudness, SpliceConfig, Splicer, Word, cut, make
from recog.store import Store, write_shard
from recog.text import BLANK, Units
from recog.types import Utterance

UNITS = Units("char", [BLANK, " ", "A", "B", "C"])
FEATURES = FeatureConfig(mels=4, normalize="none")
WORDS = {"ann": [Word("A", "u0", 0.0, 0.5), Word("B", "u0", 0.5, 1.0), Word("A", "u1", 0.0, 1.0)], "bob": [Word("C", "u2", 0.0, 1.0)]}


def splicer(store, **settings):
    return Splicer(SpliceConfig(**settings), WORDS, UNITS, store)


def test_words_are_cut_where_it_is_quiet():
    frames, path = np.zeros((20, 4), np.float32), [2, 2, 0, 0, 1, 0, 3, 3, 4, 0]      # "A BC", two frames a row
    log_probs = np.full((10, 5), np.log(0.01))
    log_probs[np.arange(10), path] = np.log(0.96)
    frames[5:10] = -1.0
    frames[6:9] = -5.0                                                                # quietest, averaged over five, at 7
    utterance = Utterance("u", "train", "u.wav", "A BC")
    assert cut(utterance, UNITS, log_probs, loudness(frames)) == [Word("A", "u", 0.0, 7 / 20), Word("BC", "u", 7 / 20, 1.0)]


@pytest.fixture
def store(tmp_path):
    rng = np.random.default_rng(1)
    write_shard(tmp_path, 0, [(id, view, rng.normal(size=(20 + 4 * view, 4)).astype(np.float32)) for id in ("u0", "u1", "u2") for view in (0, 1)])
    return Store(tmp_path)


def test_a_draw_keeps_to_the_speaker_and_spells_what_it_drew(store):
    rng = np.random.default_rng(0)
    for _ in range(50):
        drawn = splicer(store, share=1.0).draw("ann", 3, 1, rng)
        assert len(drawn.parts) == 3 and {(id, view) for id, view, _, _ in drawn.parts} <= {("u0", 1), ("u1", 1)}
        assert set(UNITS.decode(drawn.labels).split()) <= {"A", "B"} and len(UNITS.decode(drawn.labels).split()) == 3


def test_how_often(store):
    rng = np.random.default_rng(0)
    assert all(splicer(store, share=0.0).draw("ann", 2, 0, rng) is None for _ in range(50))
    assert splicer(store, share=1.0).draw("eve", 2, 0, rng) is None                   # none of her words are known
    assert 0.4 < np.mean([splicer(store, share=0.5).draw("bob", 1, 0, rng) is None for _ in range(400)]) < 0.6
    for flat, share in ((0.0, 2 / 3), (1.0, 1 / 2)):
        drawn = UNITS.decode(splicer(store, share=1.0, flat=flat).draw("ann", 3000, 0, rng).labels).split()
        assert drawn.count("A") / 3000 == pytest.approx(share, abs=0.04)


def examples(store, splices, **settings):
    rows = [Example("u0", (2, 1, 3), "ann", 2), Example("u1", (2,), "ann", 1), Example("u2", (4,), "bob", 1)]
    return Examples(store, rows, FEATURES, None, BatchConfig(utterances=1), splices=splices, **settings)


def test_spliced_frames_are_stored_frames_in_the_order_of_the_labels(store):
    whole = {(id, view): store.frames(id, view) for id in ("u0", "u1", "u2") for view in (0, 1)}
    pieces = {(word.text, id, view): frames[round(word.start * len(frames)):round(word.end * len(frames))]
              for (id, view), frames in whole.items() for spoken in WORDS.values() for word in spoken if word.id == id}
    seen = set()
    for epoch in range(20):
        for batch in examples(store, splicer(store, share=1.0)).epoch(epoch):
            text, x = UNITS.decode(batch.y[0].tolist()), batch.x[0].numpy()
            found = [(view, names) for view in (0, 1) for names in options(text.split(), pieces, view)
                     if np.array_equal(np.concatenate([pieces[name] for name in names]), x)]
            assert len(found) == 1 and batch.x_len[0] == len(x)
            seen.add(text)
    assert {"A A", "A B", "B A", "B B", "A", "B", "C"} == seen


def options(words, pieces, view):
    if not words:
        return [[]]
    return [[name, *rest] for name in pieces if name[0] == words[0] and name[2] == view for rest in options(words[1:], pieces, view)]


def test_the_seed_and_the_epoch_say_it_all(store):
    one, two = (examples(store, splicer(store, share=0.5), seed=3) for _ in range(2))
    for epoch in (0, 1):
        a, b = list(one.epoch(epoch)), list(two.epoch(epoch, 1))
        assert [batch.y.tolist() for batch in a[1:]] == [batch.y.tolist() for batch in b]
        assert all((p.x == q.x).all() for p, q in zip(a[1:], b))
    assert [batch.y.tolist() for batch in one.in_order()] == [batch.y.tolist() for batch in examples(store, None).in_order()]


@pytest.mark.parametrize("quiet, kept", [(3, ["C"]), (6, ["AB", "C"])])
def test_words_that_are_cut_too_short_to_be_learned_are_not_used(tmp_path, quiet, kept):
    """CTC needs a frame for each label and one for the space: three for "AB", and one to spare."""
    frames, log_probs, path = np.zeros((20, 4), np.float32), np.full((20, 5), np.log(0.01)), [2, 3] + [0] * 6 + [1] + [4] * 11
    frames[quiet - 1:quiet + 2] = -5.0
    log_probs[np.arange(20), path] = np.log(0.96)
    write_shard(tmp_path, 0, [("u", 0, frames)])
    utterance = Utterance("u", "train", "u.wav", "AB C", speaker="ann")
    found = make(SpliceConfig(share=1.0), UNITS, Store(tmp_path), [utterance], {"u": log_probs}, loudness)
    assert [word.text for word in found.words["ann"]] == kept


def test_impossible_settings():
    with pytest.raises(ValueError, match="from 0 to 1"):
        SpliceConfig(share=1.5)
    for wanted in ('[splice]\nshare = 0.5', '[splice]\nshare = 0.5\n[head]\nkind = "transducer"\n[second]\nepochs = 1'):
        with pytest.raises(ConfigError, match="splice.share needs"):
            build(Experiment, tomllib.loads(f'{wanted}\n[encoder]\nkind = "blstm"'), "m.toml")
    build(Experiment, tomllib.loads('[splice]\nshare = 0.5\n[train]\nstart = "m"\n[encoder]\nkind = "blstm"'), "m.toml")
