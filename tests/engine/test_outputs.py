"""Two models explained by the same coalitions: each as alone, and their difference as a game."""

import numpy as np
import pytest

from tests.engine.games import FunctionPredictor, random_picture, smooth_function
from worker.engine.backends.pair import PairPredictor, fitted
from worker.engine.errors import OutputsError, PredictorError, ScoresError
from worker.engine.explanation import ExplanationRun
from worker.engine.game.superpixels import Grid
from worker.engine.links import find_link
from worker.engine.masking.masker_spec import MaskerSpec
from worker.engine.methods import gp_estimator
from worker.engine.methods.registry import METHODS
from worker.engine.outputs import OutputScores, Pairing
from worker.engine.request import Request, Top
from worker.engine.scoring.driver import evaluate

SHAPE = (8, 9, 3)
PICTURE = random_picture(SHAPE, 0)
ORDER = np.array([2, 0, 3, 1])  # of the second model's classes
OTHER = smooth_function(SHAPE, outputs=4, seed=2)
ONE = FunctionPredictor(SHAPE, smooth_function(SHAPE, outputs=4, seed=1))
TWO = FunctionPredictor(SHAPE, lambda pictures: OTHER(pictures)[:, np.argsort(ORDER)])
STEADY = {"permutation": 350, "kernel": 300, "exact": 4096, "gaussian_process": 300}
every_method = pytest.mark.parametrize("method", METHODS)


def request_of(method, **settings):
    players = Grid(2, 4) if method == "exact" else Grid(3, 4)
    chosen = {"outputs": (1, 0), "max_evals": STEADY.get(method, 300), **settings}
    return Request(method, MaskerSpec("mean"), superpixels=players, **chosen)


def explained(request, *predictors, order=ORDER):
    predictor, pairing = predictors[0], None
    if len(predictors) == 2:
        predictor, pairing = PairPredictor(*predictors), Pairing(order)
    return evaluate(ExplanationRun(predictor, PICTURE, request, pairing=pairing), predictor)


PROBABLE_ONE, PROBABLE_TWO = (
    FunctionPredictor(SHAPE, lambda p, f=each.function: 0.5 + np.tanh(f(p)) / 3)
    for each in (ONE, TWO)
)


def check_differences(attribution):
    first, second, difference = (attribution.values[..., side::3] for side in range(3))
    scale = np.abs(attribution.values).max()
    np.testing.assert_allclose(difference, first - second, atol=1e-12 * scale)
    assert np.abs(difference).max() > 0.01 * scale


@every_method
@pytest.mark.parametrize("scores", ["any", "probabilities", "logit"])
def test_the_difference_is_the_first_minus_the_second(method, scores):
    one, two = (ONE, TWO) if scores == "any" else (PROBABLE_ONE, PROBABLE_TWO)
    link = "logit" if scores == "logit" else "identity"
    found = explained(request_of(method, link=link), one, two)
    assert found.outputs.tolist() == [1, 5, 9, 0, 4, 8]
    attribution = found.attribution
    check_differences(attribution)
    for each in (attribution.scores, attribution.base_values, *found.transcript.scores):
        np.testing.assert_array_equal(each[..., 2::3], each[..., 0::3] - each[..., 1::3])


@pytest.mark.parametrize("models", [(ONE, TWO), (PROBABLE_ONE, PROBABLE_TWO)])
def test_both_models_and_their_difference_have_one_estimate_of_several(monkeypatch, models):
    """With more pairs than a process is fitted to, which of the estimates is nearer varies."""
    monkeypatch.setattr(gp_estimator, "MAX_PAIRS", 40)
    for seed in range(4):
        request = request_of("gaussian_process", outputs=(0, 1, 2, 3), max_evals=700, seed=seed)
        check_differences(explained(request, *models).attribution)


@every_method
@pytest.mark.parametrize("models", [(ONE, TWO), (PROBABLE_ONE, PROBABLE_TWO)])
def test_swapped_models_give_the_negative(method, models):
    first, second = models
    one = explained(request_of(method), first, second)
    back = np.argsort(ORDER)  # of the first model's classes, from those of the second
    swapped = request_of(method, outputs=tuple(ORDER[[1, 0]]))
    other = explained(swapped, second, first, order=back)
    assert one.transcript.rows == other.transcript.rows
    here, there = (each.attribution.values.reshape(*SHAPE, 2, 3) for each in (one, other))
    scale = np.abs(here).max()
    np.testing.assert_allclose(here[..., 2], -there[..., 2], atol=1e-12 * scale)
    np.testing.assert_allclose(here[..., 0], there[..., 1], atol=1e-12 * scale)


