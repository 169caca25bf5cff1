"""A picture padded to a larger one: the padding takes no part in the game."""

import numpy as np
import pytest

from tests.engine.games import FunctionPredictor, random_picture, smooth_function
from worker.adapters.engine_request import read_masker
from worker.engine.errors import InvalidPictureError
from worker.engine.explanation import ExplanationResult, ExplanationRun
from worker.engine.game.image_tree import empty_coalition, grand_coalition
from worker.engine.game.superpixels import Grid, Pixels
from worker.engine.masking.padding import PictureOffset
from worker.engine.methods.registry import METHODS
from worker.engine.request import Request
from worker.engine.scoring.driver import evaluate_all

INPUT, SHAPE, PLACE = (9, 8, 3), (4, 6, 3), PictureOffset(top=3, left=1)
AROUND = ((3, 2), (1, 1), (0, 0))
PICTURE = np.floor(random_picture(SHAPE, seed=1))
MEAN = PICTURE.mean(axis=(0, 1))
FILLS = {  # each masker's fill of the padding; one colour except for blur
    "constant(10,20,30)": np.broadcast_to(np.float32([10, 20, 30]), (1, 1, 3)),
    "mean": MEAN[np.newaxis, np.newaxis],
    "inpaint_telea": MEAN[np.newaxis, np.newaxis],
    "inpaint_ns": MEAN[np.newaxis, np.newaxis],
}
WHOLE = smooth_function(INPUT, outputs=2, seed=3)


def explain(predictor, request, place=None) -> ExplanationResult:
    explanation = ExplanationRun(predictor, PICTURE, request, place=place)
    [(_, ending)] = evaluate_all([explanation], predictor)
    assert isinstance(ending, ExplanationResult), ending
    return ending


@pytest.mark.parametrize("masker", FILLS)
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("superpixels", [Pixels(), Grid(2, 4)], ids=["pixels", "grid"])
def test_values_equal_those_of_a_model_that_does_the_padding(method, masker, superpixels):
    """The same game in another form: a model of the small picture that does the padding."""
    if method in ("exact", "gaussian_process", "kernel") and superpixels == Pixels():
        superpixels = Grid(3, 3)

    def padding(pictures):
        ground = np.empty((len(pictures), *INPUT), np.float32)
        ground[:] = FILLS[masker]
        ground[:, 3:7, 1:7] = pictures
        return WHOLE(ground)

    request = Request(
        method, read_masker(masker), outputs=(0, 1), max_evals=600, superpixels=superpixels
    )
    ours = explain(FunctionPredictor(INPUT, WHOLE), request, PLACE)
    expected = explain(FunctionPredictor(SHAPE, padding), request)
    assert ours.players == expected.players
    np.testing.assert_array_equal(ours.attribution.values, expected.attribution.values)
    np.testing.assert_array_equal(ours.attribution.scores, expected.attribution.scores)


@pytest.mark.parametrize("masker", ["mean", "inpaint_telea", "constant(40)"])
def test_curves_equal_those_of_a_model_that_does_the_padding(masker):
    """In grey, with one channel."""
    whole, picture = smooth_function((9, 8, 1), outputs=2, seed=4), PICTURE[..., :1]
    fill = 40 if masker.startswith("constant") else picture.mean(axis=(0, 1))

    def padding(pictures):
        ground = np.empty((len(pictures), 9, 8, 1), np.float32)
        ground[:] = fill
        ground[:, 3:7, 1:7] = pictures
        return whole(ground)

    metrics = ("deletion", "keep_positive", "remove_absolute")
    request = Request(
        "partition", read_masker(masker), outputs=(0, 1), max_evals=100, metrics=metrics
    )
    found = []
    for predictor, place in (
        (FunctionPredictor((9, 8, 1), whole), PLACE),
        (FunctionPredictor((4, 6, 1), padding), None),
    ):
        explanation = ExplanationRun(predictor, picture, request, place=place)
        [(_, ending)] = evaluate_all([explanation], predictor)
        assert isinstance(ending, ExplanationResult), ending
        found.append(ending)
    ours, expected = found
    np.testing.assert_array_equal(ours.attribution.values, expected.attribution.values)
    for curve, other in zip(ours.faithfulness, expected.faithfulness, strict=True):
        np.testing.assert_array_equal(curve.y, other.y)
        np.testing.assert_array_equal(curve.baseline, other.baseline)


@pytest.mark.parametrize("masker", [*FILLS, "blur(3,3)"])
def test_the_padding_stays_whatever_is_hidden(masker):
    predictor = FunctionPredictor(INPUT, WHOLE)
    explanation = ExplanationRun(
        predictor, PICTURE, Request(masker=read_masker(masker)), place=PLACE
    )
    [hidden] = explanation.masker(empty_coalition(SHAPE))
    [shown] = explanation.masker(grand_coalition(SHAPE))
    inside = np.pad(np.ones(SHAPE, bool), AROUND)
    np.testing.assert_array_equal(shown[~inside], hidden[~inside])
    np.testing.assert_array_equal(shown[inside].reshape(SHAPE), PICTURE)
    np.testing.assert_array_equal(explanation.shown, shown)
    edge = np.pad(hidden[3:7, 1:7], AROUND, mode="edge")
    np.testing.assert_array_equal(hidden, edge)
    if masker in FILLS:
        np.testing.assert_allclose(hidden[0, 0], FILLS[masker][0, 0], rtol=1e-6)


@pytest.mark.parametrize("place", [PictureOffset(6, 1), PictureOffset(3, 3), PictureOffset(-1, 0)])
def test_a_picture_that_does_not_lie_within_the_input_is_refused(place):
    with pytest.raises(InvalidPictureError, match="is not within"):
        ExplanationRun(FunctionPredictor(INPUT, WHOLE), PICTURE, Request(), place=place)
