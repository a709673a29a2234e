"""Modified Kneser-Ney against the formulas written with dictionaries, a model computed by hand, and KenLM's reading of it."""

import gzip
import itertools
import math
import random
import re
import time
from collections import Counter, defaultdict
from pathlib import Path

import kenlm
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import cli
from recog import lmtool
from recog.errors import ConfigError, DataError
from recog.lm import arpa, tokens
from recog.lm.kneser_ney import KneserNeyConfig, train
from recog.lm.recipe import LmConfig

GUTENBERG = Path(__file__).parents[2] / "shared" / "data" / "text" / "gutenberg"


# --- the oracle: Chen & Goodman 1998 with KenLM's adjusted counts, one n-gram at a time ---


def oracle(lines, order, thresholds=(0,), limit=None):
    """{n-gram: (p, gamma or None)}. Discounts fall back to 0.5, 1, 1.5."""
    raw = Counter()
    for line in lines:
        sentence = ("<s>", *line.split(), "</s>")
        raw.update(sentence[i:i + n] for n in range(1, order + 1) for i in range(len(sentence) - n + 1))
    raw["<unk>",] = 0

    def extensions(gram):
        return len({left[0] for left in raw if left[1:] == gram})

    adjusted = {}
    for gram, count in raw.items():
        keeps = len(gram) == order or (gram[0] == "<s>" and len(gram) > 1)
        adjusted[gram] = 0 if gram == ("<s>",) else count if keeps else extensions(gram)

    number = {word: i for i, word in enumerate(dict.fromkeys(["<unk>", "<s>", "</s>", *" ".join(lines).split()]))}
    last = max((gram for gram in raw if len(gram) == order or gram[0] == "<s>"),
               key=lambda gram: [number[word] for word in reversed(gram)] + [1] * (order - len(gram)))
    cuts = {}
    for n in range(1, order + 1):
        ends = last[-n:] if n < order and "<s>" not in last[-n:] and n <= len(last) else None     # as lmplz counts its last n-grams
        of = Counter(raw[gram] if gram == ends else count for gram, count in adjusted.items() if len(gram) == n)
        cuts[n] = (0, 0.5, 1.0, 1.5)
        if of[1] and of[2] and of[3]:
            y = of[1] / (of[1] + 2 * of[2])
            d = (0, 1 - 2 * y * of[2] / of[1], 2 - 3 * y * of[3] / of[2], 3 - 4 * y * of[4] / of[3])
            if all(0 <= d[i] <= i for i in (1, 2, 3)):
                cuts[n] = d

    def stays(gram):
        if limit is not None and not set(gram) <= limit | {"<s>", "</s>", "<unk>"}:
            return False
        return len(gram) == 1 or raw[gram] > thresholds[min(len(gram), len(thresholds)) - 1]

    followers = defaultdict(list)
    for gram in adjusted:
        followers[gram[:-1]].append(gram)
    vocabulary = sum(stays(gram) for gram in adjusted if len(gram) == 1) - 1

    def cut(gram):
        return cuts[len(gram)][min(adjusted[gram], 3)]

    def gamma(context):
        taken = sum(cut(gram) if stays(gram) else adjusted[gram] for gram in followers[context])
        return taken / sum(adjusted[gram] for gram in followers[context])

    def p(gram):
        if gram == ("<s>",):
            return 1.0
        context = gram[:-1]
        lower = p(gram[1:]) if context else 1 / vocabulary
        total = sum(adjusted[other] for other in followers[context])
        return (adjusted[gram] - cut(gram)) / total + gamma(context) * lower

    return {gram: (p(gram), (gamma(gram) if followers[gram] else 1.0) if len(gram) < order else None)
            for gram in adjusted if stays(gram)}


def listed(model):
    """{n-gram: (p, back-off weight or None)} of an Arpa."""
    table = {}
    for n, (grams, probs) in enumerate(zip(model.grams, model.probs)):
        weights = model.backoffs[n] if n + 1 < model.order else [None] * len(grams)
        for row, prob, weight in zip(grams.tolist(), probs, weights):
            table[tuple(model.words[w] for w in row)] = 10 ** prob, None if weight is None else 10 ** weight
    return table


