"""The automaton against KenLM and against back-off written down as the definition says."""

import math
import random

import kenlm
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recog.errors import DataError
from recog.kernels.ngram import ngram_step
from recog.lm import arpa
from recog.lm.arpa import Arpa
from recog.lm.binary import MAGIC, Binary, is_binary
from recog.lm.kneser_ney import KneserNeyConfig, train
from recog.lm.ngram import Ngram

LINES = st.lists(st.lists(st.sampled_from("a b c d".split()), max_size=7).map(" ".join), min_size=3, max_size=14)


def trained(lines, order, prune=()):
    return train("\n".join(lines) + "\n", KneserNeyConfig(order, prune, discount_fallback=True))


def table(model):
    """{n-gram: (log10 p, log10 back-off weight)}."""
    found = {}
    for n, (grams, probs) in enumerate(zip(model.grams, model.probs)):
        weights = model.backoffs[n] if n + 1 < model.order else np.zeros(len(grams))
        found.update(zip(map(tuple, grams.tolist()), zip(probs, weights)))
    return found


def backed_off(found, context, word):
    """log10 p(word | context), by the definition of a back-off model."""
    if (*context, word) in found:
        return found[*context, word][0]
    return found.get(context, (0, 0))[1] + backed_off(found, context[1:], word)


def follows_the_definition(model, sentences):
    lm, found = Ngram(model), table(model)
    for words in sentences:
        state, history = lm.start(), [1]
        for word in words:
            wanted = backed_off(found, tuple(history[1 - model.order:]) if model.order > 1 else (), word) * math.log(10)
            prob, state = lm.score(state, word)
            assert prob == pytest.approx(wanted, abs=1e-5)
            history.append(word)


@settings(max_examples=60)
@given(LINES, st.integers(1, 5), st.booleans(), st.lists(st.lists(st.sampled_from([0, 2, 3, 4, 5, 6]), max_size=9), max_size=6))
def test_any_sequence_has_the_definition_s_value(lines, order, pruned, sentences):
    order = min(order, max(len(line.split()) for line in lines) + 2)
    model = trained(lines, order, (0, 1)[:order] if pruned else ())
    follows_the_definition(model, [[word for word in words if word < len(model.words)] for words in sentences])


@settings(max_examples=60)
@given(st.randoms(use_true_random=False), st.integers(2, 4))
def test_models_with_missing_suffixes_and_odd_weights(rng, order):
    """Other tools' models: n-grams whose suffixes are not listed, weights of n-grams that nothing extends, weights above one."""
    size = 5
    grams, below = [[(w,) for w in range(size)]], [(w,) for w in range(size)]
    for _ in range(order - 1):
        below = [(*gram, w) for gram in below for w in range(size) if rng.random() < 0.3]
        grams.append(below)
    if not all(grams):
        return
    probs = [np.array([rng.uniform(-3, 0) for _ in rows]) for rows in grams]
    weights = [np.array([rng.choice([0.0, rng.uniform(-1, 0.3)]) for _ in rows]) for rows in grams[:-1]]
    model = Arpa(["<unk>", "<s>", "</s>", "a", "b"], [np.array(rows, np.int32) for rows in grams], probs, weights)
    follows_the_definition(model, [[rng.randrange(size) for _ in range(12)] for _ in range(10)])


def text(sentences, seed=0, words=60):
    rng = random.Random(seed)
    weights = [1 / (k + 1) for k in range(words)]
    return [" ".join(rng.choices([f"w{k}" for k in range(words)], weights, k=rng.randint(0, 12))) for _ in range(sentences)]


