import threading
from dataclasses import replace

import numpy as np
import pytest

from tests.engine.games import FunctionPredictor, random_picture, smooth_function
from worker.adapters.engine_request import read_masker
from worker.engine.control import Interruption
from worker.engine.errors import (
    BudgetError,
    InvalidPictureError,
    LinkError,
    OutputsError,
    RequestError,
    ScoresError,
)
from worker.engine.explanation import ExplanationRun
from worker.engine.game.superpixels import Grid
from worker.engine.links import add_up, logit
from worker.engine.masking.masker_spec import MaskerSpec
from worker.engine.methods.registry import METHODS
from worker.engine.predictor import check_pictures
from worker.engine.request import Request, Top, is_tied
from worker.engine.scoring.batch_size import next_span
from worker.engine.scoring.driver import evaluate, explain

SHAPE = (10, 9, 3)
PICTURE = random_picture(SHAPE, 0)
SMOOTH = smooth_function(SHAPE, outputs=5, seed=0)
REQUEST = Request(masker=MaskerSpec("inpaint_telea"), outputs=Top(2), max_evals=150, batch_size=50)


class Stop(Interruption):
    """The exception of a cancel, a deadline or a shutdown."""


class Watch:
    """Records the progress, and stops the explanation at its n-th check."""

    def __init__(self, stop_at=None):
        self.stop_at = stop_at
        self.checks = 0
        self.heard = []

    def check(self):
        self.checks += 1
        if self.checks == self.stop_at:
            raise Stop

    def offer(self, make):
        pass

    def progress(self, done, planned):
        self.heard.append((done, planned))


def predictor(function=SMOOTH):
    return FunctionPredictor(SHAPE, function)


def row_by_row(pictures):
    """Return SMOOTH of each picture alone, as rounding depends on the number of rows."""
    return np.concatenate([SMOOTH(picture[np.newaxis]) for picture in pictures])


def painters():
    return [t for t in threading.enumerate() if t.name.startswith("painter")]


def test_the_empty_and_the_full_coalition_are_scored_alone_and_first():
    model = predictor()
    explained = explain(model, PICTURE, REQUEST)
    assert model.batches[:2] == [1, 1]
    assert min(model.batches[2:]) >= 2
    assert sum(model.batches) == explained.attribution.evaluations


def test_the_empty_and_the_full_coalition_are_painted_by_the_masker():
    attribution = explain(predictor(), PICTURE, REQUEST).attribution
    full = SMOOTH(np.floor(PICTURE)[np.newaxis])[0]
    base = SMOOTH(np.broadcast_to(PICTURE.mean((0, 1)), SHAPE)[np.newaxis])[0]
    chosen = explain(predictor(), PICTURE, REQUEST).outputs
    assert attribution.scores == pytest.approx(full[chosen])
    assert attribution.base_values == pytest.approx(base[chosen])


@pytest.mark.parametrize("batch", [2, 3, 8, 49, 50, 64])
@pytest.mark.parametrize("masker", ["inpaint_ns", "blur(3,3)"])
def test_values_do_not_depend_on_the_physical_batch_or_the_threads(masker, batch):
    request = Request(masker=read_masker(masker), max_evals=150)
    model = predictor(row_by_row)
    whole = explain(model, PICTURE, request, batch=200, threads=1).attribution
    parts = explain(model, PICTURE, request, batch=batch, threads=3).attribution
    assert parts.values.tobytes() == whole.values.tobytes()


@pytest.mark.parametrize("evals", [100, 1000])
def test_only_two_buffers_of_a_physical_batch_hold_pictures(evals):
    model = predictor()
    explain(model, PICTURE, Request(masker=MaskerSpec("mean"), max_evals=evals), batch=8)
    assert len(model.addresses) == 2
    assert max(model.batches) <= 9


@pytest.mark.parametrize("count", range(1, 40))
@pytest.mark.parametrize("batch", [2, 3, 8])
def test_batches_are_about_equal_and_leave_no_picture_alone(count, batch):
    sizes = []
    while count > sum(sizes):
        sizes.append(next_span(count - sum(sizes), batch))
    assert sum(sizes) == count
    assert max(sizes) <= batch + 1
    assert max(sizes) - min(sizes) <= 1
    assert count == 1 or min(sizes) >= 2


