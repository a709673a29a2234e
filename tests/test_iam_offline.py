"""recipes/iam_offline: IAM-DB as people have it, in a small tree that `recog ink render` makes: lists, rows, images, and what is missing."""

import re
import shutil
import sys
from pathlib import Path

import pytest
from inks import written
from PIL import Image

from recog import corpus as corpora
from recog import iamdb, ink, manifest, recipe
from recog.errors import DataError
from recog.rendering import render
from recog.types import Utterance

HOME = Path(__file__).parents[1] / "recipes" / "iam_offline"
RECIPE = recipe.find(HOME)
PREPARE = RECIPE.prepare()
MODULE = sys.modules[PREPARE.__module__]
LINES = [(f"{form}-{number:02}", text) for form in ("a01-000u", "b02-113", "c03-007z", "d04-081")
         for number, text in enumerate(["nvo lin", "pit , vol", "on t"])]
OFFICIAL = {"trainset": ["a01-000u-02", "a01-000u-00", "b02-113-01"], "validationset1": ["c03-007z-00"], "validationset2": ["c03-007z-01"],
            "testset": ["d04-081-00", "d04-081-01", "d04-081-02"]}
AACHEN = {"tr": ["b02-113", "a01-000u"], "va": ["c03-007z"], "te": ["d04-081"]}


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    home = tmp_path_factory.mktemp("iam")
    utterances = []
    for number, (id, text) in enumerate(LINES):
        ink.write(written(text, seed=number), home / f"{id}.json")
        utterances.append(Utterance(id, "train" if id < "c" else id[:3], str(home / f"{id}.json"), text))
    manifest.write(home / "manifest.jsonl", utterances)
    assert render([str(home / "manifest.jsonl")], home / "IAM", height=8) == 0
    return home / "IAM"


@pytest.fixture
def tree(drawn, tmp_path):
    shutil.copytree(drawn, tmp_path / "IAM")
    shutil.rmtree(tmp_path / "IAM" / "lists")
    return tmp_path / "IAM"


def listed(folder, lists, suffix):
    folder.mkdir(exist_ok=True)
    for name, entries in lists.items():
        (folder / f"{name}{suffix}").write_text("".join(f"{entry}\n" for entry in entries))


def lines_txt(tree, change):
    """lines.txt changed: a function from its text."""
    path = tree / "ascii" / "lines.txt"
    path.write_text(change(path.read_text()))
    return path


def ids(tree):
    found = list(PREPARE(tree))
    return {split: [u.id for u in found if u.split == split] for split in dict.fromkeys(u.split for u in found)}


def whole(tree, monkeypatch, official=(3, 1, 1, 3), aachen=(2, 1, 1)):
    """The tree passes for the whole corpus."""
    monkeypatch.setattr(MODULE, "LINES", len(LINES))
    monkeypatch.setattr(MODULE, "ENTRIES", {None: ("official", list(official)), "aachen": ("Aachen", list(aachen))})


# --- lists ---


@pytest.mark.parametrize("place", [".", "splits", "largeWriterIndependentTextLineRecognitionTask"])
def test_the_official_lists_name_lines(tree, place, capsys):
    listed(tree / place, OFFICIAL, ".txt")
    assert ids(tree) == {"train": OFFICIAL["trainset"], "dev": ["c03-007z-00"], "dev2": ["c03-007z-01"], "test": OFFICIAL["testset"]}
    err = capsys.readouterr().err
    assert f"official lists in {tree / place}: train 3, dev 1, dev2 1, test 3 lines" in err and "4 lines are on no list: a01-000u-01" in err


@pytest.mark.parametrize("names, suffix", [(("tr", "va", "te"), ".lst"), (("train", "validation", "test"), ".uttlist")])
def test_the_aachen_lists_name_forms(tree, names, suffix, capsys):
    listed(tree / "splits", dict(zip(names, AACHEN.values())), suffix)
    order = [f"{form}-{number:02}" for form in AACHEN["tr"] for number in range(3)]
    assert ids(tree) == {"train": order, "dev": [f"c03-007z-{n:02}" for n in range(3)], "test": [f"d04-081-{n:02}" for n in range(3)]}
    assert "Aachen lists in" in capsys.readouterr().err


def test_the_lists_that_render_writes_are_read(drawn):
    assert ids(drawn) == {"c03": [id for id, _ in LINES[6:9]], "d04": [id for id, _ in LINES[9:]], "train": [id for id, _ in LINES[:6]]}
    assert RECIPE.variant(drawn) == "unpublished"


