"""Scoring against a plain table of edit costs, all alignments written out, torchaudio, and all signs written out."""

import json
import math
import random
import subprocess
import sys
from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recog.errors import DataError, RecogError, ScoreError
from recog.report import as_json, render
from recog.score import (Counts, Pair, ScoreConfig, align, compare, compare_files, count, distance, error_rate, score,
                         score_files, tokenize)
from recog.significance import bootstrap_interval, compare_errors, permutation_p
from recog.transcripts import read_transcripts

tokens = st.lists(st.sampled_from("abc"), max_size=5)
long_tokens = st.lists(st.sampled_from(["one", "two", "three", "four"]), max_size=30)
texts = st.lists(st.sampled_from(["a", "b", "c", "  ", "\t"]), max_size=12).map(" ".join)
sets = st.dictionaries(st.sampled_from([f"u{i}" for i in range(9)]), st.tuples(texts, texts), min_size=1)
DRAWS = dict(resamples=2000, seed=0)


# Alignment

def all_alignments(reference, hypothesis):
    if not reference and not hypothesis:
        yield []
    if reference and hypothesis:
        for rest in all_alignments(reference[1:], hypothesis[1:]):
            yield [Pair(reference[0], hypothesis[0]), *rest]
    if reference:
        for rest in all_alignments(reference[1:], hypothesis):
            yield [Pair(reference[0], None), *rest]
    if hypothesis:
        for rest in all_alignments(reference, hypothesis[1:]):
            yield [Pair(None, hypothesis[0]), *rest]


def documented_order(pairs):
    kinds = [pair.kind for pair in pairs]
    return len(kinds) - kinds.count("C"), -kinds.count("C"), ["CSDI".index(kind) for kind in kinds]


@given(tokens, tokens)
def test_alignment_is_the_documented_one_of_all_alignments(reference, hypothesis):
    assert align(reference, hypothesis) == min(all_alignments(reference, hypothesis), key=documented_order)


def table_of_costs(reference, hypothesis):
    """Fewest errors and, among those, fewest substitutions, by the textbook."""
    table = {(0, 0): (0, 0)}
    for i in range(len(reference) + 1):
        for j in range(len(hypothesis) + 1):
            ways = []
            if i and j:
                wrong = int(reference[i - 1] != hypothesis[j - 1])
                ways.append((table[i - 1, j - 1][0] + wrong, table[i - 1, j - 1][1] + wrong))
            if i:
                ways.append((table[i - 1, j][0] + 1, table[i - 1, j][1]))
            if j:
                ways.append((table[i, j - 1][0] + 1, table[i, j - 1][1]))
            if ways:
                table[i, j] = min(ways)
    return table[len(reference), len(hypothesis)]


@given(long_tokens, long_tokens)
def test_counts_equal_the_table_and_torchaudio(reference, hypothesis):
    from torchaudio.functional import edit_distance

    counts = count(align(reference, hypothesis))
    assert (counts.errors, counts.substitutions) == table_of_costs(reference, hypothesis)
    assert counts.errors == distance(reference, hypothesis) == edit_distance(reference, hypothesis)


@given(long_tokens, long_tokens)
def test_alignment_spells_both_sides_and_counts_add_up(reference, hypothesis):
    pairs = align(reference, hypothesis)
    counts = count(pairs)
    assert [pair.reference for pair in pairs if pair.reference is not None] == reference
    assert [pair.hypothesis for pair in pairs if pair.hypothesis is not None] == hypothesis
    assert counts.reference == len(reference)
    assert counts.correct + counts.substitutions + counts.insertions == len(hypothesis)


@given(long_tokens, long_tokens)
def test_swapping_sides_swaps_insertions_and_deletions(reference, hypothesis):
    there, back = count(align(reference, hypothesis)), count(align(hypothesis, reference))
    assert back == Counts(there.correct, there.substitutions, there.insertions, there.deletions)


def test_a_swap_of_neighbors_keeps_one_token_correct():
    assert count(align(["a", "b"], ["b", "a"])) == Counts(correct=1, deletions=1, insertions=1)


