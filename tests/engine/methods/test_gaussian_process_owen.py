"""The Gaussian process asked for Owen values."""

import numpy as np
import pytest

from tests.engine.games import play, random_game
from tests.engine.methods.test_gaussian_process import saturating_game
from tests.engine.methods.test_owen_index import strip
from worker.engine.game.superpixels import Pixels, make_pixels
from worker.engine.methods import gp_estimator
from worker.engine.methods.gaussian_process import GaussianProcess
from worker.engine.methods.gp_estimator import estimate
from worker.engine.methods.owen_index import OwenIndex
from worker.engine.methods.partition import Partition
from worker.engine.methods.prior_family import PriorFamily

EVERYTHING = 10**6


def run(value, players, watch=lambda method, coalitions: None, *, max_evals=EVERYTHING, **options):
    options = {"solution_concept": "owen", **options}
    make = lambda game: GaussianProcess(game, max_evals=max_evals, **options)  # noqa: E731
    return play(make, value, players.shape, watch, players=players)


def partition(value, players, **options):
    options = {"max_evals": EVERYTHING, **options}
    return play(lambda game: Partition(game, **options), value, players.shape, players=players)


def grid(*shape):
    return make_pixels(Pixels("together"), shape)


@pytest.mark.parametrize("players", [1, 2, 3, 7, 9])
def test_with_all_coalitions_of_the_tree_values_are_those_of_a_whole_partition(players):
    players = strip(players, players=players)
    value = random_game(players.shape, outputs=2, seed=1)
    found, whole = run(value, players), partition(value, players)
    assert found.values == pytest.approx(whole.values, abs=1e-9)
    assert (found.standard_errors == 0).all()
    assert (found.exact, found.unresolved) == (True, 0)
    assert found.evaluations == whole.evaluations
    assert found.solution_concept == whole.solution_concept


def test_pixels_get_the_owen_values_of_the_image_tree():
    value, players = saturating_game(16, 1, seed=3), grid(4, 4, 1)
    found, whole = run(value, players), partition(value, players)
    assert found.values == pytest.approx(whole.values, abs=1e-9)
    assert found.solution_concept == whole.solution_concept


def test_values_add_up_at_every_snapshot():
    players, snapshots = grid(4, 4, 1), []
    watch = lambda method, coalitions: snapshots.append(method.snapshot())  # noqa: E731
    snapshots.append(run(random_game((4, 4, 1), 2, seed=5), players, watch, max_evals=130))
    assert len(snapshots) > 3
    for snapshot in snapshots:
        assert snapshot.efficiency_gap == pytest.approx([0, 0], abs=1e-9)


@pytest.mark.parametrize("sampling", ["adaptive", "random"])
def test_intervals_cover_about_95_percent(sampling):
    players, covered = grid(4, 8, 1), []
    for seed in range(10):
        value = saturating_game(32, 1, seed)
        exact = partition(value, players).values.reshape(32, 1)
        for budget in (100, 240):
            interval = run(value, players, max_evals=budget, sampling=sampling).regions.interval
            covered.append((interval.low <= exact) & (exact <= interval.high))
    assert 0.93 <= np.mean(covered) <= 0.995


def test_values_are_closer_than_those_of_partition_at_the_same_evaluations():
    players, ratios = grid(6, 8, 1), []
    for seed in range(4):
        value = saturating_game(48, 1, seed)
        exact = partition(value, players).values
        ours, theirs = (
            ((each.values - exact) ** 2).sum()
            for each in (
                run(value, players, max_evals=300, seed=seed),
                partition(value, players, max_evals=300, batch_size=2),
            )
        )
        ratios.append(ours / theirs)
    assert max(ratios) < 0.3


def test_chosen_pairs_tell_more_than_drawn_ones():
    players, ratios = grid(4, 8, 1), []
    for seed in range(6):
        value = saturating_game(32, 1, seed)
        exact = partition(value, players).values
        adaptive, random = (
            ((run(value, players, max_evals=240, seed=seed, sampling=each).values - exact) ** 2)
            for each in ("adaptive", "random")
        )
        ratios.append(adaptive.sum() / random.sum())
    assert np.exp(np.log(ratios).mean()) < 0.7


def test_the_rest_beyond_the_process_is_a_stratified_mean(monkeypatch):
    """It is better than the process alone, its errors are of the right size; 0 when complete."""
    players, value = grid(4, 8, 1), saturating_game(32, 1, seed=14)
    index, family = OwenIndex.of(players), PriorFamily.uniform(32)
    exact = partition(value, players).values.reshape(32, 1)
    drawn = index.draw(EVERYTHING, np.random.default_rng(15))
    members = np.concatenate([np.ones((1, 32), bool), drawn])
    scores = np.array([[value(row), value(~row)] for row in members])
    odd = (scores[:, 0] - scores[:, 1]) / 2
    prior = family.prior(family.learn(np.where(members[:60], 1.0, -1.0), [odd[:60]]))
    monkeypatch.setattr(gp_estimator, "MAX_PAIRS", 60)
    alone = estimate(members[:60], scores[:60], prior, index, complete=False, warped=False)
    both = estimate(members[:280], scores[:280], prior, index, complete=False, warped=False)
    off = np.abs(both.values - exact)
    assert off.sum() < np.abs(alone.values - exact).sum() / 1.5
    assert (off <= 4 * both.errors + 1e-9).all()
    assert both.values.sum() == pytest.approx(2 * odd[0, 0], abs=1e-9)
    complete = estimate(members, scores, prior, index, complete=True, warped=False)
    assert complete.values == pytest.approx(exact, abs=1e-9)


@pytest.mark.parametrize("certain", [1, 31])
def test_drawn_pairs_alone_estimate_the_values_without_bias(certain):
    players, index = grid(4, 4, 1), OwenIndex.of(grid(4, 4, 1))
    value = random_game((4, 4, 1), 1, seed=2)
    exact, found, within = partition(value, players).values.reshape(16, 1), [], []
    for seed in range(300):
        drawn = index.draw(60, np.random.default_rng(seed))
        members = np.concatenate([np.ones((1, 16), bool), drawn])
        odd = np.array([(value(row) - value(~row)) / 2 for row in members.reshape(-1, 4, 4, 1)])
        values, errors = index.divide(members, odd, certain=certain)
        found.append(values)
        within.append(np.abs(values - exact) <= 2 * errors)
    spread = np.std(found, axis=0)
    assert np.abs(np.mean(found, axis=0) - exact).max() < 4 * spread.max() / np.sqrt(300)
    assert spread.min() > 0
    assert 0.85 < np.mean(within) < 0.99


def test_few_pairs_that_leave_out_a_depth_say_nothing_of_the_errors():
    index = OwenIndex.of(grid(4, 4, 1))
    members = np.concatenate([np.ones((1, 16), bool), index.draw(3, np.random.default_rng(0))])
    _, errors = index.divide(members, np.ones((4, 1)), certain=1)
    assert np.isinf(errors).all()
