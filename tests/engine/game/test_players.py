"""Players with any labels: their sizes, their coalitions, and the spread of their credit."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.engine.games import masks, random_picture
from worker.engine.game.image_tree import ImageTree
from worker.engine.game.players import Players
from worker.engine.game.superpixels import Pixels, make_pixels

unhurried = settings(deadline=None, derandomize=True, database=None, max_examples=40)
seeds = st.integers(0, 2**32 - 1)
shapes = st.tuples(st.integers(1, 6), st.integers(1, 6), st.integers(1, 4))


@st.composite
def any_players(draw):
    """Draw players of pixels (H, W) or of elements (H, W, C), in any order, some in pieces."""
    shape = draw(shapes)
    extents = shape if draw(st.booleans()) else shape[:2]
    random = np.random.default_rng(draw(seeds))
    drawn = random.integers(0, 5, extents)
    labels = np.unique(drawn, return_inverse=True)[1].astype(np.int32)
    return Players(shape, labels, ImageTree(shape), superpixels=True)


def element_labels(players):
    """Return the player of every element: (H, W, C)."""
    labels = players.labels
    return np.broadcast_to(labels.reshape(*labels.shape[:2], -1), players.shape)


@unhurried
@given(players=any_players())
def test_sizes_count_elements_and_add_up_to_the_picture(players):
    labels = element_labels(players)
    assert players.sizes.tolist() == [(labels == m).sum() for m in range(len(players))]
    assert players.sizes.sum() == np.prod(players.shape)


def test_unresolved_is_the_share_of_pairs_of_elements_within_one_player():
    """Players of 1, 2 and 3 elements: 36 ordered pairs, of which 1 + 4 + 9 are within a player."""
    shape = (1, 6, 1)
    players = Players(shape, np.array([[0, 1, 1, 2, 2, 2]], np.int32), ImageTree(shape), True)
    assert players.pairs == 22
    assert players.unresolved(np.array([6.0])) == 1
    assert players.unresolved(np.array([3.0, 3.0])) == pytest.approx((9 + 9 - 14) / 22)
    assert players.unresolved(np.array([1.0, 2.0, 3.0])) == 0
    alone = Players(shape, np.zeros((1, 6), np.int32), ImageTree(shape), True)
    assert (alone.pairs, alone.unresolved(np.array([6.0]))) == (0, 0)


@unhurried
@given(players=any_players(), seed=seeds)
def test_a_coalition_sees_the_elements_of_its_members_and_no_others(players, seed):
    members = np.random.default_rng(seed).random((3, len(players))) < 0.5
    seen = masks(players.coalitions(members), players.shape)
    for mask, who in zip(seen, members, strict=True):
        assert (mask == np.isin(element_labels(players), np.flatnonzero(who))).all()


@unhurried
@given(players=any_players(), seed=seeds, dtype=st.sampled_from([np.float32, np.float64, np.uint8]))
def test_revealing_copies_the_elements_of_the_mask(players, seed, dtype):
    members = np.random.default_rng(seed).random((1, len(players))) < 0.5
    coalitions = players.coalitions(members)
    source = random_picture(players.shape, seed).astype(dtype)
    canvas = np.full(players.shape, 7, dtype=np.float32)
    coalitions.reveal(0, source, canvas)
    assert (canvas == np.where(masks(coalitions, players.shape)[0], source, np.float32(7))).all()


def test_revealing_fills_a_picture_of_a_batch_in_place():
    players = make_pixels(Pixels("together"), (4, 5, 3))
    batch = np.zeros((3, 4, 5, 3), np.float32)
    source = random_picture((4, 5, 3), 0)
    players.coalitions(np.ones((1, 20), bool)).reveal(0, source, batch[1])
    assert (batch[1] == source).all()
    assert not batch[[0, 2]].any()


def test_slicing_keeps_the_order():
    players = make_pixels(Pixels("together"), (2, 2, 1))
    members = np.array([[True, False, False, False], [False] * 4, [True] * 4])
    part = players.coalitions(members)[1:]
    assert len(part) == 2
    assert masks(part, players.shape).sum(axis=(1, 2, 3)).tolist() == [0, 4]


@unhurried
@given(players=any_players(), seed=seeds)
def test_credit_is_spread_evenly_and_none_is_lost(players, seed):
    credit = np.random.default_rng(seed).normal(size=(len(players), 2))
    values = players.spread(credit)
    labels = element_labels(players)
    assert values.shape == (*players.shape, 2)
    for m in range(len(players)):
        assert np.ptp(values[labels == m], axis=0).tolist() == [0, 0]
        assert values[labels == m].sum(axis=0) == pytest.approx(credit[m], abs=1e-12)