def test_a_physical_batch_of_one_is_refused():
    with pytest.raises(ValueError, match="must be at least 2"):
        explain(predictor(), PICTURE, REQUEST, batch=1)


def test_progress_rises_to_the_plan():
    watch = Watch()
    explained = explain(predictor(), PICTURE, REQUEST, control=watch, batch=8)
    done, planned = zip(*watch.heard, strict=True)
    assert list(done) == sorted(done)
    assert set(planned) == {150}
    assert done[-1] == explained.attribution.evaluations == 150


@pytest.mark.parametrize("method", METHODS)
def test_progress_continues_to_the_end_of_the_curves(method):
    watch = Watch()
    request = Request(
        method=method,
        masker=MaskerSpec("mean"),
        superpixels=Grid(3, 3),
        outputs=Top(2),
        max_evals=600,
        metrics=("keep_positive", "deletion"),
    )
    model = predictor()
    explained = explain(model, PICTURE, request, control=watch, batch=8)
    done, planned = np.array(watch.heard).T
    assert (np.diff(done / planned) >= 0).all()
    assert done[-1] == planned[-1] == sum(model.batches)
    assert done[-1] > explained.attribution.evaluations


def test_progress_is_complete_if_the_curves_need_no_evaluation():
    watch = Watch()
    model = FunctionPredictor((1, 1, 1), lambda pictures: pictures.reshape(-1, 1))
    request = Request(masker=MaskerSpec("constant", (0,)), metrics=("deletion",))
    explain(model, random_picture((1, 1, 1), 0), request, control=watch)
    assert watch.heard == [(2, 2)]


@pytest.mark.parametrize("stop_at", [1, 2, 3, 4, 7, 15])
def test_a_stop_propagates_leaving_a_valid_snapshot_and_no_thread(stop_at):
    model = predictor()
    explanation = ExplanationRun(model, PICTURE, REQUEST, control=Watch(stop_at))
    with pytest.raises(Stop):
        evaluate(explanation, model, batch=8)
    assert not painters()
    assert len(model.batches) == stop_at - 1
    partial = explanation.snapshot()
    if stop_at <= 2:
        assert partial is None
    else:
        assert partial.attribution.efficiency_gap == pytest.approx(np.zeros(2), abs=1e-12)
        assert partial.attribution.evaluations < 150


@pytest.mark.parametrize("late", [0, 1, 5])
def test_a_stop_during_the_curves_keeps_the_complete_attribution(late):
    complete = explain(predictor(), PICTURE, REQUEST, batch=8).attribution
    watch = Watch()
    explain(predictor(), PICTURE, REQUEST, control=watch, batch=8)
    request = replace(REQUEST, metrics=("deletion", "insertion"))
    model = predictor()
    control = Watch(stop_at=watch.checks + 1 + late)
    explanation = ExplanationRun(model, PICTURE, request, control=control)
    with pytest.raises(Stop):
        evaluate(explanation, model, batch=8)
    assert not painters()
    partial = explanation.snapshot()
    assert partial.attribution.values.tobytes() == complete.values.tobytes()
    assert partial.attribution.evaluations == 150
    assert partial.faithfulness == ()


def test_a_failing_model_leaves_no_thread():
    class BrokenError(Exception):
        pass

    def fails_later(pictures, calls=[]):  # noqa: B006
        calls.append(1)
        if len(calls) > 4:
            raise BrokenError
        return SMOOTH(pictures)

    with pytest.raises(BrokenError):
        explain(predictor(fails_later), PICTURE, REQUEST, batch=8)
    assert not painters()


def test_a_finished_explanation_leaves_no_thread():
    explain(predictor(), PICTURE, REQUEST)
    assert not painters()


