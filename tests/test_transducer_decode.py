"""Transducer decoding: against enumeration of all sequences and a plain form of Graves's algorithm; and its laws."""

from itertools import combinations, product

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from oracles import close
from test_fusion import model as language

from recog.config import Component
from recog.config import build as build_config
from recog.decode import decode, make
from recog.decode.greedy import GreedyConfig
from recog.decode.transducer import TransducerBeam, TransducerBeamConfig
from recog.decode.transducer_greedy import PER_FRAME, TransducerGreedy
from recog.decode.transducer_path import best_path
from recog.errors import ConfigError, DataError, ModelError
from recog.heads.transducer import Transducer, TransducerConfig
from recog.models.recognizer import RecognizerConfig, build
from recog.text import BLANK, Units
from recog.types import Encoded

pytestmark = pytest.mark.usefixtures("one_thread")
search = settings(max_examples=25, deadline=None)
V, LONGEST = 3, 3                               # the blank and two labels; three labels at most
ALL = [units for length in range(LONGEST + 1) for units in product(range(1, V), repeat=length)]


class Table:
    """Stands for any transducer: log p(k | t, prefix) from a table. What the network 'says' is the number of the prefix."""

    width, units, cells = 1, V, 1

    def __init__(self, frames, seed, sharp=1.0):
        rows = sharp * np.random.default_rng(seed).standard_normal((frames, len(ALL), V))
        rows[:, [len(units) == LONGEST for units in ALL], 1:] = -np.inf
        self.rows = (rows - np.logaddexp.reduce(rows, axis=2, keepdims=True)).astype(np.float32)
        self.emissions = np.arange(frames, dtype=np.float32)[:, None]

    def start(self):
        return tuple(np.zeros((1, 1), np.float32) for _ in range(3))

    def recur(self, h):
        return np.repeat(h, 4, axis=1)

    def step(self, recurred, c, units, rows=None):
        rows = np.arange(len(units)) if rows is None else rows
        p = np.array([[ALL.index((*ALL[int(h)], int(unit)))] for h, unit in zip(recurred[rows, 0], units)], np.float32)
        return p, c[rows], p

    def log_probs(self, emission, p):
        t, prefix = np.broadcast_arrays(emission, p)
        return self.rows[t[..., 0].astype(int), prefix[..., 0].astype(int)]

    def lattice(self, emissions, units):
        rows = np.stack([self.rows[:, ALL.index(tuple(units[:u]))] for u in range(len(units) + 1)], 1)[:len(emissions)]
        following = [*units, 0]
        return (np.ascontiguousarray(rows[:, :, 0].astype(np.float64)),
                np.stack([rows[:, u, following[u]] for u in range(len(following))], 1).astype(np.float64))

    def probability(self, units):
        """The sum over all alignments, each written out."""
        blank, label = self.lattice(self.emissions, units)
        frames, total = len(blank), 0.0
        for writes in combinations(range(frames - 1 + len(units)), len(units)):
            t = u = 0
            score = 0.0
            for step in range(frames + len(units)):
                score += label[t, u] if step in writes else blank[t, u]
                u, t = (u + 1, t) if step in writes else (u, t + 1)
            total += np.exp(score)
        return total


def plain_beam(table, width):
    """Graves 2012, algorithm 1, in dictionaries."""
    beam = {(): 0.0}
    for t in range(len(table.rows)):
        def says(units, k):
            return float(table.rows[t, ALL.index(units), k])

        live = dict(beam)
        for units in sorted(beam, key=len, reverse=True):           # proper prefixes still have their old values
            for length in range(len(units)):
                if units[:length] in beam:
                    gained = sum(says(units[:i], units[i]) for i in range(length, len(units)))
                    live[units] = np.logaddexp(live[units], beam[units[:length]] + gained)
        began, beam = set(live), {}
        while live and sum(score > max(live.values()) for score in beam.values()) < width:
            units = max(live, key=live.get)
            score = live.pop(units)
            beam[units] = score + says(units, 0)
            live |= {(*units, k): score + says(units, k) for k in range(1, V) if (*units, k) not in began and says(units, k) > -np.inf}
        beam = dict(sorted(beam.items(), key=lambda item: -item[1])[:width])
    return beam


