"""Owen values of trees, balanced and not, and their covariances by a product kernel."""

from itertools import combinations, product

import numpy as np
import pytest

from tests.engine.games import owen_by_definition, play, random_game
from worker.engine.game.superpixels import LabelMap, Pixels, make_pixels, make_players
from worker.engine.methods.gp_posterior import Prior, compute_posterior
from worker.engine.methods.owen_index import OwenIndex
from worker.engine.methods.partition import Partition
from worker.engine.methods.product_kernels import ProductKernels

M = 6
ODD_SETS = [u for size in (1, 3, 5) for u in combinations(range(M), size)]
SIGNS = np.array(list(product([-1.0, 1.0], repeat=M)))
CHARACTERS = np.array([[np.prod(s[list(u)]) for u in ODD_SETS] for s in SIGNS])  # (S, U)


def strip(seed, players=M):
    """Make superpixels of a row of pixels of random greys, so that their trees differ."""
    picture = 255 * np.random.default_rng(seed).random((1, players, 1)) ** 4
    labels = np.arange(players, dtype=np.int32)[np.newaxis]
    return make_players(LabelMap(labels), picture.astype(np.float32))


def chain(players):
    """Make a tree that splits off one player at a time: OwenIndex of `players`, in their order."""
    ones = np.eye(players, dtype=bool)
    halves = [(ones[i], np.arange(players) > i) for i in range(players - 1)]
    return OwenIndex(np.array(halves, dtype=bool).reshape(-1, players))


def credits(index):
    """Return each player's value of each character, as the mean over whole sibling groups."""
    halves = index.groups.reshape(-1, 2, M)
    found = np.zeros((M, len(ODD_SETS)))
    for i in range(M):
        beside = [pair[1 - side] for pair in halves for side in (0, 1) if pair[side, i]]
        contexts = list(product([-1.0, 1.0], repeat=len(beside)))
        for context in contexts:
            signs = sum((sign * group for sign, group in zip(context, beside, strict=True)), 0.0)
            inside, outside = (signs + sign * np.eye(M)[i] for sign in (1, -1))
            for u, members in enumerate(ODD_SETS):
                change = np.prod(inside[list(members)]) - np.prod(outside[list(members)])
                found[i, u] += change / len(contexts)
    return found


