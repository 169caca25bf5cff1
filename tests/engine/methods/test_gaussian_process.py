from itertools import combinations, pairwise, product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.engine.games import masks, play, random_game, shapley_by_definition
from worker.engine.methods import gp_estimator
from worker.engine.methods.even_energy import even_energy
from worker.engine.methods.exact import Exact
from worker.engine.methods.gaussian_process import DRAWN, FIRST_CHECK, GaussianProcess
from worker.engine.methods.gp_covariance import (
    independent_variance,
    shapley_covariance,
    shapley_variance,
    shapley_weights,
)
from worker.engine.methods.gp_estimator import estimate
from worker.engine.methods.gp_posterior import ADDITIVE, Prior, compute_posterior
from worker.engine.methods.pair_sampling import count_pairs, draw_pairs
from worker.engine.methods.prior_family import PriorFamily
from worker.engine.methods.product_kernels import ProductKernels
from worker.engine.methods.value_index import ShapleyIndex

EVERYTHING = 10**6
unhurried = settings(deadline=None, derandomize=True, database=None, max_examples=15)
seeds = st.integers(0, 2**32 - 1)
budgets = st.integers(2, 70)
tiny_shapes = st.sampled_from([(1, 1, 1), (1, 2, 1), (1, 3, 1), (2, 2, 1), (5, 1, 1), (1, 2, 3)])


def run(value, shape, watch=lambda method, coalitions: None, *, max_evals=EVERYTHING, **options):
    make = lambda game: GaussianProcess(game, max_evals=max_evals, **options)  # noqa: E731
    return play(make, value, shape, watch)


def exact_values(value, shape):
    return play(lambda game: Exact(game, max_evals=EVERYTHING), value, shape).values


def saturating_game(players, outputs, seed):
    """Make weighted votes through a tanh, and products of two: without ties, not additive."""
    draw = np.random.default_rng(seed)
    weights, others = draw.normal(size=(2, players, outputs)) / np.sqrt(players)

    def value(mask):
        votes = mask.ravel() @ weights
        return np.tanh(2 * votes) + 0.3 * votes * (mask.ravel() @ others)

    return value


@unhurried
@given(shape=tiny_shapes, seed=seeds)
def test_with_all_coalitions_values_are_exact(shape, seed):
    value = random_game(shape, outputs=2, seed=seed)
    attribution = run(value, shape)
    assert attribution.values == pytest.approx(shapley_by_definition(value, shape), abs=1e-9)
    assert (attribution.standard_errors == 0).all()
    assert (attribution.unresolved, attribution.exact) == (0, True)


@unhurried
@given(shape=tiny_shapes, seed=seeds, budget=budgets)
def test_values_add_up_at_every_snapshot(shape, seed, budget):
    snapshots = []
    watch = lambda method, coalitions: snapshots.append(method.snapshot())  # noqa: E731
    value = random_game(shape, outputs=3, seed=seed)
    snapshots.append(run(value, shape, watch, max_evals=budget))
    for snapshot in snapshots:
        assert snapshot.efficiency_gap == pytest.approx([0, 0, 0], abs=1e-9)


@unhurried
@given(seed=seeds, budget=st.integers(20, 400))
def test_each_inner_coalition_is_requested_once_within_the_budget(seed, budget):
    shape, seen = (2, 4, 1), [np.zeros((2, 4, 1), bool), np.ones((2, 4, 1), bool)]
    watch = lambda method, coalitions: seen.extend(masks(coalitions, shape))  # noqa: E731
    attribution = run(random_game(shape, 1, seed), shape, watch, max_evals=budget, seed=seed)
    assert len({mask.tobytes() for mask in seen}) == len(seen) == attribution.evaluations
    assert attribution.evaluations == min(budget - budget % 2, 2**8)


@unhurried
@given(seed=seeds, budget=st.integers(30, 120))
def test_a_null_player_gets_nothing_and_twins_the_same_within_their_errors(seed, budget):
    others = saturating_game(10, 1, seed)

    def value(mask):
        inside = mask.ravel()
        twins = inside[2:4].sum()  # player 1 never matters
        return others(inside & [True, False, False, False, *[True] * 6]) + 0.2 * twins**2

    attribution = run(value, (1, 10, 1), max_evals=budget, seed=seed)
    values, errors = attribution.values[0, :, 0, 0], attribution.standard_errors[0, :, 0, 0]
    assert abs(values[1]) < 5 * errors[1]
    assert abs(values[2] - values[3]) < 5 * np.hypot(errors[2], errors[3])