@pytest.mark.parametrize("order, prune", [(2, ()), (3, (0, 0, 1)), (4, (0, 1)), (5, ())])
def test_sentences_score_as_kenlm_scores_them(tmp_path, order, prune):
    arpa.write(trained(text(300), order, prune), tmp_path / "lm.arpa")
    lm, theirs = Ngram.read(tmp_path / "lm.arpa"), kenlm.Model(str(tmp_path / "lm.arpa"))
    sentences = text(50, seed=1) + ["", "zebra", "w1 zebra w2 w3"] + text(30, seed=2, words=90)
    for sentence in sentences:
        wanted = [prob * math.log(10) for prob, *_ in theirs.full_scores(sentence)]
        assert lm.scores(sentence.split()) == pytest.approx(wanted, abs=1e-5)
        assert [lm.knows(word) for word in sentence.split()] == [word in theirs for word in sentence.split()]


@settings(max_examples=30)
@given(LINES, st.integers(1, 4), st.booleans(), st.lists(st.integers(0, 6), max_size=6))
def test_the_words_of_any_context_sum_to_one(lines, order, pruned, history):
    order = min(order, max(len(line.split()) for line in lines) + 2)
    lm = Ngram(trained(lines, order, (0, 1)[:order] if pruned else ()))
    for state in (lm.start(), 0):
        for word in history:
            if word < len(lm.words):
                state = lm.score(state, word)[1]
        total = sum(math.exp(lm.score(state, word)[0]) for word in range(len(lm.words)) if lm.words[word] != "<s>")
        assert total == pytest.approx(1, abs=1e-6)


def test_the_protocol_and_the_compiled_query():
    lm = Ngram(trained(["a b a", "b a", "a"], 3))
    start = lm.start()
    prob, state = lm.score(start, lm.id("a"))
    assert isinstance(start, int) and isinstance(state, int) and isinstance(prob, float)
    assert ngram_step(lm.automaton, np.int32(start), np.int32(lm.id("a"))) == (pytest.approx(prob), state)
    assert lm.end(state) == lm.score(state, lm.id("</s>"))[0] == lm.scores(["a"])[1]
    assert lm.id("zebra") == lm.unk == lm.words.index("<unk>") and not lm.knows("zebra")


def test_a_model_without_unk_gives_unknown_words_what_kenlm_gives(tmp_path):
    path = tmp_path / "lm.arpa"
    path.write_text("\\data\\\nngram 1=3\nngram 2=1\n\n\\1-grams:\n-99\t<s>\t-0.5\n-0.5\t</s>\n-0.25\ta\t-0.1\n\n"
                    "\\2-grams:\n-0.125\t<s> a\n\n\\end\\\n")
    lm = Ngram.read(path)
    wanted = [prob * math.log(10) for prob, *_ in kenlm.Model(str(path)).full_scores("a zebra a")]
    assert lm.scores(["a", "zebra", "a"]) == pytest.approx(wanted, abs=1e-4)


def model(bigrams, words=("<unk>", "<s>", "</s>", "a"), trigrams=None):
    grams = [np.arange(len(words), dtype=np.int32)[:, None], np.array(bigrams, np.int32)]
    grams += [np.array(trigrams, np.int32)] if trigrams else []
    return Arpa(list(words), grams, [np.full(len(table), -1.0) for table in grams], [np.zeros(len(table)) for table in grams[:-1]])


def test_models_that_are_refused():
    with pytest.raises(DataError, match="lm: the 3-gram 'a a a' has a context that is no n-gram itself"):
        Ngram(model([[1, 3]], trigrams=[[3, 3, 3]]), "lm")
    with pytest.raises(DataError, match="the 2-gram '<s> a' stands twice"):
        Ngram(model([[1, 3], [1, 3]]))
    with pytest.raises(DataError, match="no word </s>"):
        Ngram(model([[1, 2]], words=("<unk>", "<s>", "a")))


def test_a_damaged_binary_is_refused(tmp_path):
    (tmp_path / "lm.bin").write_bytes(MAGIC + b" format version 5\n\0 and nothing else")
    assert is_binary(tmp_path / "lm.bin") and not is_binary(tmp_path / "none")
    with pytest.raises(DataError, match="lm.bin: KenLM cannot read it"):
        Binary(tmp_path / "lm.bin")
