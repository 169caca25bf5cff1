"""The priors that gaussian_process chooses from, and how they are learnt."""

from itertools import product

import numpy as np
import pytest

from worker.engine.arrays import Scores
from worker.engine.methods.gp_posterior import Prior
from worker.engine.methods.prior_family import PriorFamily
from worker.engine.methods.value_index import ShapleyIndex

M = 9


def of_picture(random: np.random.Generator) -> PriorFamily:
    return PriorFamily.of_picture(random.normal(size=M), random.uniform(0, 30, (M, 2)))


def fit(family: PriorFamily, signs: Scores, odd: Scores) -> Prior:
    return family.prior(family.learn(signs, [odd]))


@pytest.mark.parametrize("parts", [1, 2])
@pytest.mark.parametrize("kind", ["uniform", "picture"])
def test_the_slope_of_the_loss_is_that_of_small_differences(kind: str, parts: int) -> None:
    random = np.random.default_rng(3)
    family = PriorFamily.uniform(M) if kind == "uniform" else of_picture(random)
    signs = random.choice([-1.0, 1.0], (40, M))
    scores = list(random.normal(size=(parts, 40, 2)))  # of the odd part, or of both
    logs = random.normal(scale=0.3, size=5 + M)

    _, slope = family.loss(logs, signs, scores)

    for i, step in enumerate(np.eye(5 + M) * 1e-5):
        above, _ = family.loss(logs + step, signs, scores)
        below, _ = family.loss(logs - step, signs, scores)
        assert slope[i] == pytest.approx((above - below) / 2e-5, rel=1e-5, abs=1e-6)


def test_near_players_are_expected_to_interact_more_than_distant_ones() -> None:
    """By the variances of the weights of sets of three, from the covariances of all coalitions."""
    places = np.indices((3, 3)).reshape(2, M).T * 10.0
    prior = PriorFamily.of_picture(np.zeros(M), places).prior(np.zeros(5 + M))
    signs = np.array(list(product([-1.0, 1.0], repeat=M)))
    known = prior.known(signs)

    def variance(*players: int) -> float:
        character = signs[:, players].prod(axis=1)
        return float(character @ known @ character) / len(signs) ** 2

    assert variance(0, 1, 3) > 2 * variance(0, 2, 6) > 0
    assert variance(0) == pytest.approx(variance(8))


def test_players_that_are_expected_to_matter_do_by_the_prior_mode() -> None:
    expected = np.linspace(-1, 1, M)
    family = PriorFamily.of_picture(expected, np.ones((M, 2)))  # all at one place
    prior = fit(family, np.ones((1, M)), np.ones((1, 1)))
    variances = prior.variance(ShapleyIndex(M))
    assert (np.diff(variances) > 0).all()
    assert np.isfinite(variances).all()


def test_a_uniform_prior_has_no_local_and_no_additive_part() -> None:
    prior = fit(PriorFamily.uniform(M), np.ones((1, M)), np.ones((1, 1)))
    assert prior.kernels.rates.shape == (2, M)
    assert not prior.additive.any()
