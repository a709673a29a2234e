"""Phone scoring: folding against the published table, every custom of counting silence against brute force and against code
written differently, classes, seeds, and what the command says."""

import json
import math
import statistics
from functools import cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import cli
from recog import phones
from recog.errors import DataError, RecogError
from recog.phones import CUSTOMS, QUOTED, score_phones
from recog.score import align, align_freely, count, distance
from recog.scoring import over_seeds, score_and_render
from recog.significance import spread

TIMIT = phones.find("timit")
LEE_HON = {"ih": "ix", "ah": "ax ax-h", "er": "axr", "l": "el", "n": "en nx", "m": "em", "ng": "eng", "uw": "ux", "aa": "ao", "sh": "zh", "hh": "hv",
           "sil": "pcl tcl kcl bcl dcl gcl h# pau epi"}           # Lee and Hon 1989, table II, as it is written everywhere


def test_the_table_is_lee_and_hon_s():
    folded = {phone: target for target, others in LEE_HON.items() for phone in others.split()}
    assert len(TIMIT.phones) == 61 and TIMIT.phones["q"] is None
    for phone, target in TIMIT.phones.items():
        if phone != "q":
            assert target == folded.get(phone, phone)
    assert len(set(TIMIT.phones.values()) - {None}) == 39 == len(TIMIT.classes) and TIMIT.silence == ("sil",)
    larger = phones.find("timit:48")
    assert len(larger.classes) == 48 and larger.silence == ("cl", "epi", "sil", "vcl")
    for phone in TIMIT.phones:                                      # 48 lie between 61 and 39
        assert phone == "q" or {TIMIT.phones[p] for p, t in larger.phones.items() if t == larger.phones[phone]} == {TIMIT.phones[phone]}
    assert {c: sum(k == c for k in TIMIT.classes.values()) for c in set(TIMIT.classes.values())} == {
        "vowel": 14, "stop": 7, "affricate": 2, "fricative": 7, "nasal": 3, "glide": 5, "silence": 1}


def test_folding_deletes_q_and_twice_is_once():
    once = TIMIT("h# q ao zh pcl p ax-h pau h#".split())
    assert once == "sil aa sh sil p ah sil sil".split() == TIMIT(once)
    assert TIMIT.merged("h# q pau ao h#".split()) == ["sil", "aa", "sil"]
    with pytest.raises(DataError, match="'SIL', 'xx': not among the 61 phones of timit"):
        TIMIT(["aa", "xx", "SIL"])


TOKENS = st.lists(st.sampled_from(["sil", "a", "b"]), max_size=6)


def fewest(reference, hypothesis, free):
    """Errors of all alignments, one after the other: (the fewest, the most correct among these)."""
    @cache
    def best(i, j):
        if i == len(reference) and j == len(hypothesis):
            return (0, 0)
        found = []
        if i < len(reference) and j < len(hypothesis):
            e, c = best(i + 1, j + 1)
            same = reference[i] == hypothesis[j]
            found.append((e + (not same), c - same))
        if i < len(reference):
            e, c = best(i + 1, j)
            found.append((e, c - 1) if reference[i] in free else (e + 1, c))
        if j < len(hypothesis):
            e, c = best(i, j + 1)
            found.append((e + 1, c))
        return min(found)
    errors, correct = best(0, 0)
    return errors, -correct


def every_alignment(reference, hypothesis):
    """All of them, by listing: for the smallest cases."""
    if not reference and not hypothesis:
        yield []
    if reference and hypothesis:
        yield from ([(reference[0], hypothesis[0]), *rest] for rest in every_alignment(reference[1:], hypothesis[1:]))
    if reference:
        yield from ([(reference[0], None), *rest] for rest in every_alignment(reference[1:], hypothesis))
    if hypothesis:
        yield from ([(None, hypothesis[0]), *rest] for rest in every_alignment(reference, hypothesis[1:]))


@settings(max_examples=60)
@given(st.lists(st.sampled_from(["sil", "a", "b"]), max_size=4), st.lists(st.sampled_from(["sil", "a", "b"]), max_size=4))
def test_free_silence_is_the_best_of_all_alignments(reference, hypothesis):
    costs = [sum(r != h and not (h is None and r == "sil") for r, h in pairs) for pairs in every_alignment(reference, hypothesis)]
    found = count(align_freely(reference, hypothesis, ("sil",)), ("sil",))
    assert found.errors == min(costs) == fewest(tuple(reference), tuple(hypothesis), ("sil",))[0]