def test_an_utterance_has_all_that_is_known(tree):
    listed(tree, AACHEN, ".lst")
    found = {u.id: u for u in PREPARE(tree)}
    one = found["c03-007z-01"]
    assert one == Utterance("c03-007z-01", "dev", str(tree / "lines/c03/c03-007z/c03-007z-01.png"), "pit , vol", "c03-007z")
    with Image.open(one.source) as picture:
        assert picture.size[1] > 10


def test_lists_that_are_not_there_not_whole_or_twice_are_named(tree):
    with pytest.raises(DataError, match="has no lists.*trainset.txt.*tr.lst"):
        list(PREPARE(tree))
    listed(tree, OFFICIAL, ".txt")
    (tree / "validationset2.txt").unlink()
    with pytest.raises(DataError, match=f"{tree / 'validationset2.txt'}: is missing, and other official lists are there"):
        RECIPE.variant(tree)
    listed(tree, OFFICIAL, ".txt")
    listed(tree / "splits", AACHEN, ".lst")
    with pytest.raises(DataError, match="several sets of lists: trainset.txt.*splits/tr.lst"):
        list(PREPARE(tree))


@pytest.mark.parametrize("name, content, message", [
    ("va.lst", b"c03-007z\nb02-113-01\n", "va.lst: names b02-113-01, but the line b02-113-01 is named before, for 'train'"),
    ("te.lst", b"d04-081\nd04-081\n", "te.lst: names d04-081, but the line d04-081-00 is named before, for 'test'"),
    ("te.lst", b"\n", "te.lst: is empty"), ("te.lst", b"\xff\xfe", "te.lst: is not UTF-8")])
def test_faults_of_a_list_are_named(tree, name, content, message):
    listed(tree, AACHEN, ".lst")
    (tree / name).write_bytes(content)
    with pytest.raises(DataError, match=message):
        list(PREPARE(tree))


# --- which edition it is ---


def test_a_small_tree_is_no_published_split(tree, tmp_path, capsys):
    listed(tree, OFFICIAL, ".txt")
    assert RECIPE.variant(tree) == "unpublished" and "compare with nothing" in RECIPE.facts("unpublished").description
    (tmp_path / "prepare").mkdir()
    result = corpora.prepare(RECIPE, tree, tmp_path / "prepare")
    assert result["variant"] == "unpublished" and result["counts"] == {"train": 3, "dev": 1, "dev2": 1, "test": 3}
    assert "this is the variant 'unpublished'" in capsys.readouterr().err


@pytest.mark.parametrize("entries, rows, edition", [
    ({"train": 6161, "dev": 900, "dev2": 940, "test": 1861}, 13353, None), ({"train": 747, "dev": 116, "test": 336}, 13353, "aachen"),
    ({"train": 747, "dev": 115, "test": 336}, 11000, "aachen_115"), ({"train": 6161, "dev": 900, "dev2": 940, "test": 1861}, 6676, "unpublished"),
    ({"train": 6161, "dev": 900, "dev2": 940, "test": 1860}, 13353, "unpublished"), ({"train": 747, "dev": 100, "test": 336}, 13353, "unpublished")])
def test_an_edition_is_told_by_its_lists(entries, rows, edition):
    kind = "official" if "dev2" in entries else "Aachen"
    split = MODULE.Split(kind, {name: [""] * count for name, count in entries.items()}, {})
    assert MODULE.edition(split, dict.fromkeys(range(rows))) == edition
    assert MODULE.edition(MODULE.Split("own", split.lists, {}), dict.fromkeys(range(rows))) == "unpublished"


def test_published_counts():
    assert RECIPE.config.expect == {"train": 6161, "dev": 900, "dev2": 940, "test": 1861}
    assert RECIPE.facts("aachen").expect == {"train": 6482, "dev": 976, "test": 2915}
    assert RECIPE.facts("aachen_115").expect == {"train": 6482, "dev": 966, "test": 2915} and RECIPE.facts("unpublished").expect == {}
    assert set(RECIPE.config.variants) == {*MODULE.ENTRIES, "unpublished"} - {None}


def test_the_counts_of_a_published_split_are_checked(tree, tmp_path, monkeypatch):
    whole(tree, monkeypatch)
    listed(tree, AACHEN, ".lst")
    (tmp_path / "prepare").mkdir()
    found = recipe.find(HOME)
    monkeypatch.setattr(type(found), "_module", lambda self: MODULE)
    with pytest.raises(DataError, match="dev: 3 utterances, expected 976.*incomplete or of another edition"):
        corpora.prepare(found, tree, tmp_path / "prepare")


