"""Shapley values by a Gaussian process on the odd part of the game, with standard errors.

After OddSHAP, 2026, https://arxiv.org/abs/2602.01399, which showed that Shapley values depend on
the odd part alone, half the difference between a coalition's score and its complement's, and
PolySHAP, 2026, https://arxiv.org/abs/2601.18608, that scoring such pairs is worth a second-order
model. The prior is in gp_covariance.py, its fit to scores in gp_posterior.py, the choice of pairs
in pair_sampling.py.

The values are means of a posterior, the standard errors its standard deviations: the uncertainty
that the scores leave about the game. With few evaluations the values shrink towards the even share,
and the errors account for it.
"""

from typing import ClassVar, Self

import numpy as np

from worker.engine.arrays import Credit, Scores
from worker.engine.attribution import Attribution
from worker.engine.game.coalitions import CHUNK
from worker.engine.methods.gp_estimator import Estimate, estimate, leverage_weights
from worker.engine.methods.pair_sampling import draw_pairs
from worker.engine.methods.paired_scores import PairedScores
from worker.engine.methods.player_limits import check_players
from worker.engine.methods.protocol import Game, Steps
from worker.engine.request import Request

WIDENED = 1.05  # factor of intervals for the prior's own uncertainty; from benchmarks.coverage
FIRST_CHECK = 16  # pairs, before standard errors are first compared with their target


class GaussianProcess:
    """One run of the estimator; its state is valid, and a snapshot possible, at every yield.

    max_evals: includes the two evaluations of the game; an odd number is rounded down. Where it
    covers all coalitions, the values are exact. target_standard_error: in units of the (linked)
    score; the run ends early when no player's standard error for any output exceeds it, checked
    after FIRST_CHECK pairs and then after every quarter more. seed: for the choice of pairs. Raises
    BudgetError for more players than player_limits.py allows.
    """

    drafts_within_steps: ClassVar[bool] = True

    def __init__(
        self,
        game: Game,
        *,
        max_evals: int,
        target_standard_error: float | None = None,
        seed: int = 0,
    ) -> None:
        check_players("gaussian_process", len(game.players))
        random = np.random.default_rng(seed)
        members = draw_pairs(len(game.players), (max_evals - 2) // 2, random)
        self._game = game
        self._pairs = PairedScores(game, members)
        self._target = target_standard_error
        self._estimate: Estimate | None = None  # of the scores known now

    @classmethod
    def of(cls, game: Game, request: Request) -> Self:
        """Set up a run from the settings of a request."""
        return cls(
            game,
            max_evals=request.max_evals,
            target_standard_error=request.target_standard_error,
            seed=request.seed,
        )

    @property
    def planned_evaluations(self) -> int:
        """Count the evaluations of a run that does not end early."""
        return 2 + 2 * len(self._pairs)

    def run(self) -> Steps:
        """Yield coalitions, each followed by its complement; return the attribution."""
        count = CHUNK // 2  # pairs
        while self._pairs.done < len(self._pairs):
            if self._target is not None:
                checked = self._pairs.done >= FIRST_CHECK
                if checked and self._estimate_now().errors.max() <= self._target:
                    break
                count = min(CHUNK // 2, max(FIRST_CHECK, self._pairs.done // 4))
            scores = yield self._pairs.next(count)
            self._pairs.add(scores)  # (2 P, K)
            self._estimate = None
        return self.snapshot()

    def snapshot(self) -> Attribution:
        """Return the estimate from the pairs scored so far; before the first pair, even shares."""
        if self._pairs.done == 0 and not self._pairs.complete:
            players, change = len(self._game.players), self._game.scores - self._game.base_values
            return self._pairs.attribution(np.tile(change / players, (players, 1)))
        now = self._estimate_now()
        return self._pairs.attribution(
            now.values,
            now.errors,
            freedom=1 + self._pairs.done,
            widened=WIDENED,
            held_out_fidelity=now.held_out_fidelity,
        )

    def keep(self, scores: Scores) -> int:
        """Take the pairs among the first scores of a step that is stopped."""
        self._estimate = None
        return self._pairs.keep(scores)

    def draft(self, outputs: int, early: Scores) -> Credit | None:
        """Return rough values so far, by a regression: learning the process takes seconds."""
        with self._pairs.early(early):
            members, _ = self._pairs.known()
            weights, _ = leverage_weights(members[1:], certain=0)
            return self._pairs.draft(weights, outputs)

    def _estimate_now(self) -> Estimate:
        if self._estimate is None:
            self._estimate = estimate(*self._pairs.known(), complete=self._pairs.complete)
        return self._estimate