def agree(model, wanted):
    found = listed(model)
    assert found.keys() == wanted.keys()
    for gram, (p, weight) in wanted.items():
        assert found[gram][0] == pytest.approx(p, rel=1e-9, abs=1e-90), gram
        assert (found[gram][1] is None) == (weight is None)
        assert weight is None or found[gram][1] == pytest.approx(max(weight, 1e-99), rel=1e-9), gram


LINES = st.lists(st.lists(st.sampled_from("a b c d e".split()), max_size=7).map(" ".join), min_size=1, max_size=14)


@settings(max_examples=80)
@given(LINES, st.integers(1, 5), st.sampled_from([(0,), (0, 1), (0, 0, 1), (0, 1, 1, 2)]), st.sampled_from([None, {"a", "c", "z"}]))
def test_it_is_what_the_formulas_say(lines, order, thresholds, limit):
    config = KneserNeyConfig(order, thresholds[:order], discount_fallback=True)
    longest = max(len(line.split()) for line in lines) + 2
    if order > longest:
        with pytest.raises(DataError, match="no sentence is long enough"):
            train("\n".join(lines) + "\n", config, limit)
    else:
        agree(train("\n".join(lines) + "\n", config, limit), oracle(lines, order, thresholds, limit))


def zipfian(sentences, seed=0, words=60):
    rng = random.Random(seed)
    weights = [1 / (k + 1) for k in range(words)]
    return [" ".join(rng.choices([f"w{k}" for k in range(words)], weights, k=rng.randint(0, 12))) for _ in range(sentences)]


@pytest.mark.parametrize("order, thresholds", [(2, (0,)), (3, (0,)), (3, (0, 1, 1)), (4, (0, 0, 1, 2))])
def test_with_discounts_from_the_text(order, thresholds):
    lines = zipfian(100, words=90)
    model = train("\n".join(lines) + "\n", KneserNeyConfig(order, thresholds, discount_fallback=True))
    agree(model, oracle(lines, order, thresholds))


def test_a_model_computed_by_hand():
    """Text: "a b", "a". Adjusted unigram counts: a 1 (after <s>), b 1 (after a), </s> 2 (after b, a); bigrams: their counts
    <s> a 2, a b 1, b </s> 1, a </s> 1. Discounts 0.5, 1, 1.5. Uniform: 1/4 over <unk>, </s>, a, b."""
    model = listed(train("a b\na\n", KneserNeyConfig(2, discount_fallback=True)))
    share = (0.5 + 0.5 + 1) / 4                         # taken off the unigrams
    a = b = 0.5 / 4 + share / 4
    end = 1 / 4 + share / 4
    assert model["<unk>",] == pytest.approx((share / 4, 1))
    assert model["<s>",] == pytest.approx((1, 1 / 2))   # one bigram of count 2: 1 of 2
    assert model["a",] == pytest.approx((a, (0.5 + 0.5) / 2)) and model["b",] == pytest.approx((b, 0.5))
    assert model["</s>",] == pytest.approx((end, 1))
    assert model["<s>", "a"] == (pytest.approx((2 - 1) / 2 + a / 2), None)
    assert model["a", "b"][0] == pytest.approx(0.5 / 2 + b / 2)
    assert model["a", "</s>"][0] == pytest.approx(0.5 / 2 + end / 2)
    assert model["b", "</s>"][0] == pytest.approx(0.5 / 1 + end / 2)
    assert len(model) == 9


# --- KenLM reads it ---


