from itertools import pairwise

import numpy as np
import pytest

from tests.engine.games import (
    elements_as_superpixels,
    masks,
    play,
    random_game,
    shapley_by_definition,
)
from worker.engine.errors import BudgetError
from worker.engine.game.coalitions import CHUNK
from worker.engine.methods.even_energy import even_energy
from worker.engine.methods.exact import Exact
from worker.engine.methods.protocol import Game

TINY = [(1, 1, 1), (1, 2, 1), (1, 3, 1), (2, 2, 1), (5, 1, 1), (1, 2, 3), (1, 7, 1)]


def run(value, shape, watch=lambda method, coalitions: None):
    return play(lambda game: Exact(game, max_evals=2**16), value, shape, watch)


def asked(shape, value=None):
    """Yield the coalitions of each step: masks (B, H, W, C)."""
    steps = []
    value = value or random_game(shape, 1, seed=0)
    run(value, shape, lambda method, coalitions: steps.append(masks(coalitions, shape)))
    return steps


@pytest.mark.parametrize("shape", TINY)
def test_values_are_the_shapley_values_by_definition(shape):
    value = random_game(shape, outputs=2, seed=0)
    attribution = run(value, shape)
    assert attribution.values == pytest.approx(shapley_by_definition(value, shape), abs=1e-12)
    assert (attribution.standard_errors == 0).all()
    assert attribution.evaluations == 2 ** int(np.prod(shape))


@pytest.mark.parametrize("shape", TINY[1:])
def test_every_inner_coalition_is_requested_once(shape):
    seen = {mask.tobytes() for mask in np.concatenate(asked(shape))}
    assert len(seen) == sum(map(len, asked(shape))) == 2 ** int(np.prod(shape)) - 2
    assert not seen & {np.zeros(shape, bool).tobytes(), np.ones(shape, bool).tobytes()}


def test_each_coalition_is_followed_by_its_complement_the_smallest_first():
    steps = asked((2, 5, 1))
    coalitions = np.concatenate(steps)
    assert (coalitions[::2] == ~coalitions[1::2]).all()
    sizes = coalitions[::2].sum(axis=(1, 2, 3)).tolist()
    assert sizes == sorted(sizes)
    assert (sizes[0], sizes[-1]) == (1, 5)
    assert max(map(len, steps)) == CHUNK


def test_sixteen_players_are_accepted():
    """Glove game: a product of two players, who share its worth."""
    attribution = run(lambda mask: np.array([3.0 * mask[0, 0, 0] * mask[3, 3, 0]]), (4, 4, 1))
    expected = np.zeros((4, 4, 1, 1))
    expected[[0, 3], [0, 3]] = 1.5
    assert attribution.values == pytest.approx(expected, abs=1e-12)


def test_snapshots_add_up_and_converge():
    shape, snapshots = (2, 5, 1), []
    weights = np.random.default_rng(1).normal(size=(10, 1))
    value = lambda mask: np.tanh(mask.ravel() @ weights)  # noqa: E731
    last = run(value, shape, lambda method, coalitions: snapshots.append(method.snapshot()))
    for snapshot in snapshots:
        assert snapshot.efficiency_gap == pytest.approx([0], abs=1e-12)
        assert snapshot.standard_errors is None
    off = [np.abs(snapshot.values - last.values).sum() for snapshot in snapshots]
    assert all(later < before for before, later in pairwise(off))
    assert [snapshot.unresolved for snapshot in snapshots[:2]] == [1, 0]
    assert [snapshot.exact for snapshot in (*snapshots, last)] == [False] * len(snapshots) + [True]


def test_the_even_energy_is_that_of_all_pairs():
    shape = (1, 5, 1)
    value = random_game(shape, outputs=2, seed=3)
    numbers = np.arange(1, 16)[:, np.newaxis] >> np.arange(5) & 1
    one, other = ([value(row == of) for row in numbers] for of in (1, 0))
    expected = even_energy(np.array(one), np.array(other))
    assert run(value, shape).even_energy == pytest.approx(expected)
    assert run(lambda mask: np.array([0.5 * mask.sum()]), shape).even_energy.tolist() == [0]


@pytest.mark.parametrize("constant", [0.0, 0.4, -1e6])
def test_a_game_that_does_not_vary_has_no_even_energy(constant):
    assert run(lambda mask: np.array([constant]), (1, 5, 1)).even_energy.tolist() == [0]


@pytest.mark.parametrize(
    ("shape", "max_evals", "said"),
    [
        ((1, 17, 1), 2**17, "the picture has 17 players; exact takes at most 16"),
        ((1, 5, 1), 31, "max_evals is 31; exact needs at least 32"),
    ],
)
def test_too_many_players_are_refused_before_any_is_scored(shape, max_evals, said):
    game = Game(elements_as_superpixels(shape), np.zeros(1), np.ones(1))
    with pytest.raises(BudgetError, match=said):
        Exact(game, max_evals=max_evals)