def test_what_a_published_split_lacks_is_an_error(tree, monkeypatch):
    whole(tree, monkeypatch)
    listed(tree, OFFICIAL, ".txt")
    assert len(list(PREPARE(tree))) == 8
    (tree / "lines/b02/b02-113/b02-113-01.png").unlink()
    with pytest.raises(DataError, match=r"lines: 1 lines have no image: b02-113-01 .unpack lines.tgz"):
        list(PREPARE(tree))
    lines_txt(tree, lambda text: text.replace("d04-081-02 ok", "d04-081-09 ok"))
    with pytest.raises(DataError, match="nothing says what is written in 1 lines or forms of the lists: d04-081-02"):
        list(PREPARE(tree))


# --- rows and images ---


def test_a_missing_image_a_missing_row_and_a_strange_name_are_counted(tree, capsys):
    (tree / "lines/b02/b02-113/b02-113-01.png").unlink()
    path = lines_txt(tree, lambda text: "".join(line for line in text.splitlines(True) if not line.startswith("d04-081-02 ")))
    listed(tree, OFFICIAL | {"validationset1": ["c03-007z-00", "x99-999-00"]}, ".txt")
    assert ids(tree) == {"train": ["a01-000u-02", "a01-000u-00"], "dev": ["c03-007z-00"], "dev2": ["c03-007z-01"], "test": ["d04-081-00", "d04-081-01"]}
    err = capsys.readouterr().err
    assert "1 lines have no image and are left out: b02-113-01" in err
    assert "1 lines of the lists have an image and are left out, for nothing says what they hold: d04-081-02" in err
    assert "1 images are left out, for nothing says what they hold: d04-081-02" in err
    assert "1 names on the lists are of nothing that is there: x99-999-00" in err and path.name not in err


def test_rows_marked_err_are_kept(tree, capsys):
    lines_txt(tree, lambda text: re.sub(r"^(a01-000u-0[02]|d04-081-01) ok", r"\1 err", text, flags=re.MULTILINE))
    listed(tree, OFFICIAL, ".txt")
    found = {u.id: u for u in PREPARE(tree)}
    assert len(found) == 8 and [id for id, u in found.items() if u.extra == {"cut": False}] == ["a01-000u-02", "a01-000u-00", "d04-081-01"]
    assert "3 lines are marked err, which could not be cut into words, and kept" in capsys.readouterr().err
    assert all(u.extra == {} for id, u in found.items() if id not in ("a01-000u-02", "a01-000u-00", "d04-081-01"))


def test_broken_images_are_left_out(tree, monkeypatch, capsys):
    assert MODULE.facts("broken.txt") == []
    monkeypatch.setattr(MODULE, "facts", lambda name: ["b02-113-01", "z01-000-00"])
    listed(tree, OFFICIAL, ".txt")
    assert ids(tree)["train"] == ["a01-000u-02", "a01-000u-00"]
    assert "1 images are known to be broken and left out: b02-113-01" in capsys.readouterr().err


@pytest.mark.parametrize("row, message", [
    ("a01-000x-00 ok 154 19 408 746 1661", "is not of the form ID"), ("a01-000x-00 prt 154 19 408 746 1661 89 A", "is not of the form ID"),
    ("a01-000x-00 ok 154 19 408 74.6 1661 89 A", "is not of the form ID"), ("a01-000u-00 ok 154 19 408 746 1661 89 A", "is there already, in .*lines.txt:1"),
    ("a01-000x-00 ok 154 19 408 746 1661 89 | ", "says nothing of the line a01-000x-00")])
def test_a_wrong_row_is_named_with_its_line(tree, row, message):
    path = lines_txt(tree, lambda text: text + row + "\n")
    listed(tree, OFFICIAL, ".txt")
    with pytest.raises(DataError, match=message) as caught:
        list(PREPARE(tree))
    assert str(caught.value).startswith(f"{path}:{path.read_text().count(chr(10))}: ")


def test_lines_txt_at_the_top_comments_and_none(tree):
    listed(tree, OFFICIAL, ".txt")
    expected = list(PREPARE(tree))
    shutil.move(tree / "ascii" / "lines.txt", tree / "lines.txt")
    assert list(PREPARE(tree)) == expected
    (tree / "lines.txt").write_bytes(b"\xef\xbb\xbf" + (tree / "lines.txt").read_bytes().replace(b"\n", b"\r\n"))
    assert list(PREPARE(tree)) == expected
    (tree / "lines.txt").write_bytes(b"\xff\xfe\xff")
    with pytest.raises(DataError, match="lines.txt: is not UTF-8"):
        list(PREPARE(tree))
    (tree / "lines.txt").unlink()
    with pytest.raises(DataError, match="has no ascii/lines.txt, lines.txt or xml"):
        list(PREPARE(tree))


