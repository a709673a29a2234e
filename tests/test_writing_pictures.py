"""Networks that write without a text, and pictures of how they follow ink."""

import json

import numpy as np
import pytest
import torch
from inks import written
from PIL import Image
from writers import untrained

import cli
from recog import writingmodel, writingplot
from recog.errors import ConfigError, DataError
from recog.writing.writer import WriteOptions, write_freely

pytestmark = pytest.mark.usefixtures("one_thread")


def run(*arguments):
    return cli.app([str(a) for a in arguments], standalone_mode=False)


@pytest.fixture
def hand(tmp_path):
    return untrained(tmp_path / "hand")


@pytest.fixture
def free(tmp_path):
    return untrained(tmp_path / "free", reads=False)


# --- without a text ---


def test_a_network_of_prediction_writes_as_many_points_as_one_likes(tmp_path, free):
    writer = writingmodel.load(free)
    one, same, other = (write_freely(writer, WriteOptions(seed=seed), 90) for seed in (1, 1, 2))
    assert len(one.ink.points) == 90 and one.lines[0].text == ""
    np.testing.assert_array_equal(one.ink.points, same.ink.points)
    assert not np.allclose(one.ink.points, other.ink.points)
    assert run("synthesize", "--free", "--points", 50, "--samples", 3, "-o", tmp_path / "a.json", "-m", free) == 0
    strokes = json.loads((tmp_path / "a.json").read_text())["strokes"]
    assert sum(len(stroke["x"]) for stroke in strokes) == 150


def test_texts_are_for_networks_that_read_them(tmp_path, hand, free):
    out = tmp_path / "a.svg"
    with pytest.raises(ConfigError, match="hand: writes texts"):
        run("synthesize", "--free", "-o", out, "-m", hand)
    with pytest.raises(ConfigError, match="free: reads no text.*--free"):
        run("synthesize", "abc", "-o", out, "-m", free, "--no-check")
    with pytest.raises(ConfigError, match="--free: takes no text"):
        run("synthesize", "abc", "--free", "-o", out, "-m", free)
    with pytest.raises(ConfigError, match="says nothing of what to write"):
        run("synthesize", "-o", out, "-m", hand)
    with pytest.raises(ConfigError, match="--points: must be from 2"):
        run("synthesize", "--free", "--points", 1, "-o", out, "-m", free)
    with pytest.raises(ConfigError, match="--points: must be from 2"):
        run("synthesize", "--free", "--points", 0, "-o", out, "-m", free)
    (tmp_path / "my text.txt").write_text("abc")
    run("synthesize", tmp_path / "my text.txt", "-o", tmp_path / "a.json", "-m", hand, "--no-check")
    assert json.loads((tmp_path / "a.json").read_text())["lines"][0]["text"] == "abc"
    assert not out.exists()


# --- pictures ---


def test_all_that_is_likely_is_drawn(free):
    """The map of densities, summed over the paper, is one for each point."""
    torch.manual_seed(1)
    rows, places = torch.randn(5, 6 * 3 + 1).numpy() * 0.5, np.cumsum(np.random.default_rng(0).normal(0, 3, (5, 2)), axis=0)
    unit, step = np.array([4.0, 6.0], np.float32), 0.25
    x, y = np.arange(-80, 80, step), np.arange(-90, 90, step)
    found = writingplot.density_map(rows, places, unit, x, y)
    assert found.shape == (len(y), len(x))
    assert found.sum() * step ** 2 / unit.prod() == pytest.approx(5, rel=0.01)
    one = writingplot.density_map(rows[:1], places[:1], unit, x, y)
    middle = [(axis * one.sum(over)).sum() / one.sum() for axis, over in ((x, 0), (y, 1))]
    expected = places[0] + writingplot.mixture.mean(torch.from_numpy(rows[0])).numpy() * unit
    np.testing.assert_allclose(middle, expected, atol=0.3)


def test_what_is_expected_is_drawn_where_the_pen_then_goes(monkeypatch, free):
    """A network that is certain of each next point: its densities lie on the ink, and not one step beside it."""
    writer, drawn = writingmodel.load(free), []
    points = np.column_stack([np.full(30, 1.5), np.sin(np.arange(30)), np.zeros(30)]).astype(np.float32)
    points[0, :2], points[-1, 2] = 0, 1
    rows = np.zeros((30, 7), np.float32)
    rows[:-1, 2:4], rows[:, 4:6] = points[1:, :2], -4.0
    made = writingplot.density_map
    monkeypatch.setattr(writingplot, "density_map", lambda *given: drawn.append(made(*given)) or drawn[0])
    writingplot._densities(rows, points * (*writer.model.scale.tolist(), 1.0), writer)
    found, places = drawn[0], np.cumsum(points[:, :2] * writer.model.scale.numpy(), axis=0)
    across = np.flatnonzero(found.sum(0) > 0.01 * found.sum(0).max())
    low, high = places[:, 0].min() - writer.height / 2, places[:, 0].max() + writer.height / 2
    ends = low + across[[0, -1]] / found.shape[1] * (high - low)
    np.testing.assert_allclose(ends, [places[1, 0], places[-1, 0]], atol=0.5)      # of the first point nobody says anything


def test_a_picture_for_each_line(tmp_path, hand, free):
    page, out = tmp_path / "page.json", tmp_path / "page.png"
    strokes = [*written("pin tol").strokes, *(stroke + (0, 150, 30) for stroke in written("vin").strokes)]
    table = {"strokes": [{name: column for name, column in zip("xyt", stroke.T.tolist())} for stroke in strokes]}
    page.write_text(json.dumps(table | {"lines": [{"text": "pin tol"}, {"text": ""}, {"text": "vin"}]}))     # as synthesize writes it
    run("inspect", page, "--plot", out, "-m", hand)
    both = Image.open(out).size
    assert both[0] == writingplot.WIDTH
    run("inspect", page, "--plot", tmp_path / "free.png", "-m", free)        # no window on a text
    assert Image.open(tmp_path / "free.png").size[1] == both[1] - 2 * writingplot.MARGIN - writingplot.LETTER * len("pin tol" + "vin")
    with pytest.raises(DataError, match="has 2 lines of ink, and 1 of text"):
        run("inspect", page, "--plot", out, "-m", hand, "--text", "pin tol", "--force")
    page.write_text(json.dumps(table))
    with pytest.raises(DataError, match="does not say what is written"):
        run("inspect", page, "--plot", out, "-m", hand, "--force")
    run("inspect", page, "--plot", out, "-m", hand, "--text", "pin tol\nvin", "--force")
    assert Image.open(out).size == both
    with pytest.raises(ConfigError, match="--model and --text go with --plot"):
        run("inspect", page, "--text", "abc")


def test_a_text_is_not_for_a_model_that_reads(tmp_path, hand):
    run("synthesize", "abc", "-o", tmp_path / "a.json", "-m", hand, "--no-check")
    with pytest.raises(ConfigError, match="--text: is for a model that writes"):
        run("inspect", tmp_path / "a.json", "--plot", tmp_path / "a.png", "--text", "abc")
