import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.engine.games import (
    elements_as_superpixels,
    masks,
    play,
    random_game,
    shapley_by_definition,
)
from worker.engine.errors import BudgetError
from worker.engine.game.coalitions import CHUNK
from worker.engine.game.superpixels import Pixels, make_pixels
from worker.engine.methods.kernel import Kernel
from worker.engine.methods.kernel_sampling import design_pairs
from worker.engine.methods.least_squares import fit_additive
from worker.engine.methods.player_limits import MAX_PLAYERS
from worker.engine.methods.protocol import Game

TINY = [(1, 1, 1), (1, 2, 1), (1, 3, 1), (2, 2, 1), (5, 1, 1), (1, 2, 3)]
EVERYTHING = 10**6
unhurried = settings(deadline=None, derandomize=True, database=None, max_examples=25)
seeds = st.integers(0, 2**32 - 1)
budgets = st.integers(2, 80)
tiny_shapes = st.sampled_from(TINY)


def kernel(**options):
    return lambda game: Kernel(game, **options)


def run(value, players, watch=lambda method, coalitions: None, **options):
    shape = players if isinstance(players, tuple) else (1, players, 1)
    return play(kernel(**options), value, shape, watch, players=elements_as_superpixels(shape))


def design(players, max_evals, seed=0):
    """Return the pairs that a run chooses."""
    return design_pairs(players, (max_evals - 1) // 2, np.random.RandomState(seed))


def saturating_game(players, outputs, seed):
    draw = np.random.default_rng(seed)
    weights, others = draw.normal(size=(2, players, outputs))

    def value(mask):
        inside = mask.ravel()
        return np.tanh(inside @ weights) + 0.2 * (inside @ weights) * (inside @ others) + 0.3

    return value


@pytest.fixture(scope="module")
def shap_kernel(shap_module):
    """Run shap's KernelExplainer with a seed; return its values (M, K) and the explainer."""

    def explain(value, players, samples, seed):
        def function(rows):
            return np.array([value(row > 0) for row in rows])

        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            explainer = shap_module.KernelExplainer(function, np.zeros((1, players)))
            np.random.seed(seed)
            values = explainer.shap_values(
                np.ones((1, players)), nsamples=samples, l1_reg=False, silent=True
            )
        return values[0], explainer

    return explain


def ends_of(value, players):
    return [value(np.full(players, visible)) for visible in (False, True)]


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize(
    ("players", "samples"), [(2, 9), (5, 20), (9, 100), (14, 200), (16, 501), (50, 1000)]
)
def test_the_same_coalitions_give_shaps_values(shap_kernel, players, samples, seed):
    value = saturating_game(players, outputs=3, seed=players)
    shaps, explainer = shap_kernel(value, players, samples, seed)
    rows = explainer.maskMatrix[: explainer.nsamplesAdded].astype(bool)
    weights = explainer.kernelWeights[: explainer.nsamplesAdded]
    scores = np.array([value(row) for row in rows])
    fit = fit_additive(rows, weights, scores, *ends_of(value, players))
    assert fit.determined
    assert np.abs(fit.values - shaps).max() <= 1e-9 * np.abs(shaps).max()


@pytest.mark.parametrize(
    ("players", "samples"),
    [(1, 9), (2, 9), (3, 6), (4, 99), (8, 254), (9, 200), (15, 300), (25, 400), (51, 1000)],
)
def test_the_same_seed_gives_shaps_values(shap_kernel, players, samples):
    """If shap draws no complement twice, and no half of the players alone."""
    value = saturating_game(players, outputs=3, seed=players)
    shaps, _ = shap_kernel(value, players, samples, seed=7)
    ours = run(value, players, max_evals=samples + 2, seed=7).values[0, ..., 0, :]
    assert np.abs(ours - shaps).max() <= 1e-9 * np.abs(shaps).max()


@pytest.mark.parametrize("shape", TINY)
def test_all_coalitions_give_shapley_values_by_definition(shape):
    value = random_game(shape, outputs=2, seed=0)
    result = run(value, shape, max_evals=EVERYTHING)
    assert result.solution_concept == "Shapley values"
    assert result.values == pytest.approx(shapley_by_definition(value, shape), abs=1e-9)
    assert result.evaluations == 2 ** int(np.prod(shape))
    assert result.standard_errors == pytest.approx(np.zeros((*shape, 2)))
    assert (result.unresolved, result.exact) == (0, True)


@unhurried
@given(players=st.integers(1, 9), seed=seeds, budget=budgets)
def test_values_add_up_to_the_score_at_every_snapshot(players, seed, budget):
    def watch(method, coalitions):
        gaps.append(method.snapshot().efficiency_gap)

    gaps = []
    value = random_game((1, players, 1), outputs=2, seed=seed)
    gaps.append(run(value, players, watch, max_evals=budget, seed=seed).efficiency_gap)
    assert np.array(gaps) == pytest.approx(np.zeros((len(gaps), 2)), abs=1e-12)


@unhurried
@given(players=st.integers(1, 10), seed=seeds, budget=st.integers(2, 600))
def test_each_pair_is_requested_once_within_the_budget(players, seed, budget):
    seen, plans = [np.zeros((1, players, 1), bool), np.ones((1, players, 1), bool)], set()

    def make(game):
        method = Kernel(game, max_evals=budget, seed=seed)
        plans.add(method.planned_evaluations)
        return method

    def watch(method, coalitions):
        assert len(coalitions) <= CHUNK
        seen.extend(masks(coalitions, shape))

    shape = (1, players, 1)
    result = play(make, random_game(shape, 1, seed), shape, watch)
    assert plans == {result.evaluations} == {len(seen)}
    assert len(seen) <= min(budget + budget % 2, 2**players)
    assert len({mask.tobytes() for mask in seen}) == len(seen)
    assert all((one ^ other).all() for one, other in zip(seen[::2], seen[1::2], strict=True))


@unhurried
@given(players=st.integers(3, 9), seed=seeds, budget=st.integers(2, 200))
def test_values_are_linear_in_the_game_for_the_same_seed(players, seed, budget):
    shape = (1, players, 1)
    one, other = random_game(shape, 1, seed), random_game(shape, 1, seed ^ 1)
    options = {"max_evals": budget, "seed": seed, "regularization": "none"}
    values = lambda value: run(value, players, **options).values  # noqa: E731
    combined = values(lambda mask: 2 * one(mask) - 3 * other(mask))
    assert combined == pytest.approx(2 * values(one) - 3 * values(other), abs=1e-9)


@unhurried
@given(players=st.integers(2, 12), seed=seeds, budget=st.integers(60, 300))
def test_the_terms_of_an_additive_game_are_recovered_without_error(players, seed, budget):
    """The prediction of an additive game leaves no residual either."""
    terms = np.random.default_rng(seed).normal(size=players)
    value = lambda mask: np.array([terms[mask.ravel()].sum()])  # noqa: E731
    result = run(value, players, max_evals=budget, seed=seed)
    assert result.values.ravel() == pytest.approx(terms, abs=1e-9)
    assert result.standard_errors.ravel() == pytest.approx(np.zeros(players), abs=1e-9)
    assert result.even_energy == pytest.approx([0], abs=1e-9)
    if players > 2:  # two players have only one pair
        assert result.held_out_fidelity == pytest.approx([1], abs=1e-9)


def test_all_sizes_count_as_the_shapley_kernel_says():
    """7 players and 50 evaluations take sizes 1 and 6 whole: 14. The others share the rest."""
    weight = lambda size: 6 / (size * (7 - size))  # noqa: E731  # of a size; C(7, s) cancels
    members, weights = design(7, 50).members, design(7, 50).weights
    whole = members.sum(axis=1) == 1
    assert whole.sum() == 7
    share = weight(1) / (weight(1) + weight(2) + weight(3))
    assert 2 * weights[whole].sum() == pytest.approx(share)
    assert 2 * weights.sum() == pytest.approx(1)


@pytest.mark.parametrize("regularization", ["auto", "none"])
@pytest.mark.parametrize("budget", [2, 3, 4, 10, 12])
def test_with_fewer_pairs_than_players_indistinguishable_players_get_the_same(
    budget, regularization
):
    value = saturating_game(12, outputs=2, seed=1)
    result = run(value, 12, max_evals=budget, regularization=regularization)
    assert result.efficiency_gap == pytest.approx([0, 0], abs=1e-12)
    assert result.standard_errors is None
    groups = _indistinguishable(12, budget - budget % 2)
    assert result.unresolved == sum(len(g) * (len(g) - 1) for g in groups) / (12 * 11)
    assert max(len(group) for group in groups) > 1
    for group in groups:
        assert np.ptp(result.values[0, group, 0], axis=0) == pytest.approx([0, 0], abs=1e-12)


def _indistinguishable(players, budget):
    """Return the players that are in and out of the same coalitions."""
    columns = [column.tobytes() for column in design(players, budget).members.T]
    return [[i for i, c in enumerate(columns) if c == column] for column in set(columns)]


def test_the_minimum_norm_solution_favours_no_player():
    """shap's is smallest among all but the last player, so it changes with their order."""
    draw = np.random.default_rng(0)
    members, weights = draw.random((5, 9)) < 0.5, draw.random(5)
    scores, ends = draw.normal(size=(5, 2)), draw.normal(size=(2, 2))
    order = draw.permutation(9)
    fit = fit_additive(members, weights, scores, *ends)
    shuffled = fit_additive(members[:, order], weights, scores, *ends)
    assert not fit.determined
    assert shuffled.values == pytest.approx(fit.values[order], abs=1e-12)


@pytest.mark.parametrize("budget", [30, 80])
def test_held_out_residuals_are_those_of_fits_without_the_pair(budget):
    value = saturating_game(8, outputs=2, seed=2)
    pairs, ends = design(8, budget, seed=1), ends_of(value, 8)
    one, other = (np.array([value(m) for m in side]) for side in (pairs.members, ~pairs.members))
    missed = np.array([_missed(pairs, one, other, ends, left_out) for left_out in range(len(one))])
    odd = (one - other) / 2
    expected = 1 - pairs.weights @ missed**2 / (pairs.weights @ odd**2)
    result = run(value, 8, max_evals=budget, seed=1, regularization="none")
    assert result.held_out_fidelity == pytest.approx(expected, abs=1e-9)


def _worth(pairs, kept, one, other, ends):
    """Return the additive game fitted to some pairs: both coalitions of each."""
    rows = np.concatenate([pairs.members[kept], ~pairs.members[kept]])
    scores = np.concatenate([one[kept], other[kept]])
    return fit_additive(rows, np.tile(pairs.weights[kept], 2), scores, *ends).values


def _missed(pairs, one, other, ends, left_out):
    """Return the residual of a pair's odd part from an additive game fitted to the other pairs."""
    worth = _worth(pairs, np.arange(len(one)) != left_out, one, other, ends)
    odd = (one[left_out] - other[left_out]) / 2
    inside = pairs.members[left_out]
    return odd - (worth[inside].sum(axis=0) - worth[~inside].sum(axis=0)) / 2


def test_even_energy_is_the_variance_that_complements_share():
    """All 30 inner coalitions of 5 players, each size weighted by the kernel."""
    value = random_game((1, 5, 1), outputs=2, seed=4)
    coalitions = np.array([[i >> j & 1 for j in range(5)] for i in range(1, 31)], dtype=bool)
    size = coalitions.sum(axis=1)
    weights = 1 / (np.array([0, 5, 10, 10, 5])[size] * size * (5 - size))
    scores = np.array([value(c) for c in coalitions])
    even = (scores + np.array([value(~c) for c in coalitions])) / 2
    centre = np.average(scores, axis=0, weights=weights)
    shares = weights @ (even - centre) ** 2 / (weights @ (scores - centre) ** 2)
    assert run(value, 5, max_evals=EVERYTHING).even_energy == pytest.approx(shares)


@pytest.mark.parametrize("budget", [50, 120, 300])
def test_intervals_cover_about_95_percent_of_shapley_values(budget):
    covered = []
    for seed in range(25):
        value = saturating_game(9, outputs=2, seed=seed)
        exact = run(value, 9, max_evals=EVERYTHING).values
        result = run(value, 9, max_evals=budget, seed=seed)
        covered.append(np.abs(result.values - exact) <= 1.96 * result.standard_errors)
    assert 0.92 <= np.mean(covered) <= 0.99


@pytest.mark.parametrize("budget", [30, 44])
def test_standard_errors_are_those_of_a_jackknife_over_drawn_pairs(budget):
    """A draw moves the values by its share of what leaving its pair out moves them."""
    value, pairs = saturating_game(6, outputs=2, seed=3), design(6, budget, seed=2)
    one, other = (np.array([value(m) for m in side]) for side in (pairs.members, ~pairs.members))
    result = run(value, 6, max_evals=budget, seed=2, regularization="none")

    ends, everything = ends_of(value, 6), np.arange(len(one))
    values = _worth(pairs, everything, one, other, ends)
    moves = []
    for pair, hits in enumerate(pairs.hits):
        without = _worth(pairs, everything != pair, one, other, ends)
        moves += [(values - without) / max(1, hits)] * hits
    variance = len(moves) * np.var(moves, axis=0, ddof=1)
    assert pairs.hits.max() > 1
    assert result.standard_errors[0, :, 0] == pytest.approx(np.sqrt(variance), abs=1e-9)


# --- Fewer pairs than make least squares steady


def probability(players, seed):
    """Make a game like that of a photo: logistic, few players count much, neighbours interact.

    Its exact Shapley values are unknown; those of 20,000 evaluations are near enough.
    """
    draw = np.random.default_rng(seed)
    worth = np.abs(draw.standard_t(2, players)) * np.where(draw.random(players) < 0.2, -1, 1)
    worth /= np.abs(worth).sum()
    pairs = draw.normal(size=players - 1) * np.abs(worth[1:] * worth[:-1]) ** 0.5

    def value(mask):
        inside = mask.ravel().astype(float)
        together = inside[1:] * inside[:-1]
        return np.array([1 / (1 + np.exp(-10 * (inside @ worth + together @ pairs - 0.3)))])

    return value


def errors_by_budget(players, budgets, seeds=range(4), **options):
    """Return mean squared errors over the squared length of the values, at each budget."""
    rows = []
    for seed in seeds:
        value = probability(players, seed)
        exact = run(value, players, max_evals=20_000, seed=99).values
        found = [run(value, players, max_evals=b, seed=seed, **options).values for b in budgets]
        rows.append([((each - exact) ** 2).sum() / (exact**2).sum() for each in found])
    return np.mean(rows, axis=0)


@pytest.mark.parametrize("players", [30, 49])
def test_the_error_falls_with_the_budget_and_has_no_peak_at_as_many_pairs_as_players(players):
    budgets = [players // 2, players, 2 * players + 2, 3 * players, 4 * players, 16 * players]
    errors = errors_by_budget(players, budgets)
    assert (errors[1:] <= 1.1 * errors[:-1]).all()
    assert errors[2] < 1
    assert errors[-1] < errors[2] / 4


def test_without_regularization_the_values_explode_where_shaps_do():
    budgets = [102, 2 * 4 * 49]
    assert errors_by_budget(49, budgets, regularization="none")[0] > 5


@pytest.mark.parametrize("players", [12, 30])
def test_with_four_pairs_per_player_regularization_is_off(players):
    value, budget = saturating_game(players, 2, seed=0), 2 + 8 * (players - 1)
    ours, shaps = (
        run(value, players, max_evals=budget, regularization=how) for how in ("auto", "none")
    )
    assert ours.values.tolist() == shaps.values.tolist()
    assert ours.steady_from == ours.evaluations == budget
    below = [run(value, players, max_evals=budget - 2, regularization=r) for r in ("auto", "none")]
    assert below[0].values.tolist() != below[1].values.tolist()


@unhurried
@given(players=st.integers(2, 12), seed=seeds, budget=st.integers(4, 60))
def test_few_pairs_of_a_constant_game_give_zeros(players, seed, budget):
    result = run(lambda mask: np.array([0.25, -3.0]), players, max_evals=budget, seed=seed)
    assert result.values == pytest.approx(np.zeros_like(result.values), abs=1e-12)
    if result.standard_errors is not None:
        assert result.standard_errors == pytest.approx(np.zeros_like(result.values), abs=1e-12)


@pytest.mark.parametrize("factor", [1e-6, 1e6])
def test_the_prior_does_not_depend_on_units(factor):
    value = saturating_game(12, outputs=2, seed=3)
    one, other = (run(lambda m: f * value(m), 12, max_evals=40) for f in (1, factor))  # noqa: B023
    assert other.values / factor == pytest.approx(one.values, rel=1e-9)
    assert other.standard_errors / factor == pytest.approx(one.standard_errors, rel=1e-9)


# --- Intervals


@pytest.mark.parametrize("budget", [22, 40, 80, 160, 320])
def test_intervals_cover_about_95_percent_at_few_evaluations_too(budget):
    covered = []
    for seed in range(30):
        value = saturating_game(12, outputs=2, seed=seed)
        exact = run(value, 12, max_evals=EVERYTHING).regions.values
        found = run(value, 12, max_evals=budget, seed=seed).regions.interval
        covered.append((found.low <= exact) & (exact <= found.high))
    assert 0.92 <= np.mean(covered) <= 0.99


def test_with_fewer_pairs_than_half_the_players_there_is_no_interval():
    value = saturating_game(12, outputs=1, seed=0)
    assert run(value, 12, max_evals=12).regions.interval is None
    assert run(value, 12, max_evals=14).regions.interval is not None


def test_the_interval_of_an_exact_value_is_a_point():
    regions = run(saturating_game(5, outputs=1, seed=0), 5, max_evals=EVERYTHING).regions
    assert regions.interval.low.tolist() == regions.interval.high.tolist()
    assert regions.interval.low.tolist() == regions.values.tolist()


def test_an_unfinished_exact_run_claims_no_errors():
    errors = []
    watch = lambda method, _: errors.append(method.snapshot().standard_errors)  # noqa: E731
    last = run(saturating_game(9, outputs=1, seed=0), 9, watch, max_evals=EVERYTHING)
    assert errors == [None, None]
    assert last.standard_errors.tolist() == np.zeros((1, 9, 1, 1)).tolist()


def test_standard_errors_start_after_the_complete_sizes():
    """17 players have 17 + 136 pairs of sizes 1 and 2; a chunk has 128."""
    value, errors = saturating_game(17, outputs=1, seed=0), []
    watch = lambda method, _: errors.append(method.snapshot().standard_errors)  # noqa: E731
    run(value, 17, watch, max_evals=2002, seed=0)
    assert (design(17, 2002).hits == 0).sum() == 153
    assert [known is not None for known in errors] == [False] * 2 + [True] * 6


def test_drawn_pairs_of_a_snapshot_share_the_weight_of_all_drawn():
    for pairs in (25, 100, 299):
        assert 2 * design(20, 600).first(pairs).weights.sum() == pytest.approx(1)


def test_before_any_pair_is_scored_all_players_have_equal_values():
    value, snapshots = random_game((1, 5, 1), outputs=1, seed=1), []
    run(value, 5, lambda method, _: snapshots.append(method.snapshot()), max_evals=20)
    change = snapshots[0].scores - snapshots[0].base_values
    assert snapshots[0].values == pytest.approx(np.full((1, 5, 1, 1), change / 5))
    assert snapshots[0].unresolved == 1
    assert snapshots[0].even_energy is None
    assert snapshots[0].held_out_fidelity is None


def test_the_seed_decides_the_draws():
    value = saturating_game(12, outputs=1, seed=0)
    bits = [run(value, 12, max_evals=100, seed=seed).values.tobytes() for seed in (0, 0, 1)]
    assert bits[0] == bits[1] != bits[2]


def test_too_many_players_are_refused_with_a_remedy():
    players = make_pixels(Pixels(), (1, MAX_PLAYERS["kernel"] + 1, 1))
    game = Game(players, np.zeros(1), np.ones(1))
    with pytest.raises(BudgetError, match=r"4097 players; kernel takes at most 4096.*superpixels"):
        Kernel(game, max_evals=100)
