"""`recog ink render`: files to PNGs, a manifest to IAM-DB's layout; resumed, refused, reported."""

import json
import re
import shutil

import numpy as np
import pytest
from inks import written
from PIL import Image
from test_command import called

from recog import iamdb, ink, manifest, rendering
from recog.pen.render import RenderConfig, rendered, small_letters
from recog.rendering import render
from recog.types import Utterance

LINES = [("a01-000u-01", "train", "nvo lin"), ("a01-000u-02", "train", "pit , vol"), ("b02-113-01", "train", "on t"),
         ("c03-007z-01", "testset_v", "nip"), ("my note/1", "testset_t", "tin vo")]


def corpus(folder, lines=LINES, heights=None):
    """A manifest and its ink."""
    (folder / "ink").mkdir(parents=True, exist_ok=True)
    utterances = []
    for number, (id, split, text) in enumerate(lines):
        path = folder / "ink" / f"{number}.json"
        ink.write(written(text, height=(heights or {}).get(id, 30.0), seed=number), path)
        utterances.append(Utterance(id, split, str(path), text))
    manifest.write(folder / "manifest.jsonl", utterances)
    return folder / "manifest.jsonl"


def pixels(path):
    with Image.open(path) as picture:
        assert picture.format == "PNG" and picture.mode == "L"
        return np.asarray(picture)


def everything(folder):
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def flooded(dark):
    """Components of touching pixels, corners too, one by one."""
    left, count = {tuple(at) for at in np.argwhere(dark)}, 0
    while left:
        todo, count = [left.pop()], count + 1
        while todo:
            y, x = todo.pop()
            near = {(y + i, x + j) for i in (-1, 0, 1) for j in (-1, 0, 1)} & left
            left -= near
            todo += near
    return count


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    home = tmp_path_factory.mktemp("render")
    path = corpus(home)
    assert render([str(path)], home / "out", seed=3) == 0
    return home


def test_the_tree_is_that_of_iam_db(made):
    out = made / "out"
    pngs = {str(p.relative_to(out)) for p in out.rglob("*.png")}
    assert pngs == {"lines/a01/a01-000u/a01-000u-01.png", "lines/a01/a01-000u/a01-000u-02.png", "lines/b02/b02-113/b02-113-01.png",
                    "lines/c03/c03-007z/c03-007z-01.png", "lines/other/my%20note%2F1/my%20note%2F1.png"}
    assert {p.name: p.read_text().split() for p in (out / "lists").iterdir()} == {
        "train.txt": ["a01-000u", "b02-113"], "testset_v.txt": ["c03-007z"], "testset_t.txt": ["my%20note%2F1"]}
    rows = [line for line in (out / "ascii" / "lines.txt").read_text().splitlines() if not line.startswith("#")]
    assert [row.split(" ")[0] for row in rows] == [row[0] for row in LINES[:4]] + ["my%20note%2F1"]
    assert [row.rsplit(" ", 1)[1] for row in rows] == ["nvo|lin", "pit|,|vol", "on|t", "nip", "tin|vo"]
    for row in rows:
        found = re.fullmatch(r"(\S+) ok (\d+) (\d+) 0 0 (\d+) (\d+) \S+", row)
        image = pixels(next(out.rglob(f"{found[1]}.png")))
        assert (int(found[4]), int(found[5])) == image.shape[::-1]
        assert image.min() + 20 < int(found[2]) < np.median(image) - 20 and int(found[3]) == flooded(image <= int(found[2]))


def test_a_threshold_parts_two_greys_best():
    rng = np.random.default_rng(0)
    image = np.concatenate([rng.integers(20, 90, 300), rng.integers(200, 250, 900)]).astype(np.uint8).reshape(30, 40)

    def within(gray):                                       # what is left of the variance when each side is one grey
        sides = [image[image <= gray].astype(float), image[image > gray].astype(float)]
        return sum(len(side) * side.var() for side in sides if len(side))

    best = min(range(256), key=within)
    assert 89 <= best < 200 and within(iamdb.threshold(image)) == pytest.approx(within(best))
    assert iamdb.threshold(np.full((3, 3), 7, np.uint8)) in range(256)


