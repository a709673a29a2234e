"""A recipe of images: from files to a table, then the model reads lines and pages, in every format, and says where."""

import json
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from inks import written
from test_command import called

import recog
from recog import image, ink
from recog.api import TranscribeOptions
from recog.errors import DataError
from recog.inspection import describe
from recog.pen.render import RenderConfig, rendered
from recog.stages import run_recipe
from recog.types import Image, Ink

pytestmark = pytest.mark.usefixtures("one_thread")
TEXTS = ["nvo lin", "pin tvn", "lot nip", "vin pot", "till on", "no pint"]
RECIPE = """\
description = "lines that a test draws"
data_licence = "none"
medium = "image"
model = "{model}"
score = ["char", "word"]
"""
PREPARE = """\
from recog.types import Utterance

def prepare(corpus):
    for path in sorted((corpus / "lines").iterdir()):
        number, split = path.stem.split("-")[:2]
        yield Utterance(path.stem, split, str(path), (corpus / "texts.txt").read_text().splitlines()[int(number)], "me")
"""
MODELS = {"crnn": 'kind = "crnn"\nchannels = [4, 8]\ndown = [2, 2]\nalong = [2, 1]\nlayers = 1\nunits = 16',
          "mdrnn": 'kind = "mdrnn"\nunits = [2, 6]\nalong = [2, 2]\ndown = [4, 4]\nbetween = [4]',
          "conv_mdrnn": 'kind = "conv_mdrnn"\nchannels = [4, 6]\ndown = [2, 2]\nalong = [2, 2]\nunits = [0, 6]'}
MODEL = """\
[features]
kind = "columns"
height = 24

[views]
scans = 1

[encoder]
{encoder}

[train]
epochs = {epochs}
batch.utterances = 2
optimizer.rate = 0.01
"""


def picture(text, seed):
    return rendered(written(text, seed=seed), RenderConfig(height=12), np.random.default_rng(seed))


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    """A third of the lines as ink: it is drawn when it is read."""
    folder = tmp_path_factory.mktemp("corpus")
    (folder / "lines").mkdir()
    (folder / "texts.txt").write_text("\n".join(TEXTS))
    for number, text in enumerate(TEXTS):
        for split, count in (("train", 3), ("dev", 1), ("test", 1)):
            for copy in range(count):
                path, seed = folder / "lines" / f"{number}-{split}-{copy}", 100 * number + 10 * len(split) + copy
                if copy == 2:
                    ink.write(written(text, seed=seed), path.with_suffix(".inkml"))
                else:
                    image.write(picture(text, seed), path.with_suffix(".png"))
    return folder


@pytest.fixture(scope="module")
def run(corpus, tmp_path_factory):
    """The recipe's folder, run with each encoder."""
    folder = tmp_path_factory.mktemp("run")
    (folder / "lines" / "models").mkdir(parents=True)
    (folder / "lines" / "recipe.toml").write_text(RECIPE.format(model="crnn"))
    (folder / "lines" / "prepare.py").write_text(PREPARE)
    for name, encoder in MODELS.items():
        (folder / "lines" / "models" / f"{name}.toml").write_text(MODEL.format(encoder=encoder, epochs=40 if name == "crnn" else 2))
    tables = {name: run_recipe(str(folder / "lines"), corpus, name, [], folder / "exp", None, "score", None, False) for name in MODELS}
    return folder / "exp" / "lines", tables


def test_every_encoder_goes_from_files_to_a_table(run):
    for table in run[1].values():
        assert {line.split()[0] for line in table.splitlines()[2:]} == {"dev", "test"}
    info = json.loads((run[0] / "crnn" / "model" / "model.json").read_text())
    assert info["medium"] == "image" and info["config"]["features"]["height"] == 24
    assert len(list(run[0].glob("features-*/shard-*/frames.u8"))) == 1


@pytest.fixture
def page(tmp_path):
    """Two lines, one above the other, on one sheet."""
    lines = [picture("nvo lin", 1).pixels, picture("pin tvn", 2).pixels]
    sheet = np.full((sum(len(line) for line in lines) + 30, max(line.shape[1] for line in lines) + 40), 240, np.uint8)
    top = 10
    for line in lines:
        sheet[top:top + len(line), 20:20 + line.shape[1]] = line
        top += len(line) + 10
    image.write(Image(sheet), tmp_path / "page.png")
    return tmp_path / "page.png"


