import cv2
import numpy as np
import pytest

from tests.engine.games import random_picture
from worker.adapters.engine_request import read_masker
from worker.engine.errors import MaskerError
from worker.engine.game.image_tree import Box, BoxCoalitions, empty_coalition, grand_coalition
from worker.engine.masking import maskers
from worker.engine.masking.masker_spec import MaskerSpec

INPAINTING = ["inpaint_telea", "inpaint_ns"]
FILLING = ["blur(5,3)", "mean", "constant(7)"]
SHAPE = (9, 12, 3)
LOWER_HALF = Box(4, 9, 0, 12, 0, 3)
PART = BoxCoalitions(SHAPE, [(LOWER_HALF,)])


def make(name, picture):
    return maskers.make_masker(read_masker(name), picture)


@pytest.mark.parametrize(
    ("spec", "text"),
    [
        (MaskerSpec("inpaint_telea"), "inpaint_telea"),
        (MaskerSpec("inpaint_ns"), "inpaint_ns"),
        (MaskerSpec("blur", (128, 64)), "blur(128,64)"),
        (MaskerSpec("mean"), "mean"),
        (MaskerSpec("constant", (127.5,)), "constant(127.5)"),
        (MaskerSpec("constant", (1, 2, 3)), "constant(1,2,3)"),
    ],
)
def test_the_text_of_a_masker_can_be_parsed_again(spec, text):
    assert str(spec) == text
    assert read_masker(text) == spec


@pytest.mark.parametrize(
    ("kind", "numbers"),
    [
        *[("", ()), ("inpaint", ()), ("inpaint_telea", (3,)), ("mean", (1,)), ("mean mean", ())],
        *[("constant", ()), ("constant", (255.5,)), ("constant", (-1,)), ("constant", (np.nan,))],
        *[("blur", ()), ("blur", (5,)), ("blur", (0, 5)), ("blur", (2.5, 3)), ("blur", (4097, 1))],
        *[("blur", (1, 2, 3)), ("blur", (np.nan, 3)), ("Blur", (3, 3))],
    ],
)
def test_an_unknown_masker_is_refused_with_the_accepted_ones(kind, numbers):
    with pytest.raises(MaskerError, match=r"accepted are inpaint_telea.*blur\(width,height\)"):
        MaskerSpec(kind, numbers)


@pytest.mark.parametrize(
    ("kind", "numbers"), [("blur", (1, 4096)), ("constant", (0,)), ("constant", (255, 0))]
)
def test_a_masker_takes_numbers_up_to_the_ends_of_their_ranges(kind, numbers):
    assert MaskerSpec(kind, numbers).numbers == numbers


@pytest.mark.parametrize("name", INPAINTING)
@pytest.mark.parametrize("channels", [1, 3])
def test_inpainting_takes_two_by_two_pixels(name, channels):
    picture = random_picture((2, 2, channels), 0)
    [shown] = make(name, picture)(grand_coalition(picture.shape))
    assert (shown == np.floor(picture)).all()


@pytest.mark.parametrize("name", INPAINTING)
def test_inpainting_takes_one_or_three_channels(name):
    with pytest.raises(MaskerError, match="2 channels; it takes at least 2 x 2 pixels and 1 or 3"):
        make(name, random_picture((6, 6, 2), 0))


@pytest.mark.parametrize("shape", [(1, 9, 3), (9, 1, 1)])
@pytest.mark.parametrize("name", INPAINTING)
def test_inpainting_takes_no_single_row_or_column(name, shape):
    """OpenCV 4.14 paints a single row differently each time: it reads past its ends."""
    with pytest.raises(MaskerError, match="at least 2 x 2 pixels"):
        make(name, random_picture(shape, 0))


def test_a_constant_has_one_value_or_one_for_each_channel():
    with pytest.raises(MaskerError, match="2 values but the picture has 3 channels"):
        make("constant(1,2)", random_picture(SHAPE, 0))


@pytest.mark.parametrize("channels", [1, 2, 3, 5])
@pytest.mark.parametrize("name", FILLING)
def test_filling_takes_any_number_of_channels(name, channels):
    picture = random_picture((6, 7, channels), 0)
    painted = make(name, picture)(empty_coalition(picture.shape))
    assert painted.shape == (1, 6, 7, channels)
    assert painted.dtype == np.float32


def test_each_fill_agrees_with_its_name():
    picture = random_picture(SHAPE, 1)

    def hidden(name):
        return make(name, picture)(empty_coalition(SHAPE))[0]

    assert (hidden("constant(7)") == 7).all()
    assert (hidden("constant(1,2,3)") == [1, 2, 3]).all()
    assert (hidden("mean") == picture.mean(axis=(0, 1))).all()
    assert (hidden("blur(5,3)") == cv2.blur(picture, (5, 3))).all()