def make_prior(draw: np.random.Generator, players: int) -> Prior:
    rates, additive = draw.uniform(0.05, 0.3, (3, players)), draw.uniform(0, 0.1, players)
    return Prior(ProductKernels(rates, np.array([1, 0.5, 0.2])), additive, rough=0.01)


@unhurried
@given(seed=seeds)
def test_values_are_linear_in_the_game_for_a_given_prior(seed):
    draw = np.random.default_rng(seed)
    signs = np.where(draw_pairs(9, 40, draw), 1.0, -1.0)
    one, other = draw.normal(size=(2, 40, 3))
    prior, index = make_prior(draw, 9), ShapleyIndex(9)
    combined = compute_posterior(prior, index, signs, 2 * one - 3 * other).values
    parts = (
        2 * compute_posterior(prior, index, signs, one).values
        - 3 * compute_posterior(prior, index, signs, other).values
    )
    assert combined == pytest.approx(parts, abs=1e-9)


@pytest.mark.parametrize("pairs", [4, 15])  # fewer pairs than players, and more
def test_errors_are_an_average_over_additive_parts(pairs):
    """Each with explicit covariance matrices, at its own amplitude, weighted by its likelihood."""
    draw, players = np.random.default_rng(pairs), 7
    signs = np.where(draw_pairs(players, pairs, draw), 1.0, -1.0)
    prior, index = make_prior(draw, players), ShapleyIndex(players)
    odd = signs[:, :1] + 0.1 * draw.normal(size=(pairs, 1))
    found = compute_posterior(prior, index, signs, odd)
    chances, squares = [], []
    for share in ADDITIVE:
        gram = prior.smooth(signs, signs) + prior.rough * np.eye(pairs)
        gram += share / players * signs @ signs.T
        cross = prior.values(index, signs)
        cross += share / players * 2 * signs
        amplitude = (odd * np.linalg.solve(gram, odd)).sum() / pairs
        chances.append(amplitude ** (-pairs / 2) / np.sqrt(np.linalg.det(gram)))
        variance = prior.variance(index) + 4 * share / players
        variance -= (cross * np.linalg.solve(gram, cross)).sum(axis=0)
        mean = cross.T @ np.linalg.solve(gram, odd)
        squares.append(amplitude * variance[:, np.newaxis] + (mean - found.values) ** 2)
    expected = np.average(squares, axis=0, weights=chances)
    assert found.errors**2 == pytest.approx(expected, rel=1e-8)
    assert expected != pytest.approx(squares[0], rel=0.01)


@pytest.mark.parametrize("seed", range(3))
def test_few_scores_leave_the_prior_smooth_and_its_second_part_alive(seed):
    """A rough prior would explain nothing, one without the second part give too small errors."""
    value, members = saturating_game(10, 1, seed), draw_pairs(10, 12, np.random.default_rng(seed))
    odd = np.array([(value(row) - value(~row)) / 2 for row in members])
    family = PriorFamily.uniform(10)
    prior = family.prior(family.learn(np.where(members, 1.0, -1.0), [odd]))
    assert prior.rough < 0.05
    assert 0.35 < prior.kernels.shares[1] < 0.7


def test_values_scale_with_the_units_of_the_score():
    value = saturating_game(10, 2, seed=1)
    small, large = (run(lambda m, u=u: u * value(m), (2, 5, 1), max_evals=90) for u in (1, 2**20))
    assert large.values == pytest.approx(2**20 * small.values)
    assert large.standard_errors == pytest.approx(2**20 * small.standard_errors)
    assert large.held_out_fidelity == pytest.approx(small.held_out_fidelity)


def test_the_seed_decides_the_pairs_and_with_it_every_bit():
    value = saturating_game(10, 2, seed=2)
    first, same, other = (run(value, (2, 5, 1), max_evals=60, seed=s) for s in (3, 3, 4))
    assert first.values.tobytes() == same.values.tobytes()
    assert first.standard_errors.tobytes() == same.standard_errors.tobytes()
    assert first.values.tobytes() != other.values.tobytes()


def test_taking_snapshots_does_not_change_the_result():
    value, options = saturating_game(10, 1, seed=5), {"max_evals": 500, "seed": 6}
    watched = run(value, (2, 5, 1), lambda method, coalitions: method.snapshot(), **options)
    assert watched.values.tobytes() == run(value, (2, 5, 1), **options).values.tobytes()


