"""The tree over superpixels, and Owen values of it."""

from itertools import combinations

import cv2
import numpy as np
import pytest
import skimage.data
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.engine.games import masks, owen_by_definition, play, random_game, random_picture
from worker.engine.game.merge_tree import NOISE, MergeTree, merge_all
from worker.engine.game.superpixels import Grid, LabelMap, Slic, make_players
from worker.engine.methods.partition import Partition

CONTEXTS = [None, 0, 1]
WHOLE_TREE = 10**6
unhurried = settings(deadline=None, derandomize=True, database=None, max_examples=30)
seeds = st.integers(0, 2**32 - 1)
shapes = st.tuples(st.integers(1, 9), st.integers(1, 9), st.sampled_from([1, 3]))


@st.composite
def pictures_and_labels(draw, most=12):
    """Draw a picture and its superpixels: few levels, so that there are ties; some in pieces."""
    shape, random = draw(shapes), np.random.default_rng(draw(seeds))
    picture = random.integers(0, draw(st.sampled_from([1, 2, 256])), shape).astype(np.float32)
    raw = random.integers(0, draw(st.integers(1, most)), shape[:2])
    return picture, np.unique(raw, return_inverse=True)[1].astype(np.int32)


# --- The tree -----------------------------------------------------------------------------------


@unhurried
@given(pictures_and_labels())
def test_every_superpixel_is_one_leaf(drawn):
    picture, labels = drawn
    tree = MergeTree.of(labels, picture)
    leaves = [branch for branch in branches(tree) if tree.children(branch) is None]
    players = [np.unique(labels[tree.region(leaf)]).tolist() for leaf in leaves]
    assert sorted(players) == [[m] for m in range(labels.max() + 1)]
    assert (sum(tree.region(leaf).astype(int) for leaf in leaves) == 1).all()


@unhurried
@given(pictures_and_labels())
def test_a_branch_is_its_two_children_and_sizes_count_elements(drawn):
    picture, labels = drawn
    tree = MergeTree.of(labels, picture)
    assert tree.region(tree.root).all()
    assert tree.size(tree.root) == picture.size
    for branch in branches(tree):
        region, halves = tree.region(branch), tree.children(branch)
        assert tree.size(branch) == region.sum() * picture.shape[2]
        if halves:
            one, other = (tree.region(half) for half in halves)
            assert not (one & other).any()
            assert (region == (one | other)).all()


@unhurried
@given(pictures_and_labels())
def test_only_neighbours_are_merged(drawn):
    picture, labels = drawn
    tree = MergeTree.of(labels, picture)
    for branch in branches(tree):
        if halves := tree.children(branch):
            assert boundary(*(tree.region(half) for half in halves)) > 0


@unhurried
@given(pictures_and_labels())
def test_each_merge_is_the_cheapest_of_all_neighbours(drawn):
    picture, labels = drawn
    regions = {m: labels == m for m in range(labels.max() + 1)}
    for name, (one, other) in enumerate(merge_all(labels, picture), start=len(regions)):
        neighbours = [pair for pair in combinations(regions.values(), 2) if boundary(*pair)]
        cheapest = min(cost(picture, *pair) for pair in neighbours)
        merged = regions.pop(one), regions.pop(other)
        assert cost(picture, *merged) == pytest.approx(cheapest)
        regions[name] = merged[0] | merged[1]
    assert len(regions) == 1


def test_similar_colours_are_merged_first():
    labels = np.array([[0, 0, 1, 1, 2, 2, 3, 3]] * 2)
    picture = np.array([0, 60, 200, 255], np.float32)[labels][..., np.newaxis]
    pairs = [set(pair) for pair in merge_all(labels, picture)]
    assert pairs == [{2, 3}, {0, 1}, {4, 5}]


def test_with_equal_sizes_and_differences_the_longer_boundary_is_merged_first():
    """Superpixels 0 and 2 have 4 pixels each; they share 4 and 5 sides with superpixel 1."""
    top, bottom = [[0, 0, 1, 1]] * 2, [[1, 1, 1, 2]] * 4
    labels = np.array(top + bottom)
    picture = np.array([9, 30, 51], np.float32)[labels][..., np.newaxis]
    assert set(merge_all(labels, picture)[0]) == {1, 2}