def test_a_line_is_read_as_when_it_was_scored_and_has_places(run, corpus):
    reader = recog.load(run[0] / "crnn" / "model")
    decoded = dict(line.split("\t") for line in (run[0] / "crnn" / "decode" / "dev" / "greedy.tsv").read_text().splitlines())
    for path in sorted((corpus / "lines").glob("*-dev-*.png")):
        (answer,) = reader.transcribe(path)
        assert answer.text == decoded[path.stem].strip()
        height, width = image.read(path).pixels.shape
        assert (answer.page.width, answer.page.height) == (width, height) and len(answer.page.lines) == 1
        for unit in answer.units:
            left, top, right, bottom = unit.box
            assert 0 <= left < right <= width and 0 <= top < bottom <= height and 0 <= unit.start <= unit.end <= width
        starts = [unit.start for unit in answer.units]
        assert starts == sorted(starts)


def test_a_page_is_refused_as_a_line_and_read_as_lines(run, page, capsys):
    reader = recog.load(run[0] / "crnn" / "model")
    with pytest.raises(DataError, match="page.png: looks like a page of 2 lines.*--lines"):
        list(reader.transcribe(page))
    (answer,) = reader.transcribe(page, TranscribeOptions(lines=True))
    assert len(answer.page.lines) == 2 and answer.text == "\n".join(line.text for _, line in answer.page.lines).strip()
    (upper, _), (lower, _) = answer.page.lines
    assert upper.bottom <= lower.top + 5 and all(unit.box.top >= lower.top - 1 for unit in answer.page.lines[1][1].units)


@pytest.mark.parametrize("format, holds", [("text", ""), ("tsv", "page\t"), ("json", '"box"'), ("page", "PcGts"), ("alto", "<alto")])
def test_every_format_from_the_command_line(run, page, monkeypatch, capsys, format, holds):
    model = run[0] / "crnn" / "model"
    status, out, err = called(monkeypatch, capsys, "transcribe", page, "--model", model, "--lines", "--format", format)
    assert status == 0 and holds in out and not err
    if format in ("page", "alto"):
        root = ElementTree.fromstring(out)
        assert sum(element.tag.endswith("TextLine") for element in root.iter()) == 2


def test_text_is_aligned_with_an_image(run, page, tmp_path, monkeypatch, capsys):
    (tmp_path / "page.txt").write_text("nvo lin\npin tvn\n")
    status, out, _ = called(monkeypatch, capsys, "align", page, tmp_path / "page.txt", "--model", run[0] / "crnn" / "model")
    rows = [line.split("\t") for line in out.splitlines()]
    assert status == 0 and [row[4] for row in rows if row[1] == "word"] == ["nvo", "lin", "pin", "tvn"]
    first = [float(row[2]) for row in rows if row[1] == "unit"][:7]
    assert first == sorted(first) and first[0] >= 0


@pytest.mark.parametrize("arguments, message", [
    (["--format", "ctm"], "is image, and has pixels, not the times of ctm"), (["--stream"], "stream")])
def test_what_images_are_not_for(run, page, monkeypatch, capsys, arguments, message):
    status, _, err = called(monkeypatch, capsys, "transcribe", page, "--model", run[0] / "crnn" / "model", *arguments)
    assert status != 0 and message in err and len(err.strip().splitlines()) == 1


def test_lines_are_for_images(run, tmp_path, monkeypatch, capsys):
    from recog import modeldir

    ink.write(written("no"), tmp_path / "a.inkml")
    status, _, err = called(monkeypatch, capsys, "transcribe", tmp_path / "a.inkml", "--model", modeldir.locate("pen"), "--lines")
    assert status != 0 and "--lines: is for images" in err


def test_bad_images_are_named_and_the_rest_goes_on(run, corpus, tmp_path, monkeypatch, capsys):
    good = next((corpus / "lines").glob("*.png"))
    (tmp_path / "cut.png").write_bytes(good.read_bytes()[:200])
    image.write(Image(np.full((40, 300), 255, np.uint8)), tmp_path / "white.png")
    image.write(Image(np.ascontiguousarray(np.rot90(image.read(good).pixels))), tmp_path / "upright.png")
    files = [tmp_path / "cut.png", tmp_path / "white.png", tmp_path / "upright.png", good]
    status, out, err = called(monkeypatch, capsys, "transcribe", *files, "--model", run[0] / "crnn" / "model", "--format", "tsv")
    assert status == 1 and [line.split("\t")[0] for line in out.splitlines()] == [good.stem]
    assert all(name in err for name in ("cut.png", "white.png", "upright.png")) and len(err.strip().splitlines()) == 4


def test_inspect_says_what_an_image_holds(page):
    text = describe(Path(page))
    assert "image file" in text and "lines        2" in text and "--lines" in text


def test_ink_is_drawn_for_a_model_of_images(run, tmp_path):
    ink.write(Ink(written("nvo lin", seed=5).strokes), tmp_path / "a.inkml")
    (answer,) = recog.load(run[0] / "crnn" / "model").transcribe(tmp_path / "a.inkml")
    assert answer.page.lines and answer.text
