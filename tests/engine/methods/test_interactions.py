"""Interactions of pairs of superpixels, estimated from the even part of a game."""

from itertools import combinations, product

import numpy as np
import pytest

from tests.engine.games import (
    elements_as_superpixels,
    interactions_by_definition,
    play,
    random_game,
    shapley_by_definition,
)
from worker.engine.errors import BudgetError, RequestError
from worker.engine.game.superpixels import Pixels, make_pixels
from worker.engine.interactions import pairs_of
from worker.engine.methods import gp_even_posterior, gp_interactions
from worker.engine.methods.gaussian_process import GaussianProcess
from worker.engine.methods.gp_even_covariance import (
    even_covariance,
    even_covariance_slope,
    independent_interaction_variance,
    interaction_covariance,
    interaction_variance,
    interaction_weights,
)
from worker.engine.methods.gp_even_posterior import EvenPosterior, EvenPrior, fit_even_prior
from worker.engine.methods.gp_interactions import estimate_interactions
from worker.engine.methods.pair_sampling import draw_pairs

M = 6
EVERYTHING = 10**6
RATES = np.random.default_rng(0).uniform(0.02, 0.6, M)
SIGNS = np.array(list(product([-1.0, 1.0], repeat=M)))
SETS = [set(U) for size in range(2, M + 1, 2) for U in combinations(range(M), size)]
WALSH = np.array([SIGNS[:, list(U)].prod(axis=1) for U in SETS]).T  # (2^M, sets)
SPREAD = np.array([np.tanh(RATES)[list(U)].prod() for U in SETS])
SCALE = np.cosh(RATES).prod() / 2 / np.sinh(RATES.sum() / 2) ** 2
SECOND = np.array([[4 / (len(U) - 1) * ({i, j} <= U) for U in SETS] for i, j in pairs_of(M)])


def run(value, shape, *, max_evals=EVERYTHING, **options):
    make = lambda game: GaussianProcess(game, max_evals=max_evals, interactions=2, **options)  # noqa: E731
    return play(make, value, shape, players=elements_as_superpixels(shape))


def smooth_game(players, outputs, seed):
    """Make tanh of weighted votes, and products of neighbours: all orders of interactions."""
    draw = np.random.default_rng(seed)
    weights, others = draw.normal(size=(2, players, outputs)) / np.sqrt(players)

    def value(mask):
        seen = mask.ravel()
        return np.tanh(seen @ weights) + (seen[1:] * seen[:-1]) @ others[1:]

    return value


@pytest.mark.parametrize("shape", [(1, 2, 1), (1, 3, 1), (2, 2, 1), (1, 6, 1)])
def test_interactions_are_exact_where_all_pairs_are_scored(shape):
    value = random_game(shape, outputs=2, seed=1)
    found = run(value, shape).interactions
    truth = interactions_by_definition(value, shape)
    assert found.values == pytest.approx(truth, abs=1e-9)
    assert (found.errors == 0).all()
    assert (found.alone_errors == 0).all()
    assert (found.interval.low == found.values).all()
    values = shapley_by_definition(value, shape).reshape(-1, 2)
    halves = [truth[(found.pairs == i).any(axis=1)].sum(axis=0) / 2 for i in range(len(values))]
    assert found.alone == pytest.approx(values - halves, abs=1e-9)


@pytest.mark.parametrize("max_evals", [4, 12, 30, 100])
def test_terms_add_up_to_the_change_of_the_score(max_evals):
    attribution = run(smooth_game(8, 3, seed=2), (1, 8, 1), max_evals=max_evals)
    found = attribution.interactions
    change = attribution.scores - attribution.base_values
    assert found.values.sum(axis=0) + found.alone.sum(axis=0) == pytest.approx(change, abs=1e-9)
    assert found.pairs.tolist() == [list(pair) for pair in combinations(range(8), 2)]


def test_a_single_superpixel_has_all_the_credit_alone():
    found = run(random_game((1, 1, 1), 2, seed=0), (1, 1, 1)).interactions
    assert found.values.shape == (0, 2)
    assert found.alone == pytest.approx(np.diff([[*v] for v in _ends(0)], axis=0))


def _ends(seed):
    value = random_game((1, 1, 1), 2, seed)
    return [value(np.full((1, 1, 1), visible)) for visible in (False, True)]


def test_covariances_are_those_of_independent_walsh_coefficients():
    by_definition = (WALSH * SPREAD) @ WALSH.T * SCALE
    off = even_covariance(SIGNS, SIGNS, RATES) - by_definition
    assert np.ptp(off) == pytest.approx(0, abs=1e-12)  # up to a constant
    with_pairs = (WALSH * SPREAD) @ SECOND.T * SCALE
    pairs = pairs_of(M).T
    assert interaction_covariance(SIGNS, RATES, pairs) == pytest.approx(with_pairs, abs=1e-12)
    variances = SECOND**2 @ SPREAD * SCALE
    assert interaction_variance(RATES, pairs) == pytest.approx(variances, rel=1e-12)


