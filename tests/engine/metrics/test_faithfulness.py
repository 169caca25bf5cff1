"""Comparison with SequentialPerturbation of shap 0.51, run beside ours, and with sums by hand."""

import warnings
from contextlib import suppress
from dataclasses import replace

import numpy as np
import pytest

from tests.engine.games import FunctionPredictor, masks, random_picture, smooth_function
from worker.adapters.engine_request import read_masker
from worker.engine.attribution import Attribution
from worker.engine.game.coalitions import CHUNK
from worker.engine.masking.masker_spec import MaskerSpec
from worker.engine.masking.maskers import make_masker
from worker.engine.metrics.faithfulness import Faithfulness, FaithfulnessCurve, max_evaluations
from worker.engine.metrics.perturbation import METRICS, draw_lots, stops
from worker.engine.metrics.ranks import RankCoalitions, RankCut, rank
from worker.engine.regions import Regions
from worker.engine.request import Request, Top
from worker.engine.scoring.driver import explain

SHAPE = (10, 9, 3)
PICTURE = random_picture(SHAPE, 0)
SEQUENTIAL = [name for name in METRICS if "_" in name]
MASKERS = {  # ours: shap's
    "inpaint_telea": "inpaint_telea",
    "blur(3,3)": "blur(3,3)",
    "constant(17)": 17.0,
}
ROW = (1, 3, 1)
TERMS = np.array([3.0, -1.0, 2.0]).reshape(ROW)


def attribution_of(values, ends):
    """Make an attribution (H, W, C, K) of a game with these scores of nobody and everybody."""
    base, full = ends
    whole = Regions(np.zeros(values.shape[:2], np.int32), (full - base)[np.newaxis], np.array([1]))
    return Attribution(values, base, full, 2, 1.0, "given", whole)


def drive(values, value, metrics, *, seed=0):
    """Return the curves of values (H, W, C, K) in the game value(mask) -> (K,), and its masks."""
    shape = values.shape[:3]
    ends = [value(np.full(shape, visible)) for visible in (False, True)]
    steps = Faithfulness(attribution_of(values, ends), metrics, seed=seed).run()
    scored, scores = [], None
    while True:
        try:
            asked = masks(steps.send(scores), shape)
        except StopIteration as end:
            return end.value, scored
        scored += list(asked)
        scores = np.array([value(mask) for mask in asked])


def additive(terms):
    return lambda mask: np.array([terms[mask].sum()])


def untied(seed, outputs=1, shape=SHAPE):
    values = np.random.default_rng(seed).normal(size=(*shape, outputs))
    assert len(np.unique(np.abs(values))) == values.size
    return values


def by_picture(function, masker):
    """Make the game of a function of pictures (N, H, W, C) with a masker."""
    paint = make_masker(read_masker(masker), PICTURE)

    def value(mask):
        visible = RankCut((~mask).astype(np.int32), 1, keep=True)
        return function(paint(RankCoalitions([visible])))[0]

    return value


@pytest.mark.parametrize("masker", MASKERS)
@pytest.mark.parametrize("name", SEQUENTIAL)
def test_curves_and_areas_equal_shaps(shap_module, name, masker):
    function = smooth_function(SHAPE, outputs=2, seed=1)
    values = untied(2)
    [curve], _ = drive(values, by_picture(lambda x: function(x)[:, :1], masker), [name])
    perturbation, order = name.split("_")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from shap.benchmark._sequential import SequentialPerturbation

        theirs = SequentialPerturbation(
            lambda pictures: function(pictures)[:, 0],
            shap_module.maskers.Image(MASKERS[masker], SHAPE),
            order,
            perturbation,
        )("ours", values[np.newaxis, ..., 0], PICTURE[np.newaxis], silent=True)
    assert curve.x == pytest.approx(theirs.curve_x, abs=1e-12)
    assert curve.y == pytest.approx(theirs.curve_y, abs=1e-9)
    assert curve.area == pytest.approx(theirs.value, abs=1e-9)