def test_a_finished_explanation_still_gives_a_snapshot():
    model = predictor()
    explanation = ExplanationRun(model, PICTURE, replace(REQUEST, metrics=("insertion",)))
    explained = evaluate(explanation, model)
    snapshot = explanation.snapshot()
    assert snapshot.attribution is explained.attribution
    assert snapshot.faithfulness == explained.faithfulness


def test_an_explanation_refused_by_its_method_has_no_snapshot():
    explanation = ExplanationRun(predictor(), PICTURE, replace(REQUEST, method="exact"))
    with pytest.raises(BudgetError):
        evaluate(explanation, predictor())
    assert explanation.snapshot() is None


def test_top_outputs_come_by_score_and_then_by_index():
    scores = np.repeat([2.0, 7.0, 2.0], 20)
    model = predictor(lambda pictures: np.broadcast_to(scores, (len(pictures), 60)))
    explained = explain(
        model, PICTURE, Request(masker=MaskerSpec("mean"), outputs=Top(50), max_evals=4)
    )
    assert explained.outputs.tolist() == [*range(20, 40), *range(20), *range(40, 50)]
    assert explained.attribution.scores.tolist() == [7] * 20 + [2] * 30
    assert explained.attribution.values.shape == (*SHAPE, 50)


def test_outputs_by_index_keep_their_order():
    explained = explain(predictor(), PICTURE, Request(masker=MaskerSpec("mean"), outputs=(4, 0)))
    assert explained.outputs.tolist() == [4, 0]
    assert explained.attribution.scores == pytest.approx(SMOOTH(PICTURE[np.newaxis])[0, [4, 0]])


def test_explaining_one_output_does_not_depend_on_the_others_scores():
    with_nan = lambda pictures: np.where([0, 1, 0, 0, 0], np.nan, SMOOTH(pictures))  # noqa: E731
    request = Request(masker=MaskerSpec("mean"), outputs=(0,), max_evals=60)
    clean = explain(predictor(), PICTURE, request).attribution.values
    assert (explain(predictor(with_nan), PICTURE, request).attribution.values == clean).all()


@pytest.mark.parametrize("outputs", [(), (5,), (-1,), (1, 1), Top(0)])
def test_outputs_the_model_does_not_have_are_refused(outputs):
    with pytest.raises(OutputsError):
        explain(predictor(), PICTURE, Request(masker=MaskerSpec("mean"), outputs=outputs))


@pytest.mark.parametrize(
    "settings",
    [
        {"max_evals": 1},
        {"target_standard_error": 0.0},
        {"batch_size": 0},
        {"fixed_context": 2},
        {"seed": -1},
        {"seed": 2**32},
        {"metrics": ("keep_most",)},
        {"metrics": ("deletion", "insertion", "deletion")},
    ],
)
def test_settings_out_of_range_are_refused_by_name(settings):
    with pytest.raises(RequestError, match=next(iter(settings))):
        Request(**settings)


@pytest.mark.parametrize(
    "settings",
    [
        {"max_evals": 2, "batch_size": 1, "seed": 0, "fixed_context": 0},
        {"seed": 2**32 - 1, "fixed_context": 1, "target_standard_error": 1e-9},
    ],
)
def test_settings_at_the_ends_of_their_ranges_are_accepted(settings):
    Request(**settings)


@pytest.mark.parametrize(
    ("wanted", "tied"),
    [(Top(1), False), (Top(2), True), (Top(3), False), (Top(5), False), (Top(9), False)],
)
def test_outputs_are_tied_if_the_next_one_scores_as_high_as_the_last(wanted, tied):
    scores = np.array([0.1, 0.3, 0.5, 0.0, 0.3])
    assert is_tied(wanted, scores) == tied
    assert not is_tied((1,), scores)  # selected by index


def test_unknown_metrics_are_refused_with_the_known_ones():
    with pytest.raises(RequestError, match=r"'keep_most'.*keep_positive.*insertion"):
        Request(metrics=("keep_most",))


def test_an_unknown_method_is_refused_with_the_known_ones():
    with pytest.raises(RequestError, match="partition"):
        explain(predictor(), PICTURE, Request(method="magic"))


def test_an_unknown_link_is_refused_with_the_known_ones():
    with pytest.raises(LinkError, match="identity, logit"):
        explain(predictor(), PICTURE, Request(link="probit"))


