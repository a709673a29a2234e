"""recipes/iam_online: the corpus as published, its faults named; and a run from pen strokes to a table, and to spans of points."""

import json
import math
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
from inks import written
from PIL import Image

import recog
from recog import ink, recipe
from recog.alignment import align_lines
from recog.aligntool import align_files
from recog.bulk import transcribe_files
from recog.errors import ConfigError, DataError
from recog.inkplot import picture
from recog.inspection import describe
from recog.reading import lines_of_ink
from recog.sources import expand, medium_of
from recog.stages import run_recipe
from recog.text import learn
from recog.types import Ink

pytestmark = pytest.mark.usefixtures("one_thread")
RECIPE = recipe.find(Path(__file__).parents[1] / "recipes" / "iam_online")
PREPARE = RECIPE.prepare()
MODULE = sys.modules[PREPARE.__module__]
FORMS = {"trainset": ["a01-000u", "b02-113"], "testset_v": ["c03-007"], "testset_t": ["d04-081z"]}
TEXTS = ["nvo lin", "pin tvn", "lot nip"]


def xml(page):
    strokes = "".join(
        "<Stroke>" + "".join(f'<Point x="{x:.0f}" y="{y:.0f}" time="{t:.2f}"/>' for x, y, t in stroke) + "</Stroke>" for stroke in page.strokes)
    return f'<?xml version="1.0" encoding="ISO-8859-1"?>\n<WhiteboardCaptureSession><StrokeSet>{strokes}</StrokeSet></WhiteboardCaptureSession>'


def tree(folder, forms=FORMS, texts=TEXTS):
    for name, members in forms.items():
        (folder / f"{name}.txt").parent.mkdir(parents=True, exist_ok=True)
        (folder / f"{name}.txt").write_text("".join(f" {form}\n" for form in members))
        for number, form in enumerate(members):
            lines, transcripts = folder / "lineStrokes" / form[:3] / form[:7], folder / "ascii" / form[:3] / form[:7]
            lines.mkdir(parents=True)
            transcripts.mkdir(parents=True)
            for row, text in enumerate(texts, 1):
                (lines / f"{form}-{row:02}.xml").write_text(xml(written(text, seed=10 * number + row)))
            (transcripts / f"{form}.txt").write_text("OCR:\n\nnot this\n\nCSR:\n\n" + "\n".join(texts) + "\n", encoding="latin-1")
    return folder


@pytest.fixture
def corpus(tmp_path, monkeypatch):
    for name, (split, _) in MODULE.LISTS.items():
        monkeypatch.setitem(MODULE.LISTS, name, (split, 6 if name == "trainset" else 3))
    return tree(tmp_path / "corpus")


def test_the_lists_become_splits(corpus, capsys):
    found = list(PREPARE(corpus))
    assert [u.split for u in found] == 6 * ["train"] + 3 * ["testset_v"] + 3 * ["testset_t"]
    first = found[0]
    assert (first.id, first.text, first.speaker) == ("a01-000u-01", "nvo lin", "a01-000u")
    assert "trainset 2 forms, 6 lines" in capsys.readouterr().err
    page = ink.read(Path(first.source))
    assert np.allclose(page.points, np.round(written("nvo lin", seed=1).points, 2), atol=0.51)


def test_the_fourth_list_is_used_where_it_is(corpus):
    tree(corpus, {"testset_f": ["e05-001"]})
    assert {u.split for u in PREPARE(corpus)} == {"train", "testset_v", "testset_t", "testset_f"}


def test_a_form_with_more_files_than_lines_is_left_out_and_said(corpus, capsys):
    path = corpus / "ascii" / "b02" / "b02-113" / "b02-113.txt"
    path.write_text(path.read_text().replace("pin tvn\n", ""))
    assert len(list(PREPARE(corpus))) == 9
    assert "b02-113 left out: 2 lines of transcript for 3 files of strokes" in capsys.readouterr().err