@pytest.mark.parametrize(
    ("name", "ends", "area"),
    [  # a game with terms 3, -1, 2: its value at each third, and trapezoids between
        ("keep_positive", [0, 3, 5, 5], (1.5 + 4 + 5) / 3),
        ("keep_negative", [0, -1, -1, -1], -(0.5 + 1 + 1) / 3),
        ("keep_absolute", [0, 3, 5, 4], (1.5 + 4 + 4.5) / 3),
        ("remove_positive", [4, 1, -1, -1], -(1.5 + 4 + 5) / 3),
        ("remove_negative", [4, 5, 5, 5], (0.5 + 1 + 1) / 3),
        ("remove_absolute", [4, 1, -1, 0], -(1.5 + 4 + 4.5) / 3),
        ("deletion", [4, 1, -1, 0], (2.5 + 0 - 0.5) / 3),
        ("insertion", [0, 3, 5, 4], (1.5 + 4 + 4.5) / 3),
    ],
)
def test_curves_of_an_additive_game_are_its_sums(name, ends, area):
    [curve], _ = drive(TERMS[..., np.newaxis], additive(TERMS), [name])
    assert np.interp([0, 1 / 3, 2 / 3, 1], curve.x, curve.y) == pytest.approx(ends)
    assert curve.area == pytest.approx(area)
    assert (curve.metric, curve.output) == (name, 0)


@pytest.mark.parametrize("name", ["keep_positive", "keep_negative"])
def test_elements_without_credit_are_neither_positive_nor_negative(name):
    values = np.array([3.0, 0.0, -1.0]).reshape(*ROW, 1)
    [curve], _ = drive(values, additive(np.array([3.0, 7.0, -1.0]).reshape(ROW)), [name])
    assert curve.y[-1] == {"keep_positive": 3, "keep_negative": -1}[name]


def test_deletion_and_insertion_take_whole_pixels_by_the_sum_of_their_channels():
    values = np.array([[5.0, -5.0, 1.0], [2.0, 2.0, 2.0], [0.0, 4.0, -1.0]]).reshape(1, 3, 3, 1)
    curves, _ = drive(values, additive(values[..., 0]), ["insertion", "deletion"])
    assert curves[0].y == pytest.approx([0, 6, 9, 10])
    assert curves[1].y == pytest.approx([10, 4, 1, 0])
    assert curves[0].x == pytest.approx([0, 1 / 3, 2 / 3, 1])