@pytest.mark.parametrize("order, prune", [(2, ()), (3, (0, 0, 1)), (5, ())])
def test_kenlm_agrees_on_every_ngram(tmp_path, order, prune):
    lines = zipfian(300)
    model = train("\n".join(lines) + "\n", KneserNeyConfig(order, prune, discount_fallback=True))
    arpa.write(model, tmp_path / "lm.arpa")
    theirs = kenlm.Model(str(tmp_path / "lm.arpa"))
    for n, (grams, probs) in enumerate(zip(model.grams, model.probs), 1):
        for row, prob in zip(grams.tolist(), probs):
            words = [model.words[w] for w in row]
            if "<unk>" in words or words[-1] == "<s>":
                continue
            state, behind = kenlm.State(), kenlm.State()
            theirs.NullContextWrite(state)
            if words[0] == "<s>":
                theirs.BeginSentenceWrite(state)
            for word in words[words[0] == "<s>":-1]:
                theirs.BaseScore(state, word, behind)
                state, behind = behind, state
            assert theirs.BaseScore(state, words[-1], behind) == pytest.approx(prob, abs=1e-5)


# --- laws ---


def test_the_same_text_gives_the_same_bytes(tmp_path):
    text = "\n".join(zipfian(50)) + "\n"
    for name in ("a.arpa", "b.arpa", "a.arpa.gz", "b.arpa.gz"):
        arpa.write(train(text, KneserNeyConfig(3, discount_fallback=True)), tmp_path / name)
    assert (tmp_path / "a.arpa").read_bytes() == (tmp_path / "b.arpa").read_bytes()
    assert (tmp_path / "a.arpa.gz").read_bytes() == (tmp_path / "b.arpa.gz").read_bytes()


def test_an_empty_line_is_a_sentence_and_the_last_newline_is_none():
    stream, words = tokens.numbered("a\n\nb a")
    assert stream.tolist() == [1, 3, 2, 1, 2, 1, 4, 3, 2] and words == ["<unk>", "<s>", "</s>", "a", "b"]


def test_many_words_and_odd_ones():
    names = [f"é{k}\u00a0" for k in range(70000)]        # the hash table grows; a no-break space parts nothing
    stream, words = tokens.numbered(" ".join(names) + "\t\r\n" + names[69999] + "\0" + names[0])
    assert words[3:] == names and stream[-3:].tolist() == [70002, 3, 2]


def test_discounts_out_of_reach_name_the_order():
    with pytest.raises(DataError, match="no Kneser-Ney discounts for 1-grams: none has adjusted count 3 .*--discount-fallback"):
        train("a b\na\n", KneserNeyConfig(2))
    lines = [" ".join(pair) for pair in itertools.product("abcdefgh", repeat=2)]
    with pytest.raises(DataError, match="for 1-grams"):
        train("\n".join(lines), KneserNeyConfig(3))


@pytest.mark.parametrize("text, what", [("", "no text"), ("a <s> b\n", "line 1"), ("a\nb </s>", "line 2: the text says"), ("\n\n<unk>\n", "line 3")])
def test_texts_that_are_refused(text, what):
    with pytest.raises(DataError, match=what):
        train(text, KneserNeyConfig(2, discount_fallback=True))


@pytest.mark.parametrize("settings", [{"order": 0}, {"order": 100000},
                                      {"order": 2, "prune": (0, 0, 1)}, {"order": 3, "prune": (1,)}, {"order": 3, "prune": (0, 2, 1)}])
def test_settings_that_are_refused(settings):
    with pytest.raises(ValueError):
        KneserNeyConfig(**settings)
    if "prune" not in settings:
        with pytest.raises(ValueError, match="order must be"):
            LmConfig(**settings)


# --- units and the command line ---


def test_characters_show_their_spaces():
    assert tokens.tokenized("to  be\n\n é", "char") == "t o <space> b e\n\né"
    with pytest.raises(ConfigError, match="did you mean 'char'"):
        tokens.tokenized("a", "chars")
    with pytest.raises(ConfigError, match="--pieces"):
        tokens.tokenized("a", "piece")


def test_pieces(tmp_path):
    import sentencepiece

    (tmp_path / "text").write_text("\n".join(zipfian(200)))
    sentencepiece.SentencePieceTrainer.train(input=str(tmp_path / "text"), model_prefix=str(tmp_path / "p"), vocab_size=30, minloglevel=2)
    made = tokens.sentences([tmp_path / "text"], "piece", tmp_path / "p.model")
    assert made.replace(" ", "").replace("\u2581", " ").split() == (tmp_path / "text").read_text().split()
    with pytest.raises(DataError, match="not a readable sentencepiece model"):
        tokens.tokenized("a", "piece", tmp_path / "text")