def test_long_texts_are_aligned():
    random.seed(1)
    reference = random.choices("abcdefgh", k=2000)
    hypothesis = [c for c in reference if random.random() > 0.1]
    assert count(align(reference, hypothesis)) == Counts(len(hypothesis), 0, 2000 - len(hypothesis), 0)


def test_rates():
    counts = Counts(6, 1, 1, 2)
    assert (counts.reference, counts.errors, counts.error_rate) == (8, 4, 0.5)
    assert counts + Counts(1, 2, 3, 4) == Counts(7, 3, 4, 6)
    assert Counts().error_rate == 0 and Counts(insertions=1).error_rate == math.inf


def test_tokens():
    text = " to  be,\tor\u00a0not "
    assert tokenize(text, "word") == tokenize(text, "phone") == ["to", "be,", "or", "not"]
    assert tokenize(text, "char") == list("to be, or not")
    assert tokenize(" \n", "char") == tokenize("", "word") == []
    with pytest.raises(ValueError, match="unit must be one of word, char, phone, not 'words'"):
        tokenize(text, "words")


@pytest.mark.parametrize("unit, expected", [("word", 3 / 5), ("char", 4 / 13)])
def test_error_rate_of_texts(unit, expected):
    rate = error_rate(["a bc d", "ef gh", ""], ["a bd d", "ef  gi ", "x"], unit)
    assert rate == pytest.approx(expected if unit == "word" else 3 / 11)


def test_error_rate_wants_pairs_and_may_be_infinite():
    assert error_rate([""], ["x"], "word") == math.inf and error_rate([""], [" "], "word") == 0
    with pytest.raises(ValueError, match="2 references but 1 hypotheses"):
        error_rate(["a", "b"], ["a"], "word")


# Reports

def report_of(items, unit="word", **settings):
    return score({id: r for id, (r, _) in items.items()}, {id: h for id, (_, h) in items.items()},
                 ScoreConfig(unit, **settings))


@given(sets.filter(lambda items: any(r.strip() for r, _ in items.values())), st.sampled_from(["word", "char"]))
def test_parts_add_up_to_the_whole_and_order_changes_nothing(items, unit):
    report = report_of(items, unit)
    assert report.total == sum((row.counts for row in report.rows), Counts())
    assert report.error_rate == pytest.approx(error_rate([r for r, _ in items.values()],
                                                         [h for _, h in items.values()], unit))
    assert report.wrong == sum(tokenize(r, unit) != tokenize(h, unit) for r, h in items.values())
    assert report.sentence_error_rate == report.wrong / len(items)
    assert report.empty_references == sum(not r.strip() for r, _ in items.values())
    for kind, errors in zip("SDI", (report.total.substitutions, report.total.deletions, report.total.insertions)):
        times = [n for _, n in report.confusions(kind)]
        assert sum(times) == errors and times == sorted(times, reverse=True)
    assert report_of(dict(reversed(items.items())), unit) == report
    json.dumps(as_json(report, alignments=True), allow_nan=False)


def test_confusions_are_named_and_sorted():
    report = report_of({"1": ("a b c", "x b"), "2": ("a d", "x d e"), "3": ("b", "y")})
    assert report.confusions("S") == [(Pair("a", "x"), 2), (Pair("b", "y"), 1)]
    assert report.confusions("D") == [(Pair("c", None), 1)] and report.confusions("I") == [(Pair(None, "e"), 1)]


def test_fold_is_applied_to_both_sides():
    def fold(tokens):
        return [{"ix": "ih"}.get(token, token) for token in tokens if token != "q"]

    report = score({"1": "q ix s"}, {"1": "ih q s"}, ScoreConfig("phone"), fold)
    assert report.total == Counts(correct=2)
    assert score({"1": "q ix s"}, {"1": "ih q s"}, ScoreConfig("phone")).total.errors == 2


def test_settings_are_checked():
    for wrong in (dict(unit="line"), dict(resamples=999)):
        with pytest.raises(ValueError, match=next(iter(wrong))):
            ScoreConfig(**wrong)


# How sure

