"""Palettes for and against, with normal vision and with each kind of colour blindness.

Colour blindness is simulated by the matrices for complete loss (severity 1.0) of Machado, Oliveira
and Fernandes, "A Physiologically-based Model for Simulation of Color Vision Deficiency" (2009),
https://doi.org/10.1109/TVCG.2009.113, which apply to linear RGB.
"""

from itertools import combinations

import numpy as np
import pytest
from skimage.color import rgb2lab

from service.render import PALETTES, Row, figure, heat, overlay
from service.render.plot import STYLES
from tests.render.drawings import attributions, pixels

SIGHTS = {
    "protanopia": [
        [0.152286, 1.052583, -0.204868],
        [0.114503, 0.786281, 0.099216],
        [-0.003882, -0.048116, 1.051998],
    ],
    "deuteranopia": [
        [0.367322, 0.860646, -0.227968],
        [0.280085, 0.672501, 0.047413],
        [-0.011820, 0.042940, 0.968881],
    ],
    "tritanopia": [
        [1.255528, -0.076749, -0.178779],
        [-0.078411, 0.930809, 0.147602],
        [0.004733, 0.691367, 0.303900],
    ],
    "all cones": np.eye(3),
}
SAFE = ["orange_blue", "orange_purple"]


def difference(one, other, sight: str, *, opacity: float = 1) -> float:
    """Return the CIE 1976 difference of two colours on white; about 2 is just noticeable."""
    first, second = (_seen(colour, sight, opacity) for colour in (one, other))
    return float(np.linalg.norm(rgb2lab(first) - rgb2lab(second)))


def _seen(colour, sight: str, opacity: float) -> np.ndarray:
    shown = (opacity * np.array(colour) + (1 - opacity) * 255) / 255
    linear = np.where(shown <= 0.04045, shown / 12.92, ((shown + 0.055) / 1.055) ** 2.4)
    seen = np.clip(np.array(SIGHTS[sight]) @ linear, 0, 1)
    return np.where(seen <= 0.0031308, 12.92 * seen, 1.055 * seen ** (1 / 2.4) - 0.055)


@pytest.mark.parametrize("sight", SIGHTS)
@pytest.mark.parametrize("name", SAFE)
def test_for_and_against_differ_in_every_kind_of_vision(name, sight):
    palette = PALETTES[name]
    assert difference(palette.positive, palette.negative, sight) > 80
    assert difference(palette.positive, palette.negative, sight, opacity=0.3) > 19


def test_the_measure_detects_a_bad_palette():
    assert difference((215, 25, 28), (26, 150, 65), "deuteranopia") < 30  # red and green
    assert difference((215, 25, 28), (26, 150, 65), "all cones") > 100


def test_the_colours_of_shap_come_close_where_they_are_faint():
    palette = PALETTES["red_blue"]  # hence the other palettes
    assert difference(palette.positive, palette.negative, "protanopia", opacity=0.3) < 15


@pytest.mark.parametrize("sight", SIGHTS)
def test_curves_of_filled_markers_have_colours_apart(sight):
    filled = [style for style in STYLES if not style.hollow]
    for one, other in combinations(filled, 2):
        alike = (one.corners, one.turn) == (other.corners, other.turn)
        assert difference(one.colour, other.colour, sight) > 8
        assert not alike


@pytest.mark.parametrize("name", PALETTES)
def test_every_palette_is_transparent_at_zero_and_opaque_at_its_ends(name):
    palette = PALETTES[name]
    ends = attributions(np.array([1.0, -1.0, 0.0]).reshape(1, 3, 1, 1))
    positive, negative, zero = pixels(heat(ends, palette=name, percentile=100))[0]
    assert tuple(positive) == (*palette.positive, 255)
    assert tuple(negative) == (*palette.negative, 255)
    assert zero[3] == 0


@pytest.mark.parametrize("name", PALETTES)
def test_figure_and_overlay_and_the_colour_bar_use_it(name):
    palette = PALETTES[name]
    given = attributions(np.where(np.arange(40) < 20, 1.0, -1.0).reshape(1, 40, 1, 1).repeat(40, 0))
    shown = pixels(figure(Row(given), palette=name, alpha=0))
    for colour in (palette.positive, palette.negative):
        assert (shown == colour).all(axis=2).sum() > 120 * 240  # half of the panel
        assert (shown[-100:] == colour).all(axis=2).any()  # the end of the bar
    laid = pixels(overlay(given, palette=name, alpha=1))
    assert tuple(laid[20, 5]) == palette.positive
    assert tuple(laid[20, 35]) == palette.negative