@pytest.mark.parametrize(
    "picture",
    [
        PICTURE[:-1],
        PICTURE[..., 0],
        PICTURE.astype(np.float64),
        PICTURE - 128,
        PICTURE * 2,
        np.where(PICTURE > 250, np.nan, PICTURE).astype(np.float32),
    ],
)
def test_a_picture_of_another_shape_type_or_range_is_refused(picture):
    with pytest.raises(InvalidPictureError):
        explain(predictor(), picture, REQUEST)


def test_a_model_that_returns_nan_is_refused():
    def broken(pictures):
        return np.where(pictures.mean((1, 2, 3))[:, np.newaxis] > 120, np.nan, SMOOTH(pictures))

    with pytest.raises(ScoresError, match="only finite scores"):
        explain(predictor(broken), PICTURE, Request(masker=MaskerSpec("constant", (255,))))


def test_the_logit_of_scores_outside_of_0_to_1_is_refused():
    with pytest.raises(LinkError, match="use the identity link"):
        explain(predictor(), PICTURE, Request(masker=MaskerSpec("mean"), link="logit"))


def test_the_logit_of_certainty_is_finite():
    """Exactly 0 counts as the nearest float32 number, 2**-149; so does the rest of a score of 1."""

    def certain(pictures):
        bright = pictures[:, 0, 0, :1] > 0
        return np.concatenate([bright, ~bright], axis=1).astype(np.float32)

    request = Request(masker=MaskerSpec("constant", (0,)), link="logit", outputs=(0, 1))
    attribution = explain(predictor(certain), PICTURE, request).attribution
    low = np.log(2.0**-149)
    assert attribution.base_values == pytest.approx([low, -low])
    assert attribution.scores == pytest.approx([-low, low])
    assert np.isfinite(attribution.values).all()


def test_the_logit_of_certainty_is_finite_if_scores_do_not_add_up_to_1():
    """Of 1 - p is only known that float32 rounds it to 0: it counts as 2**-24."""

    def certain(pictures):
        return np.repeat(pictures[:, 0, 0, :1] > 0, 2, axis=1).astype(np.float32)

    request = Request(masker=MaskerSpec("constant", (0,)), link="logit", outputs=(0, 1))
    attribution = explain(predictor(certain), PICTURE, request).attribution
    low, high = np.log(2.0**-149), np.log((1 - 2.0**-24) / 2.0**-24)
    assert attribution.base_values == pytest.approx([low, low])
    assert attribution.scores == pytest.approx([high, high])


def softmax_of(differences):
    """Return two classes in float32; the second has this many logits more than the first."""
    lead = differences.astype(np.float64)
    return np.stack([1 / (1 + np.exp(lead)), 1 / (1 + np.exp(-lead))], axis=1).astype(np.float32)


def test_the_logits_of_two_classes_mirror_each_other():
    def confident(pictures):  # from -80 to 80 logits
        return softmax_of((pictures.mean((1, 2, 3)) - 127.5) / 127.5 * 80)

    for colour in (0, 255):
        picture = np.full(SHAPE, 255.0 - colour, np.float32)
        request = Request(
            masker=MaskerSpec("constant", (colour,)), link="logit", outputs=(0, 1), max_evals=60
        )
        found = explain(predictor(confident), picture, request).attribution
        assert found.scores[1] == pytest.approx((127.5 - colour) / 127.5 * 80, rel=1e-6)
        assert found.scores[0] == pytest.approx(-found.scores[1], rel=1e-6)
        np.testing.assert_allclose(
            found.values[..., 0], -found.values[..., 1], rtol=3e-3, atol=1e-6
        )


def test_the_logit_equals_shaps_unless_one_minus_p_is_rounding():
    """shap.links.logit is log(x / (1 - x))."""
    p = softmax_of(np.linspace(-11.7, 11.7, 400)).astype(np.float64)
    both = np.array([0, 1])
    for adding_up in (False, True):
        np.testing.assert_array_equal(logit(p, both, adding_up=adding_up), np.log(p / (1 - p)))