errors_and_tokens = st.lists(st.tuples(st.integers(0, 5), st.integers(1, 20)), min_size=2, max_size=30)


@given(errors_and_tokens)
def test_interval_holds_the_estimate_and_comes_again(items):
    errors, sizes = zip(*items)
    low, high = bootstrap_interval(errors, sizes, **DRAWS)
    assert low - 1e-12 <= sum(errors) / sum(sizes) <= high + 1e-12
    assert (low, high) == bootstrap_interval(errors, sizes, **DRAWS)


def many(count, seed=3):
    random = np.random.default_rng(seed)
    sizes = random.integers(5, 30, count)
    return random.binomial(sizes, 0.2).tolist(), sizes.tolist()


def test_interval_depends_on_the_seed_and_shrinks_with_the_root_of_the_data():
    errors, sizes = many(100)
    low, high = bootstrap_interval(errors, sizes, **DRAWS)
    assert (low, high) != bootstrap_interval(errors, sizes, resamples=2000, seed=1)
    narrow = bootstrap_interval(errors * 16, sizes * 16, **DRAWS)
    assert (high - low) / (narrow[1] - narrow[0]) == pytest.approx(4, rel=0.1)


def test_interval_equals_the_ratio_estimators_normal_theory():
    errors, sizes = many(2000)                   # so many that the draws are made in several blocks
    rate = sum(errors) / sum(sizes)
    deviation = math.sqrt(sum((e - rate * n) ** 2 for e, n in zip(errors, sizes))) / sum(sizes)
    low, high = bootstrap_interval(errors, sizes, **DRAWS)
    assert [low, high] == pytest.approx([rate - 1.96 * deviation, rate + 1.96 * deviation], abs=0.15 * deviation)


def test_interval_of_two_utterances_is_known():
    assert bootstrap_interval([0, 3], [1, 3], **DRAWS) == (0, 1)          # draws: 0, 3/4, 1
    assert bootstrap_interval([0, 1], [0, 4], **DRAWS) == (0.25, 0.25)    # a draw without reference is left out
    assert bootstrap_interval([1], [4], **DRAWS) is None


@given(st.lists(st.integers(-4, 4), max_size=9))
def test_permutation_p_equals_all_signs_written_out(changes):
    sums = [sum(sign * change for sign, change in zip(signs, changes))
            for signs in product((-1, 1), repeat=len(changes))]
    assert permutation_p(changes) == pytest.approx(sum(abs(s) >= abs(sum(changes)) for s in sums) / len(sums))


def test_p_is_uniform_without_a_difference():
    random = np.random.default_rng(5)
    p = np.array([permutation_p(random.integers(-6, 7, 60).tolist()) for _ in range(1000)])
    for level in (0.05, 0.2, 0.5, 0.8):
        assert (p <= level).mean() == pytest.approx(level, abs=3.5 * math.sqrt(level * (1 - level) / 1000))


def test_both_tests_agree_on_much_data():
    random = np.random.default_rng(7)
    errors, sizes = many(400)
    other = [max(0, e + d) for e, d in zip(errors, random.integers(-2, 3, 400).tolist())]
    difference = compare_errors(errors, other, sizes, **DRAWS)
    assert 0.01 < difference.p_permutation < 0.99
    assert difference.p_bootstrap == pytest.approx(difference.p_permutation, abs=0.05)
    assert difference.interval[0] < difference.value < difference.interval[1]
    assert difference.value == pytest.approx((sum(other) - sum(errors)) / sum(sizes))
    back = compare_errors(other, errors, sizes, **DRAWS)
    assert back.value == -difference.value and back.p_permutation == difference.p_permutation
    assert back.interval == pytest.approx((-difference.interval[1], -difference.interval[0]))
    assert (back.fewer, back.more) == (difference.more, difference.fewer)


