import numpy as np
import pytest

from tests.engine.methods.test_owen_index import chain, strip
from worker.engine.game.superpixels import Pixels, make_pixels
from worker.engine.methods.owen_index import OwenIndex
from worker.engine.methods.tree_pair_sampling import branch_depths, draw_tree_pairs

EVERYTHING = 10**6


def draw(index, pairs, seed=0):
    return draw_tree_pairs(index.groups, pairs, np.random.default_rng(seed))


@pytest.mark.parametrize(
    "index",
    [chain(1), chain(2), chain(9), OwenIndex.of(strip(3, players=9)), OwenIndex.of(strip(4, 10))],
)
def test_all_pairs_with_weights_are_drawn_once_and_no_others(index):
    members, players = draw(index, EVERYTHING), index.groups.shape[1]
    assert index.weights(np.where(members, 1.0, -1.0)).any(axis=1).all()
    assert len({(row ^ row[0]).tobytes() for row in members}) == len(members) == index.pairs
    assert (members.sum(axis=1) <= players / 2).all()
    assert members.any(axis=1).all()
    every = np.arange(2 ** (players - 1))[:, np.newaxis] >> np.arange(players) & 1
    weighty = index.weights(np.where(every, 1.0, -1.0)).any(axis=1)
    assert weighty[0]  # the empty coalition, the one that is not drawn
    assert len(members) == weighty.sum() - 1


def test_a_chain_has_every_pair_and_a_balanced_tree_few():
    assert chain(12).pairs == 2**11 - 1
    assert OwenIndex.of(make_pixels(Pixels("together"), (4, 4, 1))).pairs == 1 + 4 + 16 + 64


def test_branches_take_turns():
    index = OwenIndex.of(make_pixels(Pixels("together"), (4, 8, 1)))
    members, halves = draw(index, 200), index.groups.reshape(-1, 2, 32)
    signs = np.where(members, 1, -1)
    sums = signs @ halves.transpose(1, 2, 0)  # (2, P, branches), of halves
    sizes = halves.sum(axis=2).T[:, np.newaxis]
    differ = (np.abs(sums) == sizes).all(axis=0) & (np.sign(sums[0]) != np.sign(sums[1]))
    assert (differ.sum(axis=1) == 1).all()  # one branch of each pair
    available = 2 ** branch_depths(index.groups)
    for prefix in (31, 100, 200):
        drawn = differ[:prefix].sum(axis=0)
        unfinished = drawn[drawn < available]
        assert unfinished.max() - unfinished.min() <= 1
        assert (drawn <= available).all()


def test_players_are_in_equally_many_pairs():
    index = OwenIndex.of(make_pixels(Pixels("together"), (8, 8, 1)))
    shares = draw(index, 600).mean(axis=0)
    assert shares == pytest.approx(np.full(64, shares.mean()), abs=0.06)


def test_deep_trees_have_different_pairs():
    members = draw(chain(1024), 3000, seed=1)
    assert len({row.tobytes() for row in members}) == len(members) == 3000