@settings(max_examples=150)
@given(TOKENS, TOKENS)
def test_free_silence_laws(reference, hypothesis):
    pairs = align_freely(reference, hypothesis, ("sil",))
    assert [p.reference for p in pairs if p.reference is not None] == reference
    assert [p.hypothesis for p in pairs if p.hypothesis is not None] == hypothesis
    found, strict = count(pairs, ("sil",)), count(align(reference, hypothesis))
    assert (found.errors, found.correct) == fewest(tuple(reference), tuple(hypothesis), ("sil",))
    assert found.reference == len(reference) == strict.reference
    assert strict.errors - reference.count("sil") <= found.errors <= strict.errors
    assert count(align_freely(reference, hypothesis, ())) == strict          # with nothing free, it is the ordinary alignment
    if "sil" not in reference:
        assert found == strict


def by_hand(references, hypotheses):
    """The three rates, with other tools: rapidfuzz for distances, and a sieve over subsets of silences for free-sil."""
    errors, tokens = dict.fromkeys(CUSTOMS, 0), dict.fromkeys(CUSTOMS, 0)
    for id, text in references.items():
        r, h = ([TIMIT.phones.get(p, p) for p in t.split() if p != "q"] for t in (text, hypotheses[id]))
        silences = [i for i, p in enumerate(r) if p == "sil"]
        left = min(distance([p for i, p in enumerate(r) if i not in {s for k, s in enumerate(silences) if mask >> k & 1}], h)
                   for mask in range(2 ** len(silences)))
        merged = [[p for i, p in enumerate(x) if p != "sil" or i == 0 or x[i - 1] != "sil"] for x in (r, h)]
        for custom, e, n in (("strict", distance(r, h), len(r)), ("free-sil", left, len(r)), ("merged-sil", distance(*merged), len(merged[0]))):
            errors[custom], tokens[custom] = errors[custom] + e, tokens[custom] + n
    return {custom: (errors[custom], tokens[custom]) for custom in CUSTOMS}


PHONES = st.lists(st.sampled_from(["h#", "pau", "tcl", "t", "ix", "ih", "q", "s"]), min_size=1, max_size=7).map(" ".join)


@settings(max_examples=80)
@given(st.lists(st.tuples(PHONES, PHONES), min_size=1, max_size=3))
def test_the_customs_against_other_code(texts):
    references = {f"u{i}": "s " + r for i, (r, _) in enumerate(texts)}
    hypotheses = {f"u{i}": h for i, (_, h) in enumerate(texts)}
    report = score_phones(references, hypotheses, TIMIT)
    assert {name: (one.total.errors, one.total.reference) for name, one in report.customs.items()} == by_hand(references, hypotheses)
    assert list(report.customs) == list(CUSTOMS) and report.quoted is report.customs[QUOTED]


REFERENCE = {"a": "h# sh iy h#", "b": "h# tcl t ao q pau h#", "c": "h# m h#"}
HEARD = {"a": "h# sh ix", "b": "h# t aa h#", "c": "h# n pau h# s"}


def test_an_example_by_hand():
    """a: iy -> ih, last sil deleted. b: tcl, and pau or h#, deleted. c: m -> n, a sil and an s inserted. Merged: b has no error, c no sil inserted."""
    found = {name: (r.total.errors, r.total.reference, r.total.substitutions, r.total.deletions, r.total.insertions)
             for name, r in score_phones(REFERENCE, HEARD, TIMIT).customs.items()}
    assert found == {"strict": (7, 13, 2, 3, 2), "free-sil": (4, 13, 2, 0, 2), "merged-sil": (4, 11, 2, 1, 1)}


def test_class_confusions_add_up():
    report = score_phones(REFERENCE, HEARD, TIMIT)
    rows = report.class_confusions()
    total = report.quoted.total
    assert sum(n for said, _, n, _ in rows if said) == total.reference and sum(same for *_, same in rows) == total.correct
    assert sum(n for said, _, n, _ in rows if said is None) == total.insertions
    assert sum(n for _, heard, n, _ in rows if heard is None) == total.deletions
    assert ("nasal", "nasal", 1, 0) in rows and ("vowel", "vowel", 2, 1) in rows and (None, "fricative", 1, 0) in rows


@given(st.lists(st.floats(0, 1), min_size=2, max_size=6))
def test_spread_is_the_statistics_module_s(values):
    mean, deviation = spread(values)
    assert math.isclose(mean, statistics.mean(values), abs_tol=1e-9) and math.isclose(deviation, statistics.stdev(values), abs_tol=1e-9)
    assert math.isnan(spread(values[:1])[1])


