"""Comparison with shap's PartitionExplainer over its maskers.Image, run beside ours.

shap breaks ties by draws from NumPy's global stream; with the same seed, both get the same draws.
"""

import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.engine.games import (
    FunctionPredictor,
    counting_function,
    random_picture,
    smooth_function,
)
from worker.adapters.engine_request import read_masker
from worker.engine.masking.masker_spec import MaskerSpec
from worker.engine.request import Request, Top
from worker.engine.scoring.driver import explain

TOLERANCE = 1e-9  # of the largest value; closed-form functions leave only rounding
MASKERS = {  # ours: shap's, or a function of the picture that gives it
    "inpaint_telea": lambda picture: "inpaint_telea",
    "inpaint_ns": lambda picture: "inpaint_ns",
    "blur(3,3)": lambda picture: "blur(3,3)",
    "blur(16,5)": lambda picture: "blur(16,5)",
    "constant(17)": lambda picture: 17.0,
    "mean": lambda picture: np.broadcast_to(picture.mean((0, 1)), picture.shape).copy(),
}
SHAPES = [(5, 7, 1), (8, 8, 3), (2, 9, 3), (6, 2, 1), (3, 2, 3), (9, 5, 3)]
NARROW = [(1, 9, 3), (6, 1, 1), (1, 1, 3)]


def test_the_reference_is_the_newest_shap_for_this_python(shap_module):
    assert shap_module.__version__ == ("0.54.1" if sys.version_info >= (3, 12) else "0.51.0")


@pytest.fixture(scope="module")
def compare(shap_partition):
    """Return a function that explains by both, and compares the values and base values."""

    def hold(function, picture, masker, outputs=(0, 1, 2), *, seed=0, **settings):
        request = Request(masker=read_masker(masker), outputs=outputs, seed=seed, **settings)
        explained = explain(FunctionPredictor(picture.shape, function), picture, request)
        np.random.seed(seed)
        values, base_values = shap_partition(
            function, picture, MASKERS[masker](picture), outputs=explained.outputs, **settings
        )
        ours = explained.attribution
        assert np.abs(ours.values - values).max() <= TOLERANCE * np.abs(values).max()
        assert ours.base_values == pytest.approx(base_values, rel=TOLERANCE)

    return hold


@pytest.mark.parametrize("masker", MASKERS)
@pytest.mark.parametrize("shape", SHAPES)
def test_every_masker_on_odd_shapes_gives_shaps_values(compare, shape, masker):
    function = smooth_function(shape, outputs=3, seed=1)
    compare(function, random_picture(shape, 2), masker, max_evals=200, batch_size=50)


@pytest.mark.parametrize("masker", ["blur(3,3)", "constant(17)", "mean"])
@pytest.mark.parametrize("shape", NARROW)
def test_single_rows_columns_and_pixels_give_shaps_values(compare, shape, masker):
    function = smooth_function(shape, outputs=3, seed=1)
    compare(function, random_picture(shape, 2), masker, max_evals=200, batch_size=50)


@pytest.mark.parametrize("context", [None, 0, 1])
@pytest.mark.parametrize("batch_size", [2, 10, 50])
@pytest.mark.parametrize("max_evals", [2, 3, 50, 101, 100_000])
def test_every_budget_batch_size_and_context_gives_shaps_values(
    compare, max_evals, batch_size, context
):
    compare(
        smooth_function((4, 3, 3), outputs=3, seed=3),
        random_picture((4, 3, 3), 4),
        "constant(17)",
        max_evals=max_evals,
        batch_size=batch_size,
        fixed_context=context,
    )


@pytest.mark.parametrize("seed", range(5))
def test_ties_are_broken_by_the_same_draws(compare, seed):
    function = counting_function((8, 8, 1), outputs=3, seed=seed)
    settings = {"max_evals": 120, "batch_size": 10, "seed": seed}
    compare(function, random_picture((8, 8, 1), seed), "constant(17)", **settings)


@pytest.mark.parametrize("outputs", [(4,), (5, 0), Top(3), Top(9)])
def test_the_same_outputs_are_explained(compare, outputs):
    function = smooth_function((6, 6, 3), outputs=7, seed=5)
    picture = random_picture((6, 6, 3), 6)
    compare(function, picture, "blur(3,3)", outputs, max_evals=150, batch_size=10)


@settings(deadline=None, derandomize=True, database=None, max_examples=60)
@given(
    shape=st.tuples(st.integers(2, 9), st.integers(2, 9), st.sampled_from([1, 3])),
    masker=st.sampled_from(list(MASKERS)),
    max_evals=st.integers(2, 300),
    batch_size=st.sampled_from([1, 2, 7, 10, 50]),
    fixed_context=st.sampled_from([None, 0, 1]),
    make=st.sampled_from([smooth_function, counting_function]),
    seed=st.integers(0, 2**32 - 1),
)
def test_every_other_setting_gives_shaps_values(compare, shape, masker, make, seed, **settings):
    function = make(shape, outputs=3, seed=seed)
    compare(function, random_picture(shape, seed), masker, seed=seed, **settings)


@pytest.mark.parametrize("link", ["identity", "logit"])
def test_links_give_shaps_values(shap_module, link):
    """shap fails on a link that it linearises, as it does by default; so this is turned off."""
    shape = (6, 7, 3)
    smooth = smooth_function(shape, outputs=2, seed=7)

    def function(pictures):
        return (1 / (1 + np.exp(-smooth(pictures) / 2))).astype(np.float32)

    picture = random_picture(shape, 8)
    explainer = shap_module.PartitionExplainer(
        function,
        shap_module.maskers.Image(17.0, shape),
        link=getattr(shap_module.links, link),
        linearize_link=False,
    )
    theirs = explainer(picture[np.newaxis], max_evals=100, batch_size=10, silent=True)
    request = Request(
        masker=MaskerSpec("constant", (17,)),
        outputs=(0, 1),
        link=link,
        max_evals=100,
        batch_size=10,
    )
    ours = explain(FunctionPredictor(shape, function), picture, request).attribution
    assert ours.values == pytest.approx(theirs.values[0], abs=1e-9)
    assert ours.base_values == pytest.approx(theirs.base_values[0], abs=1e-9)
