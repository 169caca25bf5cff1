"""Games of many players whose Shapley values are known, for measuring what estimators claim.

There are four kinds, drawn with a seed. `sparse` is a probability: the logistic function of a sum
in which few players count much and neighbours interact, like superpixels of a photo of a certain
class. `dense` is the same with many players that count alike, and an uncertain class. `balanced` is
dense without interactions, so that the scores of a coalition and its complement add up to one.
`rough` is a sum of the worth of small groups of players; a group counts only when complete. Its
Shapley values follow from a formula: a group's worth is shared evenly, and so is its part in the
interactions of its pairs, by one less than its size. Those of the other kinds are
means over ORDERS random orders and their reverses; their standard errors are far below those of the
estimators measured.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
KINDS = ("sparse", "dense", "rough", "balanced")
ORDERS = 10_000
AGAINST = 0.2  # share of players that lower the score


@dataclass(eq=False)
class MadeGame:
    """A game of `players` players: members (B, players), 0 or 1, to values (B,)."""

    players: int
    value: Callable[[Floats], Floats]
    truth: Floats  # (players,)
    interactions: Floats | None = None  # (players, players) of pairs; None: no formula is known

    def __call__(self, members: NDArray[np.integer]) -> Floats:
        return self.value(np.asarray(members, dtype=np.float64))


def make_game(kind: str, players: int, seed: int) -> MadeGame:
    """Draw a game of a kind."""
    random = np.random.default_rng([KINDS.index(kind), players, seed])
    if kind == "rough":
        return _rough(players, random)
    heavy = random.standard_t(2, players) if kind == "sparse" else random.normal(size=players)
    worth = np.abs(heavy) * np.where(random.random(players) < AGAINST, -1, 1)
    worth[np.argmax(np.abs(worth))] *= np.sign(worth[np.argmax(np.abs(worth))])
    pairs = random.normal(size=players - 1) * np.abs(worth[1:] * worth[:-1]) ** 0.5
    if kind == "balanced":
        pairs *= 0
    gain, middle = (10.0, 0.6) if kind == "sparse" else (5.0, 0.5)
    total = max(worth.sum() + pairs.sum(), np.abs(worth).sum() / 4)

    def value(members: Floats) -> Floats:
        together = members[:, 1:] * members[:, :-1]
        inside = (members @ worth + together @ pairs) / total
        scores: Floats = 1 / (1 + np.exp(-gain * (inside - middle)))
        return scores

    return MadeGame(players, value, _by_orders(value, players))


def _rough(players: int, random: np.random.Generator) -> MadeGame:
    groups = [
        np.sort(random.choice(players, size, replace=False))
        for size in random.integers(1, 6, size=3 * players)
    ]
    worths = random.normal(size=len(groups)) / np.sqrt([len(group) for group in groups])
    truth, interactions = np.zeros(players), np.zeros((players, players))
    for group, worth in zip(groups, worths, strict=True):
        truth[group] += worth / len(group)
        if len(group) > 1:
            interactions[np.ix_(group, group)] += worth / (len(group) - 1)

    def value(members: Floats) -> Floats:
        scores: Floats = sum(
            worth * members[:, group].all(axis=1)
            for group, worth in zip(groups, worths, strict=True)
        )
        return scores

    return MadeGame(players, value, truth, interactions)


def _by_orders(value: Callable[[Floats], Floats], players: int) -> Floats:
    random, total = np.random.default_rng(0), np.zeros(players)
    steps = np.tri(players + 1, players, -1)  # row t: the first t players are in
    for _ in range(ORDERS):
        order = random.permutation(players)
        ranks = np.argsort(order)
        for line in (ranks, players - 1 - ranks):
            changes = np.diff(value(steps[:, line]))
            total += changes[line]
    return total / (2 * ORDERS)
