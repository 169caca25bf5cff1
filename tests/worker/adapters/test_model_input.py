"""Photos of any size become the pictures that models take."""

import numpy as np
import pytest
from PIL import Image

from service.schemas.results import Rectangle
from worker.adapters.model_input import ChannelsError, fit_labels, fit_picture
from worker.engine.errors import SuperpixelsError

RNG = np.random.default_rng(0)


def photo(H, W):
    return RNG.integers(0, 256, (H, W, 3), dtype=np.uint8)


def test_a_picture_of_the_models_size_is_not_changed():
    pixels = photo(32, 48)
    fitted, seen = fit_picture(pixels, (32, 48, 3), fit="crop")
    assert fitted.dtype == np.float32
    np.testing.assert_array_equal(fitted, pixels)
    assert seen.crop == Rectangle(left=0, top=0, right=48, bottom=32)


@pytest.mark.parametrize(
    ("size", "shape", "expected"),
    [
        ((100, 300), (10, 10, 3), (100, 0, 200, 100)),  # left, top, right, bottom
        ((300, 100), (10, 10, 3), (0, 100, 100, 200)),
        ((300, 300), (10, 20, 3), (0, 75, 300, 225)),
        ((301, 100), (10, 10, 3), (0, 100, 100, 200)),  # odd rest: the smaller half first
        ((1, 5000), (224, 224, 3), (2499, 0, 2500, 1)),
        ((1, 1), (224, 224, 3), (0, 0, 1, 1)),
    ],
)
def test_crop_keeps_the_largest_centred_box_of_the_models_aspect_ratio(size, shape, expected):
    pixels = photo(*size)
    fitted, seen = fit_picture(pixels, shape, fit="crop")
    crop = seen.crop
    assert (crop.left, crop.top, crop.right, crop.bottom) == expected
    alone, _ = fit_picture(
        pixels[crop.top : crop.bottom, crop.left : crop.right], shape, fit="crop"
    )
    np.testing.assert_array_equal(fitted, alone)


def test_stretch_keeps_the_whole_picture():
    _, seen = fit_picture(photo(60, 300), (10, 10, 3), fit="stretch")
    assert seen.crop == Rectangle(left=0, top=0, right=300, bottom=60)


@pytest.mark.parametrize(
    ("size", "shape", "expected"),
    [
        ((60, 300), (10, 10, 3), (0, 4, 10, 6)),  # left, top, right, bottom in the model's picture
        ((300, 60), (10, 10, 3), (4, 0, 6, 10)),
        ((300, 300), (10, 20, 3), (5, 0, 15, 10)),
        ((100, 300), (10, 10, 3), (0, 3, 10, 6)),  # odd rest: the smaller half first
        ((1, 5000), (224, 224, 3), (0, 111, 224, 113)),  # at least two rows
        ((30, 60), (10, 20, 1), (0, 0, 20, 10)),
    ],
)
def test_pad_keeps_the_whole_picture_and_its_aspect_ratio(size, shape, expected):
    pixels = photo(*size)
    fitted, seen = fit_picture(pixels, shape, fit="pad")
    assert seen.crop == Rectangle(left=0, top=0, right=size[1], bottom=size[0])
    placed = seen.placement
    assert (placed.left, placed.top, placed.right, placed.bottom) == expected
    alone, _ = fit_picture(pixels, (*seen.size, shape[2]), fit="stretch")
    np.testing.assert_array_equal(fitted, alone)


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
@pytest.mark.parametrize("fit", ["crop", "stretch", "pad"])
def test_every_size_gives_whole_levels_of_the_models_shape(size, shape, fit):
    fitted, seen = fit_picture(photo(*size), shape, fit=fit)
    assert fitted.shape == (*seen.size, shape[2])
    assert seen.size == shape[:2] or fit == "pad"
    np.testing.assert_array_equal(fitted, np.clip(np.rint(fitted), 0, 255))
    crop = seen.crop
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
    with pytest.raises(
        ChannelsError, match=r"takes 4 channels; accepted are 1 \(grey\) and 3 \(RGB\)"
    ):
        fit_picture(photo(8, 8), (8, 8, 4), fit="crop")


# --- Label maps ---------------------------------------------------------------------------------


def test_a_label_map_of_the_models_size_is_not_scaled():
    labels = RNG.integers(0, 9, (10, 20))
    fitted = fit_labels(labels, (300, 500), (10, 20, 3), fit="crop")
    np.testing.assert_array_equal(fitted, labels)


@pytest.mark.parametrize("fit", ["crop", "stretch", "pad"])
@pytest.mark.parametrize("size", [(40, 60), (10, 15), (33, 47), (4, 5), (1, 7), (500, 90)])
@pytest.mark.parametrize("kind", [np.int32, np.uint16])
def test_a_label_map_is_fitted_like_its_photo(size, fit, kind):
    """A photo has two halves: each pixel with the colour of a half has the label of that half."""
    H, W = size
    halves = np.zeros((H, W), kind)
    halves[: H // 2, : W // 2] = 40_000
    as_photo = np.repeat((halves > 0).astype(np.uint8)[..., np.newaxis] * 255, 3, axis=2)
    shown, seen = fit_picture(as_photo, (10, 15, 3), fit=fit)
    labels = fit_labels(halves, size, (10, 15, 3), fit=fit)
    assert labels.dtype == kind
    assert labels.shape == seen.size
    assert (labels[shown[..., 0] == 255] == 40_000).all()
    assert (labels[shown[..., 0] == 0] == 0).all()


def test_a_label_map_of_the_models_size_is_cut_to_the_place_of_a_padded_photo():
    labels = np.arange(200).reshape(10, 20)
    fitted = fit_labels(labels, (300, 300), (10, 20, 3), fit="pad")
    assert (fitted == labels[:, 5:15]).all()


def test_scaling_a_label_map_makes_no_new_numbers():
    labels = RNG.choice([3, 17, 2**40], (37, 53))
    fitted = fit_labels(labels, (37, 53), (28, 28, 1), fit="stretch")
    assert set(np.unique(fitted)) == {3, 17, 2**40}


def test_each_pixel_takes_the_label_at_its_centre():
    labels = np.arange(54).reshape(6, 9)
    assert fit_labels(labels, (6, 9), (2, 3, 1), fit="stretch").tolist() == [
        [10, 13, 16],
        [37, 40, 43],
    ]
    assert fit_labels(labels, (6, 9), (2, 2, 1), fit="crop").tolist() == [[11, 14], [38, 41]]


def test_an_enlarged_label_map_repeats_its_labels():
    labels = np.array([[1, 2], [3, 4]])
    fitted = fit_labels(labels, (2, 2), (4, 6, 3), fit="stretch")
    assert (fitted == np.kron(labels, np.ones((2, 3), int))).all()


@pytest.mark.parametrize("shape", [(20, 30), (30, 21), (10, 11), (1, 1)])
def test_a_label_map_of_any_other_size_is_refused(shape):
    labels = np.zeros(shape, int)
    with pytest.raises(SuperpixelsError) as refusal:
        fit_labels(labels, (30, 20), (10, 10, 3), fit="crop")
    assert f"is of shape {shape}; accepted are (30, 20)" in str(refusal.value)
    assert "(10, 10)" in str(refusal.value)
