import numpy as np
import pytest

from worker.engine.attribution import Attribution
from worker.engine.regions import Regions


def sparseness(*outputs):
    """Return the sparseness of outputs from flat lists of their attributions."""
    values = np.array(outputs, dtype=np.float64).T[np.newaxis, :, np.newaxis]  # (1, W, 1, K)
    ends = np.zeros(len(outputs)), values.sum(axis=(0, 1, 2))
    whole = Regions(np.zeros(values.shape[:2], np.int32), ends[1][np.newaxis], np.array([1]))
    return Attribution(values, *ends, 2, 1.0, "given", whole).sparseness


def test_sparseness_is_the_gini_index_of_the_absolute_values():
    """(2k - N - 1) c_k / (N sum c) over k = 1..N, by hand: (3 - 1) / 9 and (3 + 3 - 1 - 1) / 16."""
    assert sparseness([1, -3, 2], [0, 0, -5]) == pytest.approx([2 / 9, 2 / 3])
    assert sparseness([2, 1, -1, 0]) == pytest.approx([(3 * 2 + 1 - 1) / (4 * 4)])


def test_sparseness_is_0_if_all_values_are_equal_or_zero():
    assert sparseness([0.1] * 1001, [0] * 1001) == pytest.approx([0, 0], abs=1e-12)
    assert (sparseness([0.1] * 1001) >= 0).all()


def test_sparseness_approaches_1_if_one_element_has_all():
    assert sparseness([7, *[0] * 999]) == pytest.approx([0.999])


def test_sparseness_does_not_depend_on_scale_or_copies():
    values = np.random.default_rng(0).normal(size=50)
    assert sparseness(values * 17) == pytest.approx(sparseness(values))
    assert sparseness(np.repeat(values, 3)) == pytest.approx(sparseness(values))
