import numpy as np
import pytest

from worker.engine.regions import Regions, quantile, whole_pixels


@pytest.mark.parametrize(
    ("freedom", "reach"),
    [(0, np.inf), (-1, np.inf), (1, 12.706), (4, 2.776), (30, 2.042), (np.inf, 1.960)],
)
def test_an_interval_has_the_width_of_students_t(freedom, reach):
    """By the two-sided 95 % points of Student's t in statistical tables."""
    assert quantile(freedom) == pytest.approx(reach, abs=5e-4)


def test_an_interval_is_centred_on_its_value():
    values = np.array([[1.0, -2.0]])
    regions = Regions(np.zeros((1, 1), np.int32), values, np.array([1]), reach=lambda: values / 4)
    assert regions.interval.low.tolist() == [[0.75, -1.5]]
    assert regions.interval.high.tolist() == [[1.25, -2.5]]


def test_without_errors_there_is_no_largest_error():
    labels, players = np.zeros((1, 1), np.int32), np.array([1])
    assert Regions(labels, np.ones((1, 2)), players).largest_error is None
    assert Regions(labels, np.ones((1, 2)), players).interval is None
    errors = np.array([[0.5, 0.125]])
    assert Regions(labels, np.ones((1, 2)), players, errors).largest_error == 0.5


def test_labels_are_two_dimensional_if_no_pixel_is_divided():
    whole = np.arange(6, dtype=np.int32).reshape(2, 3)
    assert whole_pixels(np.repeat(whole[..., np.newaxis], 3, axis=2)).tolist() == whole.tolist()
    divided = np.arange(6, dtype=np.int32).reshape(2, 1, 3)
    assert whole_pixels(divided).tolist() == divided.tolist()
