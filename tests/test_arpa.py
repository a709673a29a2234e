"""The ARPA format: what is written is read back; a damaged file is one line that names file, line and fault."""

import gzip

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recog.errors import DataError
from recog.kernels.arpa import lines
from recog.lm import arpa
from recog.lm.plain import Plain

GOOD = """\
\\data\\
ngram 1=5
ngram 2=3

\\1-grams:
-1.5\t<unk>
0\t<s>\t-0.25
-0.75\t</s>
-0.5\ta\t-0.125
-0.625\té\t0

\\2-grams:
-0.5\t<s> a
-0.25\ta é
-0.375\ta </s>

\\end\\
"""


def written(tmp_path, text, name="lm.arpa"):
    path = tmp_path / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def same(first, second):
    assert first.words == second.words and first.counts == second.counts
    for kind in ("grams", "probs", "backoffs"):
        for one, other in zip(getattr(first, kind), getattr(second, kind), strict=True):
            np.testing.assert_allclose(one, other, atol=5.1e-8, rtol=0)


@pytest.mark.parametrize("text", [GOOD, GOOD.replace("\t", " "), GOOD.replace("\n", "\r\n"), "made by hand\n\n" + GOOD, GOOD + "more\n",
                                  gzip.compress(GOOD.encode())], ids=["plain", "spaces", "crlf", "preamble", "tail", "gzip"])
def test_reading(tmp_path, text):
    model = arpa.read(written(tmp_path, text))
    assert model.words == ["<unk>", "<s>", "</s>", "a", "é"] and model.order == 2
    assert model.grams[1].tolist() == [[1, 3], [3, 4], [3, 2]]
    assert model.probs[0].tolist() == [-1.5, 0, -0.75, -0.5, -0.625] and model.probs[1].tolist() == [-0.5, -0.25, -0.375]
    assert len(model.backoffs) == 1 and model.backoffs[0].tolist() == [0, -0.25, 0, -0.125, 0]


def test_the_compiled_reader_reads_what_the_plain_one_reads():
    rng = np.random.default_rng(0)
    for number in ("-1.5", "-0.123456789", "-3.2e-05", "-2E1", "-99", "-7.", "0"):
        text = GOOD.replace("-0.5\ta", f"{number}\ta").replace("-0.125", f"{rng.normal():.9f}").encode()
        quick, plain = arpa._quick(text), Plain("lm", text).model()
        assert quick.words == plain.words and quick.counts == plain.counts
        for kind in ("grams", "probs", "backoffs"):
            assert all(np.array_equal(one, other) for one, other in zip(getattr(quick, kind), getattr(plain, kind), strict=True))


@pytest.mark.parametrize("name", ["out.arpa", "out.arpa.gz"])
def test_what_is_written_is_read_back(tmp_path, name):
    model = arpa.read(written(tmp_path, GOOD))
    arpa.write(model, tmp_path / name)
    assert ((tmp_path / name).read_bytes()[:2] == b"\x1f\x8b") == name.endswith(".gz")
    same(arpa.read(tmp_path / name), model)
    assert not list(tmp_path.glob("*.partial"))


@given(st.lists(st.floats(-99, 3), min_size=1, max_size=20))
def test_numbers_have_seven_digits(values):
    values = np.array(values)
    letters, starts = np.frombuffer(b"ab", np.uint8), np.array([0, 1, 2])
    out = lines(np.ones((len(values), 1), np.int32), values, values[::-1].copy(), letters, starts).tobytes().decode()
    rows = [line.split("\t") for line in out.splitlines()]
    assert [row[1] for row in rows] == ["b"] * len(values)
    np.testing.assert_allclose([float(row[0]) for row in rows], values, atol=5.1e-8, rtol=0)
    np.testing.assert_allclose([float(row[2]) for row in rows], values[::-1], atol=5.1e-8, rtol=0)


def test_no_needless_digits():
    letters, starts = np.frombuffer(b"w", np.uint8), np.array([0, 1])
    out = lines(np.zeros((4, 1), np.int32), np.array([0.0, -1e-9, -99.0, -0.0000305]), np.zeros(0), letters, starts)
    assert out.tobytes() == b"0\tw\n0\tw\n-99\tw\n-0.0000305\tw\n"