def test_weights_of_all_pairs_give_the_interactions_of_every_even_part():
    coefficients = np.random.default_rng(3).normal(size=len(SETS))
    half = SIGNS[:, 0] > 0
    weights = interaction_weights(SIGNS[half], pairs_of(M).T)
    assert weights.T @ (WALSH @ coefficients)[half] == pytest.approx(SECOND @ coefficients)
    assert weights.sum(axis=0) == pytest.approx(0, abs=1e-12)
    variance = independent_interaction_variance(M)
    assert (weights**2).sum(axis=0) == pytest.approx(np.full(15, variance))


def test_the_slope_of_the_covariance_is_that_of_small_steps():
    draw, step = np.random.default_rng(4), 1e-6
    signs, weights = SIGNS[:9], draw.normal(size=(9, 9))
    total = lambda rates: (weights * even_covariance(signs, signs, rates)).sum()  # noqa: E731
    steps = step * np.eye(M)
    slope = [(total(RATES + s) - total(RATES - s)) / (2 * step) for s in steps]
    assert even_covariance_slope(signs, RATES, weights) == pytest.approx(slope, rel=1e-6, abs=1e-8)


def test_the_slope_of_the_likelihood_is_that_of_small_steps():
    draw, step = np.random.default_rng(5), 1e-5
    logs = np.array([0.3, -1.0, -3.0, *draw.normal(size=M) / 2])
    signs, targets = SIGNS[32:50], draw.normal(size=(17, 2))
    loss = lambda logs: gp_even_posterior._loss(gp_even_posterior._prior(logs), signs, targets)  # noqa: E731
    steps = step * np.eye(len(logs))
    slope = [(loss(logs + s)[0] - loss(logs - s)[0]) / (2 * step) for s in steps]
    assert loss(logs)[1] == pytest.approx(slope, rel=1e-5, abs=1e-7)


@pytest.fixture
def scored():
    signs = np.where(draw_pairs(M, 12, np.random.default_rng(6)), 1.0, -1.0)
    signs = np.concatenate([np.ones((1, M)), signs])
    even = np.random.default_rng(7).normal(size=(13, 2))
    return EvenPrior(RATES, equal=0.4, rough=0.1), signs, even


def test_the_posterior_is_that_of_linear_algebra_on_the_walsh_coefficients(scored):
    prior, signs, even = scored
    half = SIGNS[:, 0] > 0
    everything = SIGNS[half]
    gram = prior.smooth(everything, everything) + prior.rough * np.eye(len(everything))
    gram += 1e6  # nearly flat prior of the mean
    rows = [np.flatnonzero((s * s[0] == everything).all(axis=1))[0] for s in signs]
    weights = interaction_weights(everything, pairs_of(M).T)
    told = gram[:, rows] @ np.linalg.inv(gram[np.ix_(rows, rows)])
    values, errors = EvenPosterior(prior, signs, even).interactions(pairs_of(M).T)
    assert values == pytest.approx(weights.T @ told @ even, rel=1e-5, abs=1e-6)
    left = gram - told @ gram[rows]
    variances = np.einsum("np,nm,mp->p", weights, left, weights)
    amplitudes = EvenPosterior(prior, signs, even)._amplitudes
    assert errors**2 == pytest.approx(np.outer(variances, amplitudes), rel=1e-4)


def test_sums_of_a_players_interactions_are_sums_of_the_posterior(scored):
    posterior = EvenPosterior(*scored)
    values, _ = posterior.interactions(pairs_of(M).T)
    sums, _ = posterior.row_sums()
    by_pairs = [values[(pairs_of(M) == i).any(axis=1)].sum(axis=0) for i in range(M)]
    assert sums == pytest.approx(np.array(by_pairs), abs=1e-9)


def test_a_players_sum_is_certain_where_it_was_left_out_alone(scored):
    prior, _, _ = scored
    signs = np.concatenate([np.ones((1, M)), np.ones((1, M)) - 2 * np.eye(M)[:1], SIGNS[9:14]])
    even = np.random.default_rng(8).normal(size=(len(signs), 1))
    sums, errors = EvenPosterior(prior, signs, even).row_sums()
    assert sums[0] == pytest.approx(2 * (even[0] - even[1]), abs=1e-9)
    assert errors[0] == pytest.approx(0, abs=1e-6)
    assert (errors[1:] > 0.01).all()