def write(path, texts):
    path.write_text("".join(f"{id}\t{text}\n" for id, text in texts.items()))
    return path


@pytest.fixture
def files(tmp_path):
    other = HEARD | {"a": "h# sh iy h#"}
    return [write(tmp_path / f"{name}.tsv", texts) for name, texts in (("ref", REFERENCE), ("hyp", HEARD), ("other", other))]


def shown(capsys, *arguments):
    cli.app(["score", *map(str, arguments)], standalone_mode=False)
    return capsys.readouterr().out


def test_the_command_prints_all_customs_and_one_is_quoted(files, capsys):
    out = shown(capsys, *files[:2], "--unit", "phone", "--fold", "timit")
    lines = out.splitlines()
    assert lines[0].startswith("folded by timit")
    assert [line.split()[0] for line in lines[1:4]] == list(CUSTOMS) and [line.endswith("<- quoted") for line in lines[1:4]] == [True, False, False]
    assert "PER 53.85 %" in lines[1] and "PER 30.77 %" in lines[2] and "(7 errors / 13 phones: 2 sub, 3 del, 2 ins" in lines[1]
    assert "what became of each class" in out and "inserted: 1 fricative, 1 silence" in out
    found = json.loads(shown(capsys, *files[:2], "--unit", "phone", "--fold", "timit", "--format", "json"))
    assert found["quoted"] == "strict" and found["error_rate"] == found["customs"]["strict"]["error_rate"] == 7 / 13
    assert found["customs"]["free-sil"]["deletions"] == 0 and {"reference": "nasal", "hypothesis": "nasal", "count": 1, "correct": 0} in found["classes"]


def test_the_command_compares_by_every_custom(files, capsys):
    out = shown(capsys, *files[:2], "--unit", "phone", "--fold", "timit", "--compare", files[2])
    lines = out.splitlines()
    assert lines[0].startswith("strict (quoted): PER 53.85 % (A), 38.46 % (B)") and lines[1].startswith("free-sil: PER 30.77 % (A), 23.08 % (B)")
    found = json.loads(shown(capsys, *files[:2], "--unit", "phone", "--fold", "timit", "--compare", files[2], "-f", "json"))
    assert set(found["differences"]) == set(CUSTOMS) and found["differences"]["strict"]["value"] == pytest.approx(-2 / 13)


def test_seeds(files, capsys):
    out = shown(capsys, *files[:2], "--unit", "phone", "--fold", "timit", "--seeds", files[2], "--seeds", files[1])
    assert out.startswith("over 3 seeds: PER strict 48.72 % mean, 8.88 deviation (53.85, 38.46, 53.85)\nover 3 seeds: PER free-sil ")
    out = shown(capsys, *files[:2], "--seeds", files[2])
    assert out.startswith("over 2 seeds: WER ") and "\n\nWER " in out
    found = json.loads(shown(capsys, *files[:2], "--seeds", files[2], "-f", "json"))
    assert len(found["seeds"][""]["error_rates"]) == 2 and found["metric"] == "WER"
    report = score_phones(REFERENCE, HEARD, TIMIT)
    assert over_seeds([report])["strict"]["deviation"] is None


@pytest.mark.parametrize("arguments, what", [
    (("word", "timit"), "--fold: only phones can be folded (add --unit phone)"),
    (("phone", "nowhere"), "nowhere: cannot be read"),
    (("phone", "timit:40"), "has no column of 40 phones (there is 48 and 39)")])
def test_what_the_command_refuses(files, arguments, what):
    with pytest.raises(RecogError) as caught:
        score_and_render(*files[:2], None, [], *arguments, 0, False, "text")
    assert what in str(caught.value)


@pytest.mark.parametrize("text, what", [("aa aa vowel\naa aa vowel\n", "lists a phone twice"), ("", "holds no phones"), ("aa vowel\n", ":1: is not of the form"),
                                        ("aa a vowel\nm a nasal\n", "'aa' is folded to a phone of another class")])
def test_a_table_that_is_none(tmp_path, text, what):
    (tmp_path / "table.txt").write_text(text)
    with pytest.raises(DataError) as caught:
        phones.read(tmp_path / "table.txt")
    assert what in str(caught.value)


def test_a_wrong_phone_names_itself(files):
    write(files[1], HEARD | {"a": "h# SH"})
    with pytest.raises(DataError, match="'SH': not among the 61 phones of timit"):
        phones.score_phone_files(*files[:2], TIMIT)