def test_components_touch_at_corners_and_the_threshold_is_ink():
    image = np.full((6, 9), 200, np.uint8)
    image[[0, 1, 2], [0, 1, 2]] = 50                        # one, by its corners
    image[4:, 7:] = 50
    image[0, 8] = 40
    assert iamdb.line("a01-000u-00", " on  t ", image) == "a01-000u-00 ok 50 3 0 0 9 6 on|t\n"


def test_the_rows_are_read_back(made):
    rows = iamdb.rows(made / "out")
    assert {id: " ".join(row.words) for id, row in rows.items()} == {iamdb.safe(id): text for id, _, text in LINES}
    assert all(row.cut for row in rows.values()) and set(iamdb.images(made / "out")) == set(rows)


def test_an_image_follows_from_ink_seed_and_id(made):
    page = ink.read(made / "ink" / "3.json")
    expected = rendered(page, RenderConfig(), np.random.default_rng([3, *b"c03-007z-01"])).pixels
    assert (pixels(made / "out" / "lines/c03/c03-007z/c03-007z-01.png") == expected).all()


def test_the_lines_of_a_form_have_one_scale(tmp_path):
    heights = {"a01-000u-01": 30.0, "a01-000u-02": 36.0, "a01-000u-03": 33.0}
    lines = [(id, "train", "nvo lin vop") for id in heights]
    render([str(corpus(tmp_path, lines, heights))], tmp_path / "out", clean=True)
    inks = [ink.read(tmp_path / "ink" / f"{k}.json") for k in range(3)]
    letters = np.median([small_letters(each) for each in inks])
    for id, page in zip(heights, inks):
        expected = rendered(page, RenderConfig(clean=True), np.random.default_rng([0, *id.encode()]), letters).pixels
        got = pixels(tmp_path / "out" / "lines" / "a01" / "a01-000u" / f"{id}.png")
        assert got.shape == expected.shape and (got == expected).all()
    assert [small_letters(each) for each in inks] == pytest.approx(list(heights.values()), rel=0.06)


def test_what_is_there_is_kept_and_what_is_not_is_drawn(made, tmp_path, capsys):
    home = tmp_path / "copy"
    shutil.copytree(made, home)
    out, before = home / "out", everything(home / "out")
    assert render([str(home / "manifest.jsonl")], out, seed=3) == 0 and "skip, unchanged" in capsys.readouterr().err
    (out / "done.json").unlink()
    (out / "lines/a01/a01-000u/a01-000u-02.png").unlink()
    kept = (out / "lines/a01/a01-000u/a01-000u-01.png").stat().st_mtime_ns
    assert render([str(home / "manifest.jsonl")], out, seed=3) == 0
    assert "1 images drawn, 4 were there; 5 lines of 4 forms" in capsys.readouterr().err
    assert everything(out) == before and (out / "lines/a01/a01-000u/a01-000u-01.png").stat().st_mtime_ns == kept


def test_other_settings_need_force(made, tmp_path, monkeypatch, capsys):
    home = tmp_path / "copy"
    shutil.copytree(made, home)
    before = everything(home / "out")
    status, _, err = called(monkeypatch, capsys, "ink", "render", home / "manifest.jsonl", "-o", home / "out", "--seed", 4, "--height", 12)
    assert status == 1 and err.count("\n") == 1 and "seed 3 -> 4" in err and "height default -> 12.0" in err and "--force" in err
    assert everything(home / "out") == before
    (home / "out" / "lines" / "stale.png").write_bytes(b"")
    assert called(monkeypatch, capsys, "ink", "render", home / "manifest.jsonl", "-o", home / "out", "--height", 12, "--clean", "--force")[0] == 0
    after = everything(home / "out")
    assert set(after) == set(before) and not [name for name in before if name.endswith(".png") and before[name] == after[name]]
    image = pixels(home / "out" / "lines/a01/a01-000u/a01-000u-01.png")
    assert image.max() == 255 and image.min() == 0 and len(image) < 0.6 * len(pixels(made / "out" / "lines/a01/a01-000u/a01-000u-01.png"))


