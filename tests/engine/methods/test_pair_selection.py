"""Pairs are chosen by what their scores would tell of the Shapley values."""

import numpy as np
import pytest

from worker.engine.methods.gp_posterior import Prior
from worker.engine.methods.pair_sampling import draw_pairs
from worker.engine.methods.pair_selection import choose_pairs
from worker.engine.methods.prior_family import PriorFamily, rounded
from worker.engine.methods.product_kernels import ProductKernels
from worker.engine.methods.value_index import ShapleyIndex

M = 7
INDEX = ShapleyIndex(M)


@pytest.fixture
def prior():
    random = np.random.default_rng(1)
    additive = random.uniform(0, 0.1, M)
    kernels = ProductKernels(random.uniform(0.02, 0.6, (2, M)), np.array([1, 0.5]))
    return Prior(kernels, additive, rough=0.01)


@pytest.fixture
def pairs():
    return np.where(draw_pairs(M, 60, np.random.default_rng(2)), 1.0, -1.0)


def told(prior, signs):
    """Return what scores at signs (N, M) take off the summed variances of the Shapley values."""
    values = prior.values(INDEX, signs)  # (N, M)
    return (values * np.linalg.solve(prior.known(signs), values)).sum()


def test_each_choice_is_the_one_that_leaves_the_least_variance(prior, pairs):
    known, candidates = pairs[:8], pairs[8:]
    chosen = choose_pairs(prior, INDEX, known, candidates, 5)
    for nth in range(5):
        before = np.concatenate([known, candidates[chosen[:nth]]])
        rest = [i for i in range(len(candidates)) if i not in chosen[:nth]]
        gains = [told(prior, np.concatenate([before, candidates[[i]]])) for i in rest]
        assert told(prior, np.concatenate([before, candidates[chosen[[nth]]]])) == pytest.approx(
            max(gains)
        )


def test_no_pair_is_chosen_twice(prior, pairs):
    chosen = choose_pairs(prior, INDEX, pairs[:3], pairs[3:], 57)
    assert sorted(chosen) == list(range(57))


def test_another_last_digit_of_the_scores_changes_no_choice(pairs):
    """By a rounded prior: another processor may fit other last digits."""
    random = np.random.default_rng(3)
    odd = pairs[:16, :2] + 0.3 * random.normal(size=(16, 2))
    family = PriorFamily.of_picture(random.normal(size=M), random.uniform(0, 30, (M, 2)))
    logs = family.learn_roughly(pairs[:16], [odd])
    chosen = choose_pairs(family.prior(logs), INDEX, pairs[:16], pairs[16:], 20)
    for _ in range(5):
        nearly = odd * (1 + 1e-10 * random.normal(size=odd.shape))
        other = family.prior(family.learn_roughly(pairs[:16], [nearly]))
        assert (choose_pairs(other, INDEX, pairs[:16], pairs[16:], 20) == chosen).all()


def test_rounding_moves_parameters_by_at_most_a_sixteenth_of_an_octave():
    logs = np.random.default_rng(4).normal(scale=3, size=100)
    assert 0.05 < np.abs(rounded(logs) - logs).max() / np.log(2) <= 1 / 16