@pytest.mark.parametrize("damage, message", [
    (lambda c: (c / "trainset.txt").unlink(), "trainset.txt: is missing"),
    (lambda c: (c / "trainset.txt").write_text("a01-000u\nzz9-999\n"), "names the form 'zz9-999', of which there are no stroke files"),
    (lambda c: next(c.glob("lineStrokes/a01/*/*-02.xml")).unlink(), "names 5 lines, as published it has 6"),
    (lambda c: next(c.glob("ascii/a01/*/*.txt")).unlink(), "a01-000u.txt: is missing"),
    (lambda c: next(c.glob("ascii/a01/*/*.txt")).write_text("OCR:\n\nx\n"), "has no block CSR"),
], ids=["no list", "no form", "a line short", "no transcript", "no block"])
def test_a_damaged_corpus_is_refused_in_one_line(corpus, damage, message):
    damage(corpus)
    with pytest.raises(DataError) as error:
        list(PREPARE(corpus))
    assert message in str(error.value) and "\n" not in str(error.value)


# --- a run ---

MODEL = """\
[features]
kind = "{kind}"
normalize = "corpus"

[views]
hands = 2

[encoder]
kind = "blstm"
layers = 1
units = 16

[train]
epochs = 40
batch.utterances = 2
optimizer.rate = 0.01
"""


@pytest.fixture
def small(tmp_path, corpus):
    """The recipe with the counts of the small corpus."""
    folder = tmp_path / "pen"
    shutil.copytree(RECIPE.folder, folder, ignore=shutil.ignore_patterns("models", "__pycache__", "RESULTS.md"))
    text = (folder / "recipe.toml").read_text()
    for old, new in (("train = 5355", "train = 6"), ("testset_v = 1438", "testset_v = 3"), ("testset_t = 1518", "testset_t = 3"),
                     ("testset_f = 3859", "testset_f = 3")):
        text = text.replace(old, new)
    (folder / "recipe.toml").write_text(text)
    code = (folder / "prepare.py").read_text()
    for old in ("5364", "1438", "1518", "3859"):
        code = code.replace(old, "6" if old == "5364" else "3")
    (folder / "prepare.py").write_text(code)
    (folder / "models").mkdir()
    for kind in ("offsets", "classic", "bezier"):
        (folder / "models" / f"{kind}.toml").write_text(MODEL.format(kind=kind))
    return folder


@pytest.mark.parametrize("kind", ["offsets", "classic", "bezier"])
def test_a_run_goes_from_strokes_to_a_table_and_the_model_reads_and_aligns_pages(tmp_path, corpus, small, kind, capsys):
    table = run_recipe(str(small), corpus, kind, [], tmp_path / "exp", None, "score", None, False)
    assert [line.split()[0] for line in table.splitlines()[2:]] == ["testset_v", "testset_t"]
    folder = tmp_path / "exp" / "pen" / kind
    assert "non-commercial" in json.loads((folder / "model" / "model.json").read_text())["data_licence"]
    first, second = written("nvo lin"), written("pin tvn", at=(100.0, 400.0))
    page = Ink(first.strokes + second.strokes)
    (tmp_path / "page.xml").write_text(xml(page))
    reader = recog.load(folder / "model")
    (answer,) = reader.transcribe([tmp_path / "page.xml"])
    for span in answer.units:
        assert 0 <= span.start < span.end <= len(page.points) and span.start == int(span.start)
    starts = [span.start for span in answer.units]
    assert starts == sorted(starts)
    (one,) = reader.transcribe([corpus / "lineStrokes" / "a01" / "a01-000" / "a01-000u-01.xml"])
    decoded = dict(line.split("\t") for line in (folder / "decode" / "testset_v" / "greedy.tsv").read_text().splitlines())
    (other,) = reader.transcribe([corpus / "lineStrokes" / "c03" / "c03-007" / "c03-007-01.xml"])
    assert other.text == decoded["c03-007-01"].strip() and answer.text.count("\n") == 1 and one.text
    for aligned in align_lines(reader.loaded, list(lines_of_ink(reader.loaded, page)), "nvo lin\n\npin tvn").values():
        assert [unit.text for unit in aligned.units] == list("nvo lin") + list("pin tvn") and aligned.text == "nvo lin\npin tvn"
        for line, begin, end in ((aligned.units[:7], 0, len(first.points)), (aligned.units[7:], len(first.points), len(page.points))):
            assert begin <= line[0].start and line[-1].end <= end
            assert all(a.start <= a.end == b.start for a, b in zip(line, line[1:]))
        assert math.isclose(sum(aligned.parts.values()), aligned.score)
    late = Ink((*first.strokes[:-1], *page.strokes[len(first.strokes):], first.strokes[-1]))           # a stroke that was written at the end
    for aligned in align_lines(reader.loaded, list(lines_of_ink(reader.loaded, late)), "nvo lin\npin tvn").values():
        others = len(first.points) - len(late.strokes[-1]), len(late.points) - len(late.strokes[-1])   # where the second line's points are
        assert not any(others[0] <= span.start < others[1] or others[0] < span.end <= others[1] for span in aligned.units[:7])
        assert others[1] < aligned.units[6].end <= len(late.points) and all(others[0] <= span.start < others[1] for span in aligned.units[7:])
    with pytest.raises(ConfigError, match="page.xml: is ink, and has points, not the times of srt"):
        transcribe_files([str(tmp_path / "page.xml")], str(folder / "model"), "srt", {})
    with pytest.raises(DataError, match="the page has 2 lines of ink, the text 1"):
        align_lines(reader.loaded, list(lines_of_ink(reader.loaded, page)), "nvo lin pin tvn")
    with pytest.raises(ConfigError, match="ink has no times"):
        align_files(str(tmp_path / "page.xml"), "nvo", str(folder / "model"), "ctm")
    (tmp_path / "page.txt").write_text("nvo lin\npin tvn\n")
    assert align_files(str(tmp_path / "page.xml"), str(tmp_path / "page.txt"), str(folder / "model")) == 0
    rows = [line.split("\t") for line in capsys.readouterr().out.splitlines()]
    assert [row[4] for row in rows if row[1] == "word"] == ["nvo", "lin", "pin", "tvn"]
    picture(tmp_path / "page.xml", tmp_path / "page.png", str(folder / "model"), None, False)
    drawn = np.asarray(Image.open(tmp_path / "page.png"))
    assert drawn.shape[1] == 1400 and (drawn != 255).any(axis=2).mean() > 0.005
    with pytest.raises(ConfigError, match="is there already"):
        picture(tmp_path / "page.xml", tmp_path / "page.png", str(folder / "model"), None, False)
    with pytest.raises(ConfigError, match="go with --plot"):
        picture(tmp_path / "page.xml", None, str(folder / "model"), None, False)
    assert f"{len(page.strokes)}, {len(page.points)} points" in describe(tmp_path / "page.xml")