def test_intervals_cover_the_exact_values_and_shrink_with_the_budget():
    """95 % are expected over 16 games by 10 players by 2 budgets; 88 % is far from it."""
    covered, sizes = [], []
    for seed in range(16):
        value = saturating_game(10, 1, seed)
        exact = exact_values(value, (2, 5, 1))
        found = [run(value, (2, 5, 1), max_evals=budget, seed=seed) for budget in (50, 150)]
        covered += [np.abs(a.values - exact) <= 1.96 * a.standard_errors for a in found]
        sizes.append([a.standard_errors.mean() for a in found])
    assert 0.88 < np.mean(covered) <= 1
    assert all(later < before / 1.5 for before, later in sizes)


def test_a_target_for_the_errors_ends_the_run_early():
    value, ends = saturating_game(12, 2, seed=7), {}
    for target in (0.3, 0.05, 0.02, None):
        attribution = run(value, (3, 4, 1), max_evals=1000, target_standard_error=target)
        ends[target] = attribution.evaluations
        assert target is None or attribution.standard_errors.max() <= target
    assert ends[0.3] == 2 + 2 * FIRST_CHECK
    assert all(before < later for before, later in pairwise(ends.values()))
    assert ends[None] == 1000


def test_a_target_that_is_never_met_takes_the_whole_budget():
    attribution = run(
        random_game((2, 4, 1), 1, 8), (2, 4, 1), max_evals=101, target_standard_error=1e-9
    )
    assert attribution.evaluations == 100


@pytest.mark.parametrize("budget", [20, 60])
def test_intervals_cover_about_95_percent_of_few_evaluations(budget):
    covered, shape = [], (1, 10, 1)
    for seed in range(20):
        weights = np.random.default_rng(seed).normal(size=(2, 10))
        value = lambda mask, w=weights: np.tanh(2 * (w @ mask.ravel()))  # noqa: E731
        exact = play(lambda game: Exact(game, max_evals=2**10), value, shape).regions.values
        found = run(value, shape, max_evals=budget, seed=seed).regions.interval
        covered.append((found.low <= exact) & (exact <= found.high))
    assert 0.91 <= np.mean(covered) <= 0.99


def game_of_groups(players, seed):
    """Make a game of small groups, each of worth when complete; return each player's share."""
    draw = np.random.default_rng(seed)
    groups = [draw.choice(players, size, replace=False) for size in draw.integers(1, 6, 90)]
    worths = draw.normal(size=len(groups)) / np.sqrt([len(group) for group in groups])
    exact = np.zeros(players)
    for group, worth in zip(groups, worths, strict=True):
        exact[group] += worth / len(group)

    def value(mask):
        inside = mask.ravel()
        return np.array([sum(w for g, w in zip(groups, worths, strict=True) if inside[g].all())])

    return value, exact


def test_intervals_cover_about_95_percent_of_games_unlike_the_prior():
    """Over 40 games at 3 budgets; without additive parts of unknown variance it was 91 %."""
    covered, shape = [], (1, 30, 1)
    for seed in range(40):
        value, exact = game_of_groups(30, seed)
        for budget in (32, 46, 62):
            found = run(value, shape, max_evals=budget, seed=seed).regions.interval
            covered.append((found.low[:, 0] <= exact) & (exact <= found.high[:, 0]))
    assert 0.935 <= np.mean(covered) <= 0.97


def test_intervals_are_narrow_where_the_odd_part_is_additive():
    """As that of tanh nearly is; with a prior that is hardly additive it was 0.74."""
    covered, widths, shape = [], [], (1, 10, 1)
    for seed in range(20):
        weights = np.random.default_rng(seed).normal(size=10) / 3
        value = lambda mask, w=weights: np.tanh([w @ mask.ravel()])  # noqa: E731
        exact = play(lambda game: Exact(game, max_evals=2**10), value, shape).regions.values
        found = run(value, shape, max_evals=60, seed=seed).regions.interval
        covered.append((found.low <= exact) & (exact <= found.high))
        widths.append((found.high - found.low).mean() / np.abs(exact).mean())
    assert np.mean(covered) >= 0.93
    assert np.median(widths) < 0.65


def test_with_fewer_pairs_than_half_the_players_there_is_no_interval():
    regions = run(saturating_game(12, 1, seed=0), (3, 4, 1), max_evals=12).regions
    assert regions.errors is not None
    assert regions.interval is None