def test_equal_attributions_are_taken_by_position():
    assert rank(np.array([[2.0, 1.0], [1.0, 0.0]])).tolist() == [[3, 1], [2, 0]]
    thirds = np.arange(999) % 3
    assert rank(thirds * 1.0).tolist() == (thirds * 333 + np.arange(999) // 3).tolist()
    counting = np.arange(6.0).reshape(1, 6, 1)
    [curve], _ = drive(np.ones((1, 6, 1, 1)), additive(counting), ["insertion"])
    assert curve.y.tolist() == [0, 0, 1, 3, 6, 10, 15]


@pytest.mark.parametrize("shape", [(7, 9), (6, 5, 3), (1, 1)])
def test_an_order_is_that_of_a_stable_sort(shape):
    urgency = np.repeat(np.random.default_rng(4).integers(-2, 3, shape), 4, axis=1) * -0.5
    order = np.argsort(urgency, axis=None, kind="stable")
    assert (np.argsort(rank(urgency), axis=None) == order).all()


def test_steps_are_a_hundredth_and_the_last_takes_the_rest():
    assert stops(5).tolist() == [0, 1, 2, 3, 4, 5]
    assert stops(350)[[0, 1, 2, -2, -1]].tolist() == [0, 3, 6, 348, 350]
    assert len(stops(224 * 224 * 3)) == 102


def test_coalitions_by_rank_agree_with_their_masks():
    ranks = np.random.default_rng(0).permutation(24).astype(np.int32)
    elements, pixels = ranks.reshape(2, 4, 3), rank(-ranks[:8].reshape(2, 4).astype(float))
    cuts = [RankCut(elements, 5, True), RankCut(elements, 5, False), RankCut(pixels, 3, True)]
    counts = []
    for i in range(3):
        canvas = np.zeros((2, 4, 3), dtype=np.float32)
        RankCoalitions(cuts)[i : i + 1].reveal(0, np.ones_like(canvas), canvas)
        assert (canvas == masks(RankCoalitions(cuts), canvas.shape)[i]).all()
        counts.append(int(canvas.sum()))
    assert counts == [5, 19, 9]


@pytest.mark.parametrize("metrics", [[name] for name in METRICS] + [list(METRICS)])
@pytest.mark.parametrize("make", [untied, lambda seed, outputs: np.round(untied(seed, outputs))])
def test_no_coalition_is_scored_twice_and_the_ends_never(metrics, make):
    values = make(3, 3)
    base = full = np.zeros(3)
    plan = Faithfulness(attribution_of(values, (base, full)), metrics, seed=0).planned_evaluations
    _, scored = drive(values, lambda mask: np.full(3, mask.mean()), metrics)
    assert len({mask.tobytes() for mask in scored}) == len(scored) == plan
    assert all(0 < mask.sum() < mask.size for mask in scored)
    assert plan <= max_evaluations(metrics, SHAPE, outputs=3)


def test_a_curve_takes_one_evaluation_per_coalition():
    """270 elements, 2 a step: 134 inner coalitions; 90 pixels, 1 a step: 89; baselines alike."""
    values = untied(4)
    positive = np.count_nonzero(values > 0)
    needed = {"keep_absolute": 2 * 134, "deletion": 2 * 89, "keep_positive": 2 * -(-positive // 2)}
    for name, count in needed.items():
        assert len(drive(values, additive(values[..., 0]), [name])[1]) == count


def test_metrics_in_the_same_order_share_their_coalitions():
    values = np.abs(untied(5, shape=(9, 9, 1)))
    alike = ["keep_positive", "keep_absolute", "insertion"]
    curves, scored = drive(values, additive(values[..., 0]), alike)
    assert len(scored) == 2 * 80
    assert curves[0].y.tolist() == curves[1].y.tolist()


def test_a_step_of_deletion_is_the_complement_of_that_of_insertion():
    values = untied(6)
    _, shown = drive(values, additive(values[..., 0]), ["insertion"])
    _, hidden = drive(values, additive(values[..., 0]), ["deletion"])
    assert (np.array(shown) == ~np.array(hidden)).all()


def test_coalitions_come_in_chunks():
    attribution = attribution_of(untied(7, 4), (np.zeros(4), np.ones(4)))
    steps = Faithfulness(attribution, list(METRICS), seed=0).run()
    sizes, asked = [], next(steps)
    with suppress(StopIteration):
        while True:
            sizes.append(len(asked))
            asked = steps.send(np.zeros((len(asked), 4)))
    assert set(sizes[:-1]) == {CHUNK}
    assert 0 < sizes[-1] <= CHUNK


def test_several_outputs_have_the_curves_that_each_has_alone():
    function = smooth_function(SHAPE, outputs=3, seed=8)
    values = untied(8, 3)
    game = by_picture(function, "blur(3,3)")
    together, _ = drive(values, game, list(METRICS))
    for k in range(3):
        alone, _ = drive(values[..., k : k + 1], lambda mask, k=k: game(mask)[[k]], list(METRICS))
        ours = [curve for curve in together if curve.output == k]
        for a, b in zip(ours, alone, strict=True):
            assert (a.metric, a.area, a.baseline_area) == (b.metric, b.area, b.baseline_area)
            assert (a.y == b.y).all()
            assert (a.baseline == b.baseline).all()


def test_curves_come_metric_by_metric_and_output_by_output():
    curves, _ = drive(untied(9, 2), lambda mask: np.zeros(2), ["insertion", "keep_positive"])
    order = [(curve.metric, curve.output) for curve in curves]
    assert order == [(name, k) for name in ("insertion", "keep_positive") for k in (0, 1)]


@pytest.mark.parametrize("name", METRICS)
def test_the_baseline_changes_as_many_elements_as_the_curve_in_another_order(name):
    """In a counting game only the number of visible elements matters: both agree everywhere."""
    values = untied(10)
    [counted], _ = drive(values, lambda mask: np.array([mask.sum() * 1.0]), [name])
    assert counted.baseline == pytest.approx(counted.y)
    assert counted.baseline_area == pytest.approx(counted.area)
    [summed], _ = drive(values, additive(values[..., 0]), [name])
    assert np.abs(summed.baseline - summed.y).max() > 1


def test_the_true_order_of_an_additive_game_beats_every_random_one():
    values = untied(11)
    higher = {"keep_positive": 1, "remove_positive": -1, "keep_negative": -1, "remove_negative": 1}
    for seed in range(3):
        metrics = [*higher, "insertion", "deletion"]
        curves, _ = drive(values, additive(values[..., 0]), metrics, seed=seed)
        for curve in curves:
            sign = higher.get(curve.metric, 1 if curve.metric == "insertion" else -1)
            assert sign * (curve.area - curve.baseline_area) > 1


@pytest.mark.parametrize(
    ("name", "larger", "smaller"),
    [
        ("keep_positive", True, False),
        ("keep_negative", False, True),
        ("insertion", True, False),
        ("deletion", False, True),
        ("keep_absolute", None, None),
    ],
)
def test_a_curve_is_better_if_its_area_is_on_the_promised_side(name, larger, smaller):
    def better(area, y=(0.0, 1.0, 0.5), baseline=(0.0, 0.5, 0.5)):
        x, y, baseline = np.linspace(0, 1, 3), np.array(y), np.array(baseline)
        return FaithfulnessCurve(name, 0, x, y, area, baseline, 0.25, 0.0).is_better

    assert (better(0.5), better(0.125)) == (larger, smaller)
    assert better(0.25) is (None if larger is None else False)  # another curve of the same area
    assert better(0.25, baseline=(0.0, 1.0, 0.5)) is None


def test_a_patch_of_equal_values_moves_as_one_in_the_random_order():
    patches = np.repeat(np.repeat(np.arange(4).reshape(2, 2), 3, axis=0), 3, axis=1)  # (6, 6)
    credit = np.array([[1.0, 5.0], [1.0, 6.0], [2.0, 5.0], [3.0, 5.0]])  # only some are equal
    lots = draw_lots(np.repeat(credit[patches][:, :, np.newaxis], 3, axis=2), seed=0)
    assert lots.shape == (6, 6, 3)
    assert len(np.unique(lots)) == 4
    for patch in range(4):
        assert len(np.unique(lots[patches == patch])) == 1


def test_a_patch_takes_the_number_of_its_first_element():
    values = np.round(np.random.default_rng(5).normal(size=(8, 7, 3, 2)))
    flat = values.reshape(-1, 2)
    first = [
        int(np.flatnonzero((flat == each).all(axis=1))[0]) if each.any() else place
        for place, each in enumerate(flat)
    ]
    lots = np.random.default_rng(6).random(len(flat))[first]
    np.testing.assert_array_equal(draw_lots(values, seed=6).ravel(), lots)


def test_elements_without_credit_move_alone_in_the_random_order():
    values = np.zeros((4, 4, 1, 2))
    values[0, :, :, 1] = 1
    lots = draw_lots(values, seed=0)
    assert len(np.unique(lots[0])) == 1
    assert len(np.unique(lots[1:])) == 12


def test_zero_values_still_have_curves():
    flat = np.zeros((*SHAPE, 1))
    curves, _ = drive(flat, lambda mask: np.zeros(1), list(METRICS))
    assert len(curves) == len(METRICS)
    assert all(curve.area == curve.baseline_area == 0 for curve in curves)


def test_a_picture_of_one_element_needs_no_evaluation():
    curves, scored = drive(np.ones((1, 1, 1, 1)), additive(np.ones((1, 1, 1))), list(METRICS))
    assert scored == []
    assert {curve.metric: curve.area for curve in curves}["insertion"] == 0.5


REQUEST = Request(masker=MaskerSpec("inpaint_telea"), outputs=Top(2), max_evals=150, seed=3)
PREDICTOR = FunctionPredictor(SHAPE, smooth_function(SHAPE, outputs=5, seed=0))


def test_a_request_with_metrics_gives_the_curves_beside_the_same_attribution():
    plain = explain(PREDICTOR, PICTURE, REQUEST)
    explained = explain(PREDICTOR, PICTURE, replace(REQUEST, metrics=("deletion", "keep_positive")))
    deletion = explained.faithfulness[0]
    assert plain.faithfulness == ()
    assert explained.attribution.values.tobytes() == plain.attribution.values.tobytes()
    assert explained.attribution.evaluations == 150
    assert len(explained.faithfulness) == 4
    assert deletion.y[0] == deletion.baseline[0] == plain.attribution.scores[0]
    assert deletion.y[-1] == deletion.baseline[-1] == plain.attribution.base_values[0]


def test_the_same_seed_gives_the_same_bits_and_another_seed_other_baselines():
    request = replace(REQUEST, metrics=("deletion", "keep_positive"))
    first, second = (explain(PREDICTOR, PICTURE, request).faithfulness for _ in range(2))
    other = explain(PREDICTOR, PICTURE, replace(request, seed=4)).faithfulness
    for a, b, c in zip(first, second, other, strict=True):
        assert (a.y.tobytes(), a.baseline.tobytes()) == (b.y.tobytes(), b.baseline.tobytes())
        assert (a.y == c.y).all()
        assert (a.baseline != c.baseline).any()