def recog(capsys, *arguments):
    cli.app(["lm", *map(str, arguments)], standalone_mode=False)
    return capsys.readouterr().out


def test_train_info_score(tmp_path, capsys):
    (tmp_path / "text").write_text("\n".join(zipfian(300)))
    lm = tmp_path / "lm.arpa.gz"
    said = recog(capsys, "train", tmp_path / "text", "-o", lm, "--order", 3, "--prune", "0 0 1", "--discount-fallback")
    assert re.fullmatch(r"\S+lm.arpa.gz: order 3, n-grams 63 / [\d,]+ / \d+\n", said)
    assert said.strip() in recog(capsys, "info", lm) and "p(<unk>)" in recog(capsys, "info", lm)
    with pytest.raises(ConfigError, match="--force"):
        recog(capsys, "train", tmp_path / "text", "-o", lm)
    (tmp_path / "new").write_text("w1 w2 zebra\n\n")
    (tmp_path / "plain.arpa").write_bytes(gzip.decompress(lm.read_bytes()))       # KenLM's module may come without gzip
    theirs = kenlm.Model(str(tmp_path / "plain.arpa"))
    out = recog(capsys, "score", lm, tmp_path / "new", "--tokens").splitlines()
    assert [line.split("\t")[0] for line in out[:6]] == ["w1", "w2", "zebra", "</s>", "", "</s>"] and out[2].endswith("\tOOV")
    wanted = [*theirs.full_scores("w1 w2 zebra"), *theirs.full_scores("")]
    for line, (prob, _, unknown) in zip([line for line in out[:6] if line], wanted):
        assert float(line.split("\t")[1]) == pytest.approx(prob, abs=1e-5) and line.endswith("OOV") == unknown
    shown = dict(re.split(r"\s{2,}|(?<=words) (?=\d)", line, maxsplit=1) for line in out[7:])
    total, known = sum(p for p, *_ in wanted), sum(p for p, _, unknown in wanted if not unknown)
    assert shown["unknown words"] == "1 (33.33%)" and shown["words"] == "3" and shown["sentences"] == "2"
    assert float(shown["perplexity"]) == pytest.approx(10 ** (-total / 5), abs=0.006)
    assert float(shown["perplexity of known words"]) == pytest.approx(10 ** (-known / 4), abs=0.006)
    assert float(shown["bits per token"]) == pytest.approx(-total / 5 / math.log10(2), abs=1e-4)


def test_a_limited_vocabulary(tmp_path, capsys):
    (tmp_path / "text").write_text("\n".join(zipfian(100)))
    (tmp_path / "known").write_text("w1 w2\nw3 other\n")
    recog(capsys, "train", tmp_path / "text", "-o", tmp_path / "lm.arpa", "--discount-fallback", "--limit-vocabulary", tmp_path / "known")
    model = arpa.read(tmp_path / "lm.arpa")
    assert set(model.words) == {"<unk>", "<s>", "</s>", "w1", "w2", "w3"}
    (tmp_path / "known").write_text("\n")
    with pytest.raises(DataError, match="known: holds no words"):
        lmtool.train([tmp_path / "text"], tmp_path / "new.arpa", 3, fallback=True, limit=tmp_path / "known")


def test_a_text_without_a_line_is_named(tmp_path, capsys):
    (tmp_path / "text").write_text("a b\n")
    (tmp_path / "empty").write_text("")
    recog(capsys, "train", tmp_path / "text", "-o", tmp_path / "lm.arpa", "--order", 2, "--discount-fallback")
    with pytest.raises(DataError, match="empty: there is no text to score"):
        recog(capsys, "score", tmp_path / "lm.arpa", tmp_path / "empty")
    both, one = (recog(capsys, "score", tmp_path / "lm.arpa", *(tmp_path / name for name in names)) for names in (["empty", "text"], ["text"]))
    assert both == one