def test_every_model_file_is_whole_and_writes_the_82_characters():
    for name in RECIPE.models():
        also = RECIPE.experiment(name).units.also
        assert len(also) == len(set(also)) == 82
        assert len(learn(RECIPE.experiment(name).units, ["ab"])) == 83


def test_a_copy_with_the_fourth_list_is_scored_on_it_too(tmp_path, corpus, small):
    tree(corpus, {"testset_f": ["e05-001"]})
    table = run_recipe(str(small), corpus, "offsets", [], tmp_path / "exp", None, "score", None, False)
    assert [line.split()[0] for line in table.splitlines()[2:]] == ["testset_v", "testset_t", "testset_f"]


@pytest.mark.parametrize("setting, message", [
    ("features.kind=strokes", "features.kind: unknown value 'strokes'"),
    ("features.mels=40", "features.mels: unknown setting"),
    ("features.step=0", "step and tolerance above 0"),
    ("views.speeds=[0.9, 1.1]", "views.speeds and views.channels are for sound"),
], ids=["kind", "of sound", "step", "speeds"])
def test_settings_that_cannot_be_are_refused_before_data_is_read(small, setting, message):
    with pytest.raises(ConfigError, match="features|views|step") as error:
        recipe.find(small).experiment("offsets", [setting])
    assert message in str(error.value)


def test_files_of_each_medium_go_to_its_model_and_those_without_one_are_named(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("recog.bulk.DEFAULTS", {"audio": "english_small"})
    (tmp_path / "page.xml").write_text(xml(written("nvo lin")))
    (tmp_path / "note.txt").write_text("no ink")
    assert medium_of(str(tmp_path / "page.xml")) == "ink" and medium_of(str(tmp_path / "note.txt")) == "" and medium_of("-") == "audio"
    sound = Path(__file__).parents[1] / "data" / "samples" / "seven.wav"
    assert transcribe_files([str(tmp_path / "page.xml"), str(sound)], None, "tsv", {}) == 1
    said = capsys.readouterr()
    assert said.out == "seven\tSEVEN\n" and "page.xml: is ink, and no model for that comes with recog (name one with --model)" in said.err
    errors = []
    assert expand([str(tmp_path)], errors.append, ["audio"]) == [] and "holds no sound files" in str(errors[0])
    assert expand([str(tmp_path)], errors.append, ["ink"]) == [str(tmp_path / "page.xml")]