FAULTS = {
    "no data": ("hello\n", "is no ARPA file"),
    "empty": ("", "is no ARPA file"),
    "bad count": (GOOD.replace("ngram 2=3", "ngram 2=x"), "line 3: 'ngram 2=x' stands where 'ngram 2=COUNT' should be"),
    "a count of many digits": (GOOD.replace("ngram 1=5", "ngram 1=" + "9" * 5000), "line 2: 'ngram 1=9+' stands where"),
    "counts out of order": (GOOD.replace("ngram 2=3", "ngram 3=3"), "line 3: 'ngram 3=3' stands where"),
    "no counts": (GOOD.replace("ngram 1=5\nngram 2=3\n", ""), "line 3: the file says no counts"),
    "cut in the header": (GOOD[:17], "line 2: .*should be .*cut short"),
    "cut between": (GOOD[:GOOD.index("\\2-grams")], "line 11: the file ends where .2-grams: should be .*cut short"),
    "cut in the unigrams": (GOOD[:GOOD.index("-0.625")], "line 10: the file ends within the 1-grams .*cut short"),
    "cut in a line": (GOOD[:GOOD.index("a é") + 1], "line 14: .*2-gram .*cut short"),
    "cut before the end": (GOOD.replace("\\end\\\n", ""), "should be .*cut short"),
    "other end": (GOOD.replace("\\end\\", "\\3-grams:"), "line 17: '.3-grams:' stands where .end. should be"),
    "fewer": (GOOD.replace("-0.375\ta </s>\n", ""), "line 15: there are fewer 2-grams than the 3"),
    "more": (GOOD.replace("-0.375\ta </s>", "-0.375\ta </s>\n-1\té a"), "line 16: '-1.*' stands where .end. should be"),
    "more unigrams": (GOOD.replace("-0.75\t</s>", "-0.75\t</s>\n-1\tb"), "line 11: there are more 1-grams"),
    "no section": (GOOD.replace("\\2-grams:", "\\3-grams:"), "line 12: '.3-grams:' stands where .2-grams: should be"),
    "not a number": (GOOD.replace("-0.25\ta", "-0,25\ta"), "line 14: '-0,25' is not a number"),
    "back-off no number": (GOOD.replace("-0.125", "x"), "line 9: 'x' is not a number"),
    "nan": (GOOD.replace("-0.25\ta", "nan\ta"), "line 14: nan is not a log probability"),
    "above one": (GOOD.replace("-0.25\ta", "0.25\ta"), "line 14: 0.25 is not a log probability"),
    "infinite weight": (GOOD.replace("-0.125", "inf"), "line 9: inf is not a log weight"),
    "too short": (GOOD.replace("-0.25\ta é", "-0.25\ta"), "line 14: has 2 fields, which is no 2-gram"),
    "too long": (GOOD.replace("-0.25\ta é", "-0.25\ta é a -1"), "line 14: has 5 fields"),
    "weight of the highest": (GOOD.replace("-0.25\ta é", "-0.25\ta é\t-1"), "line 14: has 4 fields"),
    "unknown word": (GOOD.replace("a é", "a b"), "line 14: 'b' is not among the unigrams"),
    "word twice": (GOOD.replace("\té\t", "\ta\t").replace("a é", "a a"), "line 10: the n-gram 'a' stands twice"),
    "n-gram twice": (GOOD.replace("a é", "<s> a"), "line 14: the n-gram '<s> a' stands twice"),
    "not UTF-8": (GOOD.encode("latin-1"), "not UTF-8"),
    "cut gzip": (gzip.compress(GOOD.encode())[:-20], "gzip .*cut short"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_damaged_files(tmp_path, fault):
    text, what = FAULTS[fault]
    path = written(tmp_path, text)
    with pytest.raises(DataError, match=what) as error:
        arpa.read(path)
    assert str(error.value).startswith(str(path)) and "\n" not in str(error.value)


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(DataError, match="no such file"):
        arpa.read(tmp_path / "lm.arpa")
    with pytest.raises(DataError, match="folder"):
        arpa.read(tmp_path)


def test_an_order_may_be_empty(tmp_path):
    model = arpa.read(written(tmp_path, GOOD.replace("ngram 2=3\n", "ngram 2=3\nngram 3=0\n").replace("\\end", "\\3-grams:\n\n\\end")))
    assert model.counts == [5, 3, 0] and model.grams[2].shape == (0, 3)


def test_zero_probability_is_the_customary_number(tmp_path):
    model = arpa.read(written(tmp_path, GOOD.replace("-1.5", "-inf")))
    assert model.probs[0][0] == -99
