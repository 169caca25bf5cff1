"""The faithfulness chart: its layout, and its text alternative."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest

from service.render import (
    METRICS,
    ChartCurve,
    InvalidCurvesError,
    InvalidOptionError,
    faithfulness_chart,
)
from service.render.plot import STYLES, Axes, plot
from service.render.raster import antialiased
from tests.render.drawings import opened, pixels

X = np.linspace(0, 1, 101)


def curve(metric="insertion", label="tabby", y=X, baseline=X**2) -> ChartCurve:
    return ChartCurve(metric, label, 0, X, y, baseline, area=0.75, baseline_area=-0.00512)


def axes(low=0.0, high=1.0, size=(200, 100)) -> Axes:
    return Axes(low, high, marks=[], size=size, line_width=1.7)


def plotted(curves, axes: Axes):
    return antialiased(plot(curves, axes), axes.size)


def near(image, colour) -> np.ndarray:
    """Return the pixels that are nearly of this colour: (H, W) bool."""
    return np.abs(np.asarray(image).astype(int) - colour).sum(axis=2) < 60


# --- Inside a panel


def test_a_curve_runs_where_its_numbers_are():
    drawn = near(plotted([curve(y=0.5 * X, baseline=np.ones(101))], axes()), STYLES[0].colour)
    for column in (40, 100, 160):
        expected = 99 * (1 - 0.5 * column / 199)
        assert np.flatnonzero(drawn[:, column]).mean() == pytest.approx(expected, abs=2)
    assert not drawn[:40].any()


def test_the_random_order_is_dashed_and_fainter_and_the_curve_is_neither():
    flat = curve(y=np.full(101, 0.25), baseline=np.full(101, 0.75))
    image = plotted([flat], axes())
    assert near(image, STYLES[0].colour)[70:80].any(axis=0)[2:198].all()
    dashes = near(image, STYLES[0].faint)[20:30].any(axis=0)
    assert 0.4 < dashes.mean() < 0.8
    assert np.diff(dashes.astype(int)).clip(0).sum() > 8  # at least this many dashes


def test_outputs_differ_in_colour_and_in_marker():
    flat = [curve(label=str(k), y=np.full(101, k / 8 + 0.1)) for k in range(len(STYLES))]
    image = plotted(flat, axes())
    for style in STYLES:
        assert near(image, style.colour).any()
    assert len({(style.corners, style.turn, style.hollow) for style in STYLES}) == len(STYLES)
    assert len({style.colour for style in STYLES}) == len(STYLES)


def test_markers_of_outputs_with_equal_curves_do_not_cover_each_other():
    alike = [curve(label=label, y=np.full(101, 0.5)) for label in "abc"]
    image = plotted(alike, axes())
    for style in STYLES[:3]:
        shown = near(image, style.colour)
        assert shown[45:48].sum() + shown[52:55].sum() > 10  # beside the two lines, which coincide


# --- The page


@pytest.mark.parametrize("metrics", [1, 2, 5, 8])
@pytest.mark.parametrize("outputs", [1, 4, 7])
def test_any_number_of_metrics_and_outputs_gives_a_chart_with_clear_edges(metrics, outputs):
    curves = [curve(metric, f"output {k}") for metric in list(METRICS)[:metrics]
              for k in range(outputs)]  # fmt: skip
    shown = pixels(faithfulness_chart(curves))
    shown[8:-8, 8:-8] = 255
    assert (shown == 255).all()


@pytest.mark.parametrize("width_px", [240, 333, 1000, 4096])
def test_a_chart_has_exactly_the_requested_width(width_px):
    curves = [curve(metric) for metric in METRICS]
    assert opened(faithfulness_chart(curves, width_px=width_px)).width == width_px


def test_panels_of_a_narrow_chart_are_below_each_other():
    curves = [curve(metric) for metric in METRICS]
    narrow, wide = (opened(faithfulness_chart(curves, width_px=px)) for px in (400, 1400))
    assert narrow.height > 3 * wide.height


def test_metrics_keep_the_order_they_are_given_in():
    one, other = curve("deletion"), curve("insertion")
    description = opened(faithfulness_chart([one, other])).text["Description"]
    assert description.index("Deletion") < description.index("Insertion")
    assert faithfulness_chart([one, other]) != faithfulness_chart([other, one])


def test_the_alternative_text_has_metrics_outputs_and_areas():
    text = opened(faithfulness_chart([curve(label="日本の猫"), curve("deletion")])).text
    assert text["Title"] == "Faithfulness of the attributions of 日本の猫; tabby"
    assert (
        "Insertion, most positive first: 日本の猫 has area 0.75, at random -0.00512."
        in (text["Description"])
    )


def test_a_chart_leaves_out_outputs_after_the_seventh_and_says_so():
    curves = [curve(label=f"output {k}") for k in range(9)]
    text = opened(faithfulness_chart(curves)).text["Description"]
    assert "output 6" in text
    assert "output 7" not in text
    assert faithfulness_chart(curves) != faithfulness_chart(curves[:7])  # the note below


@pytest.mark.parametrize("magnitude", [0.0, 1e-30, 1e-6, 1.0, 12345.0, 1e30])
def test_scores_of_any_magnitude_have_a_chart(magnitude):
    given = curve(y=magnitude * X, baseline=np.zeros(101))
    assert opened(faithfulness_chart([replace(given, area=magnitude)])).width > 0


def test_the_same_curves_give_the_same_bytes_in_eight_threads():
    curves = [curve(metric, label) for metric in ("deletion", "insertion") for label in "ab"]
    alone = faithfulness_chart(curves)
    with ThreadPoolExecutor(8) as threads:
        assert all(each == alone for each in threads.map(faithfulness_chart, [curves] * 16))


# --- What is refused


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"metric": "accuracy"}, "metric must be one of keep_positive, .*; received 'accuracy'"),
        ({"y": X[:-1]}, "the same two or more points"),
        ({"x": X[:1], "y": X[:1], "baseline": X[:1]}, "the same two or more points"),
        ({"baseline": np.full(101, np.nan)}, "insertion of 'tabby' has NaN"),
        ({"area": np.inf}, "insertion of 'tabby' has NaN or infinite"),
        ({"x": 2 * X}, "shares in 0..1"),
        ({"x": X[::-1]}, "never fall"),
    ],
)
def test_broken_curves_are_refused_with_the_error(changes, message):
    with pytest.raises(InvalidCurvesError, match=message):
        replace(curve(), **changes)


def test_a_chart_of_nothing_is_refused():
    with pytest.raises(InvalidCurvesError, match="one curve or more; received none"):
        faithfulness_chart([])


@pytest.mark.parametrize("width_px", [239, 4097])
def test_a_width_outside_the_limits_is_refused(width_px):
    with pytest.raises(InvalidOptionError, match=r"240\.\.4096"):
        faithfulness_chart([curve()], width_px=width_px)
