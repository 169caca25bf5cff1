"""The way back to shap: what `to_shap` gives is what shap plots and slices."""

import subprocess
import sys

import numpy as np
import pytest

from service.client import Attributions, BatchAttributions, to_shap
from service.render import channel_sums


def found(height=8, width=9, channels=3, outputs=2, *, seed=0, prefix="") -> Attributions:
    random = np.random.default_rng(seed)
    return Attributions(
        values=random.normal(size=(height, width, channels, outputs)).astype(np.float32),
        base_values=random.normal(size=outputs).astype(np.float32),
        data=random.uniform(0, 255, (height, width, channels)).astype(np.float32),
        output_names=[f"{prefix}class {k}" for k in range(outputs)],
        output_indices=list(range(outputs)),
        standard_errors=None,
        players=None,
        model=None,
    )


@pytest.fixture
def plotted(shap_module):
    """Give a function that has shap plot an explanation and returns the axes, less the bar's."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    def plot(explanation):
        shap_module.image_plot(explanation, show=False)
        return pyplot.gcf().axes[:-1]

    yield plot
    pyplot.close("all")


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("outputs", [1, 2, 5])
@pytest.mark.parametrize("pictures", [1, 2, 3, 4])
def test_shap_plots_every_picture_and_output_under_its_name(plotted, pictures, outputs, channels):
    rows = [
        found(channels=channels, outputs=outputs, seed=n, prefix=f"{n} ") for n in range(pictures)
    ]
    axes = plotted(to_shap(rows))
    assert len(axes) == pictures * (1 + outputs)
    for number, row in enumerate(rows):
        picture, *panels = axes[number * (1 + outputs) :][: 1 + outputs]
        shown = picture.get_images()[0].get_array()
        assert np.abs(shown.reshape(row.data.shape) - row.data).max() <= 0.5  # rounded to uint8
        assert [panel.get_title() for panel in panels] == row.output_names
        for output, panel in enumerate(panels):
            sums = channel_sums(row.values)[..., output]
            np.testing.assert_allclose(panel.get_images()[1].get_array(), sums, rtol=1e-12)


@pytest.mark.parametrize("outputs", [1, 3])
def test_numbers_come_through_unchanged(shap_module, outputs):
    given = found(outputs=outputs)
    explanation = to_shap(given)
    assert isinstance(explanation, shap_module.Explanation)
    assert explanation.values.dtype == np.float64
    np.testing.assert_array_equal(explanation.values, given.values[None])
    np.testing.assert_array_equal(explanation.base_values, given.base_values[None])
    assert explanation.data.shape == (1, 8, 9, 3)
    assert explanation.output_names == given.output_names


def test_what_it_gives_can_be_sliced_by_output_and_picture(shap_module):
    single, several = to_shap(found()), to_shap([found(seed=n) for n in range(2)])
    assert single[..., 1].shape == (1, 8, 9, 3)
    assert single[0].output_names == ["class 0", "class 1"]
    assert several[1].shape == (8, 9, 3, 2)


@pytest.mark.parametrize("other", [found(height=10), found(channels=1), found(outputs=3)])
def test_pictures_that_do_not_stack_are_refused_with_their_shapes(shap_module, other):
    with pytest.raises(ValueError, match=r"received \[\(8, 9, 3, 2\), .*call to_shap on each"):
        to_shap([found(), other])


def test_nothing_is_refused(shap_module):
    with pytest.raises(ValueError, match="received none"):
        to_shap([])


def test_without_shap_the_error_names_the_command_and_the_client_still_imports():
    program = """
import sys
sys.modules["shap"] = None  # as where it is not installed
from service.client import Client, to_shap
to_shap([])
"""
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert "ImportError: to_shap needs shap, which is not installed: pip install shap" in (
        ended.stderr
    )


def test_a_batch_is_converted_as_its_pictures_are(shap_module):
    rows = [found(seed=n, prefix=f"{n} ") for n in range(4)]
    batch = BatchAttributions(
        values=np.stack([row.values for row in rows]),
        base_values=np.stack([row.base_values for row in rows]),
        data=np.stack([row.data for row in rows]),
        output_names=[row.output_names for row in rows],
        output_indices=[row.output_indices for row in rows],
        standard_errors=None,
        players=None,
        models=None,
        ids=[f"exp_{n}" for n in range(4)],
        positions=list(range(4)),
    )
    one, other = to_shap(batch), to_shap(rows)
    for name in ("values", "base_values", "data", "output_names"):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name))
