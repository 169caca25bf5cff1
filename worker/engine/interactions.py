"""Interactions of pairs of players, and what they leave of each player's credit."""

from dataclasses import dataclass

import numpy as np

from worker.engine.arrays import Credit, Indices
from worker.engine.regions import Interval


@dataclass(frozen=True, eq=False)
class Interactions:
    """Credit of M players for K outputs, divided among players alone and P pairs of them.

    k-SII of order 2, also n-Shapley values: Sebastian Bordt, Ulrike von Luxburg, "From Shapley
    Values to Generalized Additive Models and back", 2023, https://arxiv.org/abs/2209.04012. All
    terms add up to scores - base_values.

    pairs: (P, 2) int64, the players i < j of each pair, all in the order of rows of a triangle.
    values: (P, K) float64, Shapley interaction indices, in units of the (linked) score; positive:
        together the two raise the output by more than each does without the other. errors: (P, K),
        their standard errors.
    alone: (M, K) float64, the Shapley value less half of each interaction of the player.
    alone_errors: (M, K).
    reach: half-width of 95 % intervals in standard errors; None where no valid interval is known.
    """

    pairs: Indices
    values: Credit
    errors: Credit
    alone: Credit
    alone_errors: Credit
    reach: float | None

    @property
    def interval(self) -> Interval | None:
        """Return the 95 % intervals of the pairs' values."""
        return self._around(self.values, self.errors)

    @property
    def alone_interval(self) -> Interval | None:
        """Return the 95 % intervals of the players' credit alone."""
        return self._around(self.alone, self.alone_errors)

    def _around(self, values: Credit, errors: Credit) -> Interval | None:
        if self.reach is None:
            return None
        return Interval(values - self.reach * errors, values + self.reach * errors)


def pairs_of(players: int) -> Indices:
    """Return all pairs i < j of M players: (M (M - 1) / 2, 2)."""
    return np.stack(np.triu_indices(players, 1), axis=1).astype(np.int64)
