"""Coalitions painted on JAX's device, and its two batch sizes."""

import numpy as np
import pytest

from tests.engine.games import FunctionPredictor, random_picture
from tests.extras import import_or_skip
from worker.adapters.engine_request import read_masker
from worker.engine.errors import InvalidPictureError, PredictorError
from worker.engine.explanation import ExplanationRun
from worker.engine.game.image_tree import Box, BoxCoalitions, whole
from worker.engine.game.players import PlayerCoalitions
from worker.engine.game.superpixels import Grid, Pixels
from worker.engine.masking.maskers import FillMasker
from worker.engine.request import Request
from worker.engine.scoring.batch_size import buckets, device_batch_size, next_span
from worker.engine.scoring.driver import evaluate_all, explain

jax = import_or_skip("jax")

from worker.engine.backends import jax_painting  # noqa: E402
from worker.engine.backends.jax import JaxPredictor, in_batches  # noqa: E402

SHAPE = (12, 10, 3)
PICTURE, FILL = random_picture(SHAPE, 0), random_picture(SHAPE, 1)
RNG = np.random.default_rng(0)


def first_pixels(_, pictures):
    """Return pixels as scores, which show every difference."""
    return pictures.reshape(len(pictures), -1)


def smooth(_, pictures):
    """Return two scores that differ between any two pictures."""
    rows = jax.numpy.cos(pictures.reshape(len(pictures), -1) / 100)
    return jax.numpy.stack([rows[:, ::2].sum(axis=1), (rows * rows[:, ::-1]).sum(axis=1)], axis=1)


@pytest.fixture(scope="module")
def predictor():
    return JaxPredictor(first_pixels, [], SHAPE, "float32")


def boxes(count):
    """Coalitions of 0, 1, 2, ... disjoint boxes: single elements, bars of one channel, quarters."""
    parts = [Box(0, 6, 0, 5, 0, 3), Box(6, 12, 5, 10, 0, 3), Box(0, 6, 5, 10, 1, 2)]
    parts += [Box(row, row + 1, 0, 5, 0, 2) for row in range(6, 12)]
    chosen = [RNG.permutation(len(parts))[: i % 10] for i in range(count)]
    return BoxCoalitions(SHAPE, [tuple(parts[j] for j in each) for each in chosen])


def players(labels, count):
    return PlayerCoalitions(labels, RNG.random((count, labels.max() + 1)) < 0.5)


class Checkered:
    """Coalitions of a class that the painter does not know."""

    def __init__(self, masks):
        self._masks = masks

    def __len__(self):
        return len(self._masks)

    def __getitem__(self, span):
        return Checkered(self._masks[span])

    def visible(self, i):
        return self._masks[i]

    def reveal(self, i, source, canvas):
        seen = self._masks[i]
        canvas[seen] = source[seen]


PIXELS = np.arange(120).reshape(12, 10)
ELEMENTS = np.arange(360).reshape(SHAPE) // 7


