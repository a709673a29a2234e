"""Products with packed weights: they are right, and a row's are the same alone and among others."""

import numpy as np
import pytest
from numba import TypingError
from oracles import close

from recog.kernels.product import WIDTH, filled, packed, product


@pytest.mark.parametrize("rows, depth, columns", [(1, 1, 1), (3, 7, 64), (4, 400, 65), (9, 33, 200), (64, 3, 1600)])
def test_products_are_those_of_matrices(rows, depth, columns):
    rng = np.random.default_rng(rows)
    x, weights, bias = (rng.standard_normal(shape).astype(np.float32) for shape in ((rows, depth), (depth, columns), columns))
    z = np.full((rows, len(filled(bias))), np.nan, np.float32)
    product(x, packed(weights), filled(bias), z)
    wanted = x.astype(np.float64) @ weights.astype(np.float64) + bias
    close("products with packed weights", z[:, :columns] / abs(wanted).max(), wanted / abs(wanted).max(), 1e-6)
    assert not z[:, columns:].any()


def test_a_row_is_the_same_to_the_bit_alone_and_among_others():
    rng = np.random.default_rng(1)
    x, weights, bias = rng.standard_normal((11, 50), np.float32), packed(rng.standard_normal((50, 130), np.float32)), rng.standard_normal(3 * WIDTH, np.float32)
    together, alone = np.empty((11, 3 * WIDTH), np.float32), np.empty((1, 3 * WIDTH), np.float32)
    product(x, weights, bias, together)
    for row in range(11):
        product(x[row:row + 1], weights, bias, alone)
        assert (alone[0] == together[row]).all()


def test_rows_that_do_not_lie_one_after_the_other_are_refused():
    with pytest.raises(TypingError):
        product(np.ones((4, 10), np.float32)[:, ::2], packed(np.ones((5, 64), np.float32)), np.ones(64, np.float32), np.ones((4, 64), np.float32))
