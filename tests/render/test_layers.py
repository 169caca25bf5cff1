"""Heatmaps: values become the colours of shap's image plot, placed to the pixel."""

import io
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from service.render import (
    PALETTES,
    Attributions,
    InvalidAttributionsError,
    InvalidOptionError,
    Row,
    channel_sums,
    figure,
    heat,
    limit,
    load_attributions,
    overlay,
)
from tests.render.drawings import (
    BLUE,
    RED,
    attributions,
    left_red_right_blue,
    opened,
    pixels,
    random_attributions,
)


def npz(**changes) -> bytes:
    arrays = {
        "values": np.ones((4, 5, 3, 2), np.float32),
        "base_values": np.array([0.1, 0.2], np.float32),
        "data": np.zeros((4, 5, 3), np.float32),
        "output_names": np.array(["tabby", "日本の猫"]),
        "output_indices": np.array([281, 7]),
    }
    kept = {name: array for name, array in (arrays | changes).items() if array is not None}
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **kept)
    return buffer.getvalue()


# --- Arrays -------------------------------------------------------------------------------------


def test_the_stored_arrays_are_read_back_with_their_names_and_indices():
    loaded = load_attributions(npz())
    assert loaded.values.shape == (4, 5, 3, 2)
    assert loaded.output_names == ["tabby", "日本の猫"]
    assert loaded.output_indices == [281, 7]


def test_narrowing_keeps_the_requested_outputs_in_their_order():
    whole = random_attributions(outputs=3)
    narrowed = whole.narrow([2, 0])
    np.testing.assert_array_equal(narrowed.values[..., 0], whole.values[..., 2])
    assert narrowed.output_names == ["output 2", "output 0"]
    assert narrowed.output_indices == [2, 0]


@pytest.mark.parametrize("positions", [[], [2], [-1]])
def test_narrowing_to_an_output_that_is_not_there_names_those_that_are(positions):
    with pytest.raises(InvalidOptionError, match=r"0\.\.1"):
        random_attributions(outputs=2).narrow(positions)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"not an archive", "not a readable npz"),
        (npz()[:-40], "not a readable npz"),
        (npz(data=None), "data"),
        (npz(output_names=np.array([{}, {}])), "not a readable npz"),  # would need unpickling
        (npz(output_indices=np.array([1])), "output_indices must have one entry"),
        (npz(data=np.zeros((5, 4, 3))), "data must be"),
        (npz(values=np.ones((4, 5, 2, 2)), data=np.ones((4, 5, 2))), "1 or 3"),
        (npz(values=np.ones((4, 5, 3, 0))), "values must be"),
    ],
)
def test_broken_arrays_are_refused_with_the_error(content, message):
    with pytest.raises(InvalidAttributionsError, match=message):
        load_attributions(content)


@pytest.mark.parametrize("name", ["values", "data", "base_values"])
@pytest.mark.parametrize("poison", [np.nan, np.inf])
def test_numbers_that_are_not_finite_are_refused_by_name_and_count(name, poison):
    shape = {"values": (4, 5, 3, 2), "data": (4, 5, 3), "base_values": (2,)}[name]
    array = np.zeros(shape, np.float32)
    array.flat[0] = poison
    with pytest.raises(InvalidAttributionsError, match=f"{name} must be finite; received 1 NaN"):
        load_attributions(npz(**{name: array}))


def test_arrays_beside_those_that_are_drawn_are_left_alone():
    beside = {"standard_errors": np.ones((4, 5, 3, 2)), "players": np.zeros((4, 5), np.int32)}
    assert load_attributions(npz(**beside)).values.shape == (4, 5, 3, 2)


# --- Numbers to colours -------------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore")  # warnings of shap's import
def test_the_colour_map_is_the_one_of_shap():
    from shap.plots.colors import red_transparent_blue

    theirs = red_transparent_blue(np.arange(256), bytes=True)
    np.testing.assert_allclose(PALETTES["red_blue"].levels, theirs, atol=1, rtol=0)  # rounding


@pytest.mark.filterwarnings("ignore")
def test_every_pixel_of_the_heat_has_the_colour_that_shap_gives_it():
    from matplotlib.colors import Normalize
    from shap.plots.colors import red_transparent_blue

    given = random_attributions(40, 30, outputs=1)
    sums = given.values.sum(axis=2)[..., 0]
    saturation = np.nanpercentile(np.abs(sums), 99.9)
    theirs = red_transparent_blue(Normalize(-saturation, saturation)(sums), bytes=True)
    assert np.abs(pixels(heat(given)) - theirs.astype(int)).max() <= 1  # rounding of a level