def test_before_any_pair_is_scored_all_players_have_equal_values():
    value = saturating_game(6, 2, seed=9)
    attribution = run(value, (2, 3, 1), max_evals=3)
    change = value(np.ones(6)) - value(np.zeros(6))
    assert attribution.values == pytest.approx(np.broadcast_to(change / 6, (2, 3, 1, 2)))
    assert attribution.unresolved == 1
    assert attribution.standard_errors is None
    assert attribution.evaluations == 2


def test_a_constant_output_gets_zeros_and_affects_no_other():
    value = saturating_game(8, 1, seed=10)
    both = run(lambda mask: np.append(value(mask), 0.5), (2, 4, 1), max_evals=60)
    assert np.abs(both.values[..., 1]).max() == np.abs(both.standard_errors[..., 1]).max() == 0
    assert both.even_energy[1] == 0
    assert np.isfinite(both.values).all()


@pytest.mark.parametrize(("shape", "max_evals"), [((28, 28, 1), 200), ((5, 10, 1), 500)])
def test_many_players_fit_well(shape, max_evals):
    """As many pairs as players determine an additive game, so it fits well for any number."""
    weights = np.random.default_rng(11).normal(size=shape)
    value = lambda mask: np.array([weights[mask].sum()])  # noqa: E731
    attribution = run(value, shape, max_evals=max_evals)
    off = attribution.values[..., 0] - weights
    assert np.abs(off).max() <= 5 * attribution.standard_errors.max() + 1e-6
    assert (off**2).sum() < (weights**2).sum()
    assert attribution.efficiency_gap == pytest.approx([0], abs=1e-9)
    if max_evals / 2 > weights.size:
        assert np.abs(off).max() < 1e-2


def test_held_out_scores_of_learnable_games_are_predicted():
    smooth = run(saturating_game(10, 1, seed=12), (2, 5, 1), max_evals=200)
    noise = run(random_game((2, 5, 1), 1, seed=12), (2, 5, 1), max_evals=200)
    assert 0.9 < smooth.held_out_fidelity.item() <= 1
    assert noise.held_out_fidelity.item() < 0.5


def test_held_out_residuals_are_those_of_leaving_a_pair_out():
    draw = np.random.default_rng(13)
    signs, odd = np.where(draw_pairs(7, 20, draw), 1.0, -1.0), draw.normal(size=(20, 2))
    prior, index = make_prior(draw, 7), ShapleyIndex(7)
    found = compute_posterior(prior, index, signs, odd)
    for left_out in range(20):
        others = np.arange(20) != left_out
        weights = compute_posterior(prior, index, signs[others], odd[others]).weights
        predicted = prior.smooth(signs[[left_out]], signs[others]) @ weights
        assert found.held_out[left_out] == pytest.approx((odd[left_out] - predicted)[0], abs=1e-9)


@pytest.mark.parametrize("pairs", [400, 1023])
def test_the_rest_beyond_the_process_is_regressed(monkeypatch, pairs):
    """It is better than the process alone, its errors are of the right size; 0 when complete."""
    value, draw = saturating_game(11, 1, seed=14), np.random.default_rng(15)
    exact = exact_values(value, (1, 11, 1)).reshape(11, 1)
    members = np.concatenate([np.ones((1, 11), bool), draw_pairs(11, pairs, draw)])
    scores = np.array([[value(row), value(~row)] for row in members])
    odd = (scores[:, 0] - scores[:, 1]) / 2
    monkeypatch.setattr(gp_estimator, "MAX_PAIRS", 100)
    index, family = ShapleyIndex(11), PriorFamily.uniform(11)
    prior = family.prior(family.learn(np.where(members[:100], 1.0, -1.0), [odd[:100]]))
    alone = estimate(members[:100], scores[:100], prior, index, complete=False, warped=False)
    both = estimate(members, scores, prior, index, complete=pairs == 1023, warped=False)
    off = np.abs(both.values - exact)
    assert off.sum() < np.abs(alone.values - exact).sum() / 1.5
    assert (off <= 4 * both.errors + 1e-9).all()
    assert both.values.sum() == pytest.approx(2 * odd[0, 0], abs=1e-9)
    assert (both.missed[1:] ** 2).sum() < 0.1 * (odd[1:] ** 2).sum()