def test_the_logit_of_a_class_uses_the_sum_of_all_others():
    logits = np.array([[40.0, 3.0, 1.0, -2.0]])
    p = (np.exp(logits - logits.max()) / np.exp(logits - logits.max()).sum()).astype(np.float32)
    found = logit(p.astype(np.float64), np.array([0, 1]), adding_up=True)
    others = np.exp([3.0, 1.0, -2.0]).sum()
    assert found[0, 0] == pytest.approx(40 - np.log(others), rel=1e-6)
    assert found[0, 1] == pytest.approx(np.log(p[0, 1]), rel=1e-6)


def test_scores_add_up_if_those_of_every_picture_do():
    assert add_up(np.array([[0.25, 0.75], [0.5, 0.50009]]))
    assert not add_up(np.array([[0.25, 0.75], [0.5, 0.50011]]))
    assert not add_up(np.array([[1.0], [1.0]]))


class PaintingPredictor(FunctionPredictor):
    """A Compositor that paints by the maskers it receives."""

    def composite(self, portions):
        self.batches.append(sum(len(coalitions) for _, coalitions in portions))
        painted = np.concatenate([masker(coalitions) for masker, coalitions in portions])
        return lambda: self.function(painted)


@pytest.mark.parametrize(("masker", "painted"), [("mean", True), ("inpaint_telea", False)])
def test_a_compositor_gets_coalitions_with_a_fixed_fill(masker, painted):
    request = replace(REQUEST, masker=MaskerSpec(masker))
    expected = explain(predictor(), PICTURE, request, batch=8)
    model = PaintingPredictor(SHAPE, row_by_row)
    ours = explain(model, PICTURE, request, batch=8)
    assert ours.attribution.values == pytest.approx(expected.attribution.values)
    assert (len(model.addresses) == 0) == painted
    assert ours.timings.evaluations == sum(model.batches) == 150
    assert ours.timings.batches == len(model.batches)
    assert (ours.timings.mask_s > 0) == (not painted)


def test_slots_are_the_capacity_of_all_batches():
    timings = explain(predictor(), PICTURE, REQUEST, batch=8).timings
    assert timings.evaluations == 150
    assert timings.slots >= 8 * timings.batches
    assert timings.slots <= 9 * timings.batches


def test_an_explanation_reports_its_end_scores_and_players():
    explanation = ExplanationRun(predictor(), PICTURE, replace(REQUEST, superpixels=Grid(2, 3)))
    np.testing.assert_array_equal(explanation.shown, np.floor(PICTURE))
    np.testing.assert_allclose(explanation.hidden[0, 0], PICTURE.mean((0, 1)), rtol=1e-6)
    assert explanation.player_count == 6


@pytest.mark.parametrize(("share", "reached"), [(None, None), (1.0, True), (0.999, False)])
def test_a_target_is_reached_if_the_largest_error_is_at_most_it(share, reached):
    request = replace(REQUEST, method="permutation", superpixels=Grid(2, 3))
    largest = explain(predictor(), PICTURE, request).attribution.regions.largest_error
    target = None if share is None else share * largest
    explained = explain(predictor(), PICTURE, replace(request, target_standard_error=target))
    assert explained.target_reached is reached


def test_without_errors_no_target_is_reached():
    explained = explain(predictor(), PICTURE, replace(REQUEST, target_standard_error=1e9))
    assert explained.target_reached is False


@pytest.mark.parametrize(
    "pictures",
    [np.zeros((2, *SHAPE)), np.zeros((2, 9, 10, 3), np.float32), np.zeros(SHAPE, np.float32)],
)
def test_pictures_of_the_wrong_shape_are_refused(pictures):
    with pytest.raises(InvalidPictureError, match="the model takes float32"):
        check_pictures(pictures, SHAPE)
    check_pictures(np.zeros((0, *SHAPE), np.float32), SHAPE)


def test_timings_separate_painting_from_the_model():
    timings = explain(predictor(), PICTURE, REQUEST).timings
    assert timings.mask_s > 0
    assert timings.model_s > 0