@search
@given(st.integers(1, 4), st.integers(0, 99), st.sampled_from([0.3, 1.0, 4.0]))
def test_an_unlimited_beam_finds_every_sequence_with_its_probability(frames, seed, sharp):
    table = Table(frames, seed, sharp)
    found = decode(TransducerBeam(TransducerBeamConfig(beam=64, nbest=64), table), table.emissions)
    expected = {units: np.log(table.probability(units)) for units in ALL}
    assert {h.units for h in found} == set(ALL) and [h.score for h in found] == sorted((h.score for h in found), reverse=True)
    assert np.exp([h.score for h in found]).sum() == pytest.approx(1, abs=1e-5)
    for h in found:
        assert h.score == pytest.approx(expected[h.units], abs=1e-4) and sum(h.parts.values()) == h.score


LETTERS = Units("char", [BLANK, " ", "A"])


@pytest.mark.parametrize("seed", range(40))
@pytest.mark.parametrize("reads", ["letters", "words", "known words"])
def test_fusion_finds_every_sequence_with_what_it_gains(tmp_path, seed, reads):
    lm, plain = language(tmp_path, ["A <space> A A", "A A <space> A"] if reads == "letters" else ["A AA", "AA A A", "A"], order=1 + seed % 3)
    table = Table(1 + seed % 4, seed)
    config = TransducerBeamConfig(beam=64, nbest=64, lm=True, lm_weight=0.4 + seed % 2, lexicon=reads == "known words", unknown=0.7,
                                  length_bonus=0.3 * (seed % 3), internal=0.5 * (seed % 2), boost=0.8)
    phrases = {"AA": 1.0} if seed % 4 < 2 else None
    decoder = make(Component("beam", config), LETTERS, ["A", "AA"], table, lm, phrases)

    def gain(units):
        text = "".join(LETTERS.symbols[u] for u in units)
        total = plain.sentence(text.replace(" ", "_").replace("", " ").replace("_", "<space>").split() if reads == "letters" else text.split(),
                               config.lm_weight, config.unknown)
        for n, unit in enumerate(units):
            says = np.exp(table.rows[0, ALL.index(units[:n])].astype(np.float64))
            total -= config.internal * np.log(says[unit] / says[1:].sum())
        found = sum(f" {text} ".startswith(" AA ", i) for i in range(len(text)))
        return total + config.length_bonus * len(units) + (config.boost * 2 * found if phrases else 0.0)

    expected = {}
    for units in ALL:
        text = "".join(LETTERS.symbols[u] for u in units)
        if reads == "letters" or (text == text.strip() and "  " not in text and (reads == "words" or set(text.split()) <= {"A", "AA"})):
            expected[units] = np.log(table.probability(units)) + gain(units)
    found = decode(decoder, table.emissions)
    assert {h.units for h in found} == set(expected)
    assert [h.score for h in found] == sorted((h.score for h in found), reverse=True)
    for h in found:
        close("transducer beam with a language model: every sequence", h.score, expected[h.units], 1e-4)
        close("transducer beam with a language model: acoustic part", h.parts["acoustic"], np.log(table.probability(h.units)), 1e-4)


def test_a_beam_too_narrow_for_a_whole_word_still_writes_only_words():
    for seed in range(40):
        table = Table(4, seed)
        config = TransducerBeamConfig(beam=2, nbest=2, lexicon=True)
        for h in decode(make(Component("beam", config), LETTERS, ["AAA", "AA"], table), table.emissions):
            text = "".join(LETTERS.symbols[u] for u in h.units)
            assert set(text.split()) <= {"AAA", "AA"} and sum(h.parts.values()) == pytest.approx(h.score)


