"""Free text in letters of one writer: cut where the pen was lifted, put together as ink that could have been written so."""

import tomllib

import numpy as np
import pytest

from recog.batching import BatchConfig
from recog.config import build
from recog.errors import ConfigError, DataError
from recog.examples import Example, Examples
from recog.experiment import Experiment
from recog.features import finish
from recog.pen.features import InkFeatureConfig
from recog.pen.offsets import joined, offsets
from recog.respell import Piece, Respeller, Speller, cut, make, stroke_begins
from recog.splice import SpliceConfig, Splicer
from recog.store import Store, write_shard
from recog.text import BLANK, Units
from recog.types import Utterance

UNITS = Units("char", [BLANK, " ", *"ABCD"])
WIDTH, GAP, SPACE, LAG = 2.0, 0.5, 3.0, 2


def letter(name, x):
    """Strokes of its own shape, `WIDTH` wide: A and B of one stroke, C of two of which the second lies over the first, D of two apart."""
    shapes = {"A": [[(0, 0), (1, 3), (2, 0)]], "B": [[(0, 4), (2, 2), (0, 1), (2, 0)]], "C": [[(0, 0), (2, 1)], [(0.5, 2), (1.5, 2)]],
              "D": [[(0, 0), (0.2, 2)], [(1, 0), (2, 2)]]}
    return [np.array([(x + a, b) for a, b in stroke], float) for stroke in shapes[name]]


def written(text, stretch=1.0, linked=()):
    """Strokes of a text, and of each character where it begins (x). linked: characters before which the pen is not lifted."""
    strokes, begins, x = [], [], 0.0
    for i, name in enumerate(text):
        begins.append(x)
        if name == " ":
            x += SPACE - GAP
            continue
        own = letter(name, x)
        if i in linked:
            strokes[-1] = np.concatenate([strokes[-1], own.pop(0)])
        strokes += own
        x += WIDTH + GAP
    return [np.concatenate([s * [stretch, 1.0], np.zeros((len(s), 2))], axis=1) for s in strokes], begins


def heard(text, frames, begins, stretch=1.0):
    """What a network says that reads it rightly, each letter LAG frames after it begins."""
    x = np.cumsum(frames[:, 0]) - frames[0, 0]
    rows = np.full((len(frames) * 2 + LAG + 9, len(UNITS)), np.log(0.01))            # two rows a frame
    path = np.zeros(len(rows), int)
    for name, at in zip(text, begins):
        first = len(x) if at * stretch > x.max() else int(np.flatnonzero(x >= at * stretch - 1e-6)[0])
        path[2 * first + 2 * (LAG if name != " " else 0) - (name == " ")] = UNITS.symbols.index(name)
    rows[np.arange(len(rows)), path] = np.log(0.95)
    return rows[:2 * len(frames)]


def pieces_of(text, linked=()):
    strokes, begins = written(text, linked=linked)
    frames = offsets(strokes, True)
    x = np.cumsum(frames[:, 0])
    return frames, cut(Utterance("u", "train", "u.xml", text), frames, np.array([np.flatnonzero(x >= at - 1e-6)[0] for at in begins], float))


def test_words_are_cut_between_letters_where_the_pen_was_lifted():
    _, found = pieces_of("AB A", linked={1})
    assert {spelt for spelt, _ in found} == {"AB", "A"} and dict(found)["A"].begins
    _, found = pieces_of("ABA")
    assert sorted(spelt for spelt, _ in found) == ["A", "A", "AB", "ABA", "B", "BA"]


def test_a_stroke_over_another_stays_with_it_and_each_piece_holds_the_ink_of_its_letters():
    frames, found = pieces_of("ACB DA")
    strokes = stroke_begins(frames)
    for spelt, piece in found:
        assert piece.end - piece.first == sum(len(letter(name, 0)) for name in spelt)
        expected = np.concatenate(written(spelt)[0])[:, :2]
        ink = np.cumsum(frames[:, 0])[strokes[piece.first]:strokes[piece.end]]
        np.testing.assert_allclose(ink - ink[0], expected[:, 0] - expected[0, 0], atol=1e-5)
        np.testing.assert_allclose(frames[strokes[piece.first]:strokes[piece.end], 3], expected[:, 1])
    begins = {(spelt, piece.first): piece for spelt, piece in found}
    assert np.isnan(begins["A", 0].gap) and begins["B", 3].gap == pytest.approx(GAP) and not begins["B", 3].begins
    assert begins["D", 4].gap == pytest.approx(SPACE) and begins["D", 4].begins and begins["A", 6].gap == pytest.approx(GAP)


def test_parts_of_ink_are_joined_as_ink_that_was_written_so():
    """Pieces of one line put together at their own gaps are that line; and any others are the ink of points that were moved."""
    frames, found = pieces_of("ACB DA")
    by_name, strokes = {(spelt, piece.first): piece for spelt, piece in found}, stroke_begins(frames)
    chosen = [by_name[key] for key in (("A", 0), ("C", 1), ("B", 3), ("DA", 4))]
    parts = [frames[strokes[p.first]:strokes[p.end]] for p in chosen]
    np.testing.assert_allclose(joined(parts, [p.gap for p in chosen]), frames, atol=1e-5)
    other = joined([parts[1], parts[0]], [float("nan"), 1.25])
    moved = [*letter("C", 0.0), *letter("A", WIDTH + 1.25)]
    np.testing.assert_allclose(other, offsets([np.pad(s, ((0, 0), (0, 2))) for s in moved], True), atol=1e-5)


