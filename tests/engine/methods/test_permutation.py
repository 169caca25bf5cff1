import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.engine.games import (
    FunctionPredictor,
    elements_as_superpixels,
    masks,
    owen_by_definition,
    play,
    random_game,
    random_picture,
    shapley_by_definition,
    smooth_function,
)
from worker.adapters.engine_request import read_masker
from worker.engine.errors import BudgetError
from worker.engine.game.coalitions import CHUNK
from worker.engine.game.superpixels import Pixels, make_pixels
from worker.engine.methods.exact import Exact
from worker.engine.methods.permutation import Permutation
from worker.engine.request import Request
from worker.engine.scoring.driver import explain

TINY = [(2, 2, 1), (3, 2, 1), (1, 2, 3), (1, 1, 2), (1, 7, 1)]
unhurried = settings(deadline=None, derandomize=True, database=None, max_examples=25)
seeds = st.integers(0, 2**32 - 1)
tiny_shapes = st.sampled_from(TINY)


def permutation(**options):
    return lambda game: Permutation(game, **options)


def size(shape):
    return int(np.prod(shape))


def run(value, shape, permutations, *, watch=lambda method, coalitions: None, players=None, seed=0):
    method = permutation(max_evals=permutations * (2 * size(shape) + 1), seed=seed)
    return play(method, value, shape, watch, players=players)


def passes_of(value, shape, permutations, **options):
    """Return the result, and the credit of each pass: (passes, H, W, C, K), step by step."""
    asked = []
    watch = lambda method, coalitions: asked.extend(masks(coalitions, shape))  # noqa: E731
    result = run(value, shape, permutations, watch=watch, **options)
    steps = size(shape) - 1
    passes = [asked[start : start + steps] for start in range(0, len(asked), steps)]
    return result, np.array([credit_of(value, shape, coalitions) for coalitions in passes])


def credit_of(value, shape, coalitions):
    credit = np.empty((*shape, len(value(np.zeros(shape, bool)))))
    before = np.zeros(shape, bool)
    for after in [*coalitions, np.ones(shape, bool)]:
        (joined,) = np.argwhere(after & ~before)
        assert not (before & ~after).any()
        credit[tuple(joined)] = value(after) - value(before)
        before = after
    return credit


@pytest.mark.parametrize(
    ("shape", "masker", "max_evals"),
    [
        ((28, 28, 1), "blur(28,28)", 1600),  # the job of shap's Fashion-MNIST notebooks
        ((5, 7, 1), "blur(3,3)", 71),
        ((5, 7, 1), "blur(3,3)", 500),
        ((3, 4, 3), "inpaint_telea", 300),
        ((9, 2, 3), 17.0, 500),
        ((1, 6, 1), 17.0, 100),
        ((1, 1, 3), 17.0, 20),
    ],
)
@pytest.mark.parametrize("seed", [3, 2**32 - 1])
def test_pixels_get_shaps_values_for_the_same_seed(
    shap_permutation, shape, masker, max_evals, seed
):
    function, picture = smooth_function(shape, outputs=10, seed=1), random_picture(shape, 2)
    ours = masker if isinstance(masker, str) else f"constant({masker})"
    request = Request(
        "permutation", read_masker(ours), tuple(range(10)), max_evals=max_evals, seed=seed
    )
    values = explain(FunctionPredictor(shape, function), picture, request).attribution.values
    shaps = shap_permutation(function, picture, masker, seed, max_evals)
    assert np.abs(values - shaps).max() <= 1e-9 * np.abs(shaps).max()
    assert np.abs(shaps).max() > 0.01


@pytest.mark.parametrize("seed", [0, 11])
def test_superpixels_get_shaps_values_for_the_same_seed(shap_module, seed):
    shape, value = (2, 4, 1), random_game((2, 4, 1), outputs=3, seed=1)

    def function(pictures):
        return np.array([value(picture.reshape(shape) > 0) for picture in pictures])

    explainer = shap_module.PermutationExplainer(function, lambda m, x: (x * m)[None], seed=seed)
    shaps = explainer(np.ones((1, 8)), max_evals=90, silent=True).values[0]  # (8, 3)
    ours = run(value, shape, 5, players=elements_as_superpixels(shape), seed=seed)
    assert ours.values.reshape(8, 3) == pytest.approx(shaps, abs=1e-12)