@search
@given(st.integers(1, 7), st.integers(0, 99), st.integers(1, 6), st.sampled_from([0.3, 1.0, 4.0]))
def test_a_limited_beam_is_that_of_the_plain_algorithm(frames, seed, width, sharp):
    table = Table(frames, seed, sharp)
    found = decode(TransducerBeam(TransducerBeamConfig(beam=width, nbest=width), table), table.emissions)
    expected = plain_beam(table, width)
    assert {h.units for h in found} == set(expected)
    for h in found:
        assert h.score == pytest.approx(expected[h.units], abs=1e-4)
        assert h.score <= np.log(table.probability(h.units)) + 1e-4


@search
@given(st.integers(1, 5), st.integers(0, 99))
def test_the_best_answer_lies_on_its_best_path(frames, seed):
    table = Table(frames, seed)
    [h] = decode(TransducerBeam(TransducerBeamConfig(beam=64), table), table.emissions)
    starts = [a for a, b in h.spans if b == a + 1]
    assert len(starts) == len(h.units) and starts == sorted(starts) and all(0 <= t < frames for t in starts)
    path = best_path(table.emissions, h.units, table)
    assert path.spans == h.spans and path.score <= h.score + 1e-4
    for u, (t, sure) in enumerate(zip(starts, h.confidence)):
        assert sure == pytest.approx(np.exp(table.rows[t, ALL.index(h.units[:u]), h.units[u]]), abs=1e-6)


def test_normalized_answers_are_ranked_by_log_probability_per_unit():
    table = Table(4, 1)
    found = decode(TransducerBeam(TransducerBeamConfig(beam=64, nbest=64, normalize=True), table), table.emissions)
    for h in found:
        assert h.score == pytest.approx(np.log(table.probability(h.units)) / max(1, len(h.units)), abs=1e-4)
        assert sum(h.parts.values()) == pytest.approx(h.score)
    assert [h.score for h in found] == sorted((h.score for h in found), reverse=True)


def network(joint, seed=0, frames=40, units=5, cell="lstm"):
    """A head with lively weights, and emissions of random frames."""
    torch.manual_seed(seed)
    head = Transducer(TransducerConfig(joint=joint, prediction_units=7, joint_units=6, prediction_cell=cell), 4, units)
    with torch.no_grad():
        for w in head.parameters():
            w.mul_(3)
        (head.to_units if joint == "hidden" else head.from_frames).bias[0] += 3
        encoded = Encoded(torch.randn(1, frames, 4), torch.tensor([frames]))
        return head, encoded, head.emissions(encoded)[0].numpy()


def log_probs_of(head, encoded, units):
    """[T, U + 1, V] by torch."""
    with torch.no_grad():
        g = head.from_labels(head.predicted(torch.tensor([units], dtype=torch.long).view(1, -1)))
        x = head.emissions(encoded)[0][:, None] + g[0]
        return (x if head.to_units is None else head.to_units(x.tanh())).log_softmax(2).numpy()


@pytest.mark.parametrize("joint", ["additive", "hidden"])
def test_the_copy_for_decoders_is_the_network(joint):
    head, encoded, emissions = network(joint)
    for units in ([], [1], [2, 2, 4, 1, 3]):
        expected = log_probs_of(head, encoded, units)
        blank, label = head.predictor().lattice(emissions, units)
        np.testing.assert_allclose(blank, expected[:, :, 0], atol=1e-5)
        np.testing.assert_allclose(label, np.take_along_axis(expected, np.array([*units, 0])[None, :, None], 2)[:, :, 0], atol=1e-5)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("joint", ["additive", "hidden"])
