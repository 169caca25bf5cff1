"""The numbers that an explanation holds in memory, counted by hand."""

import pytest

from service.jobs.result_size import count_numbers, count_outputs, max_outputs
from service.schemas.requests import Outputs
from tests.tiny import SPEC

SHAPE, ELEMENTS, PLAYERS = (2, 3, 4), 24, 5


def settings(method, *, max_evals=100, outputs=Outputs(top=3)):  # noqa: B008
    changed = {"method": method, "max_evals": max_evals, "outputs": outputs}
    return SPEC.settings.model_copy(update=changed)


@pytest.mark.parametrize(
    ("method", "numbers"),
    [
        ("partition", 3 * (ELEMENTS + 100)),
        ("permutation", 3 * (2 * ELEMENTS + 100)),
        ("kernel", 3 * (2 * ELEMENTS + 100) + PLAYERS * 2**PLAYERS),
        ("exact", 3 * (2 * ELEMENTS + 100) + PLAYERS * 2**PLAYERS),
        ("gaussian_process", 3 * (2 * ELEMENTS + 100) + (2**PLAYERS) ** 2),
    ],
)
def test_values_errors_scores_and_matrices_are_counted(method, numbers):
    assert count_numbers(settings(method), SHAPE, PLAYERS) == numbers
    assert max_outputs(settings(method), SHAPE, PLAYERS, limit=numbers) == 3
    assert max_outputs(settings(method), SHAPE, PLAYERS, limit=numbers - 1) == 2
    assert max_outputs(settings(method), SHAPE, PLAYERS, limit=0) == 0


def test_matrices_have_the_size_of_the_evaluations_if_fewer_than_the_coalitions():
    kernel = settings("kernel", max_evals=30)
    assert count_numbers(kernel, SHAPE, PLAYERS) == 3 * (2 * ELEMENTS + 30) + PLAYERS * 30
    assert count_numbers(kernel, SHAPE, 10**6) == 3 * (2 * ELEMENTS + 30) + 10**6 * 30


def test_interactions_add_a_matrix_of_pairs_by_evaluations():
    plain = settings("gaussian_process", max_evals=20)
    wanted = plain.model_copy(update={"interactions": 2})
    pairs = PLAYERS * (PLAYERS - 1) // 2
    more = count_numbers(wanted, SHAPE, PLAYERS) - count_numbers(plain, SHAPE, PLAYERS)
    assert more == pairs * 20


@pytest.mark.parametrize(
    ("outputs", "count"),
    [
        (Outputs(top=4), 4),
        (Outputs(indices=[7, 1]), 2),
        (Outputs(labels=["ant", "bee", "dog"]), 3),
    ],
)
def test_outputs_are_counted_however_they_are_chosen(outputs, count):
    assert count_outputs(settings("partition", outputs=outputs)) == count