def test_the_blur_is_five_wide_and_three_high():
    picture = np.zeros((7, 7, 1), dtype=np.float32)
    picture[3, 3] = 150
    painted = make("blur(5,3)", picture)(empty_coalition((7, 7, 1)))[0, :, :, 0]
    expected = np.zeros((7, 7))
    expected[2:5, 1:6] = 10  # 150 over 5 x 3 pixels
    assert painted == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("name", FILLING)
def test_filling_shows_visible_elements_as_they_are(name):
    picture = random_picture(SHAPE, 2)
    painted = make(name, picture)(PART)[0]
    assert (painted[4:] == picture[4:]).all()
    assert not (painted[:4] == picture[:4]).any()


@pytest.mark.parametrize("name", INPAINTING)
def test_inpainting_truncates_visible_pixels_to_whole_intensities(name):
    picture = random_picture(SHAPE, 3)
    masker = make(name, picture)
    assert (masker(grand_coalition(SHAPE))[0] == np.floor(picture)).all()
    assert (masker(PART)[0, 4:] == np.floor(picture[4:])).all()


@pytest.mark.parametrize("name", INPAINTING)
def test_inpainting_a_fully_hidden_picture_gives_the_mean_of_each_channel(name):
    picture = random_picture(SHAPE, 4)
    painted = make(name, picture)(empty_coalition(SHAPE))[0]
    assert (painted == picture.mean(axis=(0, 1))).all()


@pytest.mark.parametrize("name", INPAINTING)
def test_inpainting_paints_a_pixel_as_soon_as_one_channel_is_hidden(name):
    shape = (6, 6, 3)
    green_missing = (Box(0, 3, 0, 6, 0, 3), Box(3, 6, 0, 6, 0, 1), Box(3, 6, 0, 6, 2, 3))
    rows_missing = (Box(0, 3, 0, 6, 0, 3),)
    masker = make(name, random_picture(shape, 5))
    painted = masker(BoxCoalitions(shape, [green_missing, rows_missing]))
    assert (painted[0] == painted[1]).all()


@pytest.mark.parametrize("name", INPAINTING)
def test_inpainting_reaches_the_first_row_and_column(name):
    """Guards the version: some OpenCV sources leave row 0 and column 0 unpainted."""
    picture = np.full((16, 16, 3), 200, dtype=np.float32)
    picture[0, :], picture[:, 0] = 10, 10
    inside = BoxCoalitions(picture.shape, [(Box(1, 16, 1, 16, 0, 3),)])
    painted = make(name, picture)(inside)[0]
    assert painted[0, 1:] == pytest.approx(200, abs=5)
    assert painted[1:, 0] == pytest.approx(200, abs=5)


@pytest.mark.parametrize("name", INPAINTING)
def test_inpainting_equals_opencvs_with_radius_3(name):
    picture = random_picture((17, 23, 3), 6)
    flag = getattr(cv2, name.upper())
    hidden = np.zeros((17, 23), dtype=np.uint8)
    hidden[:8] = 1
    seen = BoxCoalitions(picture.shape, [(Box(8, 17, 0, 23, 0, 3),)])
    expected = cv2.inpaint(picture.astype(np.uint8), hidden, 3, flag)
    assert (make(name, picture)(seen)[0] == expected).all()


@pytest.mark.parametrize("name", INPAINTING + FILLING)
def test_a_masker_is_pure(name):
    picture = random_picture(SHAPE, 7)
    original = picture.copy()
    masker = make(name, picture)
    first = masker(PART)
    masker(empty_coalition(SHAPE))
    picture[:] = 0  # the masker holds a copy
    assert (masker(PART) == first).all()
    assert (make(name, original)(PART) == first).all()


@pytest.mark.parametrize("name", INPAINTING + FILLING)
def test_a_masker_paints_into_the_buffer_it_is_given(name):
    masker = make(name, random_picture(SHAPE, 8))
    buffer = np.full((2, *SHAPE), -1, dtype=np.float32)
    assert masker(PART, buffer[:1]).base is buffer
    assert (buffer[0] == masker(PART)[0]).all()
    assert (buffer[1] == -1).all()


@pytest.mark.parametrize("name", INPAINTING + FILLING)
def test_the_layout_of_the_picture_in_memory_does_not_matter(name):
    picture = random_picture(SHAPE, 9)
    strided = np.asfortranarray(picture)[::-1][::-1]
    assert (make(name, strided)(PART) == make(name, picture)(PART)).all()
