"""Closed-form games and predictors, and their values by definition, for the engine's tests."""

from collections.abc import Callable
from dataclasses import replace
from itertools import combinations, permutations, product

import numpy as np

from worker.engine.game.image_tree import ImageTree
from worker.engine.game.superpixels import Pixels, make_pixels
from worker.engine.methods.protocol import Game


class FunctionPredictor:
    """A predictor without a model: a NumPy function of pictures (N, H, W, C) to scores (N, K)."""

    backend = "numpy"
    device = "cpu"
    dtype = "float64"

    def __init__(self, shape, function: Callable[[np.ndarray], np.ndarray]) -> None:
        self.input_shape = shape
        self.function = function
        self.n_outputs = function(np.zeros((2, *shape), dtype=np.float32)).shape[1]
        self.batches: list[int] = []
        self.addresses: set[int] = set()

    def __call__(self, pictures):
        self.batches.append(len(pictures))
        self.addresses.add(pictures.__array_interface__["data"][0])
        return self.function(pictures)


def smooth_function(shape, outputs, seed):
    """Make weighted sums with products, saturated: without ties, and not additive."""
    weights = np.random.default_rng(seed).normal(size=(outputs, int(np.prod(shape)))) / 255

    def function(pictures):
        sums = pictures.reshape(len(pictures), -1).astype(np.float64) @ weights.T  # (N, K)
        return np.tanh(sums) + 0.1 * sums * np.roll(sums, 1, axis=1)

    return function


def counting_function(shape, outputs, seed):
    """Make counts of the bright ones among a few random elements: whole numbers, with many ties."""
    draw = np.random.default_rng(seed)
    elements = draw.integers(0, int(np.prod(shape)), size=(outputs, 6))

    def function(pictures):
        bright = pictures.reshape(len(pictures), -1) > 100
        return np.floor(bright[:, elements].sum(axis=2) ** 2 / 3).astype(np.float64)

    return function


def random_picture(shape, seed):
    draw = np.random.default_rng(seed)
    return (draw.random(shape) * 255).astype(np.float32)


def play(make_method, value, shape, watch=lambda method, coalitions: None, *, players=None):
    """Run a method on the game value(mask (H, W, C)) -> (K,), without pictures or threads.

    players: by default every element.
    """
    ends = [value(np.full(shape, visible)) for visible in (False, True)]
    game = Game(players or make_pixels(Pixels(), shape), *ends)
    method = make_method(game)
    steps = method.run()
    scores = None
    while True:
        try:
            coalitions = steps.send(scores)
        except StopIteration as end:
            return end.value
        watch(method, coalitions)
        scores = np.array([value(mask) for mask in masks(coalitions, shape)])


def masks(coalitions, shape):
    """Return coalitions of any class as masks (B, H, W, C)."""
    visible = [coalitions.visible(i) for i in range(len(coalitions))]
    return np.array([np.broadcast_to(mask.reshape(*mask.shape[:2], -1), shape) for mask in visible])


def owen_by_definition(value, shape, tree=None):
    """Average marginal contributions over every order in which a tree can be walked.

    At each split either half comes first, so there are 2 ** splits orders of the leaves. This is
    Owen's value for nested unions of two (Owen 1977), straight from its definition; a leaf's is
    spread evenly over its elements. tree: by default the image tree.
    """
    tree = tree or ImageTree(shape)
    splits = _splits(tree, tree.root)
    total = 0.0
    for choice in product([False, True], repeat=len(splits)):
        first = dict(zip(splits, choice, strict=True))
        total = total + _marginals(value, shape, tree, _order(tree, tree.root, first))
    return total / 2 ** len(splits)


def shapley_by_definition(value, shape):
    """Average marginal contributions over every order of the elements (Shapley 1953)."""
    tree = ImageTree(shape)
    elements = _order(tree, tree.root, dict.fromkeys(_splits(tree, tree.root), True))
    orders = list(permutations(elements))
    return sum(_marginals(value, shape, tree, order) for order in orders) / len(orders)


def interactions_by_definition(value, shape):
    """Average each pair's second difference over coalitions of the others: (pairs, K).

    Each size of coalition has the same weight (Grabisch and Roubens 1999).
    """
    players, changes = int(np.prod(shape)), []

    def worth(members):
        mask = np.zeros(players, dtype=bool)
        mask[list(members)] = True
        return value(mask.reshape(shape))

    for i, j in combinations(range(players), 2):
        others = [k for k in range(players) if k not in (i, j)]
        by_size = [
            np.mean(
                [
                    worth({*T, i, j}) - worth({*T, i}) - worth({*T, j}) + worth(T)
                    for T in combinations(others, size)
                ],
                axis=0,
            )
            for size in range(len(others) + 1)
        ]
        changes.append(np.mean(by_size, axis=0))
    return np.array(changes)


def elements_as_superpixels(shape):
    """Return players that have one element each, and yet count as superpixels."""
    return replace(make_pixels(Pixels(), shape), superpixels=True)


def random_game(shape, outputs, seed):
    """Draw a game of random values: (K,) for every one of the 2 ** elements coalitions."""
    elements = int(np.prod(shape))
    table = np.random.default_rng(seed).normal(size=(2**elements, outputs))
    digits = 2 ** np.arange(elements)
    return lambda mask: table[int(mask.ravel() @ digits)]


def _splits(tree, part):
    halves = tree.children(part)
    return [part, *_splits(tree, halves[0]), *_splits(tree, halves[1])] if halves else []


def _order(tree, part, first):
    halves = tree.children(part)
    if halves is None:
        return [part]
    left, right = halves if first[part] else halves[::-1]
    return [*_order(tree, left, first), *_order(tree, right, first)]


def _marginals(value, shape, tree, order):
    values = np.zeros((*shape, len(value(np.zeros(shape, dtype=bool)))))
    mask = np.zeros(shape, dtype=bool)
    before = value(mask)
    for leaf in order:
        mask[tree.region(leaf)] = True
        after = value(mask)
        values[tree.region(leaf)] = (after - before) / tree.size(leaf)
        before = after
    return values