@pytest.mark.parametrize("shape", [(2, 2, 1), (3, 2, 1), (1, 2, 3), (2, 1, 2)])
def test_pixels_approach_owen_values_of_the_image_tree(shape):
    value = random_game(shape, outputs=2, seed=0)
    result = run(value, shape, 500)
    assert result.solution_concept == "Owen values of a fixed binary image tree"
    off = np.abs(result.values - owen_by_definition(value, shape))
    assert (off <= 4 * result.standard_errors).all()
    assert result.standard_errors.max() < 0.1


@pytest.mark.parametrize("shape", [(2, 2, 1), (5, 1, 1), (1, 2, 3)])
def test_superpixels_approach_shapley_values(shape):
    value = random_game(shape, outputs=2, seed=0)
    result = run(value, shape, 500, players=elements_as_superpixels(shape))
    assert result.solution_concept == "Shapley values"
    off = np.abs(result.values - shapley_by_definition(value, shape))
    assert (off <= 4 * result.standard_errors).all()
    assert result.standard_errors.max() < 0.1


def test_parts_of_the_image_tree_are_contiguous_in_an_order():
    """(2, 4, 1): the halves are columns 0-1 and 2-3, so one of them comes first as a whole."""
    _, credit = passes_of(lambda mask: np.array([mask.sum() ** 2]), (2, 4, 1), 20)
    left_half_first = (credit[:, :, :2] < 8).all(axis=(1, 2, 3, 4))  # they add 1, 3, 5, 7
    right_half_first = (credit[:, :, 2:] < 8).all(axis=(1, 2, 3, 4))
    assert (left_half_first ^ right_half_first).all()
    assert 0 < left_half_first.sum() < 40


def test_with_channels_together_each_pixel_is_a_player():
    shape = (2, 3, 3)
    value = random_game(shape, outputs=1, seed=1)
    players = make_pixels(Pixels(channels="together"), shape)
    result = play(permutation(max_evals=26), value, shape, players=players)
    assert result.evaluations == 2 + 2 * 10
    assert (result.values == result.values[..., :1, :]).all()
    assert result.efficiency_gap == pytest.approx([0], abs=1e-12)


@unhurried
@given(shape=tiny_shapes, seed=seeds, permutations=st.integers(2, 6), superpixels=st.booleans())
def test_values_are_the_mean_over_passes_and_errors_that_over_permutations(
    shape, seed, permutations, superpixels
):
    players = elements_as_superpixels(shape) if superpixels else None
    value = random_game(shape, outputs=2, seed=seed)
    result, passes = passes_of(value, shape, permutations, players=players, seed=seed)
    samples = (passes[::2] + passes[1::2]) / 2
    errors = samples.std(axis=0, ddof=1) / np.sqrt(permutations)
    assert len(passes) == 2 * permutations
    assert result.values == pytest.approx(passes.mean(axis=0), abs=1e-12)
    assert result.standard_errors == pytest.approx(errors, abs=1e-12)


@pytest.mark.parametrize("shape", [(3, 1, 1), (2, 2, 1), (2, 4, 1)])
def test_a_single_permutation_gives_no_errors(shape):
    """Its two passes compensate each other, so their spread is about twice that of the mean."""
    result, _ = passes_of(random_game(shape, 2, 0), shape, 1)
    assert result.standard_errors is None
    assert (result.regions.errors, result.regions.interval) == (None, None)


def test_two_players_are_exact_after_one_permutation():
    value, shape = random_game((2, 1, 1), outputs=2, seed=0), (2, 1, 1)
    result = run(value, shape, 1)
    assert result.exact
    assert result.values == pytest.approx(shapley_by_definition(value, shape), abs=1e-12)
    assert result.standard_errors.tolist() == np.zeros((2, 1, 1, 2)).tolist()
    assert result.regions.interval.low.tolist() == result.regions.values.tolist()