def test_greedy_takes_the_likeliest_step_at_each_node(joint, seed):
    head, encoded, emissions = network(joint, seed)
    units, score, frames = [], 0.0, []
    for t in range(len(emissions)):
        for count in range(PER_FRAME + 1):
            row = log_probs_of(head, encoded, units)[t, -1]
            best = int(row.argmax()) if count < PER_FRAME else 0
            score += row[best]
            if best == 0:
                break
            units.append(best)
            frames.append(t)
    [h] = decode(TransducerGreedy(GreedyConfig(), head.predictor()), emissions)
    assert h.units == tuple(units) and h.score == pytest.approx(score, abs=1e-3) and h.units
    assert h.spans == tuple((t, t + 1) for t in frames) and all(0 < sure <= 1 for sure in h.confidence)


def decoders(joint, seed=0, frames=40):
    head, _, emissions = network(joint, seed, frames)
    return emissions, [TransducerGreedy(GreedyConfig(), head.predictor()),
                       TransducerBeam(TransducerBeamConfig(beam=8, nbest=4), head.predictor())]


@search
@given(st.sampled_from(["additive", "hidden"]), st.integers(0, 5), st.lists(st.integers(0, 40), max_size=5))
def test_chunking_changes_nothing(joint, seed, cuts):
    emissions, both = decoders(joint, seed)
    edges = [0, *sorted(cuts), len(emissions)]
    for decoder in both:
        state = decoder.begin()
        for start, end in zip(edges, edges[1:]):
            state = decoder.step(state, emissions[start:end])
        assert decoder.finish(state) == decode(decoder, emissions)


@pytest.mark.parametrize("joint", ["additive", "hidden"])
def test_a_state_is_a_value(joint):
    emissions, both = decoders(joint)
    for decoder in both:
        half = decoder.step(decoder.begin(), emissions[:20])
        first = decoder.finish(half)
        whole = decoder.finish(decoder.step(half, emissions[20:]))
        decoder.step(half, emissions[:5])
        assert decoder.finish(half) == first and decoder.finish(decoder.step(half, emissions[20:])) == whole != first


@pytest.mark.parametrize("joint", ["additive", "hidden"])
def test_no_frames_give_one_empty_answer(joint):
    emissions, both = decoders(joint)
    for decoder in both:
        [h] = decode(decoder, emissions[:0])
        assert h.units == h.spans == h.confidence == () and h.score == 0
        assert decoder.finish(decoder.begin()) == [h]


def test_what_is_no_emission_is_refused():
    emissions, both = decoders("hidden")
    bad = emissions.copy()
    bad[3, 1] = np.nan
    for decoder in both:
        with pytest.raises(DataError, match="frame 13 are not finite"):
            decoder.step(decoder.step(decoder.begin(), emissions[:10]), bad)
        with pytest.raises(DataError, match=r"shape \[40, 5\], not \[frames, 6\]"):
            decode(decoder, emissions[:, :5])


def test_a_long_search_keeps_its_tree_small():
    emissions, (_, decoder) = decoders("hidden", frames=400)
    state = decoder.step(decoder.begin(), emissions)
    assert len(state.tree) <= 2048 and state.count < 1024


def test_decoders_are_named_per_head():
    table = {"encoder": {"kind": "blstm", "layers": 1, "units": 4}, "head": {"kind": "transducer", "prediction_units": 4},
             "decoder": {"kind": "beam", "beam": 7, "normalize": True}}
    config = build_config(RecognizerConfig, table, "test")
    model = build(config, V)
    decoder = make(config.decoder, None, (), model.predictor())
    assert isinstance(decoder, TransducerBeam) and decoder.config.beam == 7
    with pytest.raises(ConfigError, match="decoder.token_threshold"):
        build_config(RecognizerConfig, {**table, "decoder": {"kind": "beam", "token_threshold": 1.0}}, "test")
    with pytest.raises(ConfigError, match="decoder.normalize"):
        build_config(RecognizerConfig, {**table, "head": {"kind": "ctc"}}, "test")
    with pytest.raises(ModelError, match="is a transducer"):
        model.log_probs(torch.zeros(1, 3, 40), torch.tensor([3]))