def test_pairing_sees_what_two_separate_intervals_hide():
    errors, sizes = many(200)
    better = [max(0, e - 1) if i % 5 == 0 else e for i, e in enumerate(errors)]
    first, second = bootstrap_interval(errors, sizes, **DRAWS), bootstrap_interval(better, sizes, **DRAWS)
    difference = compare_errors(errors, better, sizes, **DRAWS)
    assert first[0] < second[1]                                           # they overlap
    assert difference.significant and difference.interval[1] < 0 and difference.p_bootstrap < 0.01
    assert difference.more == 0 and 30 < difference.fewer <= 40


# Comparison

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


def test_reports_on_different_references_are_not_compared():
    with pytest.raises(ValueError, match="not on the same references"):
        compare(score({"1": "a"}, {"1": "a"}), score({"1": "a b"}, {"1": "a"}))
    with pytest.raises(ValueError, match="not on the same references"):
        compare(score({"1": "a"}, {"1": "a"}), score({"1": "a"}, {"1": "a"}, ScoreConfig("char")))


# Text

def test_report_as_text():
    report = score({"u1": "the cat sat", "u2": "日本 x", "u3": ""}, {"u1": "the  dog sat on", "u2": "x", "u3": "\x1b uh"})
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
    lines = render(score({"u1": "a cat", "u2": "e\u0301"}, {"u1": "acut", "u2": "e"}, ScoreConfig("char")), True).splitlines()
    assert lines[0].startswith("CER 42.86 % [") and "(3 errors / 7 characters: 1 sub, 2 del, 0 ins;" in lines[0]
    assert "     1  ␣" in lines
    assert lines[-8:-4] == ["id: u1 (C 3, S 1, D 1, I 0)", "REF:  a␣cat", "HYP:  a*cut", "Eval:  D S"]


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


# Files

def write(folder, name, content):
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode("utf-8"))
    return path


SAME = {"a-1": "grüße an (alle)", "b 2": "", "c": "x"}


@pytest.mark.parametrize("name, content", [
    ("r.tsv", "a-1\tgrüße an (alle)\nb 2\t\nc\tx\n"),
    ("r.tsv", b"\xef\xbb\xbf" + "a-1\tgrüße an (alle)\r\n\r\nb 2\t\r\nc\tx".encode()),
    ("R.TRN", ";; a comment\ngrüße an (alle) (a-1)\n(b 2)\nx (c)  \n"),
    ("r.jsonl", '{"id": "a-1", "text": "grüße an (alle)", "score": -1.5}\n\n{"id": "b 2", "text": ""}\n'
                '{"split": "test", "text": "x", "id": "c", "source": "c.wav"}\n')])
def test_all_forms_read_the_same(tmp_path, name, content):
    assert read_transcripts(write(tmp_path, name, content)) == SAME


@pytest.mark.parametrize("separator", ["\u2028", "\x0b", "\x85"])
def test_only_newlines_end_lines(tmp_path, separator):
    assert read_transcripts(write(tmp_path, "r.tsv", f"a\tx{separator}y\n")) == {"a": f"x{separator}y"}


@pytest.mark.parametrize("name, content, message", [
    ("r.txt", "a\tb\n", "r.txt: is not a kind of transcript file that recog knows "
                        "(give a file that ends in .tsv, .trn, .jsonl)"),
    ("r.tsv", "", "r.tsv: holds no transcripts (did the step before end well?)"),
    ("r.trn", ";; nothing\n\n", "r.trn: holds no transcripts (did the step before end well?)"),
    ("r.tsv", "a\tb\nc d\n", "r.tsv:2: has 1 tab-separated columns instead of two, id and text"),
    ("r.tsv", "a\tb\t0.5\n", "r.tsv:1: has 3 tab-separated columns instead of two, id and text"),
    ("r.tsv", " \tb\n", "r.tsv:1: the id is empty"),
    ("r.tsv", b"a\tb\nc\t\xff\n", "r.tsv:2: is not UTF-8 (save the file as UTF-8)"),
    ("r.tsv", "a\tb\nc\td\na\te\n", "r.tsv: 1 id is more than once: a (keep one line for each utterance)"),
    ("r.tsv", "".join(f"{i}\tx\n" * 2 for i in range(4)),
     "r.tsv: 4 ids are more than once: 0, 1, 2, ... (keep one line for each utterance)"),
    ("r.trn", "a b\n", "r.trn:1: does not end in an (id)"),
    ("r.trn", "{ a / b } c (u1)\n",
     "r.trn:1: holds alternatives { a / b }, which recog does not score: choose one of them"),
    ("r.jsonl", '{"id": "a", "text": "b"}\n{"id": \n',
     "r.jsonl:2: is not readable JSON: Expecting value at column 8"),
    ("r.jsonl", "[" * 200_000, "r.jsonl:1: is not readable JSON: nested too deeply"),
    ("r.jsonl", '["a", "b"]\n', "r.jsonl:1: is not a JSON object with an id and a text"),
    ("r.jsonl", '{"id": "a"}\n', "r.jsonl:1: has no 'text'"),
    ("r.jsonl", '{"id": 7, "text": "b"}\n', "r.jsonl:1: 'id' is not a string"),
    ("r.jsonl", '{"id": "a", "text": "\\ud800"}\n', "r.jsonl:1: is not UTF-8 (save the file as UTF-8)")])