def test_standard_errors_are_as_large_as_the_errors():
    shape = (2, 2, 1)
    value, players = random_game(shape, outputs=1, seed=3), elements_as_superpixels(shape)
    exact = shapley_by_definition(value, shape)
    results = [run(value, shape, 10, players=players, seed=seed) for seed in range(200)]
    errors = np.array([result.values - exact for result in results])
    claimed = np.array([result.standard_errors for result in results])
    assert (claimed**2).mean(axis=0) == pytest.approx((errors**2).mean(axis=0), rel=0.25)


@pytest.mark.parametrize("permutations", [2, 3, 7])
def test_intervals_count_the_mean_over_players_as_three_samples(permutations):
    """Their mean variance counts as three samples; Student's t for 4, 5 and 9 from tables."""
    reach = {2: 2.776446, 3: 2.570582, 7: 2.262157}[permutations]
    shape = (1, 5, 1)
    found = run(
        random_game(shape, outputs=2, seed=1),
        shape,
        permutations,
        players=elements_as_superpixels(shape),
    ).regions
    own = found.errors**2
    shrunk = ((permutations - 1) * own + 3 * own.mean(axis=0)) / (permutations + 2)
    np.testing.assert_allclose(found.interval.high - found.values, reach * shrunk**0.5, rtol=1e-6)
    np.testing.assert_allclose(found.values - found.interval.low, reach * shrunk**0.5, rtol=1e-6)


@pytest.mark.parametrize("permutations", [2, 3, 6, 20])
def test_intervals_cover_about_95_percent_from_two_permutations_on(permutations):
    """Of saturating games, so that a player's credit has long tails. Each element is a player."""
    shape, covered = (1, 9, 1), []
    players = elements_as_superpixels(shape)
    for seed in range(40):
        weights = np.random.default_rng(seed).normal(size=(2, 9))
        value = lambda mask, w=weights: np.tanh(3 * (w @ mask.ravel()))  # noqa: E731
        exact = play(lambda game: Exact(game, max_evals=2**9), value, shape, players=players)
        found = run(value, shape, permutations, players=players, seed=seed).regions.interval
        covered.append((found.low <= exact.regions.values) & (exact.regions.values <= found.high))
    assert 0.92 <= np.mean(covered) <= 0.99


@unhurried
@given(shape=tiny_shapes, seed=seeds)
def test_even_energy_is_the_variance_that_complements_share(shape, seed):
    value = random_game(shape, outputs=2, seed=seed)
    seen = []
    watch = lambda method, coalitions: seen.extend(masks(coalitions, shape))  # noqa: E731
    result = run(value, shape, 3, watch=watch, seed=seed)
    even = [(value(mask) + value(~mask)) / 2 for mask in seen]
    shares = np.var(even, axis=0) / np.var([value(mask) for mask in seen], axis=0)
    assert result.even_energy == pytest.approx(shares, abs=1e-9)


@pytest.mark.parametrize(("power", "share"), [(1, 0), (2, 1)])
def test_even_energy_of_odd_and_even_games(power, share):
    """Centred at half of the elements, a sum is odd and its square even."""
    result = run(lambda mask: np.array([(mask.sum() - 4.0) ** power]), (2, 4, 1), 4)
    assert result.even_energy == pytest.approx([share], abs=1e-12)
    assert result.held_out_fidelity is None


@unhurried
@given(shape=tiny_shapes, seed=seeds, superpixels=st.booleans())
def test_a_permutation_requests_each_inner_coalition_once(shape, seed, superpixels):
    seen = [np.zeros(shape, bool), np.ones(shape, bool)]
    watch = lambda method, coalitions: seen.extend(masks(coalitions, shape))  # noqa: E731
    players = elements_as_superpixels(shape) if superpixels else None
    run(random_game(shape, 1, seed), shape, 1, watch=watch, players=players, seed=seed)
    assert len({mask.tobytes() for mask in seen}) == len(seen) == 2 * size(shape)