RATES = np.array([0.05, 0.4, 0.2, 0.1, 0.3])
KERNEL = ProductKernels(RATES[np.newaxis], np.ones(1))
SIGNS = np.array(list(product([-1.0, 1.0], repeat=5)))
ODD_SETS = [u for size in (1, 3, 5) for u in combinations(range(5), size)]
VARIANCES = np.array([np.prod(np.tanh(RATES)[list(u)]) for u in ODD_SETS])
CHARACTERS = np.array([[np.prod(s[list(u)]) for u in ODD_SETS] for s in SIGNS])  # (S, U)
EVEN_SETS = [u for size in (0, 2, 4) for u in combinations(range(5), size)]
EVEN_VARIANCES = np.array([np.prod(np.tanh(RATES)[list(u)]) for u in EVEN_SETS])
EVEN_CHARACTERS = np.array([[np.prod(s[list(u)]) for u in EVEN_SETS] for s in SIGNS])
CREDITS = np.array([[2 / len(u) * (i in u) for u in ODD_SETS] for i in range(5)])  # (M, U)


def test_closed_forms_are_sums_over_sets_of_players():
    total = VARIANCES.sum()
    odd = CHARACTERS * VARIANCES @ CHARACTERS.T / total
    even = EVEN_CHARACTERS * EVEN_VARIANCES @ EVEN_CHARACTERS.T / EVEN_VARIANCES.sum()
    found = KERNEL.covariances(SIGNS, SIGNS, parts=2)
    assert found == pytest.approx(np.array([odd, even]))
    cross = CHARACTERS * VARIANCES @ CREDITS.T / total
    assert shapley_covariance(SIGNS, RATES) == pytest.approx(cross)
    assert shapley_variance(RATES) == pytest.approx(CREDITS**2 @ VARIANCES / total)


def test_weights_turn_a_whole_odd_part_into_shapley_values():
    half = SIGNS[:, 0] > 0
    weights = shapley_weights(SIGNS[half])
    assert weights.T @ CHARACTERS[half] == pytest.approx(CREDITS, abs=1e-12)
    assert (weights**2).sum(axis=0) == pytest.approx(np.full(5, independent_variance(5)))


@pytest.mark.parametrize("players", [1, 2, 3, 4, 9, 10])
def test_all_pairs_can_be_sampled(players):
    members = draw_pairs(players, EVERYTHING, np.random.default_rng(0))
    assert len(members) == sum(count_pairs(players, s) for s in range(1, players // 2 + 1))
    assert len(members) == 2 ** (players - 1) - 1
    assert len({(row ^ row[0]).tobytes() for row in members}) == len(members)
    assert (members.sum(axis=1) <= players // 2).all()


def test_early_pairs_have_the_same_sizes_as_few_pairs():
    many, few = (draw_pairs(20, n, np.random.default_rng(1)) for n in (3000, 100))
    sizes = [np.bincount(m[:100].sum(axis=1), minlength=11) for m in (many, few)]
    assert sizes[0].tolist() == sizes[1].tolist()
    assert few.sum(axis=0) == pytest.approx(np.full(20, few.sum() / 20), rel=0.25)


def test_chosen_pairs_tell_more_than_drawn_ones():
    shape, ratios = (1, 9, 1), []
    for seed in range(12):
        value = saturating_game(9, 3, seed)
        exact = exact_values(value, shape)
        adaptive, random = (
            ((run(value, shape, max_evals=70, seed=seed, sampling=each).values - exact) ** 2).sum()
            for each in ("adaptive", "random")
        )
        ratios.append(adaptive / random)
    assert np.exp(np.log(ratios).mean()) < 0.75  # 0.56; 0.98 where pairs are chosen at random


def test_random_coalitions_depend_on_the_seed_alone():
    asked = []
    for seed in range(2):
        watch = lambda method, coalitions: asked.append(coalitions.rows())  # noqa: E731
        run(saturating_game(20, 1, seed), (1, 20, 1), watch, max_evals=150, sampling="random")
    assert asked[0] == asked[1]


def test_the_even_energy_is_that_of_the_drawn_pairs():
    shape, seen = (1, 12, 1), []
    watch = lambda method, coalitions: seen.extend(masks(coalitions, shape))  # noqa: E731
    value = saturating_game(12, 1, 0)
    found = run(value, shape, watch, max_evals=120).even_energy
    scores = np.array([value(mask) for mask in seen[: 2 * int(12 * DRAWN)]])
    assert found == pytest.approx(even_energy(scores[::2], scores[1::2]))