def test_unreadable_files_are_named_in_one_line(tmp_path, monkeypatch, name, content, message):
    from pathlib import Path

    write(tmp_path, name, content)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DataError) as caught:
        read_transcripts(Path(name))
    assert str(caught.value) == message


def test_missing_files_and_folders_are_named(tmp_path):
    (tmp_path / "folder.tsv").mkdir()
    with pytest.raises(DataError, match="none.tsv: no such file"):
        read_transcripts(tmp_path / "none.tsv")
    with pytest.raises(DataError, match="folder.tsv: cannot be read: Is a directory"):
        read_transcripts(tmp_path / "folder.tsv")


@pytest.mark.parametrize("reference, hypothesis, message", [
    ("a b c d e", "a", "4 ids are missing from the hypothesis: b, c, d, ..."),
    ("a", "a b", "1 id is not in the reference: b"),
    ("a b", "b c", "1 id is missing from the hypothesis: a; 1 id is not in the reference: c")])
def test_ids_must_be_the_same(tmp_path, reference, hypothesis, message):
    files = [write(tmp_path, name, "".join(f"{id}\tx\n" for id in ids.split()))
             for name, ids in (("r.tsv", reference), ("h.tsv", hypothesis))]
    with pytest.raises(ScoreError) as caught:
        score_files(*files)
    assert str(caught.value) == f"{files[1]}: {message} (both must hold the same utterances)"


def test_references_must_hold_something():
    with pytest.raises(ScoreError, match="the references hold no text, so there is no error rate"):
        score({"1": "", "2": " "}, {"1": "a", "2": ""})


def test_files_are_scored_and_compared(tmp_path):
    reference = write(tmp_path, "r.trn", "a b c (1)\nd e (2)\n")
    first, second = write(tmp_path, "h.tsv", "2\td e\n1\ta c\n"), write(tmp_path, "h.jsonl", '{"id": "1", "text": "a b c"}\n'
                                                                       '{"id": "2", "text": ""}\n')
    report = score_files(reference, first)
    assert (report.name, report.total) == (str(first), Counts(4, 0, 1, 0))
    comparison = compare_files(reference, first, second)
    assert comparison.first == report and comparison.second.total == Counts(3, 0, 2, 0)
    with pytest.raises(RecogError, match="none.tsv: no such file"):
        compare_files(reference, first, tmp_path / "none.tsv")


def test_scoring_loads_no_torch(tmp_path):
    reference, hypothesis = write(tmp_path, "r.tsv", "1\ta b\n2\tc\n"), write(tmp_path, "h.tsv", "1\ta\n2\tc\n")
    program = ("import sys, pathlib, recog.score, recog.report\n"
               "assert 'numpy' not in sys.modules and 'rapidfuzz' not in sys.modules\n"
               "print(recog.report.render(recog.score.score_files(*map(pathlib.Path, sys.argv[1:]))))\n"
               "assert 'torch' not in sys.modules\n")
    run = subprocess.run([sys.executable, "-c", program, reference, hypothesis], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    assert run.stdout.startswith("WER 33.33 % [")