@pytest.mark.parametrize("method", ["permutation", "kernel", "exact"])
def test_each_model_has_the_values_that_it_has_alone(method):
    """partition divides by all columns, and gaussian_process learns one prior from them."""
    both = explained(request_of(method), ONE, TWO).attribution
    for side, alone in enumerate(
        (
            explained(request_of(method), ONE),
            explained(request_of(method, outputs=tuple(ORDER[[1, 0]])), TWO),
        )
    ):
        np.testing.assert_allclose(both.values[..., side::3], alone.attribution.values, atol=1e-6)


def test_errors_of_the_difference_are_those_of_its_game():
    """A model that scores half as much: the difference has half its errors, on shared draws."""
    half = FunctionPredictor(SHAPE, lambda pictures: ONE.function(pictures) / 2)
    regions = explained(
        request_of("permutation"), ONE, half, order=np.arange(4)
    ).attribution.regions
    errors = regions.errors
    np.testing.assert_allclose(errors[:, 2::3], errors[:, 0::3] / 2, rtol=1e-3, atol=1e-9)
    assert (errors[:, 2::3] < np.hypot(errors[:, 0::3], errors[:, 1::3])).all()


def test_top_outputs_are_those_of_the_first_model():
    found = explained(request_of("partition", outputs=Top(2)), ONE, TWO)
    alone = explained(request_of("partition", outputs=Top(2)), ONE)
    assert found.outputs[::3].tolist() == alone.outputs.tolist()


def test_metrics_and_progress_count_the_evaluations_of_both_models():
    counts = []

    class Watching:
        def check(self):
            pass

        def progress(self, done, planned):
            counts.append((done, planned))

        def offer(self, make):
            pass

    request = request_of("kernel", max_evals=50, metrics=("deletion",))
    predictor = PairPredictor(ONE, TWO)
    run = ExplanationRun(predictor, PICTURE, request, pairing=Pairing(ORDER), control=Watching())
    found = evaluate(run, predictor)
    assert len(found.faithfulness) == 6
    preview = run.preview()
    assert preview.outputs.tolist() == [1, 5, 9, 0]
    assert (preview.evaluations, preview.planned) == (100, 100)
    np.testing.assert_allclose(preview.heat[2], preview.heat[0] - preview.heat[1], atol=1e-12)
    scored = 2 + len(found.transcript.rows) + len(found.curve_transcript.rows)
    assert counts[-1] == (2 * scored, 2 * scored)
    assert found.timings.evaluations == 2 * scored
    assert found.attribution.evaluations == 50


def test_a_class_that_the_second_model_lacks_is_refused():
    with pytest.raises(OutputsError, match=r"no class of the outputs \[0\]"):
        explained(request_of("kernel"), ONE, TWO, order=np.array([-1, 0, 3, 1]))


@pytest.mark.parametrize(("broken", "named"), [(0, "the model gave"), (1, "the compared model")])
def test_nan_of_either_model_is_reported(broken, named):
    scores = OutputScores(find_link("identity"), Pairing(np.arange(2)))
    rows = np.ones((2, 4))
    scores.choose((0,), rows)
    rows[1, 2 * broken] = np.nan
    with pytest.raises(ScoresError, match=named):
        scores.read(rows)


def test_the_second_model_sees_the_same_pictures_resized():
    small = FunctionPredictor((4, 3, 3), lambda pictures: pictures.mean(axis=(1, 2)))
    large = FunctionPredictor((16, 18, 3), lambda pictures: pictures.mean(axis=(1, 2)))
    pictures = np.stack([random_picture(SHAPE, seed) for seed in range(3)])
    for other in (small, large):
        scores = PairPredictor(ONE, other)(pictures)
        np.testing.assert_allclose(scores[:, :4], ONE(pictures), rtol=1e-6)
        np.testing.assert_allclose(scores[:, 4:], pictures.mean(axis=(1, 2)), atol=3)
    assert fitted(pictures, (4, 3, 3))[0, 0, 0] == pytest.approx(
        pictures[0, :2, :3].mean(axis=(0, 1)), rel=1e-5
    )
    extreme = np.zeros((1, *SHAPE), np.float32)
    extreme[:, ::2] = 255
    assert 0 <= fitted(extreme, (16, 18, 3)).min() <= fitted(extreme, (16, 18, 3)).max() <= 255


def test_batches_of_the_second_model_suit_its_size():
    small, count = FunctionPredictor((2, 2, 3), lambda p: p.mean(axis=(1, 2))), 200
    large = FunctionPredictor((224, 224, 3), lambda p: p.mean(axis=(1, 2)))
    PairPredictor(small, large)(np.zeros((count, 2, 2, 3), np.float32))
    assert max(large.batches) < count
    assert sum(large.batches) == count


def test_models_of_other_channels_are_refused():
    grey = FunctionPredictor((8, 9, 1), lambda pictures: pictures.mean(axis=(1, 2)))
    with pytest.raises(PredictorError, match="takes 3 channels, the compared model 1"):
        PairPredictor(ONE, grey)
