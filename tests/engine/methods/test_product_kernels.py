"""Sums of product kernels, in blocks, and their slopes."""

import numpy as np
import pytest

from worker.engine.methods.product_kernels import CELLS, ROWS, Gram, ProductKernels

M, Q = 6, 3


@pytest.fixture
def kernels() -> ProductKernels:
    random = np.random.default_rng(1)
    return ProductKernels(random.uniform(0.02, 0.6, (Q, M)), random.uniform(0.1, 2, Q))


def signs(rows: int, seed: int = 2) -> np.ndarray:
    return np.random.default_rng(seed).choice([-1.0, 1.0], (rows, M))


def test_covariances_are_sums_of_the_hyperbolic_functions_of_the_weighted_agreement(kernels):
    one, other = signs(5), signs(CELLS // Q // 2, seed=3)  # two rows in a block
    expected = np.zeros((2, len(one), len(other)))
    for rates, share in zip(kernels.rates, kernels.shares, strict=True):
        inner = (one * rates) @ other.T
        expected[0] += share * np.sinh(inner) / np.sinh(rates.sum())
        expected[1] += share * np.cosh(inner) / np.cosh(rates.sum())
    assert kernels.covariances(one, other, parts=2) == pytest.approx(expected, abs=1e-13)
    assert kernels.covariances(one, other) == pytest.approx(expected[:1], abs=1e-13)


@pytest.mark.parametrize("rows", [1, ROWS, 2 * ROWS + 5])
def test_a_gram_matrix_holds_the_covariances_of_all_rows(kernels, rows):
    found = Gram.of(kernels, signs(rows)).covariances(2)
    assert found == pytest.approx(kernels.covariances(signs(rows), signs(rows), parts=2))
    assert (found == found.swapaxes(1, 2)).all()


@pytest.mark.parametrize("parts", [1, 2])
def test_slopes_of_weighted_covariances_are_those_of_small_differences(kernels, parts):
    rows = 2 * ROWS + 5
    weights = np.random.default_rng(4).normal(size=(parts, rows, rows))
    weights += weights.swapaxes(1, 2)

    def weighted(rates: np.ndarray) -> np.ndarray:
        each = (ProductKernels(rates[[q]], kernels.shares[[q]]) for q in range(Q))
        found = (one.covariances(signs(rows), signs(rows), parts=parts) for one in each)
        return np.array([np.vdot(weights, covariances) for covariances in found])

    sums, slopes = Gram.of(kernels, signs(rows)).weigh(weights)
    assert sums == pytest.approx(weighted(kernels.rates))
    for i, step in enumerate(1e-6 * np.eye(M)):
        above, below = (weighted(kernels.rates * np.exp(sign * step)) for sign in (1, -1))
        assert slopes[:, i] == pytest.approx((above - below) / 2e-6, rel=1e-5, abs=1e-5)
