"""What the pictures show: numbers to colours as shap's image plot has it, placed to the pixel."""

import io
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from PIL import Image

from service.render import (
    RED_TRANSPARENT_BLUE,
    Attributions,
    BadAttributions,
    BadOption,
    channel_sums,
    figure,
    heat,
    limit,
    load_attributions,
    overlay,
)
from service.render.colour_bar import MINUS, ticks
from service.render.text import load_font, wrap

RED, BLUE = (255, 13, 87), (30, 136, 229)


def attributions(values, data=None, names=None) -> Attributions:
    """Around `values` (H, W, C, K); the picture is mid-grey unless given."""
    outputs = values.shape[3]
    return Attributions(
        values=values.astype(np.float32),
        base_values=np.zeros(outputs, np.float32),
        data=np.full(values.shape[:3], 128, np.float32) if data is None else data,
        output_names=names or [f"output {k}" for k in range(outputs)],
        output_indices=list(range(outputs)),
    )


def random_attributions(height=24, width=24, channels=3, outputs=2, seed=0) -> Attributions:
    numbers = np.random.default_rng(seed)
    data = numbers.uniform(0, 255, (height, width, channels)).astype(np.float32)
    return attributions(numbers.normal(size=(height, width, channels, outputs)), data)


def left_red_right_blue(height=20, width=20) -> Attributions:
    values = np.zeros((height, width, 1, 1))
    values[:, : width // 2], values[:, width // 2 :] = 2.0, -2.0
    return attributions(values)


def opened(png: bytes) -> Image.Image:
    image = Image.open(io.BytesIO(png))
    image.load()
    return image


def pixels(png: bytes) -> np.ndarray:
    return np.asarray(opened(png)).astype(int)


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


def test_narrowing_keeps_the_outputs_asked_for_in_that_order():
    whole = random_attributions(outputs=3)
    narrowed = whole.narrow([2, 0])
    np.testing.assert_array_equal(narrowed.values[..., 0], whole.values[..., 2])
    assert narrowed.output_names == ["output 2", "output 0"]
    assert narrowed.output_indices == [2, 0]


@pytest.mark.parametrize("positions", [[], [2], [-1]])
def test_narrowing_to_an_output_that_is_not_there_names_those_that_are(positions):
    with pytest.raises(BadOption, match=r"0\.\.1"):
        random_attributions(outputs=2).narrow(positions)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"not an archive", "not a readable npz"),
        (npz()[:-40], "not a readable npz"),
        (npz(data=None), "data"),
        (npz(output_names=np.array([{}, {}])), "not a readable npz"),  # would have to be unpickled
        (npz(output_indices=np.array([1])), "output_indices must have one entry"),
        (npz(data=np.zeros((5, 4, 3))), "data must be"),
        (npz(values=np.ones((4, 5, 2, 2)), data=np.ones((4, 5, 2))), "1 or 3"),
        (npz(values=np.ones((4, 5, 3, 0))), "values must be"),
    ],
)
def test_broken_arrays_are_refused_with_what_is_wrong(content, message):
    with pytest.raises(BadAttributions, match=message):
        load_attributions(content)


@pytest.mark.parametrize("name", ["values", "data", "base_values"])
@pytest.mark.parametrize("poison", [np.nan, np.inf])
def test_numbers_that_are_not_finite_are_refused_by_name_and_count(name, poison):
    shape = {"values": (4, 5, 3, 2), "data": (4, 5, 3), "base_values": (2,)}[name]
    array = np.zeros(shape, np.float32)
    array.flat[0] = poison
    with pytest.raises(BadAttributions, match=f"{name} must be finite; received 1 NaN"):
        load_attributions(npz(**{name: array}))


# --- Numbers to colours -------------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore")  # what shap's import warns of is not ours
def test_the_colour_map_is_the_one_of_shap():
    from shap.plots.colors import red_transparent_blue

    levels = np.arange(256)
    ours, theirs = RED_TRANSPARENT_BLUE(levels), red_transparent_blue(levels)
    np.testing.assert_allclose(ours, theirs, atol=1e-12)


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
    given = random_attributions(50, 50, outputs=3)
    expected = np.percentile(np.abs(given.values.astype(np.float64).sum(axis=2)), 99.9)
    assert limit(given.values, 99.9) == pytest.approx(expected, rel=1e-12)
    assert (
        limit(given.values, 50)
        < limit(given.values, 100)
        == np.abs(channel_sums(given.values)).max()
    )


def test_channels_that_cancel_leave_nothing_to_draw():
    values = np.zeros((3, 3, 3, 1))
    values[..., 0, 0], values[..., 1, 0] = 1.0, -1.0
    assert limit(attributions(values).values) == 0.0