def test_info_refuses_what_no_search_could_use(tmp_path, capsys):
    (tmp_path / "orphan.arpa").write_text(
        "\\data\\\nngram 1=4\nngram 2=1\nngram 3=1\n\n\\1-grams:\n-1\t<unk>\n-1\t<s>\n-1\t</s>\n-1\ta\n\n"
        "\\2-grams:\n-1\t<s> a\n\n\\3-grams:\n-1\ta a a\n\n\\end\\\n")
    with pytest.raises(DataError, match="orphan.arpa: the 3-gram 'a a a' has a context that is no n-gram itself"):
        recog(capsys, "info", tmp_path / "orphan.arpa")


def test_programs_of_kenlm_that_are_missing(tmp_path, monkeypatch):
    (tmp_path / "text").write_text("a\n")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ConfigError, match="lmplz is not on the PATH"):
        lmtool.train([tmp_path / "text"], tmp_path / "lm.arpa", 2, lmplz=True)
    with pytest.raises(ConfigError, match="build_binary .* not on the PATH"):
        lmtool.train([tmp_path / "text"], tmp_path / "lm.bin", 2, fallback=True)


def program(folder, name, script):
    (folder / name).write_text(f"#!/bin/sh\n{script}\n")
    (folder / name).chmod(0o755)


def test_programs_of_kenlm_are_called(tmp_path, monkeypatch):
    """Stand-ins for them, which show what they were given."""
    (tmp_path / "text").write_text("a b\n")
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    program(tmp_path, "build_binary", 'head -1 "$1" > "$2"')
    lmtool.train([tmp_path / "text"], tmp_path / "lm.bin", 2, fallback=True)
    assert (tmp_path / "lm.bin").read_text() == "\\data\\\n"
    program(tmp_path, "lmplz", 'echo "$@" > "$6"')
    lmtool.train([tmp_path / "text"], tmp_path / "lm.arpa", 3, prune="0,1", fallback=True, lmplz=True)
    assert (tmp_path / "lm.arpa").read_text().endswith("--prune 0 1 1 --discount_fallback\n")
    program(tmp_path, "lmplz", "echo first >&2; echo no luck >&2; exit 1")
    with pytest.raises(DataError, match="lmplz failed: no luck"):
        lmtool.train([tmp_path / "text"], tmp_path / "new.arpa", 3, fallback=True, lmplz=True)
    assert not (tmp_path / "new.arpa").exists()


@pytest.mark.parametrize("content, what", [(b"\xff", "line 1: is not UTF-8"), (b"\x1f\x8b\x08", "gzip")])
def test_files_that_are_no_text(tmp_path, content, what):
    (tmp_path / "text").write_bytes(content)
    with pytest.raises(DataError, match=what):
        tokens.sentences([tmp_path / "text"], "word")
    with pytest.raises(DataError, match="no such file"):
        tokens.sentences([tmp_path / "other"], "word")


# --- size ---


def gutenberg():
    text = "".join(tokens._ended(path.read_text(encoding="utf-8", errors="replace").upper()) for path in sorted(GUTENBERG.glob("*.txt")))
    return re.sub(r"[^A-Z'\n]", " ", text)


@pytest.mark.slow
@pytest.mark.skipif(not GUTENBERG.is_dir(), reason="the texts are not here")
def test_the_counts_are_those_of_lmplz():
    assert train(gutenberg(), KneserNeyConfig(5)).counts == [31321, 320259, 648107, 727374, 674504]


@pytest.mark.slow
def test_time_grows_with_the_text(tmp_path):
    lines = zipfian(40000, words=20000)
    rng = random.Random(1)
    noisy = [" ".join(word if rng.random() < 0.9 else f"w{rng.randrange(20000)}" for word in line.split())
             for _ in range(10) for line in lines]
    config = KneserNeyConfig(5, discount_fallback=True)

    def seconds(text):
        began = time.process_time()
        arpa.write(train(text, config), tmp_path / "lm.arpa")
        return time.process_time() - began

    small, large = "\n".join(lines), "\n".join(noisy)
    seconds(small)                                      # compiles
    assert seconds(large) <= 12 * np.median([seconds(small) for _ in range(3)])