@pytest.mark.parametrize("shape", [(1, 1, 1), (1, 2, 1), (3, 3, 1), (5, 4, 3)])
@pytest.mark.parametrize("spare", [0, 1, 300])
def test_the_plan_equals_the_evaluations_spent(shape, spare):
    """Of the 2 M + 1 evaluations that shap counts for a permutation, three are of known ends."""
    least, plans, chunks = 2 * size(shape) + 1, set(), []

    def make(game):
        method = Permutation(game, max_evals=least + spare)
        plans.add(method.planned_evaluations)
        return method

    watch = lambda method, coalitions: chunks.append(len(coalitions))  # noqa: E731
    result = play(make, lambda mask: np.array([mask.sum() ** 2.0]), shape, watch)
    assert plans == {result.evaluations} == {2 + (least + spare) // least * (least - 3)}
    assert sum(chunks) == result.evaluations - 2
    assert all(chunk == CHUNK for chunk in chunks[:-1])


@pytest.mark.parametrize(
    ("players", "way_out"),
    [
        (make_pixels(Pixels(), (4, 4, 1)), "superpixels instead of pixels"),
        (elements_as_superpixels((4, 4, 1)), "fewer superpixels"),
    ],
)
def test_a_budget_that_is_too_small_is_refused_with_the_minimum_and_a_remedy(players, way_out):
    with pytest.raises(BudgetError, match=rf"32.* at least 33.*{way_out}"):
        play(permutation(max_evals=32), lambda m: np.array([1.0]), (4, 4, 1), players=players)


def test_a_single_player_gets_everything():
    result = run(random_game((1, 1, 1), 2, seed=1), (1, 1, 1), 3)
    assert result.values.ravel() == pytest.approx(result.scores - result.base_values, abs=1e-12)
    assert result.evaluations == 2
    assert result.standard_errors.tolist() == [[[[0, 0]]]]
    assert (result.unresolved, result.exact) == (0, True)
    assert result.even_energy is None


def test_during_the_first_pass_unknown_credit_is_spread_evenly():
    """(20, 20, 1): a pass of 399 takes two chunks; the first has 256 players."""
    shape, value = (20, 20, 1), lambda mask: np.array([np.sqrt(mask.sum())])
    snapshots = []
    run(value, shape, 1, watch=lambda method, _: snapshots.append(method.snapshot()))
    empty, first, second, *_ = snapshots
    assert empty.values == pytest.approx(np.full((*shape, 1), 20 / 400))
    assert empty.unresolved == 1
    known = np.diff(np.sqrt(np.arange(257)))
    expected = np.sort([*known, *np.full(144, (20 - 16) / 144)])
    assert np.sort(first.values.ravel()) == pytest.approx(expected)
    assert first.unresolved == pytest.approx(144 * 143 / (400 * 399))
    assert first.standard_errors is None
    assert second.unresolved == 0
    assert np.sort(second.values.ravel()) == pytest.approx(np.sort(np.diff(np.sqrt(range(401)))))


def test_snapshots_are_means_over_finished_passes():
    shape = (20, 10, 1)
    value = smooth_value(shape)
    evaluations, snapshots = [], []

    def watch(method, coalitions):
        snapshots.append(method.snapshot())

    _, passes = passes_of(value, shape, 3)
    run(value, shape, 3, watch=watch)
    for now in snapshots[1:]:
        finished = (now.evaluations - 2) // (size(shape) - 1)
        assert now.values == pytest.approx(passes[:finished].mean(axis=0), abs=1e-12)
        assert now.efficiency_gap == pytest.approx([0, 0], abs=1e-12)
        evaluations.append(now.evaluations)
    assert evaluations == [2 + CHUNK * (i + 1) for i in range(4)]


def smooth_value(shape):
    function = smooth_function(shape, outputs=2, seed=5)
    return lambda mask: function(255.0 * mask[np.newaxis])[0]


@unhurried
@given(shape=tiny_shapes, seed=seeds)
def test_values_are_linear_in_the_game_for_the_same_seed(shape, seed):
    one, other = random_game(shape, 1, seed), random_game(shape, 1, seed ^ 1)
    combined = run(lambda mask: 2 * one(mask) - 3 * other(mask), shape, 2, seed=seed).values
    parts = 2 * run(one, shape, 2, seed=seed).values - 3 * run(other, shape, 2, seed=seed).values
    assert combined == pytest.approx(parts, abs=1e-12)


def test_the_seed_decides_the_orders():
    value = random_game((2, 2, 2), outputs=1, seed=0)
    bits = [run(value, (2, 2, 2), 1, seed=seed).values.tobytes() for seed in (0, 0, 1)]
    assert bits[0] == bits[1] != bits[2]