def test_a_lone_pixel_below_the_percentile_still_shows():
    values = np.zeros((100, 100, 1, 1))
    values[40, 60] = 0.5
    assert limit(values, 99.9) == 0.5
    shown = pixels(heat(attributions(values)))
    assert tuple(shown[40, 60]) == (*RED, 255)
    assert (shown[..., 3] > 0).sum() == 1


@pytest.mark.parametrize("percentile", [0, -1, 100.1, float("nan")])
def test_a_percentile_outside_its_range_is_refused(percentile):
    with pytest.raises(BadOption, match="percentile"):
        limit(np.ones((2, 2, 1, 1), np.float32), percentile)


def test_positive_is_red_negative_is_blue_and_zero_is_transparent():
    values = np.array([1.0, -1.0, 0.0, 0.5]).reshape(1, 4, 1, 1)
    positive, negative, zero, half = pixels(heat(attributions(values), percentile=100))[0]
    assert tuple(positive) == (*RED, 255)
    assert tuple(negative) == (*BLUE, 255)
    assert zero[3] == 0
    assert tuple(half[:3]) == RED
    assert half[3] == pytest.approx(127, abs=2)


# --- Heat ---------------------------------------------------------------------------------------


def test_the_heat_has_the_size_of_the_model_input_or_the_size_asked_for():
    given = random_attributions(12, 30)
    assert opened(heat(given)).size == (30, 12)
    assert opened(heat(given)).mode == "RGBA"
    assert opened(heat(given, size=(77, 41))).size == (77, 41)


def test_an_enlarged_heat_repeats_pixels_and_invents_no_values_between_them():
    small = pixels(heat(left_red_right_blue()))
    large = pixels(heat(left_red_right_blue(), size=(60, 60)))
    np.testing.assert_array_equal(large, small.repeat(3, axis=0).repeat(3, axis=1))


def test_a_shrunk_heat_averages_the_numbers_so_that_red_and_blue_cancel():
    shrunk = pixels(heat(left_red_right_blue(), size=(1, 1)))
    assert shrunk[0, 0, 3] == 0


@pytest.mark.parametrize("size", [(0, 10), (10, 10**6)])
def test_a_size_outside_the_limits_is_refused(size):
    with pytest.raises(BadOption, match="width and height"):
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


def test_what_the_model_did_not_see_is_paler_than_what_it_saw():
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
    with pytest.raises(BadOption, match="40 x 30"):
        overlay(random_attributions(), picture=np.zeros((30, 40, 3), np.uint8), crop=crop)


@pytest.mark.parametrize("picture", [np.zeros((9, 9), np.uint8), np.zeros((9, 9, 3))])
def test_a_picture_that_is_not_8_bit_rgb_is_refused(picture):
    with pytest.raises(BadOption, match="uint8"):
        overlay(random_attributions(), picture=picture)


# --- Figure -------------------------------------------------------------------------------------


def test_the_picture_comes_first_and_heat_and_ghost_share_its_grid():
    data = np.zeros((28, 28, 1), np.float32)
    data[:, 14:] = 255
    values = np.zeros((28, 28, 1, 1))
    values[:14] = 1.0
    shown = pixels(figure(attributions(values, data)))
    side, margin, gap = 252, 20, 16  # 28 pixels, each enlarged to 9
    top = next(y for y in range(shown.shape[0]) if (shown[y, margin] == 0).all())
    picture = shown[top : top + side, margin : margin + side]
    panel = shown[top : top + side, margin + side + gap : margin + 2 * side + gap]
    assert (picture[:, :126] == 0).all()
    assert (picture[:, 126:] == 255).all()
    assert (panel[:126] == RED).all()
    assert (panel[126:, :126] == 255 - round(0.15 * 255)).all()
    assert (panel[126:, 126:] == 255).all()


