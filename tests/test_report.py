"""What people and programs get to see of a score."""

import json

import pytest

from recog.report import as_json, render
from recog.score import ScoreConfig, compare, score


def comparison_of(wrong_in_first, wrong_in_second, total=20):
    references = {f"u{i:02}": "a b" for i in range(total)}
    reports = [score(references, {id: "a x" if i < wrong else "a b" for i, id in enumerate(references)}, name=name)
               for wrong, name in ((wrong_in_first, "one.tsv"), (wrong_in_second, "two.tsv"))]
    return compare(*reports)


@pytest.mark.parametrize("first, second, verdict", [
    (12, 4, "WER 30.00 % (A), 10.00 % (B): B is better, and the difference is significant"),
    (4, 12, "WER 10.00 % (A), 30.00 % (B): A is better, and the difference is significant"),
    (6, 4, "WER 15.00 % (A), 10.00 % (B): B made fewer errors, but the difference is not significant"),
    (4, 4, "WER 10.00 % (A), 10.00 % (B): neither is better")])
def test_verdict(first, second, verdict):
    lines = render(comparison_of(first, second)).splitlines()
    assert lines[0] == verdict
    assert lines[1].startswith(f"B - A = {100 * (second - first) / 40:+.2f} points [")
    assert "A = one.tsv" in lines and "B = two.tsv" in lines


def test_comparison_in_numbers():
    comparison = comparison_of(12, 4)
    assert comparison.difference.p_permutation == pytest.approx(2 / 2 ** 8)      # all eight changes one way
    text = render(comparison).splitlines()
    assert "p = 0.008 (exact paired permutation test; significant below 0.05)" in text[1]
    assert text[2] == "B has fewer errors in 8 utterances, more in 0, as many in 12"
    values = json.loads(json.dumps(as_json(comparison), allow_nan=False))
    assert values["difference"]["significant"] is True and values["difference"]["value"] == pytest.approx(-0.2)
    assert values["first"]["errors"] == 12 and values["second"]["name"] == "two.tsv"


def test_one_utterance_has_no_interval():
    report = score({"1": "a b"}, {"1": "a"})
    assert report.interval is None and as_json(report)["interval"] is None
    assert render(report).startswith("WER 50.00 % (1 error / 2 words: 0 sub, 1 del, 0 ins; 1 utterance, 1 with")
    text = render(compare(report, score({"1": "a b"}, {"1": "a b"}))).splitlines()
    assert text[1] == "B - A = -50.00 points; p = 1.000 (exact paired permutation test; significant below 0.05)"


def test_report_as_text():
    report = score({"u1": "the cat sat", "u2": "日本 x", "u3": ""},
                   {"u1": "the  dog sat on", "u2": "x", "u3": "\x1b uh"})
    low, high = (100 * end for end in report.interval)
    assert render(report, alignments=True).splitlines() == [
        f"WER 100.00 % [{low:.1f}, {high:.1f}] (5 errors / 5 words: 1 sub, 1 del, 3 ins; 3 utterances, 3 with errors)",
        "empty references: 1, with 2 insertions in them",
        "", "substitutions", "     1  cat -> dog",
        "", "deletions", "     1  日本",
        "", "insertions", "     1  \\x1b", "     1  on", "     1  uh",
        "", "id: u1 (C 2, S 1, D 0, I 1)", "REF:  the cat sat **", "HYP:  the dog sat on", "Eval:     S       I",
        "", "id: u2 (C 1, S 0, D 1, I 0)", "REF:  日本 x", "HYP:  **** x", "Eval: D",
        "", "id: u3 (C 0, S 0, D 0, I 2)", "REF:  **** **", "HYP:  \\x1b uh", "Eval: I    I"]


def test_characters_as_text():
    report = score({"u1": "a cat", "u2": "e\u0301"}, {"u1": "acut", "u2": "e"}, ScoreConfig("char"))
    lines = render(report, alignments=True).splitlines()
    assert lines[0].startswith("CER 42.86 % [") and "(3 errors / 7 characters: 1 sub, 2 del, 0 ins;" in lines[0]
    assert "     1  ␣" in lines
    assert lines[-9:-5] == ["id: u1 (C 3, S 1, D 1, I 0)", "REF:  a␣cat", "HYP:  a*cut", "Eval:  D S"]


def test_marks_above_letters_take_no_column():
    lines = render(score({"1": "e\u0301te\u0301 x"}, {"1": "hiver x"}), alignments=True).splitlines()
    assert lines[-3:] == ["REF:  e\u0301te\u0301   x", "HYP:  hiver x", "Eval: S"]


def test_many_confusions_are_cut_in_text_but_not_in_json():
    report = score({"1": " ".join(map(str, range(25)))}, {"1": ""})
    assert render(report).splitlines()[2:] == ["deletions (the 10 most frequent of 25 kinds)",
                                               *(f"     1  {i}" for i in sorted(map(str, range(25)))[:10])]
    assert len(as_json(report)["confusions"]["deletions"]) == 25


def test_json_has_alignments_only_when_asked():
    report = score({"1": "a b"}, {"1": "a"})
    row = {"id": "1", "tokens": 2, "errors": 1, "correct": 1, "substitutions": 0, "deletions": 1, "insertions": 0}
    assert as_json(report)["rows"] == [row]
    assert as_json(report, alignments=True)["rows"] == [{**row, "pairs": [["a", "a"], ["b", None]]}]
    assert as_json(report)["error_rate"] == 0.5 and as_json(report)["metric"] == "WER"
