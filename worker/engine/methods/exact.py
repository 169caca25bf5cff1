"""Exact Shapley values, from the scores of all coalitions.

Lloyd Shapley, "A value for n-person games", 1953, https://doi.org/10.1515/9781400881970-018: the
mean, over all orders of the players, of what a player changes when it joins those before it.

Until all coalitions are scored, the values are those of the additive game closest to the known
scores by the weights of Kernel SHAP (Scott Lundberg, Su-In Lee, "A unified approach to interpreting
model predictions", 2017, https://arxiv.org/abs/1705.07874, theorem 2). With all scores, that game
has the Shapley values.
"""

from math import comb
from typing import ClassVar, Self

import numpy as np

from worker.engine.arrays import Credit, Mask, Scores
from worker.engine.attribution import Attribution
from worker.engine.errors import BudgetError
from worker.engine.game.coalitions import CHUNK
from worker.engine.methods.gp_covariance import shapley_weights
from worker.engine.methods.least_squares import fit_additive
from worker.engine.methods.paired_scores import PairedScores
from worker.engine.methods.player_limits import check_players
from worker.engine.methods.protocol import Game, Steps
from worker.engine.request import Request


class Exact:
    """One run over all coalitions; its state is valid, and a snapshot possible, at every yield.

    Raises BudgetError for more players than player_limits.py allows, and for max_evals below 2^M.
    """

    drafts_within_steps: ClassVar[bool] = True

    def __init__(self, game: Game, *, max_evals: int) -> None:
        players = len(game.players)
        check_players("exact", players)
        if max_evals < 2**players:
            raise BudgetError(
                f"max_evals is {max_evals}; exact needs at least {2**players}, one evaluation for "
                f"each coalition of the {players} players of this picture. Increase max_evals, use "
                f"fewer superpixels, or use another method, such as gaussian_process",
                field="max_evals",
                received=max_evals,
                accepted={"minimum": 2**players},
            )

        # One coalition of every pair but the empty one, smallest first: (2^(M-1) - 1, M)
        numbers = np.arange(1, 2 ** (players - 1))[:, np.newaxis]
        members: Mask = (numbers >> np.arange(players)) % 2 == 1  # without the last player
        members ^= members.sum(axis=1, keepdims=True) > players // 2  # the smaller of each pair
        smallest_first = np.argsort(members.sum(axis=1), kind="stable")
        self._pairs = PairedScores(game, members[smallest_first])

    @classmethod
    def of(cls, game: Game, request: Request) -> Self:
        """Set up a run from the settings of a request."""
        return cls(game, max_evals=request.max_evals)

    @property
    def planned_evaluations(self) -> int:
        """Count all coalitions."""
        return 2 + 2 * len(self._pairs)

    def run(self) -> Steps:
        """Yield all coalitions, the smallest and the largest first; return the attribution."""
        while self._pairs.done < len(self._pairs):
            self._pairs.add((yield self._pairs.next(CHUNK // 2)))
        return self.snapshot()

    def snapshot(self) -> Attribution:
        """Return the exact values; before the end, those of the closest additive game."""
        members, odd = self._pairs.known()
        if self._pairs.complete:
            values = shapley_weights(np.where(members, 1.0, -1.0)).T @ odd
            return self._pairs.attribution(values, np.zeros_like(values))

        fitted = fit_additive(members[1:], _weights(members[1:]), odd[1:], -odd[0], odd[0])
        return self._pairs.attribution(fitted.values)

    def keep(self, scores: Scores) -> int:
        """Take the pairs among the first scores of a step that is stopped."""
        return self._pairs.keep(scores)

    def draft(self, outputs: int, early: Scores) -> Credit | None:
        """Return rough values so far."""
        with self._pairs.early(early):
            members, _ = self._pairs.known()
            return self._pairs.draft(_weights(members[1:]), outputs)


def _weights(members: Mask) -> Scores:
    """Return the weights (B,) of Kernel SHAP (theorem 2) of coalitions (B, M), up to a factor."""
    players, sizes = members.shape[1], members.sum(axis=1)
    counts = np.array([comb(players, size) for size in range(players + 1)])
    weights: Scores = 1 / (counts[sizes] * sizes * (players - sizes))
    return weights