def test_all_panels_share_one_scale():
    values = np.zeros((30, 30, 1, 2))
    values[..., 0], values[..., 1] = 1.0, 0.5
    shown = pixels(figure(attributions(values), percentile=100, alpha=0))
    row = shown[shown.shape[0] // 2]
    strong, weak = row[350], row[600]
    assert tuple(strong) == RED
    assert tuple(weak) == pytest.approx((255, 134, 171), abs=2)  # half red on white


@pytest.mark.parametrize("outputs", [1, 5, 6, 20])
@pytest.mark.parametrize("shape", [(28, 28, 1), (1, 1, 3), (3, 200, 3), (200, 3, 1), (400, 300, 3)])
def test_any_number_of_outputs_and_any_shape_gives_a_figure(outputs, shape):
    given = random_attributions(*shape, outputs=outputs)
    image = opened(figure(given, scores=[0.5] * outputs))
    assert image.mode == "RGB"
    assert image.width <= 2100
    border = np.asarray(image).copy()
    border[8:-8, 8:-8] = 255
    assert (border == 255).all()  # nothing touches the edge


@pytest.mark.parametrize("width_px", [100, 333, 1000, 4096])
def test_a_figure_has_exactly_the_width_asked_for(width_px):
    given = random_attributions(outputs=7)
    assert opened(figure(given, scores=[0.5] * 7, width_px=width_px)).width == width_px


def test_names_break_between_words_and_the_last_of_three_lines_is_cut():
    font = load_font(14)
    assert wrap("tabby_cat", font, 200) == ["tabby_cat"]
    assert wrap("space shuttle, orbiter", font, 110) == ["space shuttle,", "orbiter"]
    lines = wrap("one two three four five six seven eight nine", font, 70)
    assert lines[:2] == ["one two", "three four"]
    assert lines[2].startswith("five")
    assert lines[2].endswith("…")
    assert all(font.width(line) <= 70 for line in wrap("x" * 99, font, 70))


def test_a_long_name_takes_more_lines_and_no_more_width():
    values = np.ones((20, 20, 1, 1))
    short = opened(figure(attributions(values, names=["cat"])))
    long = opened(figure(attributions(values, names=["hippopotamus_amphibius, " * 9])))
    endless = opened(figure(attributions(values, names=["x" * 5000])))
    assert long.width == endless.width == short.width
    assert short.height < long.height == endless.height


@pytest.mark.parametrize("name", ["", " \n", "$\\frac{", "日本の猫 🐈", "a\x00b"])
def test_any_name_can_be_drawn(name):
    given = attributions(np.ones((8, 8, 1, 1)), names=[name])
    assert opened(figure(given, scores=[-1e-9])).width > 0


def test_attributions_that_are_all_zero_give_a_figure_that_says_so():
    zero = attributions(np.zeros((20, 20, 3, 2)))
    shown = opened(figure(zero))
    assert np.ptp(np.asarray(shown).astype(int), axis=2).max() == 0  # no red, no blue
    assert "zero" in shown.text["Description"]
    assert pixels(heat(zero))[..., 3].max() == 0


@pytest.mark.parametrize("magnitude", [1e-30, 1e-9, 4.99e-4, 0.009, 1.0, 123456.0, 1e30])
def test_attributions_of_any_magnitude_have_a_colour_bar(magnitude):
    given = attributions(np.full((8, 8, 1, 1), magnitude))
    assert opened(figure(given)).width > 0


def test_numbers_of_the_colour_bar_are_round_symmetric_and_of_even_precision():
    marks = ticks(0.00521, 420, load_font(12))
    assert [label for _, label in marks] == [
        f"{MINUS}0.004",
        f"{MINUS}0.002",
        "0",
        "0.002",
        "0.004",
    ]
    assert marks[-1][0] == pytest.approx(0.004 / 0.00521)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"scores": [0.1]}, "scores must be one for each of 2"),
        ({"alpha": 1.5}, "alpha"),
        ({"width_px": 5}, "width_px"),
        ({"percentile": 0}, "percentile"),
    ],
)
def test_options_of_the_figure_outside_their_range_are_refused(options, message):
    with pytest.raises(BadOption, match=message):
        figure(random_attributions(), **options)


# --- All of them --------------------------------------------------------------------------------


def test_pictures_carry_their_alternative_text_and_where_they_come_from():
    given = attributions(np.ones((8, 8, 1, 2)), names=["tabby", "日本の猫"])
    text = opened(figure(given, scores=[0.93, 0.041])).text
    assert "tabby (0.93)" in text["Description"]
    assert "日本の猫 (0.041)" in text["Description"]
    for png in (figure(given), overlay(given), heat(given)):
        assert opened(png).text["Software"] == "Shapshot"
        assert "tabby" in opened(png).text["Description"]


def test_the_same_arrays_give_the_same_bytes_in_eight_threads():
    given = random_attributions(64, 64, outputs=4)

    def draw(_: int) -> tuple[bytes, bytes, bytes]:
        return figure(given, scores=[0.1, 0.2, 0.3, 0.4]), overlay(given), heat(given)

    alone = draw(0)
    with ThreadPoolExecutor(8) as threads:
        assert all(drawn == alone for drawn in threads.map(draw, range(16)))


def test_drawing_imports_neither_pyplot_nor_a_display_nor_the_worker():
    program = (
        "import sys, numpy as np; from service.render import Attributions, figure;"
        "ones = np.ones((4, 4, 1, 1), 'f4');"
        "figure(Attributions(ones, ones[0, 0, 0], ones[..., 0], ['x'], [0]));"
        "print(*sys.modules)"
    )
    output = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)
    loaded = set(output.stdout.decode().split())
    assert "matplotlib.colors" in loaded
    for absent in ("matplotlib.pyplot", "matplotlib.font_manager", "tkinter", "cv2", "worker"):
        assert absent not in loaded
