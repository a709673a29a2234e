"""Decoders and alignment against sums over all paths, a plain-Python beam, and PyTorch's CTC loss."""

from __future__ import annotations

import subprocess
import sys
import time
from functools import lru_cache
from itertools import groupby, product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from oracles import close

from recog.decode import decode
from recog.decode.align import align
from recog.decode.checks import checked
from recog.decode.ctc_beam import CtcBeam, CtcBeamConfig
from recog.decode.greedy import Greedy
from recog.errors import DataError

EVERYTHING = 4096                             # more than the label sequences of 6 frames and 4 units

search = settings(max_examples=60, deadline=None)
seeds = st.integers(0, 2**32 - 1)
kinds = st.sampled_from(["noisy", "peaky", "with zeros"])
shapes = st.tuples(st.integers(1, 6), st.integers(2, 4)) | st.just((6, 4))


def random_log_probs(seed: int, frames: int, units: int, kind: str = "noisy") -> np.ndarray:
    rng = np.random.default_rng(seed)
    logits = rng.normal(0, 2, (frames, units))
    if kind == "peaky":
        logits *= 4
        logits[:, 0] += 6 * rng.integers(0, 2, frames)
    if kind == "with zeros":
        keep = rng.random((frames, units)) < 0.6
        keep[np.arange(frames), rng.integers(0, units, frames)] = True
        logits = np.where(keep, logits, -np.inf)
    with np.errstate(divide="ignore"):
        return logits - np.log(np.exp(logits).sum(1, keepdims=True))


def collapse(path) -> tuple[int, ...]:
    return tuple(unit for unit, _ in groupby(path) if unit != 0)


@lru_cache(maxsize=None)
def all_paths(frames: int, units: int):
    paths = list(product(range(units), repeat=frames))
    return np.array(paths).reshape(-1, frames), [collapse(path) for path in paths]


def scored_paths(log_probs):
    """(path, its label sequence, its log-probability) for every path there is."""
    frames, units = log_probs.shape
    paths, labels = all_paths(frames, units)
    return zip(paths, labels, log_probs[np.arange(frames), paths].sum(1))


def sums_by_labels(log_probs) -> dict[tuple[int, ...], float]:
    sums: dict[tuple[int, ...], float] = {}
    for _, labels, score in scored_paths(log_probs):
        sums[labels] = sums.get(labels, 0.0) + np.exp(score)
    return {labels: np.log(total) for labels, total in sums.items() if total > 0}


def plain_beam(log_probs, beam, bonus=0.0, token_threshold=np.inf, beam_threshold=np.inf):
    """Prefix beam search with dictionaries, as in Hannun et al.: [(labels, log-probability)], best first."""
    beams = {(): (0.0, -np.inf)}
    for row in log_probs:
        new = {}
        for prefix, (blank, label) in beams.items():
            total = np.logaddexp(blank, label)
            b, nb = new.get(prefix, (-np.inf, -np.inf))
            again = label + row[prefix[-1]] if prefix else -np.inf
            new[prefix] = np.logaddexp(b, total + row[0]), np.logaddexp(nb, again)
            for unit in range(1, len(row)):
                child = prefix + (unit,)
                if row[unit] <= row.max() - token_threshold and child not in beams:
                    continue
                b, nb = new.get(child, (-np.inf, -np.inf))
                new[child] = b, np.logaddexp(nb, row[unit] + (blank if prefix[-1:] == (unit,) else total))
        ranked = sorted(((np.logaddexp(*new[p]) + bonus * len(p), p) for p in new), reverse=True)
        ranked = [(r, p) for r, p in ranked[:beam] if r > max(ranked[0][0] - beam_threshold, -np.inf)]
        beams = {p: new[p] for _, p in ranked}
    return [(p, float(np.logaddexp(*beams[p]))) for p in beams]


def beam(**options) -> CtcBeam:
    return CtcBeam(CtcBeamConfig(**options))


def check_spans(hypothesis, frames):
    assert len(hypothesis.spans) == len(hypothesis.confidence) == len(hypothesis.units)
    bounds = [bound for span in hypothesis.spans for bound in span]
    assert bounds == sorted(bounds) and all(0 <= s < e <= frames for s, e in hypothesis.spans)
    assert all(0.0 < value <= 1.0 for value in hypothesis.confidence)


# -- against every path ------------------------------------------------------------------------

@search
@given(seeds, shapes, kinds)
def test_unlimited_beam_equals_sum_over_paths(seed, shape, kind):
    log_probs = random_log_probs(seed, *shape, kind)
    expected = sums_by_labels(log_probs)
    found = {h.units: h.score for h in decode(beam(beam=EVERYTHING, nbest=EVERYTHING), log_probs)}
    assert found.keys() == expected.keys()
    for labels, score in found.items():
        close("CTC beam: sum over all paths", score, expected[labels], 1e-9)
    assert list(found.values()) == sorted(found.values(), reverse=True)
    assert decode(beam(beam=EVERYTHING), log_probs)[0].units == max(expected, key=expected.get)