@pytest.mark.parametrize("inside", [["lines/a01/a01-000u/a01-000u-00.png"], ["begun.json", "model/model.json"], ["done.json", "lines/x", "notes"], []])
@pytest.mark.parametrize("force", [[], ["--force"]])
def test_a_place_with_other_things_is_left_alone(made, tmp_path, monkeypatch, capsys, inside, force):
    for name in inside:
        (tmp_path / "IAM" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "IAM" / name).write_text("{}")
    if not inside:
        (tmp_path / "IAM").write_text("a file")
    before = everything(tmp_path)
    status, _, err = called(monkeypatch, capsys, "ink", "render", made / "manifest.jsonl", "-o", tmp_path / "IAM", *force)
    assert status == 1 and "is there already and was not rendered" in err and everything(tmp_path) == before


def test_a_broken_file_is_named_and_the_rest_is_drawn(tmp_path, monkeypatch, capsys):
    path = corpus(tmp_path)
    whole = (tmp_path / "ink" / "1.json").read_bytes()
    (tmp_path / "ink" / "1.json").write_text('{"strokes": [[[1, 2')
    status, _, err = called(monkeypatch, capsys, "ink", "render", path, "-o", tmp_path / "out")
    assert status == 1 and str(tmp_path / "ink" / "1.json") in err and "1 of 5 lines could not be drawn" in err
    assert len(list((tmp_path / "out").rglob("*.png"))) == 4 and len(iamdb.rows(tmp_path / "out")) == 4
    (tmp_path / "ink" / "1.json").write_bytes(whole)
    status, _, err = called(monkeypatch, capsys, "ink", "render", path, "-o", tmp_path / "out")
    assert status == 0 and "1 images drawn, 4 were there" in err and len(iamdb.rows(tmp_path / "out")) == 5


def test_a_broken_image_is_named(tmp_path, monkeypatch, capsys):
    path = corpus(tmp_path)
    render([str(path)], tmp_path / "out")
    (tmp_path / "out" / "done.json").unlink()
    image = tmp_path / "out" / "lines/b02/b02-113/b02-113-01.png"
    image.write_bytes(image.read_bytes()[:300])
    status, _, err = called(monkeypatch, capsys, "ink", "render", path, "-o", tmp_path / "out")
    assert status == 1 and f"{image}: is no whole image" in err


def test_a_bar_in_a_text_is_refused(tmp_path, monkeypatch, capsys):
    path = corpus(tmp_path)
    path.write_text(path.read_text().replace("nvo lin", "nvo|lin"))
    status, _, err = called(monkeypatch, capsys, "ink", "render", path, "-o", tmp_path / "out")
    assert status == 1 and "a01-000u-01: the text has a |" in err and "a01-000u-02" in iamdb.rows(tmp_path / "out")


def test_forms_that_are_in_several_splits_are_listed_by_line(tmp_path):
    lines = [("a01-000u-01", "train", "nv"), ("a01-000u-02", "dev", "ov"), ("b02-113-01", "dev", "li")]
    render([str(corpus(tmp_path, lines))], tmp_path / "out", clean=True)
    assert {p.stem: p.read_text().split() for p in (tmp_path / "out" / "lists").iterdir()} == {
        "train": ["a01-000u-01"], "dev": ["a01-000u-02", "b02-113-01"]}


def test_ids_stay_different_and_names_of_files():
    ids = ["a b", "a/b", "a%20b", "a_b", "..", ".", "%2E", "ü", "a01-000u-00", "A+b~1"]
    assert len({iamdb.safe(id) for id in ids}) == len(ids) and iamdb.safe("a01-000u-00") == "a01-000u-00" and iamdb.safe("A+b~1") == "A+b~1"
    assert all(re.fullmatch(r"[A-Za-z0-9_%+~-][A-Za-z0-9_.%+~-]*", iamdb.safe(id)) for id in ids)
    assert iamdb.place("n02-082a-10").as_posix() == "lines/n02/n02-082a/n02-082a-10.png"
    assert iamdb.place("fcjf0-si1027").as_posix() == "lines/other/fcjf0-si1027/fcjf0-si1027.png"


