"""Previews: coarse heatmaps of what a method knows so far."""

import numpy as np
import pytest

from tests.engine.games import (
    FunctionPredictor,
    masks,
    play,
    random_game,
    random_picture,
    smooth_function,
)
from worker.engine.control import NullControl
from worker.engine.game.superpixels import Grid
from worker.engine.masking.masker_spec import MaskerSpec
from worker.engine.methods.registry import METHODS
from worker.engine.preview import MOST_CELLS, MOST_OUTPUTS, mean_over_cells
from worker.engine.request import Request, Top
from worker.engine.scoring.driver import explain

SHAPE = (90, 60, 3)
every_method = pytest.mark.parametrize("name", METHODS)


class Watching(NullControl):
    """Wants every preview."""

    def __init__(self):
        self.previews = []

    def offer(self, make):
        self.previews.append(make())


def explained(name, control, *, batch=None, **settings):
    settings = {"superpixels": Grid(2, 5), "max_evals": 1024, "outputs": Top(6)} | settings
    request = Request(name, MaskerSpec("mean", ()), **settings)
    predictor = FunctionPredictor(SHAPE, smooth_function(SHAPE, 6, seed=0))
    picture = random_picture(SHAPE, 0)
    return explain(predictor, picture, request, control=control, batch=batch)


@every_method
def test_every_method_gives_finite_previews_of_the_first_outputs(name):
    control = Watching()
    result = explained(name, control, metrics=("deletion",))
    previews = [each for each in control.previews if each]
    assert len(previews) >= 3
    for preview in previews:
        assert preview.heat.shape == (MOST_OUTPUTS, 45, 30)
        assert np.isfinite(preview.heat).all()
        assert preview.cell == 2
        assert preview.outputs.tolist() == result.outputs[:MOST_OUTPUTS].tolist()
        assert 2 < preview.evaluations <= preview.planned
    counts = [preview.evaluations for preview in previews]
    assert counts == sorted(set(counts))
    assert counts[-1] == result.attribution.evaluations


@every_method
def test_previews_come_near_the_result_and_the_last_is_it(name):
    control = Watching()
    result = explained(name, control, metrics=("deletion",))
    final, _ = mean_over_cells(result.attribution.values[..., :MOST_OUTPUTS])
    off = [np.abs(each.heat - final).max() for each in control.previews if each]
    assert off[-1] == 0
    assert off[-2] <= 0.5 * np.abs(final).max()


@every_method
def test_a_draft_is_near_the_snapshot(name):
    shape, near = (2, 5, 1), []

    def watch(method, _):
        draft = method.draft(1, np.empty((0, 2)))
        if draft is not None:
            values = method.snapshot().values
            near.append(np.corrcoef(draft.ravel(), values[..., 0].ravel())[0, 1])
            assert draft.sum() == pytest.approx(values[..., 0].sum())

    request = Request(name, max_evals=1024)
    play(lambda game: METHODS[name](game, request), random_game(shape, 2, seed=1), shape, watch)
    assert min(near[-2:]) > 0.8


@pytest.mark.parametrize("name", sorted(set(METHODS) - {"partition"}))
def test_scores_of_a_step_count_in_drafts_before_it_ends(name):
    shape, none = (2, 5, 1), np.empty((0, 2))
    game, early, late = random_game(shape, 2, seed=1), [], []

    def watch(method, coalitions):
        scores = np.array([game(mask) for mask in masks(coalitions, shape)])
        late.append(method.draft(2, none))
        half = method.draft(2, scores[: len(scores) // 2])
        early.append(method.draft(2, scores))
        assert not np.allclose(half, early[-1])
        after = method.draft(2, none)
        assert (after is None) if late[-1] is None else np.array_equal(after, late[-1])

    request = Request(name, max_evals=1024)
    play(lambda game: METHODS[name](game, request), game, shape, watch)
    assert len(late) > 2
    assert all(map(np.array_equal, early, late[1:]))


@pytest.mark.parametrize("name", sorted(set(METHODS) - {"partition"}))
def test_small_budgets_have_previews_too(name):
    control = Watching()
    explained(name, control, superpixels=Grid(2, 3), max_evals=64, batch=10)
    counts = [each.evaluations for each in control.previews if each]
    assert len(counts) >= 3


@every_method
def test_results_are_the_same_bits_with_previews(name):
    settings = {"metrics": ("insertion",), "seed": 3}
    watched, alone = (
        explained(name, Watching(), **settings),
        explained(name, NullControl(), **settings),
    )
    assert watched.attribution.values.tobytes() == alone.attribution.values.tobytes()
    assert (
        watched.attribution.regions.values.tobytes() == alone.attribution.regions.values.tobytes()
    )
    assert [curve.area for curve in watched.faithfulness] == [
        curve.area for curve in alone.faithfulness
    ]


def test_without_a_prior_kernel_shows_nothing_until_it_is_steady():
    control = Watching()
    explained("kernel", control, superpixels=Grid(10, 10), max_evals=1300, regularization="none")
    counts = [each.evaluations for each in control.previews if each]
    assert counts[0] >= 4 * 99 * 2
    assert None in control.previews


@pytest.mark.parametrize("shape", [(1, 1), (56, 56), (57, 10), (299, 299), (3, 500), (224, 96)])
def test_cells_are_means_of_what_they_cover(shape):
    values = np.random.default_rng(0).normal(size=(*shape, 3, 2))
    heat, cell = mean_over_cells(values)
    assert max(heat.shape[1:]) <= MOST_CELLS
    assert cell == -(-max(shape) // MOST_CELLS)
    expected = values.sum(axis=2)
    for row, column in ((0, 0), (heat.shape[1] - 1, heat.shape[2] - 1)):
        part = expected[row * cell : (row + 1) * cell, column * cell : (column + 1) * cell]
        assert heat[:, row, column] == pytest.approx(part.mean(axis=(0, 1)))
