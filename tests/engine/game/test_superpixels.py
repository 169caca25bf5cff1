"""Superpixels of a picture: a grid, SLIC, and the caller's own label maps."""

import cv2
import numpy as np
import pytest
import skimage.data
from hypothesis import given, settings
from hypothesis import strategies as st
from skimage.segmentation import slic

from tests.engine.games import random_picture
from worker.engine.errors import SuperpixelsError
from worker.engine.game.superpixels import Grid, LabelMap, Pixels, Slic, make_players

unhurried = settings(deadline=None, derandomize=True, database=None, max_examples=30)
seeds = st.integers(0, 2**32 - 1)


@pytest.fixture(scope="module")
def photo():
    """A photo of a cat: (100, 150, 3) float32 of whole levels 0..255."""
    small = cv2.resize(skimage.data.chelsea(), (150, 100), interpolation=cv2.INTER_AREA)
    return small.astype(np.float32)


def labels_of(superpixels, picture):
    return make_players(superpixels, picture).labels


def blank(H, W, C=3):
    return np.zeros((H, W, C), np.float32)


# --- Every kind ---------------------------------------------------------------------------------

KINDS = [Grid(3, 4), Slic(12, sigma=1), LabelMap(np.arange(20 * 30).reshape(20, 30) // 77 - 3)]


@pytest.mark.parametrize("kind", KINDS, ids=["grid", "slic", "labels"])
@pytest.mark.parametrize("channels", [1, 3])
def test_superpixels_are_numbered_without_gaps_and_are_whole_pixels(kind, channels):
    players = make_players(kind, random_picture((20, 30, channels), 0))
    assert players.labels.shape == (20, 30)
    assert players.labels.dtype == np.int32
    assert np.unique(players.labels).tolist() == list(range(len(players)))
    assert players.sizes.sum() == 20 * 30 * channels
    assert players.superpixels


@pytest.mark.parametrize("kind", KINDS, ids=["grid", "slic", "labels"])
def test_the_same_picture_gives_the_same_superpixels_and_is_not_changed(kind):
    picture = random_picture((20, 30, 3), 1)
    before = picture.copy()
    first, second = labels_of(kind, picture), labels_of(kind, picture)
    assert (first == second).all()
    assert (picture == before).all()


@pytest.mark.parametrize(("channels", "count"), [("apart", 24), ("together", 12)])
def test_pixels_are_not_superpixels(channels, count):
    players = make_players(Pixels(channels), blank(3, 4, 2))
    assert len(players) == count
    assert not players.superpixels


# --- Grid ---------------------------------------------------------------------------------------


def test_a_grid_is_numbered_row_by_row():
    labels = labels_of(Grid(2, 3), blank(2, 6))
    assert labels.tolist() == [[0, 0, 1, 1, 2, 2], [3, 3, 4, 4, 5, 5]]


@unhurried
@given(data=st.data(), H=st.integers(1, 40), W=st.integers(1, 40))
def test_the_rectangles_of_a_grid_are_as_equal_as_possible(data, H, W):
    rows, columns = data.draw(st.integers(1, H)), data.draw(st.integers(1, W))
    labels = labels_of(Grid(rows, columns), blank(H, W, 1))
    heights = np.bincount(labels[:, 0] // columns)
    widths = np.bincount(labels[0] % columns)
    assert (len(heights), len(widths)) == (rows, columns)
    assert np.ptp(heights) <= 1
    assert np.ptp(widths) <= 1
    assert (labels == labels[:, :1] + labels[:1]).all()  # each is a rectangle


def test_a_grid_may_have_at_most_one_cell_per_pixel():
    assert len(make_players(Grid(5, 7), blank(5, 7))) == 35
    with pytest.raises(SuperpixelsError, match=r"6 rows and 7 columns; .* 1..5 rows and 1..7 col"):
        make_players(Grid(6, 7), blank(5, 7))
    with pytest.raises(SuperpixelsError, match=r"5 rows and 8 columns; .* 1..5 rows and 1..7 col"):
        make_players(Grid(5, 8), blank(5, 7))


# --- SLIC ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("settings", [(50, 30, 3), (20, 10, 0), (200, 0.5, 1), (1, 30, 3)])
def test_colours_are_segmented_as_scikit_image_segments_the_loaded_picture(photo, settings):
    segments, compactness, sigma = settings
    ours = labels_of(Slic(*settings), photo)
    loaded = photo.astype(np.uint8)
    theirs = slic(loaded, n_segments=segments, compactness=compactness, sigma=sigma, start_label=0)
    assert (ours == theirs).all()


def test_the_defaults_are_those_of_shaps_notebook():
    """The one on Kernel SHAP of an ImageNet classifier: slic(img, 50, compactness=30, sigma=3)."""
    assert Slic() == Slic(segments=50, compactness=30, sigma=3)


def test_grey_is_segmented_as_the_same_grey_in_colour(photo):
    grey = cv2.cvtColor(photo.astype(np.uint8), cv2.COLOR_RGB2GRAY)[..., np.newaxis]
    ours = labels_of(Slic(), grey.astype(np.float32))
    theirs = slic(np.repeat(grey, 3, axis=2), n_segments=50, compactness=30, sigma=3, start_label=0)
    assert (ours == theirs).all()


def test_grey_superpixels_follow_the_picture():
    disk = np.zeros((60, 60, 1), np.float32)
    disk[cv2.circle(np.zeros((60, 60), np.uint8), (30, 30), 17, 1, -1) == 1] = 200
    labels = labels_of(Slic(30, sigma=0), disk)
    mixed = [m for m in range(labels.max() + 1) if np.ptp(disk[labels == m]) > 0]
    assert mixed == []


def test_other_numbers_of_channels_are_segmented_by_their_levels():
    halves = blank(20, 40, 4)
    halves[:, 20:, 3] = 255
    labels = labels_of(Slic(2, compactness=0.01, sigma=0), halves)
    assert np.unique(labels[:, :20]).tolist() == [0]
    assert np.unique(labels[:, 20:]).tolist() == [1]


@pytest.mark.parametrize("shape", [(1, 1, 3), (1, 40, 3), (2, 2, 1), (28, 28, 1)])
@pytest.mark.parametrize("level", [0, 255, None])
def test_small_and_blank_pictures_are_segmented_too(shape, level):
    picture = random_picture(shape, 0) if level is None else np.full(shape, level, np.float32)
    players = make_players(Slic(segments=min(50, shape[0] * shape[1])), picture)
    assert 1 <= len(players) <= shape[0] * shape[1]
    assert players.labels.shape == shape[:2]


def test_more_segments_than_pixels_are_refused():
    with pytest.raises(SuperpixelsError, match=r"segments is 50; .* 5 x 8 pixels .* 1\.\.40"):
        make_players(Slic(50), blank(5, 8))


# --- A map of the caller's own ------------------------------------------------------------------


@pytest.mark.parametrize("kind", [np.uint8, np.int16, np.int64, np.uint64])
def test_labels_of_any_values_are_numbered_in_order_of_value(kind):
    low, high = np.iinfo(kind).min, np.iinfo(kind).max
    given_labels = np.array([[high, high, 7], [low, 7, 7]], dtype=kind)
    assert labels_of(LabelMap(given_labels), blank(2, 3)).tolist() == [[2, 2, 1], [0, 1, 1]]


@unhurried
@given(seed=seeds, count=st.integers(1, 30))
def test_pixels_are_together_exactly_where_their_labels_are_equal(seed, count):
    random = np.random.default_rng(seed)
    raw = random.choice(random.integers(-1000, 1000, count), (6, 7))
    ours = labels_of(LabelMap(raw), blank(6, 7)).ravel()
    assert ((ours[:, None] < ours) == (raw.ravel()[:, None] < raw.ravel())).all()


def test_a_map_of_another_size_is_refused():
    with pytest.raises(SuperpixelsError, match=r"4 x 5 pixels; the model's picture has 5 x 4"):
        make_players(LabelMap(np.zeros((4, 5), int)), blank(5, 4))


# --- Settings that no picture can have ----------------------------------------------------------

NAN, INFINITY = float("nan"), float("inf")
WRONG = [
    (lambda: Grid(0, 4), r"rows is 0; it must be at least 1"),
    (lambda: Grid(4, -1), r"columns is -1; it must be at least 1"),
    (lambda: Grid(101, 100), r"rows x columns is 10100; it must be at most 10000"),
    (lambda: Slic(segments=0), r"segments is 0; it must be in 1\.\.10000"),
    (lambda: Slic(segments=10_001), r"segments is 10001; it must be in 1\.\.10000"),
    (lambda: Slic(compactness=0), r"compactness is 0; it must be above 0 and finite"),
    (lambda: Slic(compactness=NAN), r"compactness is nan; it must be above 0 and finite"),
    (lambda: Slic(compactness=INFINITY), r"compactness is inf; it must be above 0 and finite"),
    (lambda: Slic(sigma=-1), r"sigma is -1; it must be in 0\.\.100"),
    (lambda: Slic(sigma=100.5), r"sigma is 100\.5; it must be in 0\.\.100"),
    (lambda: Slic(sigma=NAN), r"sigma is nan; it must be in 0\.\.100"),
    (lambda: LabelMap(np.zeros((2, 3))), r"float64 of shape \(2, 3\); .* whole numbers \(H, W\)"),
    (lambda: LabelMap(np.zeros((2, 3), bool)), r"bool of shape \(2, 3\)"),
    (lambda: LabelMap(np.zeros((2, 3, 1), int)), r"int64 of shape \(2, 3, 1\)"),
    (lambda: LabelMap(np.zeros((0, 3), int)), r"number of labels is 0; it must be in 1\.\.10000"),
    (lambda: LabelMap(np.arange(10_100).reshape(101, 100)), r"number of labels is 10100"),
]


@pytest.mark.parametrize(("make", "complaint"), WRONG)
def test_a_wrong_setting_is_refused_with_the_accepted_values(make, complaint):
    with pytest.raises(SuperpixelsError, match=complaint):
        make()


def test_the_largest_grid_is_accepted():
    assert len(make_players(Grid(100, 100), blank(100, 100, 1))) == 10_000