@search
@given(seeds, shapes, kinds, st.integers(1, 5))
def test_no_beam_scores_above_the_exact_sum(seed, shape, kind, width):
    log_probs = random_log_probs(seed, *shape, kind)
    expected = sums_by_labels(log_probs)
    for h in decode(beam(beam=width, nbest=width), log_probs):
        assert h.score <= expected[h.units] + 1e-9


@search
@given(seeds, shapes, kinds)
def test_greedy_is_the_best_path(seed, shape, kind):
    log_probs = random_log_probs(seed, *shape, kind)
    path, labels, score = max(scored_paths(log_probs), key=lambda scored: scored[2])
    [h] = decode(Greedy(), log_probs)
    assert h.units == labels
    assert h.score == pytest.approx(score, abs=1e-12)
    spans = run_spans(path)
    assert h.spans == spans
    assert h.confidence == pytest.approx([np.exp(np.mean([log_probs[t, path[t]] for t in range(*span)]))
                                          for span in spans])


def run_spans(path):
    frame, spans = 0, []
    for unit, run in groupby(path):
        length = len(list(run))
        if unit != 0:
            spans.append((frame, frame + length))
        frame += length
    return tuple(spans)


@search
@given(seeds, shapes, kinds)
def test_alignment_is_the_best_path_of_its_units(seed, shape, kind):
    log_probs = random_log_probs(seed, *shape, kind)
    best = {}
    for path, labels, score in scored_paths(log_probs):
        if score > best.get(labels, (-np.inf,))[0]:
            best[labels] = score, path
    impossible = set(all_paths(*shape)[1]) - best.keys()
    for labels, (score, path) in list(best.items())[:20]:
        found = align(log_probs, labels)
        assert found.score == pytest.approx(score, abs=1e-9)
        assert found.spans == run_spans(path)
        assert found.confidence == pytest.approx([np.exp(np.mean([log_probs[t, path[t]] for t in range(*span)]))
                                                  for span in found.spans])
    for labels in list(impossible)[:3]:
        with pytest.raises(DataError, match="probability zero"):
            align(log_probs, labels)


@pytest.mark.parametrize("seed", range(4))
def test_alignment_of_a_long_unlikely_text_needs_more_than_the_first_band(seed):
    rng = np.random.default_rng(seed)
    log_probs, units = random_log_probs(seed, 300, 6, "peaky"), rng.integers(1, 6, 60)
    found = align(log_probs, units)
    states = np.full(2 * len(units) + 1, -np.inf)
    states[0] = 0.0                                        # a virtual blank before the first frame
    own = np.zeros(len(states), int)
    own[1::2] = units
    skip = np.array([s > 1 and own[s] != 0 and own[s] != own[s - 2] for s in range(len(states))])
    for row in log_probs:
        one, two = np.append(-np.inf, states[:-1]), np.append([-np.inf] * 2, states[:-2])
        states = np.maximum(np.maximum(states, one), np.where(skip, two, -np.inf)) + row[own]
    assert found.score == pytest.approx(states[-2:].max(), abs=1e-8)
    assert found.score < log_probs.max(1).sum() - 30       # so the first band failed


# -- against other implementations ----------------------------------------------------------------

@pytest.mark.parametrize("width, options", [
    (1, {}), (4, {}), (20, {}), (20, {"length_bonus": 0.7}), (20, {"length_bonus": -0.7}),
    (20, {"token_threshold": 2.0}), (20, {"beam_threshold": 1.5}),
    (7, {"length_bonus": 1.0, "token_threshold": 3.0, "beam_threshold": 4.0})])
@pytest.mark.parametrize("kind", ["noisy", "peaky", "with zeros"])
def test_pruned_beam_equals_a_plain_one(width, options, kind):
    """Long enough that the tree grows, is pruned of dead nodes, and dropped prefixes are born again."""
    log_probs = random_log_probs(width, 400, 5, kind)
    plain = plain_beam(log_probs, width, options.get("length_bonus", 0.0),
                       *(options.get(name, np.inf) for name in ("token_threshold", "beam_threshold")))
    found = decode(beam(beam=width, nbest=width, **options), log_probs)
    assert [h.units for h in found] == [labels for labels, _ in plain]
    assert [h.parts["acoustic"] for h in found] == pytest.approx([score for _, score in plain], abs=1e-8)