def test_a_blank_picture_gives_a_balanced_tree():
    """64 leaves, each 6 splits from the root."""
    tree = make_players(Grid(8, 8), np.zeros((40, 40, 3), np.float32)).tree
    assert max(depths(tree)) <= 9


def test_the_tree_of_a_photo_is_not_a_chain():
    """By the cost of 1994 alone a leaf is 23 splits from the root; 6 suffice for 49 leaves."""
    photo = cv2.resize(skimage.data.chelsea(), (224, 224), interpolation=cv2.INTER_AREA)
    tree = make_players(Slic(), photo.astype(np.float32)).tree
    assert max(depths(tree)) <= 10


def test_the_same_picture_gives_the_same_tree():
    picture = random_picture((30, 30, 3), 0)
    first, second = (make_players(Slic(20, sigma=1), picture).tree for _ in range(2))
    assert isinstance(first, MergeTree)
    assert isinstance(second, MergeTree)
    assert first.cuts == second.cuts
    assert (first.places == second.places).all()


def test_a_region_around_many_others_is_merged_fast():
    """Each of 1600 dots touches only the background: each merge changes the cost of all others."""
    labels = np.zeros((81, 81), int)
    labels[1::2, 1::2] = np.arange(1, 1601).reshape(40, 40)
    players = make_players(LabelMap(labels), random_picture((81, 81, 3), 0))
    assert len(list(branches(players.tree))) == 2 * 1601 - 1


@unhurried
@given(pictures_and_labels(), seeds)
def test_coalitions_see_their_branches(drawn, seed):
    picture, labels = drawn
    tree = MergeTree.of(labels, picture)
    all_branches = branches(tree)
    leaves = [branch for branch in all_branches if tree.children(branch) is None]
    draw = np.random.default_rng(seed)
    some = tuple(leaves[i] for i in np.flatnonzero(draw.random(len(leaves)) < 0.5))
    one = all_branches[draw.integers(len(all_branches))]
    seen = masks(tree.coalitions([(), some, (one,)]), picture.shape)
    wanted = [(), some, (one,)]
    for mask, parts in zip(seen, wanted, strict=True):
        union = sum((tree.region(part) for part in parts), np.zeros(labels.shape, bool))
        assert (mask == union[..., np.newaxis]).all()


# --- Owen values of it --------------------------------------------------------------------------


@st.composite
def tiny_players(draw):
    """Draw at most 6 superpixels of at most 12 elements, some in several pieces."""
    shape = draw(st.sampled_from([(2, 4, 1), (3, 4, 1), (1, 4, 3), (2, 2, 3), (1, 1, 1)]))
    random = np.random.default_rng(draw(seeds))
    labels = random.integers(0, draw(st.integers(1, 6)), shape[:2])
    return make_players(LabelMap(labels), random_picture(shape, draw(st.integers(0, 99))))


def partition_values(players, value, **options):
    """Return Partition's values for these players."""
    options = {"max_evals": WHOLE_TREE, **options}
    return play(lambda game: Partition(game, **options), value, players.shape, players=players)


@unhurried
@given(tiny_players(), seeds)
def test_a_whole_tree_gives_its_owen_values_by_definition(players, seed):
    value = random_game(players.shape, outputs=2, seed=seed)
    attribution = partition_values(players, value)
    exact = owen_by_definition(value, players.shape, players.tree)
    assert attribution.values == pytest.approx(exact, abs=1e-12)
    assert (attribution.unresolved, attribution.exact) == (0, True)
    assert attribution.solution_concept == "Owen values of a fixed binary superpixel tree"


@unhurried
@given(tiny_players(), seeds, st.integers(2, 40), st.sampled_from(CONTEXTS))
def test_values_add_up_and_are_even_on_superpixels_at_any_budget(players, seed, budget, context):
    value = random_game(players.shape, outputs=2, seed=seed)
    attribution = partition_values(players, value, max_evals=budget, fixed_context=context)
    assert attribution.efficiency_gap == pytest.approx(np.zeros(2), abs=1e-12)
    for m in range(len(players)):
        assert np.ptp(attribution.values[players.labels == m], axis=(0, 1)).tolist() == [0, 0]
    assert attribution.players is players.labels