@pytest.mark.parametrize(
    "coalitions",
    [
        boxes(70),
        BoxCoalitions(SHAPE, [(), (whole(SHAPE),)]),
        players(PIXELS // 9, 70),
        players(PIXELS, 3),
        players(ELEMENTS, 70),
        Checkered(RNG.random((70, *SHAPE)) < 0.5),
        Checkered(RNG.random((3, 12, 10)) < 0.5),
    ],
    ids=["boxes", "bounds", "superpixels", "pixels", "elements", "masks", "pixel masks"],
)
def test_pictures_painted_on_the_device_equal_those_of_the_masker(predictor, coalitions):
    expected = FillMasker(PICTURE, FILL)(coalitions).reshape(len(coalitions), -1)
    scores = predictor.composite([(FillMasker(PICTURE, FILL), coalitions)])()
    assert scores.dtype == np.float32
    np.testing.assert_array_equal(scores, expected)


@pytest.mark.parametrize(
    "parts",
    [
        [boxes(9), boxes(1), boxes(70)],
        [players(PIXELS // 9, 9), players(PIXELS // 50, 70)],
        [players(PIXELS // 9, 9), players(ELEMENTS, 9)],
        [boxes(9), players(PIXELS // 9, 9), Checkered(RNG.random((3, 12, 10)) < 0.5)],
    ],
    ids=["boxes", "players", "pixels and elements", "all kinds"],
)
def test_several_pictures_are_painted_into_one_batch_each_as_its_own_masker_paints(
    predictor, parts
):
    fillings = [FillMasker(random_picture(SHAPE, 2 * i), FILL + i) for i in range(len(parts))]
    portions = list(zip(fillings, parts, strict=True))
    expected = np.concatenate([masker(each).reshape(len(each), -1) for masker, each in portions])
    np.testing.assert_array_equal(predictor.composite(portions)(), expected)


def test_portions_are_cut_into_the_compiled_batch_sizes():
    batches = list(in_batches([(FillMasker(PICTURE, FILL), boxes(n)) for n in (3, 4, 25, 5)], 10))
    assert [count for count, _ in batches] == [7, 10, 10, 10]
    assert [[len(part) for _, part in batch] for _, batch in batches] == [
        [3, 4],
        [10],
        [10],
        [5, 5],
    ]


def test_a_job_compiles_its_painting_once_per_batch_size(predictor):
    filling = FillMasker(PICTURE, FILL)
    small, full = buckets(SHAPE, "cpu")
    for paint, make in (
        (jax_painting._paint_boxes, boxes),
        (jax_painting._paint_players, lambda count: players(PIXELS // 9, count)),
    ):
        for count in (small, full):
            predictor.composite([(filling, make(count))])()
        compiled = paint._cache_size()  # type: ignore[attr-defined]
        for count in (1, 2, small + 1, full - 1, 3 * full + 1):
            predictor.composite([(filling, make(count))])()
        assert paint._cache_size() == compiled  # type: ignore[attr-defined]
    assert predictor.traces == 2


def test_arrays_on_the_device_are_freed_with_their_masker():
    painter = jax_painting.Painter()
    filling = FillMasker(PICTURE, FILL)
    painter([(filling, boxes(2))], 2)
    assert len(painter._residents) == 1
    del filling
    assert len(painter._residents) == 0


def test_a_picture_that_does_not_fit_the_model_is_not_composited(predictor):
    with pytest.raises(InvalidPictureError, match=r"takes float32 of shape \(N, 12, 10, 3\)"):
        predictor.composite([(FillMasker(PICTURE[:5], FILL[:5]), boxes(2))])


@pytest.mark.parametrize("count", [1, 3])
@pytest.mark.parametrize("masker", ["blur(3,3)", "inpaint_telea"])
@pytest.mark.parametrize("superpixels", [Pixels(), Grid(4, 4)])
def test_explanations_are_the_same_painted_on_the_device_and_on_the_host(
    masker, superpixels, count
):
    """Without `composite`, the same predictor's coalitions are painted on the host."""
    predictor = JaxPredictor(smooth, [], SHAPE, "float32")
    host = FunctionPredictor(SHAPE, lambda pictures: predictor(pictures))
    request = Request(
        masker=read_masker(masker), superpixels=superpixels, outputs=(0, 1), max_evals=200
    )
    pictures = [random_picture(SHAPE, i) for i in range(count)]
    together = [ExplanationRun(predictor, each, request) for each in pictures]
    endings = dict(evaluate_all(together, predictor))
    for picture, explanation in zip(pictures, together, strict=True):
        alone = explain(host, picture, request).attribution.values
        found = endings[explanation].attribution.values
        np.testing.assert_allclose(found, alone, rtol=0, atol=1e-6 * np.abs(alone).max())


@pytest.mark.parametrize("device", ["cpu", "gpu:0 NVIDIA H100"])
@pytest.mark.parametrize("shape", [(224, 224, 3), (32, 32, 3), (4000, 4000, 3)])
def test_the_full_batch_size_fits_every_span_of_the_physical_batch(shape, device):
    small, full = buckets(shape, device)
    batch = device_batch_size(shape, device)
    longest = max(next_span(n, batch) for n in range(1, 400))
    assert small < longest <= full


@pytest.mark.parametrize(
    ("output", "found"),
    [
        (lambda _, x: {"scores": x[:, 0, 0]}, "dict"),
        (lambda _, x: x, r"shape \(\d+, 12, 10, 3\)"),
        (lambda _, x: x[:, 0, 0].argmax(axis=1), "int32"),
        (lambda _, x: x[:1, 0, 0], r"1 rows for \d+ pictures"),
    ],
)
def test_a_model_without_a_row_of_scores_per_picture_is_refused(output, found):
    with pytest.raises(PredictorError, match=found):
        JaxPredictor(output, [], SHAPE, "float32")


def test_one_score_per_picture_counts_as_one_output():
    predictor = JaxPredictor(lambda _, x: x.mean(axis=(1, 2, 3)), [], SHAPE, "float32")
    assert predictor(PICTURE[np.newaxis]).shape == (1, 1)