def test_the_limit_is_the_percentile_of_the_absolute_channel_sums_over_all_outputs():
    values = random_attributions(50, 50, outputs=3).values
    expected = np.percentile(np.abs(values.astype(np.float64).sum(axis=2)), 99.9)
    sums = channel_sums(values)
    assert limit(sums) == pytest.approx(expected, rel=1e-12)
    assert limit(sums, percentile=50) < limit(sums, percentile=100) == np.abs(sums).max()


def test_channels_that_cancel_leave_nothing_to_draw():
    values = np.zeros((3, 3, 3, 1))
    values[..., 0, 0], values[..., 1, 0] = 1.0, -1.0
    assert limit(channel_sums(values)) == 0.0


def test_a_lone_pixel_below_the_percentile_still_shows():
    values = np.zeros((100, 100, 1, 1))
    values[40, 60] = 0.5
    assert limit(channel_sums(values)) == 0.5
    shown = pixels(heat(attributions(values)))
    assert tuple(shown[40, 60]) == (*RED, 255)
    assert (shown[..., 3] > 0).sum() == 1


@pytest.mark.parametrize("percentile", [0, -1, 100.1, float("nan")])
def test_a_percentile_outside_its_range_is_refused(percentile):
    with pytest.raises(InvalidOptionError, match="percentile"):
        limit(np.ones((2, 2, 1)), percentile=percentile)


def test_positive_is_red_negative_is_blue_and_zero_is_transparent():
    values = np.array([1.0, -1.0, 0.0, 0.5]).reshape(1, 4, 1, 1)
    positive, negative, zero, half = pixels(heat(attributions(values), percentile=100))[0]
    assert tuple(positive) == (*RED, 255)
    assert tuple(negative) == (*BLUE, 255)
    assert zero[3] == 0
    assert tuple(half[:3]) == RED
    assert half[3] == pytest.approx(127, abs=2)


# --- Heat ---------------------------------------------------------------------------------------


def test_the_heat_has_the_size_of_the_model_input_or_the_requested_size():
    given = random_attributions(12, 30)
    assert opened(heat(given)).size == (30, 12)
    assert opened(heat(given)).mode == "RGBA"
    assert opened(heat(given, size=(77, 41))).size == (77, 41)


def test_an_enlarged_heat_repeats_pixels_without_interpolation():
    small = pixels(heat(left_red_right_blue()))
    large = pixels(heat(left_red_right_blue(), size=(60, 60)))
    np.testing.assert_array_equal(large, small.repeat(3, axis=0).repeat(3, axis=1))


def test_a_shrunk_heat_averages_the_numbers_so_that_red_and_blue_cancel():
    shrunk = pixels(heat(left_red_right_blue(), size=(1, 1)))
    assert shrunk[0, 0, 3] == 0


def test_a_heat_fills_its_crop_as_it_would_on_the_picture():
    shown = pixels(heat(left_red_right_blue(), size=(140, 100), crop=(30, 20, 110, 80)))
    alone = pixels(heat(left_red_right_blue(), size=(80, 60)))
    np.testing.assert_array_equal(shown[20:80, 30:110], alone)
    assert shown[..., 3].sum() == alone[..., 3].sum()


@pytest.mark.parametrize("size", [(0, 10), (10**5, 10**4)])
def test_a_size_outside_the_limits_is_refused(size):
    with pytest.raises(InvalidOptionError, match="width and height"):
        heat(random_attributions(), size=size)


# --- Overlay ------------------------------------------------------------------------------------


def test_the_overlay_has_the_size_of_the_picture_it_lies_on():
    given = random_attributions(12, 12)
    assert opened(overlay(given)).size == (12, 12)
    assert opened(overlay(given, picture=np.zeros((50, 90, 3), np.uint8))).size == (90, 50)


def test_heat_lies_exactly_on_the_crop_and_nowhere_else():
    picture = np.full((100, 140, 3), 128, np.uint8)
    shown = pixels(overlay(left_red_right_blue(), picture=picture, crop=(30, 20, 110, 80)))
    redder_than_blue = shown[..., 0] - shown[..., 2]
    assert (redder_than_blue[20:80, 30:70] > 0).all()
    assert (redder_than_blue[20:80, 70:110] < 0).all()
    redder_than_blue[20:80, 30:110] = 0
    assert not redder_than_blue.any()


