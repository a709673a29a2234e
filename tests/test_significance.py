"""Intervals and tests against normal theory, known cases, and all signs written out."""

import math
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recog.significance import bootstrap_interval, compare_errors, permutation_p

DRAWS = dict(resamples=2000, seed=0)

errors_and_tokens = st.lists(st.tuples(st.integers(0, 5), st.integers(1, 20)), min_size=2, max_size=30)


@settings(deadline=None)
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


@settings(deadline=None)
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
    other = [e + d for e, d in zip(errors, random.integers(-2, 3, 400).tolist())]
    difference = compare_errors(errors, other, sizes, **DRAWS)
    assert 0.1 < difference.p_permutation < 0.9
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
