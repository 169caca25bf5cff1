"""Lines between regions that interact, over the grey picture."""

from dataclasses import replace
from xml.etree import ElementTree

import numpy as np
import pytest

from service.render import InvalidAttributionsError, Pairs, interactions
from tests.render.drawings import opened, pixels, random_attributions

RED, BLUE = (255, 13, 87), (30, 136, 229)
CENTRES = np.array([[25.0, 25.0], [75.0, 25.0], [25.0, 75.0], [75.0, 75.0]])  # of four squares


@pytest.fixture
def squares():
    """A grey picture of 100 x 100 pixels in four squares."""
    regions = np.arange(100)[:, np.newaxis] // 50 * 2 + np.arange(100) // 50
    found = random_attributions(100, 100, outputs=1)
    grey = np.full_like(found.data, 128)
    return replace(found, data=grey, regions=regions, region_values=np.ones((4, 1)))


def drawn(squares, values, regions, **options):
    pairs = Pairs(np.array(regions).reshape(-1, 2), np.array(values, float), of=6)
    return interactions(squares, pairs, CENTRES, width_px=100, **options)


def coloured(png, colour):
    """Where the picture within the drawing has about this colour: (H, W)."""
    near = np.abs(pixels(png)[..., :3].astype(int) - colour).max(axis=2) < 40
    return near[: near.shape[0] - 100]  # without the legend


def test_colours_tell_signs_and_lines_join_the_centres(squares):
    pairs = Pairs(np.array([[0, 1], [2, 3]]), np.array([2.0, -1.5]), of=6)
    png = interactions(squares, pairs, CENTRES, width_px=500)
    red, blue = (np.nonzero(coloured(png, colour)[:530]) for colour in (RED, BLUE))
    assert np.ptp(red[0]) < 20
    assert np.ptp(red[1]) == pytest.approx(250, abs=20)
    assert blue[0].mean() - red[0].mean() == pytest.approx(250, abs=3)
    assert blue[1].mean() == pytest.approx(red[1].mean(), abs=3)


def test_lines_are_as_wide_as_interactions_are_strong(squares):
    png = interactions(
        squares,
        Pairs(np.array([[0, 1], [2, 3]]), np.array([4.0, 2.0]), of=6),
        CENTRES,
        width_px=1000,
    )
    red = coloured(png, RED)
    middle = red.shape[1] // 2
    heights = np.flatnonzero(np.diff(red[:, middle].astype(int)))
    upper, lower = heights[1] - heights[0], heights[3] - heights[2]
    assert upper == pytest.approx(22, abs=2)  # 0.022 of 1000
    assert lower == pytest.approx(upper / 2, abs=2)


def test_the_legend_has_the_largest_value_and_shares_of_it(squares):
    svg = drawn(squares, [0.5, -0.1], [[0, 1], [2, 3]], form="svg", score=0.25)
    root = ElementTree.fromstring(svg.decode())  # noqa: S314 - drawn here
    texts = ["".join(each.itertext()) for each in root.iter() if each.tag.endswith("}text")]
    assert {"+0.5", "+0.25", "+0.125", "\N{MINUS SIGN}0.5", "score 0.25"} <= set(texts)
    said = " ".join(texts)
    assert "in units of the score" in said
    assert "The 2 strongest of 6 pairs" in said


def test_the_alternative_text_names_the_strongest_pairs(squares):
    told = opened(drawn(squares, [0.5, -0.1], [[0, 3], [1, 2]])).info["Description"]
    assert "0 and 3: 0.5; 1 and 2: -0.1" in told


def test_pairs_of_no_interaction_have_no_lines(squares):
    png = drawn(squares, [0.0, 0.0], [[0, 1], [2, 3]])
    assert not coloured(png, RED).any()
    svg = drawn(squares, [0.0, 0.0], [[0, 1], [2, 3]], form="svg")
    assert b"all are zero" in svg


def test_another_palette_has_other_colours(squares):
    png = drawn(squares, [1.0], [[0, 1]], palette="orange_purple")
    assert coloured(png, (230, 97, 1)).any()
    assert not coloured(png, RED).any()


def test_a_small_picture_is_enlarged_by_a_whole_factor(squares):
    pairs = Pairs(np.array([[0, 1]]), np.array([1.0]), of=6)
    assert pixels(interactions(squares, pairs, CENTRES)).shape[1] == 500 + 32


def test_attributions_without_regions_are_refused():
    none = random_attributions(8, 8, outputs=1)
    with pytest.raises(InvalidAttributionsError, match="there are none"):
        interactions(none, Pairs(np.empty((0, 2), int), np.empty(0), of=0), CENTRES)