def test_the_part_outside_the_crop_is_paler_than_the_crop():
    given = attributions(np.zeros((20, 20, 1, 1)))
    picture = np.full((100, 140, 3), 60, np.uint8)
    shown = pixels(overlay(given, picture=picture, crop=(20, 0, 120, 100)))
    assert shown[:, 20:120].max() < shown[:, :20].min()
    assert np.unique(shown[:, :20]).size > 1  # hatched
    assert np.unique(shown[:, 20:120]).size == 1


def test_opacity_nought_leaves_the_grey_picture_alone():
    shown = pixels(overlay(left_red_right_blue(), alpha=0))
    assert np.unique(shown).size == 1


def test_an_overlay_shows_the_first_output_on_its_own_scale():
    both = random_attributions(outputs=2)
    assert overlay(both) == overlay(both.narrow([0]))
    assert overlay(both) != overlay(both.narrow([1]))


@pytest.mark.parametrize("crop", [(0, 0, 41, 30), (-1, 0, 5, 5), (5, 5, 5, 9), (0, 9, 5, 3)])
def test_a_crop_outside_the_picture_is_refused(crop):
    with pytest.raises(InvalidOptionError, match="40 x 30"):
        overlay(random_attributions(), picture=np.zeros((30, 40, 3), np.uint8), crop=crop)


@pytest.mark.parametrize("picture", [np.zeros((9, 9), np.uint8), np.zeros((9, 9, 3))])
def test_a_picture_that_is_not_8_bit_rgb_is_refused(picture):
    with pytest.raises(InvalidOptionError, match="uint8"):
        overlay(random_attributions(), picture=picture)


# --- All of them --------------------------------------------------------------------------------


def drawn(given: Attributions, **options) -> list[bytes]:
    return [figure(Row(given), **options), overlay(given, **options), heat(given, **options)]


def test_drawings_have_an_alternative_text():
    values = np.zeros((9, 9, 1, 1))
    values[0, 4], values[8, 8], values[4, 0] = 3.0, 1.0, -4.0
    for png in drawn(attributions(values, names=["日本の猫"]), percentile=100):
        assert opened(png).text["Software"] == "Shapshot"
        assert opened(png).text["Title"] == "What speaks for 日本の猫"
        description = opened(png).text["Description"]
        assert "日本の猫: 75% of what speaks for it lies in the upper middle." in description
        assert "in red and against it in blue, strongest from ±4." in description


def test_the_alternative_text_has_the_score_and_the_palette():
    given = attributions(np.ones((8, 8, 1, 1)), names=["tabby"])
    for png in (
        figure(Row(given, [0.93]), palette="orange_purple"),
        overlay(given, score=0.93, palette="orange_purple"),
        heat(given, score=0.93, palette="orange_purple"),
    ):
        description = opened(png).text["Description"]
        assert "tabby (score 0.93): what speaks for it is spread over the picture." in description
        assert "in orange and against it in purple" in description


@pytest.mark.parametrize("name", ["a\x00b", "\ud800", "line\nbreak", "café"])
def test_any_name_makes_a_text_that_can_be_read_back(name):
    for png in drawn(attributions(np.ones((8, 8, 1, 1)), names=[name])):
        assert opened(png).text["Title"].isprintable()


def test_the_same_arrays_give_the_same_bytes_in_eight_threads():
    given = random_attributions(64, 64, outputs=4)
    alone = drawn(given)
    with ThreadPoolExecutor(8) as threads:
        assert all(each == alone for each in threads.map(drawn, [given] * 16))


def test_drawing_imports_neither_pyplot_nor_a_display_nor_the_worker():
    program = (
        "import sys, numpy as np; from service.render import Attributions, Row, figure;"
        "ones = np.ones((4, 4, 1, 1), 'f4');"
        "figure(Row(Attributions(ones, ones[0, 0, 0], ones[..., 0], ['x'], [0])));"
        "print(*sys.modules)"
    )
    output = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)
    loaded = set(output.stdout.decode().split())
    assert "matplotlib.colors" in loaded
    for absent in ("matplotlib.pyplot", "matplotlib.font_manager", "tkinter", "cv2", "worker"):
        assert absent not in loaded