@unhurried
@given(tiny_players(), seeds)
def test_with_the_other_branches_hidden_a_branch_keeps_its_effect_as_a_whole(players, seed):
    value = random_game(players.shape, outputs=1, seed=seed)
    values = partition_values(players, value, fixed_context=0).values
    assert values == pytest.approx(dividends(value, players), abs=1e-12)


@unhurried
@given(tiny_players(), seeds)
def test_with_the_other_branches_visible_the_same_holds_for_the_dual_game(players, seed):
    value = random_game(players.shape, outputs=1, seed=seed)
    dual = lambda mask: value(np.ones_like(mask)) - value(~mask)  # noqa: E731
    values = partition_values(players, value, fixed_context=1).values
    assert values == pytest.approx(dividends(dual, players), abs=1e-12)


@unhurried
@given(tiny_players(), seeds)
def test_a_superpixel_that_never_matters_gets_nothing(players, seed):
    game = random_game(players.shape, outputs=1, seed=seed)
    null = players.labels == len(players) - 1
    values = partition_values(players, lambda mask: game(mask & ~null[..., np.newaxis])).values
    assert values[null] == pytest.approx(np.zeros_like(values[null]), abs=1e-12)


@pytest.mark.parametrize("context", CONTEXTS)
@pytest.mark.parametrize("budget", [2, 3, 9, 40, WHOLE_TREE])
def test_the_plan_equals_the_evaluations_spent(budget, context):
    players = make_players(Grid(2, 4), random_picture((4, 8, 3), 0))
    weights = np.random.default_rng(1).normal(size=(4, 8, 3))
    plans = set()

    def make(game):
        method = Partition(game, max_evals=budget, fixed_context=context)
        plans.add(method.planned_evaluations)
        return method

    value = lambda mask: np.array([weights[mask].prod()])  # noqa: E731
    attribution = play(make, value, players.shape, players=players)
    assert plans == {attribution.evaluations}
    assert attribution.evaluations <= budget + budget % 2


def test_one_superpixel_takes_two_evaluations_and_all_the_credit():
    players = make_players(Grid(1, 1), random_picture((2, 3, 1), 0))
    attribution = partition_values(players, lambda mask: np.array([mask.sum() ** 2.0]))
    assert attribution.evaluations == 2
    assert attribution.values.ravel().tolist() == [6] * 6


# --- Helpers ------------------------------------------------------------------------------------


def dividends(value, players):
    """What each branch adds to its halves, spread evenly over its elements: (H, W, C, K).

    The values of Partition with the other branches hidden, without its recursion.
    """
    tree, nobody = players.tree, value(np.zeros(players.shape, bool))
    total = np.zeros((*players.shape, len(nobody)))
    for branch in branches(tree):
        parts = [branch, *(tree.children(branch) or ())]
        alone = [value(as_mask(tree, part, players.shape)) - nobody for part in parts]
        total[tree.region(branch)] += (alone[0] - sum(alone[1:])) / tree.size(branch)
    return total


def as_mask(tree, branch, shape):
    mask = np.zeros(shape, bool)
    mask[tree.region(branch)] = True
    return mask


def branches(tree):
    """Yield all branches of a tree, the root first."""
    found, stack = [], [tree.root]
    while stack:
        found.append(stack.pop())
        stack += tree.children(found[-1]) or ()
    return found


def depths(tree):
    """Return the number of splits between the root and each leaf."""
    found, stack = [], [(tree.root, 0)]
    while stack:
        branch, depth = stack.pop()
        halves = tree.children(branch)
        stack += [(half, depth + 1) for half in halves or ()]
        found += [] if halves else [depth]
    return found


def boundary(one, other):
    """Return the length of the common boundary of two masks, in sides of pixels."""
    beside = (one[:, :-1] & other[:, 1:]).sum() + (other[:, :-1] & one[:, 1:]).sum()
    return beside + (one[:-1] & other[1:]).sum() + (other[:-1] & one[1:]).sum()


def cost(picture, one, other):
    """Return the squared error that a merge adds, including NOISE, by size and over boundary."""
    added = squared_error(picture, one | other)
    added -= squared_error(picture, one) + squared_error(picture, other)
    weight = 1 / (1 / one.sum() + 1 / other.sum())
    return (added + NOISE**2 * weight) * weight / boundary(one, other)


def squared_error(picture, mask):
    seen = picture[mask].astype(float)  # (n, C)
    return np.square(seen - seen.mean(axis=0)).sum()