@settings(max_examples=25, deadline=None)
@given(seeds, st.integers(1, 40), st.integers(2, 8), st.integers(1, 30))
def test_scores_against_torch_ctc_loss(seed, frames, units, width):
    import torch

    log_probs = random_log_probs(seed, frames, units)
    for h in decode(beam(beam=width, nbest=min(3, width)), log_probs):
        exact = -torch.nn.functional.ctc_loss(torch.from_numpy(log_probs)[:, None], torch.tensor([h.units]).long(),
                                              [frames], [len(h.units)], reduction="sum").item()
        assert h.parts["acoustic"] <= exact + 1e-9
        assert align(log_probs, h.units).score <= exact + 1e-9


def test_unlimited_beam_equals_torch_ctc_loss():
    import torch

    log_probs = random_log_probs(5, 9, 3)
    found = decode(beam(beam=3 ** 9, nbest=3 ** 9), log_probs)
    assert {h.units for h in found} == set(all_paths(9, 3)[1])
    for h in found[::10]:
        exact = -torch.nn.functional.ctc_loss(torch.from_numpy(log_probs)[:, None], torch.tensor([h.units]).long(),
                                              [9], [len(h.units)], reduction="sum").item()
        assert h.score == pytest.approx(exact, abs=1e-9)


# -- laws ---------------------------------------------------------------------------------------

decoders = st.sampled_from([Greedy(), beam(beam=1), beam(beam=8, nbest=8), beam(beam=8, nbest=3, length_bonus=0.3),
                            beam(beam=30, token_threshold=3.0, beam_threshold=5.0)])


@search
@given(decoders, seeds, st.integers(0, 120), st.integers(2, 6), kinds, st.lists(st.integers(0, 120), max_size=8))
def test_chunking_changes_nothing(decoder, seed, frames, units, kind, cuts):
    log_probs = random_log_probs(seed, frames, units, kind)
    cuts = sorted(min(cut, frames) for cut in cuts)
    state = decoder.begin()
    for start, end in zip([0, *cuts], [*cuts, frames]):
        state = decoder.step(state, log_probs[start:end])
    assert decoder.finish(state) == decode(decoder, log_probs)


@search
@given(decoders, seeds, st.integers(0, 60), st.integers(1, 6), kinds)
def test_a_hypothesis_is_consistent(decoder, seed, frames, units, kind):
    found = decode(decoder, random_log_probs(seed, frames, units, kind))
    assert found
    for h in found:
        assert set(h.parts) == {"acoustic", "lm", "length"}
        assert sum(h.parts.values()) == pytest.approx(h.score, abs=1e-12)
        assert 0 not in h.units
        check_spans(h, frames)
    assert len({h.units for h in found}) == len(found)


def test_states_are_values():
    """Stepping, finishing and the caller's own use of its buffer leave a state as it was."""
    first, second, other = (random_log_probs(seed, 200, 6) for seed in (1, 2, 3))
    for decoder in (Greedy(), beam(beam=20, nbest=5)):
        buffer = first.copy()
        state = decoder.step(decoder.begin(), buffer)
        buffer[:] = -1.0
        expected = decode(decoder, np.concatenate([first, second]))
        assert decoder.finish(state) == decode(decoder, first)
        decoder.step(state, other)
        assert decoder.finish(decoder.step(state, second)) == expected
        assert decoder.finish(state) == decode(decoder, first)


def test_length_bonus_is_a_part_of_the_score_and_prefers_longer_answers():
    log_probs = random_log_probs(7, 50, 6)
    [plain], [longer] = decode(beam(), log_probs), decode(beam(length_bonus=2.0), log_probs)
    assert len(longer.units) > len(plain.units)
    assert longer.parts["length"] == pytest.approx(2.0 * len(longer.units))
    assert plain.parts["length"] == plain.parts["lm"] == longer.parts["lm"] == 0.0


def test_beam_finds_what_the_best_path_misses():
    """Two frames, blank 0.6: the likeliest path says nothing, but most paths say 'a'."""
    log_probs = np.log([[0.6, 0.4], [0.6, 0.4]])
    assert decode(Greedy(), log_probs)[0].units == ()
    [h] = decode(beam(), log_probs)
    assert h.units == (1,) and np.exp(h.score) == pytest.approx(0.64)


def test_float32_and_float64_agree():
    log_probs = random_log_probs(3, 80, 6).astype(np.float32)
    for decoder in (Greedy(), beam()):
        assert decode(decoder, log_probs) == decode(decoder, log_probs.astype(np.float64))


@pytest.mark.parametrize("decoder", [Greedy(), beam()])
def test_no_frames_say_nothing(decoder):
    for found in (decode(decoder, np.zeros((0, 5))), decoder.finish(decoder.begin())):
        [h] = found
        assert (h.units, h.score, h.spans, h.confidence) == ((), 0.0, (), ())
        assert h.parts == {"acoustic": 0.0, "lm": 0.0, "length": 0.0}
    assert align(np.zeros((0, 5)), []).score == 0.0