@pytest.fixture
def corpus(tmp_path):
    """Two writers' lines, each in two views; and a line whose views have other strokes."""
    lines = {"u0": ("ann", "AB CA"), "u1": ("ann", "BA D"), "u2": ("bob", "A A"), "u3": ("bob", "B")}
    utterances, rows, said = [], [], {}
    for id, (writer, text) in lines.items():
        for view, stretch in enumerate((1.0, 1.5)):
            strokes, begins = written(text, stretch)
            frames = offsets(strokes if (id, view) != ("u3", 1) else [*strokes, strokes[0] + [9, 0, 0, 0]], True)
            rows.append((id, view, frames))
            if not view:
                said[id] = heard(text, frames, begins)
        utterances.append(Utterance(id, "train", f"{id}.xml", text, speaker=writer))
    write_shard(tmp_path, 0, rows)
    return Store(tmp_path), utterances, said


def test_lines_of_the_text_are_written_in_the_letters_of_each_writer(corpus):
    store, utterances, said = corpus
    found = make(["AB BAD DAB CAB", "A", "DAD X"], UNITS, store, utterances, said)
    assert set(found.spellers) == {"ann", "bob"} and set(found.spellers["bob"].pieces) == {"A"}
    rng, seen = np.random.default_rng(0), set()
    for _ in range(200):
        drawn = found.draw("ann", 2, 1, rng)
        assert {id for id, _, _, _ in drawn.parts} <= {"u0", "u1"} and {view for _, view, _, _ in drawn.parts} == {1}
        seen.add(UNITS.decode(drawn.labels))
        frames = joined([store.frames(id, view)[first:end] for id, view, first, end in drawn.parts], drawn.gaps)
        assert len(frames) == drawn.frames and int(frames[:, 2].sum()) == sum(len(letter(name, 0)) for name in UNITS.decode(drawn.labels) if name != " ")
        strokes = stroke_begins(frames)
        heights = [tuple(frames[a:b, 3].tolist()) for a, b in zip(strokes, strokes[1:])]
        assert heights == [tuple(s[:, 1].tolist()) for name in UNITS.decode(drawn.labels) if name != " " for s in letter(name, 0)]
    assert {"AB BAD", "BAD DAB", "DAB CAB", "CAB A", "A DAD"} <= seen
    assert found.draw("eve", 2, 0, rng) is None and all(found.draw("bob", 8, 0, rng) is None for _ in range(20))


def test_gaps_are_those_between_words_and_those_within(corpus):
    store, utterances, said = corpus
    speller = make(["A"], UNITS, store, utterances, said).spellers["ann"]
    rng = np.random.default_rng(0)
    for word in ("AB", "BAD", "DAB", "CAB") * 10:
        written = list(speller.write(word, rng))
        assert [gap for _, gap in written] == pytest.approx([SPACE] + [GAP] * (len(written) - 1)) and len(written) == len(speller.split(word))


def test_as_few_pieces_as_can_be():
    piece = Piece("u", 0, 1, True, 0.0)
    speller = Speller({spelt: [piece] for spelt in ("A", "B", "AB", "BA")})
    assert speller.split("ABBA") == ("AB", "BA") and speller.split("B") == ("B",) and speller.split("AC") is None


def test_it_is_the_splicer_that_asks_and_the_examples_that_join(corpus):
    store, utterances, said = corpus
    letters = make(["AB BAD DAB CAB"], UNITS, store, utterances, said)
    rows = [Example(u.id, tuple(UNITS.encode(u.text)), u.speaker, len(u.text.split())) for u in utterances[:2]]
    features = InkFeatureConfig(kind="offsets", normalize="none")

    def made(share):
        splices = Splicer(SpliceConfig(share=1.0, letters=share), {}, UNITS, store, letters)
        return [batch for epoch in range(5) for batch in Examples(store, rows, features, None, BatchConfig(utterances=1), splices=splices).epoch(epoch)]

    texts = {UNITS.decode(batch.y[0].tolist()) for batch in made(1.0)}
    assert texts <= {"AB BAD", "BAD DAB", "DAB CAB", "CAB AB"} and len(texts) > 1
    for batch in made(1.0):
        x = batch.x[0, :, 0].cumsum(0)
        assert x.min() >= -1e-4 and batch.x_len[0] == len(x)
    assert {UNITS.decode(batch.y[0].tolist()) for batch in made(0.0)} == {"AB CA", "BA D"}
    np.testing.assert_array_equal(finish(store.frames("u0"), features, None), store.frames("u0"))


@pytest.mark.parametrize("settings", ['[features]\nkind = "bezier"', '[features]\nkind = "offsets"\nplace = false', '[views]\nstore = false'])
def test_impossible_settings(settings):
    made = tomllib.loads(f'[splice]\nshare = 0.5\nletters = 0.5\n[train]\nstart = "m"\n[encoder]\nkind = "blstm"\n{settings}')
    made.setdefault("features", {}).setdefault("kind", "offsets")
    with pytest.raises(ConfigError, match="splice.letters needs"):
        build(Experiment, made, "m.toml")
