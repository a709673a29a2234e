"""Scoring against a plain table of edit costs, all alignments written out, and torchaudio."""

import json
import math
import random
import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recog.errors import RecogError, ScoreError
from recog.report import as_json
from recog.score import (Counts, Pair, ScoreConfig, align, compare, compare_files, count, distance, error_rate, score,
                         score_files, tokenize)

tokens = st.lists(st.sampled_from("abc"), max_size=5)
long_tokens = st.lists(st.sampled_from(["one", "two", "three", "four"]), max_size=30)
texts = st.lists(st.sampled_from(["a", "b", "c", "  ", "\t"]), max_size=12).map(" ".join)
sets = st.dictionaries(st.sampled_from([f"u{i}" for i in range(9)]), st.tuples(texts, texts), min_size=1)

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


@settings(deadline=None)
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


@settings(deadline=None)
@given(long_tokens, long_tokens)
def test_counts_equal_the_table_and_torchaudio(reference, hypothesis):
    from torchaudio.functional import edit_distance

    counts = count(align(reference, hypothesis))
    assert (counts.errors, counts.substitutions) == table_of_costs(reference, hypothesis)
    assert counts.errors == distance(reference, hypothesis) == edit_distance(reference, hypothesis)


@settings(deadline=None)
@given(long_tokens, long_tokens)
def test_alignment_spells_both_sides_and_counts_add_up(reference, hypothesis):
    pairs = align(reference, hypothesis)
    counts = count(pairs)
    assert [pair.reference for pair in pairs if pair.reference is not None] == reference
    assert [pair.hypothesis for pair in pairs if pair.hypothesis is not None] == hypothesis
    assert counts.reference == len(reference)
    assert counts.correct + counts.substitutions + counts.insertions == len(hypothesis)


@settings(deadline=None)
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


@pytest.mark.parametrize("unit, expected", [("word", 3 / 5), ("char", 3 / 11)])
def test_error_rate_of_texts(unit, expected):
    assert error_rate(["a bc d", "ef gh", ""], ["a bd d", "ef  gi ", "x"], unit) == pytest.approx(expected)


def test_error_rate_wants_pairs_and_may_be_infinite():
    assert error_rate([""], ["x"], "word") == math.inf and error_rate([""], [" "], "word") == 0
    with pytest.raises(ValueError, match="2 references but 1 hypotheses"):
        error_rate(["a", "b"], ["a"], "word")


# Reports

def report_of(items, unit="word"):
    return score({id: r for id, (r, _) in items.items()}, {id: h for id, (_, h) in items.items()},
                 ScoreConfig(unit))


@settings(deadline=None)
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


def test_the_seed_and_the_resamples_reach_the_interval():
    references = {str(i): "a " * (1 + i * i % 97) for i in range(200)}
    hypotheses = {id: text.replace("a", "b", int(id) % 5) for id, text in references.items()}
    intervals = {score(references, hypotheses, config).interval
                 for config in (ScoreConfig(), ScoreConfig(seed=1), ScoreConfig(resamples=3000))}
    assert len(intervals) == 3


def test_settings_are_checked():
    for wrong in (dict(unit="line"), dict(resamples=999)):
        with pytest.raises(ValueError, match=next(iter(wrong))):
            ScoreConfig(**wrong)


def test_reports_on_different_references_are_not_compared():
    with pytest.raises(ValueError, match="not on the same references"):
        compare(score({"1": "a"}, {"1": "a"}), score({"1": "a b"}, {"1": "a"}))
    with pytest.raises(ValueError, match="not on the same references"):
        compare(score({"1": "a"}, {"1": "a"}), score({"1": "a"}, {"1": "a"}, ScoreConfig("char")))


# Files

def write(folder, name, content):
    path = folder / name
    path.write_text(content, encoding="utf-8")
    return path


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
    first = write(tmp_path, "h.tsv", "2\td e\n1\ta c\n")
    second = write(tmp_path, "h.jsonl", '{"id": "1", "text": "a b c"}\n{"id": "2", "text": ""}\n')
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
