"""Lists of answers: the best of each, and another order; from the command line with an n-gram model."""

import itertools
import json

import numpy as np
import pytest
from rapidfuzz.distance import Levenshtein

from recog import nbest
from recog.errors import ConfigError, DataError, ScoreError
from recog.lm.arpa import write as write_arpa
from recog.lm.kneser_ney import KneserNeyConfig, train
from recog.nbest import Answer
from recog.rescoring import rescore
from recog.scoring import score_and_render

TEXTS = {"u1": "GO HOME", "u2": "STOP"}
ANSWERS = {"u1": [Answer("NO HOME", -1.0, {"acoustic": -1.0}), Answer("GO HOME NOW", -1.2, {"acoustic": -1.2}), Answer("GO HOME", -1.5, {"acoustic": -1.5})],
           "u2": [Answer("STOPS", -0.5, {"acoustic": -0.5}), Answer("TOP", -3.0, {"acoustic": -3.0})]}


@pytest.fixture
def lists(tmp_path):
    nbest.write(tmp_path / "answers.jsonl", ANSWERS)
    (tmp_path / "texts.tsv").write_text("".join(f"{id}\t{text}\n" for id, text in TEXTS.items()))
    return tmp_path


def test_what_is_written_is_read(lists):
    assert nbest.read(lists / "answers.jsonl") == ANSWERS
    nbest.write(lists / "single.jsonl", {id: found[:1] for id, found in ANSWERS.items()})
    assert nbest.read(lists / "single.jsonl") is None and nbest.read(lists / "texts.tsv") is None
    (lists / "answers.jsonl").write_text('{"id": "u1", "text": "A", "nbest": [{"text": "A"}, {"text": "B"}]}\n')
    with pytest.raises(DataError, match="line 1: an answer has no text, score and parts"):
        nbest.read(lists / "answers.jsonl")
    row = {"id": "u1", "text": "A\u2028B", "score": -1.0, "parts": {"acoustic": -1.0}}
    for answer in ({**row, "score": "x"}, {**row, "parts": {"lm": None}}, {**row, "text": 3}, {**row, "score": float("nan")}):
        (lists / "answers.jsonl").write_text(json.dumps({**row, "nbest": [row, answer]}) + "\n")
        with pytest.raises(DataError, match="line 1"):
            nbest.read(lists / "answers.jsonl")
    (lists / "answers.jsonl").write_text("\ufeff" + json.dumps({**row, "nbest": [row, {**row, "text": "C"}, row]}, ensure_ascii=False) + "\n", encoding="utf-8")
    assert [a.text for a in nbest.read(lists / "answers.jsonl")["u1"]] == ["A\u2028B", "C"]       # each text once


@pytest.mark.parametrize("unit", ["word", "char"])
def test_the_oracle_takes_the_best_of_each_list(unit, lists):
    cut = str.split if unit == "word" else list
    chosen = min(itertools.product(*ANSWERS.values()), key=lambda pick: sum(Levenshtein.distance(cut(TEXTS[id]), cut(a.text)) for id, a in zip(TEXTS, pick)))
    errors = sum(Levenshtein.distance(cut(TEXTS[id]), cut(a.text)) for id, a in zip(TEXTS, chosen))
    found = nbest.oracle(TEXTS, ANSWERS, unit)
    assert found == {"error_rate": errors / sum(len(cut(text)) for text in TEXTS.values()), "errors": errors, "answers": 3}
    shown = score_and_render(lists / "texts.tsv", lists / "answers.jsonl", None, [], unit, None, 0, False, "text")
    assert f"best of 3 answers: {'WER' if unit == 'word' else 'CER'} {100 * found['error_rate']:.2f} % ({errors} errors)" in shown
    assert json.loads(score_and_render(lists / "texts.tsv", lists / "answers.jsonl", None, [], unit, None, 0, False, "json"))["oracle"] == found
    with pytest.raises(ScoreError):
        nbest.oracle({"u1": "GO"}, ANSWERS, unit)


def test_another_order_keeps_the_answers_and_adds_one_part():
    totals = {"NO HOME": -9.0, "GO HOME NOW": -4.0, "GO HOME": -2.0, "STOPS": -3.0, "TOP": -1.0}
    found = nbest.rescored(ANSWERS, totals, 0.5, -0.25)
    for id, answers in found.items():
        assert {a.text for a in answers} == {a.text for a in ANSWERS[id]} and [a.score for a in answers] == sorted((a.score for a in answers), reverse=True)
        for a in answers:
            assert a.score == pytest.approx(sum(a.parts.values()))
            assert a.parts["rescored"] == 0.5 * totals[a.text] - 0.25 * len(a.text.split())
    assert nbest.rescored(ANSWERS, totals, 0.0, 0.0)["u1"][0].text == "NO HOME"
    weight, bonus, error = nbest.tune(ANSWERS, totals, TEXTS, "word")
    everything = [(nbest.oracle(TEXTS, {id: rows[:1] for id, rows in nbest.rescored(ANSWERS, totals, w, b).items()}, "word")["error_rate"], w)
                  for w, b in itertools.product(nbest.WEIGHTS, nbest.BONUSES)]
    assert (error, weight) == min(everything) and error == pytest.approx(1 / 3)


def test_the_command_reorders_a_file(lists, capsys):
    write_arpa(train("GO HOME\nGO HOME\nSTOP\nTOP", KneserNeyConfig(2, discount_fallback=True)), lists / "lm.arpa")
    rescore(lists / "answers.jsonl", lists / "lm.arpa", lists / "new.jsonl", 0.0, 0.0, lists / "texts.tsv", "word")
    said = capsys.readouterr().out
    assert "first answers 66.67 %, rescored 33.33 %, best of 3 33.33 %" in said and "--weight" in said
    new = nbest.read(lists / "new.jsonl")
    assert new["u1"][0].text == "GO HOME" and np.isclose(new["u1"][0].score, sum(new["u1"][0].parts.values()), atol=1e-3)
    with pytest.raises(DataError, match="holds no lists of answers"):
        rescore(lists / "texts.tsv", lists / "lm.arpa", lists / "newer.jsonl", 1.0, 0.0, None, "word")
    rescore(lists / "new.jsonl", lists / "lm.arpa", lists / "again.jsonl", 0.3, 0.0, None, "word")
    for answers in nbest.read(lists / "again.jsonl").values():
        assert all(np.isclose(a.score, sum(a.parts.values()), atol=1e-3) for a in answers)           # twice rescored
    for settings, message in (((np.nan, 0.0, None, "word"), "must be finite"), ((1.0, 0.0, None, "x"), "no unit 'x'")):
        with pytest.raises(ConfigError, match=message):
            rescore(lists / "answers.jsonl", lists / "lm.arpa", lists / "newer.jsonl", *settings)
    with pytest.raises(ConfigError, match="is there already"):
        rescore(lists / "answers.jsonl", lists / "lm.arpa", lists / "new.jsonl", 1.0, 0.0, None, "word")
