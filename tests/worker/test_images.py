"""Photos of any size as the pictures models take."""

import numpy as np
import pytest
from PIL import Image

from service.contract.schema import Crop
from worker.images import ChannelsError, fit_picture

RNG = np.random.default_rng(0)


def photo(H, W):
    return RNG.integers(0, 256, (H, W, 3), dtype=np.uint8)


def test_a_picture_of_the_models_size_is_left_as_it_is():
    pixels = photo(32, 48)
    fitted, crop = fit_picture(pixels, (32, 48, 3), fit="crop")
    assert fitted.dtype == np.float32
    np.testing.assert_array_equal(fitted, pixels)
    assert crop == Crop(left=0, top=0, right=48, bottom=32)


@pytest.mark.parametrize(
    ("size", "shape", "expected"),
    [
        ((100, 300), (10, 10, 3), (100, 0, 200, 100)),  # left, top, right, bottom
        ((300, 100), (10, 10, 3), (0, 100, 100, 200)),
        ((300, 300), (10, 20, 3), (0, 75, 300, 225)),
        ((301, 100), (10, 10, 3), (0, 100, 100, 200)),  # an odd rest: the smaller half before
        ((1, 5000), (224, 224, 3), (2499, 0, 2500, 1)),
        ((1, 1), (224, 224, 3), (0, 0, 1, 1)),
    ],
)
def test_crop_keeps_the_largest_centred_box_of_the_models_aspect_ratio(size, shape, expected):
    pixels = photo(*size)
    fitted, crop = fit_picture(pixels, shape, fit="crop")
    assert (crop.left, crop.top, crop.right, crop.bottom) == expected
    alone, _ = fit_picture(
        pixels[crop.top : crop.bottom, crop.left : crop.right], shape, fit="crop"
    )
    np.testing.assert_array_equal(fitted, alone)


def test_stretch_keeps_the_whole_picture():
    _, crop = fit_picture(photo(60, 300), (10, 10, 3), fit="stretch")
    assert crop == Crop(left=0, top=0, right=300, bottom=60)


def test_shrinking_averages_areas():
    pixels = photo(40, 60)
    fitted, _ = fit_picture(pixels, (10, 15, 3), fit="crop")
    means = pixels.reshape(10, 4, 15, 4, 3).mean(axis=(1, 3))
    np.testing.assert_allclose(fitted, means, atol=0.5)  # rounded to whole levels


def test_a_line_is_averaged_along_itself_and_repeated_across():
    pixels = photo(1, 5000)
    fitted, _ = fit_picture(pixels, (20, 50, 3), fit="stretch")
    means = pixels.reshape(50, 100, 3).mean(axis=1)
    np.testing.assert_allclose(fitted, np.broadcast_to(means, (20, 50, 3)), atol=1)


def test_enlarging_overshoots_neither_black_nor_white():
    board = np.zeros((4, 4, 3), np.uint8)
    board[::2, ::2] = board[1::2, 1::2] = 255
    fitted, _ = fit_picture(board, (64, 64, 3), fit="crop")
    assert fitted.min() == 0
    assert fitted.max() == 255


@pytest.mark.parametrize("size", [(1, 1), (1, 5000), (5000, 1), (3, 2), (31, 17), (1999, 2003)])
@pytest.mark.parametrize("shape", [(224, 224, 3), (28, 28, 1), (32, 64, 3)])
@pytest.mark.parametrize("fit", ["crop", "stretch"])
def test_every_size_gives_whole_levels_of_the_models_shape(size, shape, fit):
    fitted, crop = fit_picture(photo(*size), shape, fit=fit)
    assert fitted.shape == shape
    np.testing.assert_array_equal(fitted, np.clip(np.rint(fitted), 0, 255))
    assert 0 <= crop.left < crop.right <= size[1]
    assert 0 <= crop.top < crop.bottom <= size[0]


def test_one_channel_is_the_luma_of_itu_r_601():
    pixels = np.array([[[255, 0, 0], [0, 255, 0], [0, 0, 255], [9, 9, 9]]], np.uint8)
    fitted, _ = fit_picture(pixels, (1, 4, 1), fit="crop")
    assert fitted[..., 0].tolist() == [[76, 150, 29, 9]]  # 0.299, 0.587 and 0.114 of 255
    np.testing.assert_array_equal(fitted[..., 0], np.asarray(Image.fromarray(pixels).convert("L")))


def test_the_photo_itself_is_not_changed():
    pixels = photo(20, 20)
    before = pixels.copy()
    fitted, _ = fit_picture(pixels, (20, 20, 3), fit="crop")
    fitted += 1
    np.testing.assert_array_equal(pixels, before)


def test_a_model_of_four_channels_is_refused():
    with pytest.raises(ChannelsError, match=r"1 channel \(grey\) or 3 \(RGB\); this one takes 4"):
        fit_picture(photo(8, 8), (8, 8, 4), fit="crop")
