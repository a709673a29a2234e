"""A run whose phones are folded: the table, the record, the exports and the page show what is scored, by every custom."""

import json

import pytest

from recog import recipe
from recog.errors import ConfigError, DataError
from recog.recipe import RecipeConfig
from recog.stages import run_recipe
from recog.testing import ROWS, SETTINGS, tiny_recipe, tone_corpus
from recog.transcripts import read_transcripts

pytestmark = pytest.mark.usefixtures("one_thread")
TABLE = "zero a vowel\none b stop\ntwo - stop\npause sil silence\n"
SAID = {"0": "zero", "1": "one", "2": "two"}


@pytest.fixture
def corpus(tmp_path):
    """Tones of digits, written as phones: pause zero one pause."""
    folder = tone_corpus(tmp_path / "corpus")
    said = {id: " ".join(["pause", *(SAID[c] for c in text), "pause"]) for id, _, text in ROWS}
    (folder / "list.tsv").write_text("".join(f"{id}\t{split}\t{said[id]}\n" for id, split, _ in ROWS))
    return folder


@pytest.fixture
def mine(tmp_path):
    folder = tiny_recipe(tmp_path / "mine", SETTINGS + '\n[units]\nkind = "phone"\n')
    (folder / "recipe.toml").write_text('description = "x"\ndata_licence = "L"\nscore = ["phone"]\nfold = "phones.txt"\n')
    (folder / "phones.txt").write_text(TABLE)
    return folder


def run(mine, corpus, exp, **more):
    return run_recipe(str(mine), corpus, None, [], exp, None, more.pop("until", "score"), None, more.pop("record", False))


def test_a_run_is_scored_by_every_custom(tmp_path, mine, corpus):
    table = run(mine, corpus, tmp_path / "exp", record=True)
    assert "PER strict* %" in table and "PER free-sil %" in table and "PER merged-sil %" in table and "* is the custom" in table
    folder = tmp_path / "exp" / "mine" / "ctc"
    assert (folder / "score" / "fold.txt").read_text() == TABLE                   # where `recog lm tune` looks for it
    scores = json.loads((folder / "model" / "model.json").read_text())["scores"]["test"]["greedy"]["phone"]
    assert set(scores["customs"]) == {"strict", "free-sil", "merged-sil"} and scores["quoted"] == "strict"
    assert scores["tokens"] == 7 and scores["error_rate"] == scores["customs"]["strict"]["error_rate"]     # 21, 10: two is left out
    row = [line for line in (mine / "RESULTS.md").read_text().splitlines() if "| test |" in line]
    assert len(row) == 1 and all(f"PER {custom}" in row[0] for custom in ("strict* ", "free-sil ", "merged-sil "))
    page = (folder / "report.html").read_text()
    assert "PER free-sil" in page and "PER strict*" in page
    metrics = json.loads((folder / "train" / "metrics.jsonl").read_text().splitlines()[0])
    assert metrics["dev_error"] * 6 == pytest.approx(round(metrics["dev_error"] * 6))     # dev: sil b sil, sil a sil; 7 before folding


def test_a_run_exports_what_other_scorers_read(tmp_path, mine, corpus):
    run(mine, corpus, tmp_path / "exp")
    folder = tmp_path / "exp" / "mine" / "ctc"
    out = folder / "score" / "test"
    assert read_transcripts(out / "reference.trn") == {"test0": "sil b sil", "test1": "sil b a sil"}
    decoded = read_transcripts(folder / "decode" / "test" / "greedy.tsv")
    fold = recipe.find(mine).folding()
    heard = {id: fold(text.split()) for id, text in decoded.items()}
    assert {id: text.split() for id, text in read_transcripts(out / "greedy.trn").items()} == heard
    assert [line.split() for line in (out / "reference.stm").read_text().splitlines()] == [
        ["test0", "1", "-", "0.000", "0.280", "sil", "b", "sil"], ["test1", "1", "-", "0.000", "0.280", "sil", "b", "a", "sil"]]
    rows = [line.split() for line in (out / "greedy.ctm").read_text().splitlines()]
    assert {id: [row[4] for row in rows if row[0] == id] for id in heard} == heard
    assert all(len(row) == 6 and float(row[2]) + float(row[3]) <= 0.29 and 0 <= float(row[5]) <= 1 for row in rows)


def test_another_table_scores_again_but_asks_before_training_is_lost(tmp_path, mine, corpus):
    run(mine, corpus, tmp_path / "exp")
    (mine / "phones.txt").write_text(TABLE.replace("two - stop", "two b stop"))
    with pytest.raises(ConfigError, match="other settings .fold"):            # the best epoch was chosen by the old one
        run(mine, corpus, tmp_path / "exp")


def test_what_a_recipe_may_not_say(mine, corpus, tmp_path):
    (mine / "phones.txt").unlink()
    with pytest.raises(ConfigError, match="fold: there is no phones.txt beside it"):
        run(mine, corpus, tmp_path / "exp")
    with pytest.raises(ValueError, match='fold needs score = ."phone".'):
        RecipeConfig("x", "y", fold="phones.txt")


VARIANTS = """
[variants.short]
description = "half of it"
data_licence = "other"
expect = { train = 8, test = 2 }
"""


def test_a_variant_has_counts_a_licence_and_a_name_of_its_own(tmp_path, mine, corpus, capsys):
    with open(mine / "recipe.toml", "a") as stream:
        stream.write("expect = { train = 100 }\n" + VARIANTS)
    with open(mine / "prepare.py", "a") as stream:
        stream.write('\n\ndef variant(corpus):\n    return "short" if (corpus / "short").exists() else None\n')
    with pytest.raises(DataError, match="train: 8 utterances, expected 100"):
        run(mine, corpus, tmp_path / "exp")
    (corpus / "short").touch()
    table = run(mine, corpus, tmp_path / "exp", record=True)
    assert table.startswith("mine (short: half of it): best of") and "this is the variant 'short': half of it" in capsys.readouterr().err
    info = json.loads((tmp_path / "exp" / "mine" / "ctc" / "model" / "model.json").read_text())
    assert info["data_licence"] == "other" and info["provenance"]["variant"] == "short"
    assert "| test of short |" in (mine / "RESULTS.md").read_text()
    (mine / "prepare.py").write_text((mine / "prepare.py").read_text().replace('"short" if', '"long" if'))
    with pytest.raises(ConfigError, match="names a variant 'long', which is not in recipe.toml"):
        run(mine, corpus, tmp_path / "exp")


@pytest.mark.parametrize("text, what", [("[variants.short]\ndescription = 'x'\n", "variants.short: data_licence: missing"),
                                        ("[variants.short]\ndescription = 'x'\ndata_licence = 'y'\nexpect = { train = 'many' }\n", "whole numbers"),
                                        ("variants = 3\n", "variants: must be")])
def test_a_variant_that_is_not_well_said(mine, text, what):
    with open(mine / "recipe.toml", "a") as stream:
        stream.write(text)
    with pytest.raises(ConfigError, match=what):
        recipe.find(mine)