def test_several_processes_give_the_same(made, tmp_path, monkeypatch):
    monkeypatch.setattr(rendering, "FEW", 1)
    monkeypatch.setattr(rendering.os, "cpu_count", lambda: 2)
    started = []
    pool = rendering.ProcessPoolExecutor
    monkeypatch.setattr(rendering, "ProcessPoolExecutor", lambda *a, **k: started.append(a) or pool(*a, **k))
    assert render([str(made / "manifest.jsonl")], tmp_path / "out", seed=3) == 0 and started == [(2,)]
    assert everything(tmp_path / "out") == everything(made / "out")


def test_progress_is_told_in_tenths(capsys):
    list(rendering._told((rendering.Done([""] * 7, [], 7) for _ in range(50)), 350))
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 9 and lines[0] == "render: 35 of 350 lines" and lines[-1] == "render: 315 of 350 lines"


# --- files ---


def test_one_file_is_one_image(made, tmp_path, monkeypatch, capsys):
    source = made / "ink" / "0.json"
    assert called(monkeypatch, capsys, "ink", "render", source, "-o", tmp_path / "x.png", "--seed", 2)[0] == 0
    expected = rendered(ink.read(source), RenderConfig(), np.random.default_rng([2, *b"0"])).pixels
    assert (pixels(tmp_path / "x.png") == expected).all()
    status, _, err = called(monkeypatch, capsys, "ink", "render", source, "-o", tmp_path / "x.png")
    assert status == 1 and "x.png: is there already" in err and (pixels(tmp_path / "x.png") == expected).all()
    assert called(monkeypatch, capsys, "ink", "render", source, "-o", tmp_path / "x.png", "--force")[0] == 0
    assert pixels(tmp_path / "x.png").shape != expected.shape or (pixels(tmp_path / "x.png") != expected).any()


def test_a_folder_gives_a_folder_and_what_is_there_stays(made, tmp_path, monkeypatch, capsys):
    assert called(monkeypatch, capsys, "ink", "render", made / "ink", "-o", tmp_path / "out")[0] == 0
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == [f"{k}.png" for k in range(5)]
    before = everything(tmp_path / "out")
    (tmp_path / "out" / "2.png").unlink()
    status, _, err = called(monkeypatch, capsys, "ink", "render", made / "ink", "-o", tmp_path / "out", "--seed", 9)
    assert status == 0 and "4 of 5 are there already and stay as they are" in err and "1 images in" in err
    after = everything(tmp_path / "out")
    assert {name for name in before if before[name] != after[name]} == {"2.png"}


def test_wrong_sources_are_named(made, tmp_path, monkeypatch, capsys):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "0.json").write_text('{"strokes": []}')
    for arguments, words in [
            ((made / "ink", "-o", tmp_path / "x.png"), "is the name of one image, for 5 files of ink"),
            ((made / "ink" / "0.json", tmp_path / "a" / "0.json", "-o", tmp_path / "out"), "several files would be drawn as 0.png"),
            ((made / "manifest.jsonl", made / "ink", "-o", tmp_path / "out"), "a manifest is rendered alone"),
            ((tmp_path / "no.jsonl", "-o", tmp_path / "out"), "no.jsonl: no such manifest"),
            (("-", "-o", tmp_path / "out"), "ink is rendered from files"),
            ((made / "ink" / "0.json", "-o", tmp_path / "x.png", "--height", 2), "--height: height must be 4 to 400 pixels")]:
        status, _, err = called(monkeypatch, capsys, "ink", "render", *arguments)
        assert status == 1 and words in err and not (tmp_path / "out").exists() and not (tmp_path / "x.png").exists()
    status, _, err = called(monkeypatch, capsys, "ink", "render", tmp_path / "nothing", tmp_path / "a" / "0.json", made / "ink" / "1.json", "-o", tmp_path / "out")
    assert status == 1 and "nothing: no such file" in err and "0.json: holds no ink" in err and [p.name for p in (tmp_path / "out").iterdir()] == ["1.png"]


def test_the_manifest_is_checked_first(tmp_path, monkeypatch, capsys):
    row = {"id": "a", "split": "train", "source": "x", "text": "t"}
    (tmp_path / "m.jsonl").write_text("".join(json.dumps(row) + "\n" for _ in range(2)))
    status, _, err = called(monkeypatch, capsys, "ink", "render", tmp_path / "m.jsonl", "-o", tmp_path / "out")
    assert status == 1 and "the id 'a' occurs twice" in err and not (tmp_path / "out").exists()