def test_images_in_other_places(tree):
    listed(tree, OFFICIAL, ".txt")
    expected = [u.id for u in PREPARE(tree)]
    for path in list((tree / "lines").rglob("*.png")):                  # all in one folder
        shutil.move(path, tree / "lines" / path.name)
    assert [u.id for u in PREPARE(tree)] == expected
    (tree / "words").mkdir()
    for path in list((tree / "lines").rglob("*.png")):                  # no folder lines/, and other images beside
        shutil.move(path, tree / path.name)
        shutil.copy(tree / path.name, tree / "words" / f"{path.stem}-00.png")
        shutil.copy(tree / path.name, tree / f"{path.stem[:-3]}.PNG")
    shutil.rmtree(tree / "lines")
    assert [u.id for u in PREPARE(tree)] == expected
    shutil.copy(tree / "a01-000u-00.png", tree / "words")
    with pytest.raises(DataError, match="a01-000u-00.png: is there twice, also as .*words"):
        list(PREPARE(tree))
    for path in tree.rglob("*.[pP][nN][gG]"):
        path.unlink()
    with pytest.raises(DataError, match="holds no images of lines"):
        list(PREPARE(tree))


# --- texts ---


@pytest.mark.parametrize("written_there, text", [
    ("A|MOVE|to|stop|Mr.|Gaitskell|from", "A MOVE to stop Mr. Gaitskell from"), ("Griffiths|,|M P|for|Manchester|.", "Griffiths , MP for Manchester ."),
    ("\"|prop|up|\"|an|out-", "\" prop up \" an out-"), ("We|'ll|see|,|he|'D|said", "We'll see , he'D said"), ("'s|it", "'s it"),
    ("&quot;|R&amp;D|#|settlers'|parties", "\" R&D # settlers' parties"), ("0M Ps|(|280,000|)", "0MPs ( 280,000 )"), ("a||b", "a b")])
def test_the_text_of_a_row(tree, written_there, text):
    lines_txt(tree, lambda content: re.sub(r"^(c03-007z-00 ok .* )\S+$", lambda m: m[1] + written_there, content, flags=re.MULTILINE))
    listed(tree, OFFICIAL, ".txt")
    assert next(u.text for u in PREPARE(tree) if u.id == "c03-007z-00") == text


def xml(form, lines):
    """A form: lines of (number, segmentation, text of the line, words or None)."""
    rows = "".join(f'<line id="{form}-{number:02}" threshold="154" segmentation="{cut}" text="{text}">'
                   + "".join(f'<word id="w" text="{word}"><cmp x="1" y="2" width="3" height="4"/></word>' for word in words or []) + "</line>"
                   for number, cut, text, words in lines)
    return (f'<?xml version="1.0" encoding="ISO-8859-1"?>\n<form id="{form}" writer-id="000"><machine-printed-part>'
            f'<machine-print-line text="not this"/></machine-printed-part><handwritten-part>{rows}</handwritten-part></form>')


def test_xml_says_the_same(tree, capsys):
    listed(tree, OFFICIAL, ".txt")
    expected = [(u.id, u.split, u.text) for u in PREPARE(tree)]
    (tree / "xml").mkdir()
    for form in dict.fromkeys(iamdb.form(id) for id, _ in LINES):
        rows = [(int(id[-2:]), "ok", text.replace(" ,", ","), text.split()) for id, text in LINES if iamdb.form(id) == form]
        (tree / "xml" / f"{form}.xml").write_text(xml(form, rows), encoding="latin-1")
    (tree / "xml" / "d04-081.xml").write_text(xml("d04-081", [
        (0, "err", "nvo &quot;lin&quot;", ["nvo", "&quot;", "lin", "&quot;"]), (1, "ok", "pit, &amp;quot;vol", None), (2, "ok", "M P", ["M P"])]))
    assert [(u.id, u.split, u.text) for u in PREPARE(tree)] == expected                          # lines.txt goes first
    shutil.rmtree(tree / "ascii")
    found = {u.id: u for u in PREPARE(tree)}
    assert [(id, u.split, u.text) for id, u in found.items()][:5] == expected[:5]
    assert [(u.text, u.extra) for id, u in found.items() if id.startswith("d04")] == [
        ('nvo " lin "', {"cut": False}), ('pit, "vol', {}), ("MP", {})]
    (tree / "xml" / "d04-081.xml").write_text("<form><line")
    with pytest.raises(DataError, match="d04-081.xml: is not whole XML"):
        list(PREPARE(tree))
    (tree / "xml" / "d04-081.xml").write_text("<form><line text='a'/></form>")
    with pytest.raises(DataError, match="d04-081.xml: has a line without an id"):
        list(PREPARE(tree))