@pytest.mark.parametrize("seed", range(12))
def test_weights_of_all_pairs_give_the_values_of_a_whole_partition(seed):
    players = strip(seed, players=1 + seed // 2)
    value, shape = random_game(players.shape, outputs=2, seed=seed), players.shape
    members = np.array(list(product([False, True], repeat=len(players))))[: 2 ** (len(players) - 1)]
    odd = np.array([(value(row) - value(~row)) / 2 for row in members])
    found = OwenIndex.of(players).weights(np.where(members, 1.0, -1.0)).T @ odd
    whole = play(lambda game: Partition(game, max_evals=10**6), value, shape, players=players)
    assert whole.exact
    assert found == pytest.approx(whole.values[0, :, 0], abs=1e-12)
    assert found == pytest.approx(owen_by_definition(value, shape, players.tree)[0, :, 0], abs=1e-9)


@pytest.mark.parametrize("channels", ["together", "separate"])
def test_pixels_and_channels_have_the_owen_values_of_the_image_tree(channels):
    shape = (2, 2, 1) if channels == "together" else (1, 2, 2)
    value, players = random_game(shape, outputs=1, seed=7), make_pixels(Pixels(channels), shape)
    members = np.array(list(product([False, True], repeat=4)))[:8]
    masks = members.reshape(-1, *shape)
    odd = np.array([(value(mask) - value(~mask)) / 2 for mask in masks])
    found = OwenIndex.of(players).weights(np.where(members, 1.0, -1.0)).T @ odd
    assert found.reshape(*shape, 1) == pytest.approx(owen_by_definition(value, shape), abs=1e-12)


@pytest.mark.parametrize("seed", range(6))
def test_closed_forms_are_sums_over_sets_of_players(seed):
    players = strip(seed)
    rates = np.random.default_rng(seed).uniform(0.02, 1.5, M)
    _check_closed_forms(OwenIndex.of(players), rates)


def test_closed_forms_of_a_chain_are_sums_over_sets_of_players():
    _check_closed_forms(chain(M), np.array([0.05, 0.4, 0.2, 0.1, 0.3, 0.0]))


def _check_closed_forms(index, rates):
    variances = np.array([np.prod(np.tanh(rates)[list(u)]) for u in ODD_SETS])
    worth, total = credits(index), variances.sum()
    gram = CHARACTERS * variances @ CHARACTERS.T / total
    kernel = ProductKernels(rates[np.newaxis], np.ones(1))
    assert kernel.covariances(SIGNS, SIGNS)[0] == pytest.approx(gram)
    cross = CHARACTERS * variances @ worth.T / total
    assert index.covariance(SIGNS, rates) == pytest.approx(cross, abs=1e-12)
    assert index.variance(rates) == pytest.approx(worth**2 @ variances / total, abs=1e-12)
    half = SIGNS[:, 0] > 0
    weights = index.weights(SIGNS[half])
    assert weights.T @ CHARACTERS[half] == pytest.approx(worth, abs=1e-12)
    assert (weights**2).sum(axis=0) == pytest.approx(index.independent_variance())


@pytest.mark.parametrize("seed", range(12))
def test_covariances_of_the_values_of_all_players_add_up_to_that_of_their_sum(seed):
    """As the values add up to twice the odd part of the full coalition (efficiency)."""
    players = strip(seed, players=1 + seed)
    random, index = np.random.default_rng(seed), OwenIndex.of(players)
    rates, signs = random.uniform(0, 2, len(players)), random.choice([-1.0, 1.0], (9, len(players)))
    full = np.ones((1, len(players)))
    total = index.covariance(signs, rates).sum(axis=1)
    of_sum = 2 * ProductKernels(rates[np.newaxis], np.ones(1)).covariances(signs, full)[0, :, 0]
    assert total == pytest.approx(of_sum, abs=1e-12)
    of_full = np.abs(signs.sum(axis=1)) == len(players)
    assert index.weights(signs).sum(axis=1) == pytest.approx(2 * signs[:, 0] * of_full)


@pytest.mark.parametrize("size", [1e-3, 1.0, 1e3])
@pytest.mark.parametrize("shape", [(32, 32, 1), (1, 1024, 1)])
def test_many_players_and_large_rates_give_finite_numbers(size, shape):
    tree = OwenIndex.of(make_pixels(Pixels("together"), shape))
    random = np.random.default_rng(3)
    rates, signs = size * random.random(1024), random.choice([-1.0, 1.0], (3, 1024))
    for index in (tree, chain(1024)):
        found = index.covariance(np.concatenate([signs, np.ones((1, 1024))]), rates)
        assert np.isfinite(found).all()
        assert found[-1].sum() == pytest.approx(2)
        assert (index.variance(rates) >= 0).all()
        assert index.variance(rates) == pytest.approx(2 * found[-1])
        assert np.isfinite(index.weights(signs)).all()
        assert (index.independent_variance() > 0).all()


@pytest.mark.parametrize("seed", range(6))
def test_values_are_exact_where_all_pairs_with_weights_are_known(seed):
    """Whatever the prior: other pairs tell nothing more of Owen values."""
    random, index = np.random.default_rng(seed), OwenIndex.of(strip(seed))
    half = SIGNS[SIGNS[:, 0] > 0]
    known = half[index.weights(half).any(axis=1)]
    odd = random.normal(size=(len(known), 2))
    rates, additive = random.uniform(0.05, 0.5, (2, M)), random.uniform(0.1, 1, M)
    prior = Prior(ProductKernels(rates, np.array([1, 0.4])), additive, rough=0.01)
    found = compute_posterior(prior, index, known, odd)
    assert found.values == pytest.approx(index.weights(known).T @ odd, abs=1e-9)
    assert found.errors == pytest.approx(np.zeros((M, 2)), abs=1e-6)
