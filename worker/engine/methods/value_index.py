"""The values asked of a game, as linear functions of its odd part, and their prior covariances.

A value index assigns each player its value. Shapley's does not ask how players are grouped; Owen's
(owen_index.py) does. The prior of the game (gp_posterior.py) is a sum of independent parts, and
each part adds its own covariance and variance:

- a product kernel (gp_covariance.py): `covariance` and `variance` of its rates;
- a part that is independent for every pair of complementary coalitions: `weights`,
  `independent_variance`;
- a part that is a sum of the players' weights b: any index here gives each player 2 b_i.

An index also draws the pairs of coalitions, and estimates values from drawn pairs without a prior.
"""

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from worker.engine.arrays import Credit, Mask, Scores
from worker.engine.methods.gp_covariance import (
    independent_variance,
    shapley_covariance,
    shapley_variance,
    shapley_weights,
)
from worker.engine.methods.leverage import regress_shapley
from worker.engine.methods.pair_sampling import draw_pairs


class ValueIndex(Protocol):
    """The values phi_i of M players, linear in the odd part g of the game.

    concept: the value's name.
    """

    @property
    def concept(self) -> str: ...

    @property
    def pairs(self) -> int:
        """Count the pairs that have a weight, without that of the full and the empty coalition."""

    def draw(self, pairs: int, random: np.random.Generator) -> Mask:
        """Draw at most `pairs` of the pairs with a weight: the smaller coalitions, (P, M) bool.

        Each pair is drawn at most once, and every prefix is a valid draw.
        """

    def divide(self, members: Mask, odd: Scores, certain: int) -> tuple[Credit, Credit]:
        """Estimate the values and their standard errors from drawn pairs: (M, K) each.

        members: (N, M), one coalition of each pair, the full one first. odd: (N, K), the odd part
        there. The first `certain` rows were chosen, and stand for no others.
        """

    def covariance(self, signs: Scores, rates: Scores) -> Scores:
        """Return Cov(phi_i, g(T)) by the product kernel of rates (M,), for signs (N, M): (N, M)."""

    def variance(self, rates: Scores) -> Scores:
        """Return Var(phi_i) by the product kernel of rates (M,): (M,)."""

    def weights(self, signs: Scores) -> Scores:
        """Return the weight of g(T) in every value, for signs (N, M) of T: (N, M).

        T stands for its complement too: the weighted sum over one T of each pair is the exact
        value. The weights are also Cov(phi_i, g(T)) where the g of all pairs are independent, of
        variance 1.
        """

    def independent_variance(self) -> Scores:
        """Return Var(phi_i) where the g of all pairs are independent, of variance 1: (M,)."""


@dataclass(frozen=True)
class ShapleyIndex:
    """Shapley values of M players; ValueIndex documents the methods."""

    players: int
    concept: str = "Shapley values"

    @property
    def pairs(self) -> int:
        return int(2 ** (self.players - 1)) - 1

    def draw(self, pairs: int, random: np.random.Generator) -> Mask:
        return draw_pairs(self.players, pairs, random)

    def divide(self, members: Mask, odd: Scores, certain: int) -> tuple[Credit, Credit]:
        return regress_shapley(members, odd, certain)

    def covariance(self, signs: Scores, rates: Scores) -> Scores:
        return shapley_covariance(signs, rates)

    def variance(self, rates: Scores) -> Scores:
        return shapley_variance(rates)

    def weights(self, signs: Scores) -> Scores:
        return shapley_weights(signs)

    def independent_variance(self) -> Scores:
        return np.full(self.players, independent_variance(self.players))
