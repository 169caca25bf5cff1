"""The scale on which probabilities are modelled."""

import numpy as np
import pytest
from scipy.special import tklmbda

from worker.engine.methods.score_scale import LAMBDA, is_probability, shrink, stretch


def test_probabilities_come_back_from_the_scale() -> None:
    random = np.random.default_rng(0)
    p = np.concatenate([[0, 1e-12, 1e-6, 0.5, 1 - 1e-6, 1], random.random(500) ** 4])
    assert shrink(stretch(p)) == pytest.approx(p, abs=1e-12)
    assert shrink(stretch(p[1:3])) == pytest.approx(p[1:3], rel=1e-9)


def test_probabilities_are_those_of_tukeys_lambda_distribution() -> None:
    quantiles = np.linspace(-5.5, 5.5, 2001)
    assert shrink(quantiles) == pytest.approx(tklmbda(quantiles, LAMBDA), abs=1e-13)


def test_beyond_the_ends_of_the_scale_are_0_and_1() -> None:
    ends = stretch(np.array([0.0, 1.0]))
    assert ends == pytest.approx([-1 / LAMBDA, 1 / LAMBDA])
    assert shrink(2 * ends).tolist() == [0, 1]


def test_what_float32_adds_to_a_probability_changes_nothing() -> None:
    assert stretch(np.array([-1e-7, 1 + 1e-7])).tolist() == stretch(np.array([0.0, 1.0])).tolist()


@pytest.mark.parametrize(
    ("scores", "expected"),
    [
        ([0.0, 1.0], True),
        ([-1e-6, 1 + 1e-6], True),
        ([0.2, 1.01], False),
        ([-0.01, 0.5], False),
        ([-8.0, 3.0], False),
    ],
)
def test_scores_within_0_and_1_count_as_probabilities(scores: list[float], expected: bool) -> None:
    assert is_probability(np.array(scores)) is expected
