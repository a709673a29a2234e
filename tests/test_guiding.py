"""Several language models in one run, and free texts that prepare.py finds for them."""

import json

import pytest

from recog import modeldir
from recog.errors import ConfigError, DataError
from recog.lm import books
from recog.recipe import find
from recog.plan import Run
from recog.stages import run as run_stages
from recog.testing import SETTINGS, tiny_recipe, tone_corpus

TEXTS = ["01 2", "1 20", "2 0 1", "0", "12 2", "20 1 1"]
FREE = '''

def texts(corpus):
    path = corpus / "free.txt"
    return path.read_text().splitlines() if path.exists() else []
'''
DECODERS = """
[[decoders]]
kind = "beam"
beam = 4
lm = true

[lm]
order = 2
units = "unit"

[[beside]]
name = "words"
lm = { order = 2, vocabulary = 3, tune = false }

[[beside.decoders]]
kind = "beam"
beam = 4
lm = true
lexicon = true

[[beside.decoders]]
kind = "beam"
beam = 4
lm = true
"""


@pytest.fixture
def corpus(tmp_path):
    rows = [(f"{split}{n}", split, text) for split in ("train", "dev", "test") for n, text in enumerate(TEXTS)]
    return tone_corpus(tmp_path / "corpus", rows)


def recipe(tmp_path, settings=DECODERS):
    folder = tiny_recipe(tmp_path / "mine", SETTINGS + settings)
    with (folder / "prepare.py").open("a") as file:
        file.write(FREE)
    return folder


def run(folder, corpus, exp, overrides=()):
    found = find(folder)
    return run_stages(Run(found, found.experiment("ctc", overrides), corpus, exp, "ctc"))


def said(capsys):
    return dict(line.split(": ", 1) for line in capsys.readouterr().err.splitlines())


def test_each_group_asks_its_own_model_and_only_the_first_goes_into_the_model(tmp_path, corpus, capsys):
    (corpus / "free.txt").write_text("2 2 2\n2 2\n")
    folder, exp = recipe(tmp_path), tmp_path / "exp"
    table = run(folder, corpus, exp)
    assert [line.split()[1] for line in table.splitlines()[2:]] == ["beam+lm", "beam+lexicon+words", "beam+words"] * 2
    loaded, ended = modeldir.load(exp / "mine" / "ctc" / "model"), json.loads((exp / "mine/ctc/lm/done.json").read_text())["result"]
    assert set(loaded.lm.words) == {"<unk>", "<s>", "</s>", "0", "1", "2", "<space>"} and loaded.words == ("0", "01", "1", "12", "2", "20")
    assert set(ended["lm"]["tuned"]) == {"beam+lm"} and ended["words"]["tuned"] == {}
    words = {line.split("\t")[1] for line in (exp / "mine/ctc/lm/words.arpa").read_text().splitlines() if line.count("\t") and "<" not in line}
    assert {word for word in words if " " not in word} == {"2", "1", "20"}                  # the commonest three, of all texts
    written = (exp / "mine/ctc/decode/test/beam+lexicon+words.tsv").read_text().split("\n")
    assert {word for line in written if line for word in line.split("\t")[1].split()} <= {"2", "1", "20"}


def test_another_free_text_is_learned_from_and_nothing_is_trained_again(tmp_path, corpus, capsys):
    folder, exp = recipe(tmp_path), tmp_path / "exp"
    run(folder, corpus, exp)
    assert "from 6 sentences" in said(capsys)["lm"]
    (corpus / "free.txt").write_text("2 2 2\n2 2\n")
    run(folder, corpus, exp)
    now = said(capsys)
    assert now["train"] == now["features"] == "skip, unchanged" and "from 8 sentences" in now["lm"] and now["decode"].startswith("again")
    assert run(folder, corpus, exp) and said(capsys)["lm"] == "skip, unchanged"


@pytest.mark.parametrize("scored, expected", [(["char"], ["char", "char"]), (["char", "word"], ["char", "word"]), (["word", "char"], ["word", "word"])])
def test_a_language_model_of_words_is_tuned_for_words(tmp_path, corpus, monkeypatch, scored, expected):
    folder, units = recipe(tmp_path, DECODERS.replace(", tune = false", "").rpartition("\n[[beside.decoders]]")[0]), []
    facts = folder / "recipe.toml"
    facts.write_text(facts.read_text().replace('score = ["char"]', f"score = {json.dumps(scored)}"))
    monkeypatch.setattr("recog.guiding.tuning.tune", lambda loaded, component, heard, texts, unit, *rest: units.append(unit) or {})
    run(folder, corpus, tmp_path / "exp")
    assert units == expected


@pytest.mark.parametrize("settings, what", [
    (DECODERS.replace('"words"', '"lm"'), "a name of its own"), (DECODERS.replace('"words"', '"Two words"'), "name must be of"),
    (DECODERS.replace("lm = true\n\n[lm]", "\n[lm]"), "needs a decoder with lm = true"),
    (DECODERS.replace("vocabulary = 3", 'vocabulary = 3, units = "unit"'), "vocabulary")])
def test_groups_that_make_no_sense(tmp_path, corpus, settings, what):
    with pytest.raises(ConfigError, match=what):
        run(recipe(tmp_path, settings), corpus, tmp_path / "exp")


def test_books_become_lines_of_the_alphabet(tmp_path):
    (tmp_path / "book.txt").write_text("CHAPTER I\n\n_Call_ me \u201cIshmael.\u201d Some\nyears ago--never mind how long\u2014precisely\u00a0\u00e9")
    found = list(books.lines(tmp_path / "book.txt", "abcdefghijklmnopqrstuvwxyzACEHIPRST .\"-", 20))
    assert found == ["CHAPTER I", "Call me \"Ishmael.\"", "Some years ago -", "never mind how long", "- precisely"]
    assert all(len(line) <= 20 for line in found)
    path = tmp_path / "noise.txt"
    path.write_bytes("a book".encode("utf-16"))
    with pytest.raises(DataError, match="noise.txt: is not a text in UTF-8"):
        list(books.lines(path, "abc"))