def test_a_constant_in_the_even_part_changes_nothing(scored):
    prior, signs, even = scored
    pairs = pairs_of(M).T
    values, errors = EvenPosterior(prior, signs, even).interactions(pairs)
    moved = EvenPosterior(prior, signs, even + 7.0).interactions(pairs)
    assert moved[0] == pytest.approx(values, abs=1e-9)
    assert moved[1] == pytest.approx(errors, rel=1e-9)


def test_blocks_of_pairs_change_nothing(scored, monkeypatch):
    whole = EvenPosterior(*scored).interactions(pairs_of(M).T)
    monkeypatch.setattr(gp_even_posterior, "BLOCK", 4)
    parts = EvenPosterior(*scored).interactions(pairs_of(M).T)
    assert np.array(parts) == pytest.approx(np.array(whole), rel=1e-10)


def test_blocks_of_scores_change_nothing(monkeypatch):
    value = random_game((1, 6, 1), outputs=2, seed=9)
    whole = run(value, (1, 6, 1)).interactions.values
    monkeypatch.setattr(gp_interactions, "ROWS", 5)
    assert run(value, (1, 6, 1)).interactions.values == pytest.approx(whole, abs=1e-12)


def test_scores_beyond_the_most_of_a_process_are_left_out(scored, monkeypatch):
    _, signs, even = scored
    credit, options = np.random.default_rng(9).normal(size=(M, 2)), {"complete": False}
    few = estimate_interactions(signs[:9] > 0, even[:9], credit, credit**2, **options, reach=2.0)
    monkeypatch.setattr(gp_interactions, "MAX_PAIRS", 9)
    found = estimate_interactions(signs > 0, even, credit, credit**2, **options, reach=2.0)
    assert (found.values == few.values).all()
    assert (found.errors == few.errors).all()


def test_rates_follow_the_players_importance(scored):
    _, signs, even = scored
    importances = np.array([9.0, 1, 1, 1, 1, 1])
    rates = fit_even_prior(signs, even, importances).rates
    plain = fit_even_prior(signs, even, np.ones(M)).rates
    assert rates[0] / rates[1:].mean() > plain[0] / plain[1:].mean()


def test_a_pair_that_counts_only_together_is_found_among_many():
    value = lambda mask: np.array([float(mask.ravel()[[3, 17]].all())])  # noqa: E731
    found = run(value, (1, 20, 1), max_evals=160).interactions
    strongest = np.abs(found.values[:, 0]).argmax()
    assert found.pairs[strongest].tolist() == [3, 17]
    assert found.values[strongest, 0] == pytest.approx(1, abs=0.15)
    rest = np.delete(np.abs(found.values[:, 0]), strongest)
    assert rest.max() < 0.1


def test_intervals_contain_about_95_percent_of_the_exact_interactions():
    covered = []
    for seed in range(12):
        value = smooth_game(8, 1, seed)
        truth = interactions_by_definition(value, (1, 8, 1))
        interval = run(value, (1, 8, 1), max_evals=64, seed=seed).interactions.interval
        covered.append((interval.low <= truth) & (truth <= interval.high))
    assert 0.92 <= np.mean(covered) <= 0.995


def test_no_interval_of_fewer_pairs_than_half_the_players():
    value = smooth_game(8, 1, seed=4)
    assert run(value, (1, 8, 1), max_evals=8).interactions.interval is None
    assert run(value, (1, 8, 1), max_evals=10).interactions.interval is not None


def test_values_do_not_depend_on_interactions():
    value, shape = smooth_game(8, 1, seed=5), (1, 8, 1)
    plain = play(
        lambda game: GaussianProcess(game, max_evals=50),
        value,
        shape,
        players=elements_as_superpixels(shape),
    )
    assert plain.interactions is None
    assert (run(value, shape, max_evals=50).values == plain.values).all()


def test_pixels_as_players_are_refused():
    with pytest.raises(BudgetError, match="8 pixels as players; interactions are of at most 50"):
        play(
            lambda game: GaussianProcess(game, max_evals=20, interactions=2),
            smooth_game(8, 1, seed=0),
            (1, 8, 1),
            players=make_pixels(Pixels(), (1, 8, 1)),
        )


def test_interactions_beside_owen_values_are_refused():
    with pytest.raises(RequestError, match="received the solution concept owen") as refused:
        run(smooth_game(8, 1, seed=0), (1, 8, 1), max_evals=20, solution_concept="owen")
    assert (refused.value.field, refused.value.received) == ("interactions", 2)


def test_more_superpixels_than_50_are_refused():
    value = lambda mask: np.array([mask.mean()])  # noqa: E731
    with pytest.raises(BudgetError, match="51 superpixels as players") as refused:
        run(value, (1, 51, 1), max_evals=20)
    assert (refused.value.received, refused.value.field) == (51, "superpixels")
    assert refused.value.accepted == {"players": {"maximum": 50}}
    assert len(run(value, (1, 50, 1), max_evals=120).interactions.values) == 1225
