"""CTC prefix search against sums over all paths; its sections, its limit, and the laws of a decoder."""

import time

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from test_decode import check_spans, collapse, kinds, random_log_probs, scored_paths, search, seeds, shapes, sums_by_labels

from recog.components import find
from recog.decode import decode
from recog.decode.ctc_beam import CtcBeam, CtcBeamConfig
from recog.decode.greedy import Greedy
from recog.decode.prefix import PrefixConfig, PrefixSearch

WHOLE = PrefixSearch(PrefixConfig(threshold=1.0))


def peaked(seed, frames, units=62, height=9.0):
    """Log-probabilities as a trained network gives: blanks, and peaks of one to three frames, some doubtful."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(0, 1.5, (frames, units))
    logits[:, 0] += height + rng.normal(0, 2, frames)
    at = 3
    while at < frames:
        width = rng.integers(1, 4)
        logits[at:at + width, rng.integers(1, units)] += height * rng.uniform(0.8, 1.8)
        logits[at:at + width, rng.integers(1, units)] += height * rng.uniform(0.5, 1.2)
        at += width + rng.integers(2, 9)
    return torch.from_numpy(logits).log_softmax(1).numpy()


@search
@given(seeds, shapes, kinds)
def test_it_finds_the_most_probable_labelling(seed, shape, kind):
    log_probs = random_log_probs(seed, *shape, kind)
    sums = sums_by_labels(log_probs)
    [found] = decode(WHOLE, log_probs)
    assert found.score == pytest.approx(max(sums.values()), abs=1e-9)
    assert sums[found.units] == pytest.approx(found.score, abs=1e-9)


@search
@given(seeds, shapes, kinds, st.floats(0.05, 0.95))
def test_with_sections_it_finds_the_best_of_each(seed, shape, kind, threshold):
    """Brute force over the paths that are blank wherever the blank's probability is above the threshold."""
    log_probs = random_log_probs(seed, *shape, kind)
    cuts, sums = np.flatnonzero(np.exp(log_probs[:, 0]) > threshold), {}
    for path, _, score in scored_paths(log_probs):
        if not path[cuts].any():
            sections = tuple(map(collapse, np.split(path, cuts)))        # each part begins with its cut, a blank
            sums[sections] = sums.get(sections, 0.0) + np.exp(score)
    [found] = decode(PrefixSearch(PrefixConfig(threshold=threshold)), log_probs)
    assert np.exp(found.score) == pytest.approx(max(sums.values()), abs=1e-9)
    assert any(sum(sections, ()) == found.units and total == pytest.approx(np.exp(found.score), abs=1e-9)
               for sections, total in sums.items())


@pytest.mark.parametrize("seed", range(3))
def test_its_score_is_torchs_ctc_loss_and_no_beam_beats_it(seed):
    log_probs = peaked(seed, 60, 20)
    state = WHOLE.step(WHOLE.begin(), log_probs)
    [found] = WHOLE.finish(state)
    assert WHOLE._closed(state).unsure == 0 and found.units
    exact = -torch.nn.functional.ctc_loss(torch.from_numpy(log_probs)[:, None], torch.tensor([found.units]), [60],
                                          [len(found.units)], reduction="sum").item()
    assert found.score == pytest.approx(exact, abs=1e-9)
    assert found.score >= decode(CtcBeam(CtcBeamConfig(beam=300)), log_probs)[0].score - 1e-9


decoders = st.sampled_from([PrefixSearch(PrefixConfig(threshold, limit, 10)) for threshold in (0.3, 0.9, 0.9999) for limit in (5, 2000)])


@search
@given(decoders, seeds, st.integers(0, 60), st.integers(2, 6), st.lists(st.integers(0, 60), max_size=8))
def test_chunking_changes_nothing(decoder, seed, frames, units, cuts):
    log_probs = random_log_probs(seed, frames, units, "peaky")
    cuts = sorted(min(cut, frames) for cut in cuts)
    state = decoder.begin()
    for start, end in zip([0, *cuts], [*cuts, frames]):
        state = decoder.step(state, log_probs[start:end])
    [found] = decoder.finish(state)
    assert [found] == decoder.finish(state) == decode(decoder, log_probs)
    assert sum(found.parts.values()) == pytest.approx(found.score)
    check_spans(found, frames)


def test_states_are_values():
    decoder, first, second, other = PrefixSearch(), *(peaked(seed, 80, 8) for seed in (1, 2, 3))
    state = decoder.step(decoder.begin(), first)
    expected = decode(decoder, np.concatenate([first, second]))
    decoder.step(state, other)
    assert decoder.finish(state) == decode(decoder, first)
    assert decoder.finish(decoder.step(state, second)) == expected


def test_beyond_the_limit_it_falls_back_to_the_beam_or_the_best_met():
    """Flat probabilities: exponentially many labellings are about as likely as the best."""
    log_probs = torch.from_numpy(np.random.default_rng(0).normal(0, 0.3, (150, 62))).log_softmax(1).numpy()
    decoder = PrefixSearch(PrefixConfig(limit=20, fallback=50))
    began = time.perf_counter()
    state = decoder._closed(decoder.step(decoder.begin(), log_probs))
    assert time.perf_counter() - began < 20
    assert state.unsure == 1
    assert state.score >= decode(CtcBeam(CtcBeamConfig(beam=50)), log_probs)[0].score - 1e-9


def test_sums_that_overflow_go_to_the_beam():
    log_probs = np.full((400, 30), -np.log(30))
    decoder = PrefixSearch(PrefixConfig(fallback=4))
    state = decoder._closed(decoder.step(decoder.begin(), log_probs))
    assert state.unsure == 1 and np.isfinite(state.score)


def test_a_long_recording_takes_little_time_and_memory():
    log_probs = peaked(4, 3000, height=12.0)
    decoder = PrefixSearch()
    decode(decoder, log_probs[:30])
    began = time.perf_counter()
    state = decoder.step(decoder.begin(), log_probs)
    assert time.perf_counter() - began < 10            # a second is 100 frames: a third of real time, on a busy machine
    assert sum(map(len, state.open)) < 300 and decoder._closed(state).unsure == 0
    assert state.score > decode(Greedy(), log_probs)[0].score


def test_no_frames_say_nothing_and_what_is_wrong_is_refused():
    for found in (decode(WHOLE, np.zeros((0, 5))), WHOLE.finish(WHOLE.begin())):
        assert (found[0].units, found[0].score, found[0].spans) == ((), 0.0, ())
    assert find("decoder", "prefix") is PrefixSearch
    for options, message in [({"threshold": 0.0}, "threshold"), ({"limit": 0}, "limit"), ({"fallback": 0}, "fallback")]:
        with pytest.raises(ValueError, match=message):
            PrefixConfig(**options)
