import numpy as np
import pytest

from tests.engine.games import FunctionPredictor
from worker.engine.scoring.precision import PICTURES, deviation, soft_pictures

SHAPE = (6, 5, 3)


def test_the_deviation_is_of_absolute_differences_over_all_outputs():
    def exact(pictures):
        return np.full((len(pictures), 2), 8.0)

    def draft(pictures):
        off = np.zeros((len(pictures), 2))
        off[:, 1] = -0.25  # below the exact score, in the second output
        off[2:3, 0] = 0.5
        return exact(pictures) + off

    found = deviation(FunctionPredictor(SHAPE, draft), FunctionPredictor(SHAPE, exact))
    assert (found.largest, found.median, found.pictures) == (0.5, 0.25, PICTURES)


@pytest.mark.parametrize("shape", [SHAPE, (1, 7, 1), (8, 8, 4)])
def test_soft_pictures_span_all_intensities_and_are_the_same_at_every_call(shape):
    pictures = soft_pictures(shape, 3)
    assert (pictures.shape, pictures.dtype) == ((3, *shape), np.float32)
    assert pictures.min(axis=(1, 2, 3)) == pytest.approx([0, 0, 0])
    assert pictures.max(axis=(1, 2, 3)) == pytest.approx([255, 255, 255])
    assert pictures.tobytes() == soft_pictures(shape, 3).tobytes()
    assert pictures[0].tobytes() != pictures[1].tobytes()


def test_a_soft_picture_of_one_element_is_black():
    assert soft_pictures((1, 1, 1), 2).tolist() == [[[[0]]], [[[0]]]]


def test_a_soft_picture_varies_at_every_scale():
    """Neighbours are similar, as in a photo, but never equal."""
    [picture] = soft_pictures((64, 64, 1), 1)
    steps = np.abs(np.diff(picture[..., 0], axis=0))
    apart = np.abs(picture[32:, :, 0] - picture[:-32, :, 0])
    assert 0 < steps.mean() < apart.mean() / 2