def test_memory_of_the_tree_follows_the_live_prefixes():
    log_probs = random_log_probs(1, 3000, 20, "peaky")
    state = beam(beam=50).step(beam(beam=50).begin(), log_probs)
    parents, live = state.tree[:, 0], set()
    for node in state.nodes:
        while node >= 0 and node not in live:
            live.add(int(node))
            node = parents[node]
    assert len(state.tree) <= max(1024, 4 * (len(live) + 50))


def test_the_search_is_fast():
    """About 0.01 ms a frame on one core; the limit leaves room for a busy machine."""
    log_probs = random_log_probs(0, 4000, 30, "peaky")
    decode(beam(), log_probs[:5])                          # compiles
    start = time.process_time()
    decode(beam(beam=100), log_probs)
    assert time.process_time() - start < 0.3e-3 * len(log_probs)


def test_importing_the_package_and_greedy_is_light():
    code = ("import sys, recog.decode, recog.decode.greedy, recog.decode.ctc_beam, recog.decode.align; "
            "sys.exit(any(name in sys.modules for name in ('numba', 'torch', 'torchaudio')))")
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


# -- bad input -----------------------------------------------------------------------------------

GOOD = np.log(np.full((4, 3), 1 / 3))
NAN = np.where(np.arange(12).reshape(4, 3) == 7, np.nan, GOOD)
BAD = {
    "frame 2 hold NaN": NAN,
    "apply log_softmax": np.random.default_rng(0).normal(0, 3, (4, 3)),
    "frame 0 sum to 3": np.zeros((4, 3)),
    "frame 0 sum to 1": np.exp(GOOD) + np.log(1 / 3),      # probabilities, and not even those
    "sum to inf": np.full((4, 3), np.inf),
    "sum to 0": np.full((4, 3), -np.inf),
    "one utterance at a time": GOOD[None],
    "not float32": np.zeros((4, 3), dtype=np.int64),
    "shape": np.zeros((4, 0)),
}


@pytest.mark.parametrize("message", BAD)
@pytest.mark.parametrize("decoder", [Greedy(), beam()])
def test_bad_log_probs_are_refused_in_one_line(decoder, message):
    with pytest.raises(DataError, match=message) as caught:
        decode(decoder, BAD[message])
    assert "\n" not in str(caught.value)
    with pytest.raises(DataError):
        align(BAD[message], [1])


@pytest.mark.parametrize("make", [Greedy, CtcBeam])
def test_a_change_of_units_is_refused(make):
    decoder = make()
    state = decoder.step(decoder.begin(), GOOD)
    with pytest.raises(DataError, match="are over 2 units, expected 3"):
        decoder.step(state, np.log(np.full((1, 2), 0.5)))
    with pytest.raises(DataError, match="are over 3 units, expected 30"):
        decode(make(size=30), GOOD)
    with pytest.raises(DataError, match="frame 6 hold NaN"):    # counted from the start of the utterance
        decoder.step(state, NAN)


def test_rounding_is_forgiven_up_to_the_tolerance():
    assert checked(GOOD + 0.9e-3).shape == (4, 3)
    with pytest.raises(DataError):
        checked(GOOD + 1.1e-3)


@pytest.mark.parametrize("units, needed", [([1, 2, 1, 2, 1], 5), ([1, 1, 2, 2], 6), ([1, 1, 1], 5)])
def test_too_few_frames_to_align(units, needed):
    with pytest.raises(DataError, match=f"4 frames are too few for {len(units)} units .*at least {needed}"):
        align(GOOD, units)
    assert len(align(np.log(np.full((needed, 3), 1 / 3)), units).spans) == len(units)


@pytest.mark.parametrize("units", [[0], [3], [1, -1]])
def test_units_outside_the_row_are_a_mistake(units):
    with pytest.raises(ValueError, match="units must be from 1 to 2"):
        align(GOOD, units)


@pytest.mark.parametrize("options, message", [
    ({"beam": 0}, "beam must be at least 1"), ({"nbest": 0}, "nbest must be"),
    ({"beam": 4, "nbest": 5}, "nbest must be"),
    ({"token_threshold": 0.0}, "token_threshold must be above 0"),
    ({"beam_threshold": -1.0}, "beam_threshold must be above 0"),
    ({"beam_threshold": float("nan")}, "beam_threshold must be above 0"),
    ({"length_bonus": float("nan")}, "length_bonus must be finite")])
def test_settings_that_cannot_be(options, message):
    with pytest.raises(ValueError, match=message):
        CtcBeamConfig(**options)
