"""Kernel SHAP: Shapley values by weighted regression of scores on coalition membership.

Scott Lundberg, Su-In Lee, "A unified approach to interpreting model predictions", 2017,
https://arxiv.org/abs/1705.07874, gave the weights. Ian Covert, Su-In Lee, "Improving KernelSHAP:
practical Shapley value estimation via linear regression", 2021, https://arxiv.org/abs/2012.01536,
showed what pairing each coalition with its complement gains. Scott Lundberg, KernelExplainer, in
shap, https://shap.readthedocs.io/en/latest/generated/shap.KernelExplainer.html.

For the same coalitions the values are those of shap with l1_reg=False; shap's default keeps ten
players and sets the others to zero. With fewer than STEADY pairs per player these values are too
large, tenfold and more with as many pairs as players. The regression then uses a prior (ridge.py),
unless regularization is "none".

Every coalition is scored together with its complement, at the same weight, so fitting both equals
fitting the odd part of their scores, with half the rows. Standard errors cover the drawing of
pairs, by the jackknife over them (James MacKinnon, Halbert White, "Some
heteroskedasticity-consistent covariance matrix estimators with improved finite sample properties",
1985, https://doi.org/10.1016/0304-4076(85)90158-7); sizes taken whole add nothing to them.
"""

from typing import ClassVar, Self

import numpy as np

from worker.engine.arrays import Credit, Scores
from worker.engine.attribution import Attribution
from worker.engine.game.coalitions import CHUNK
from worker.engine.methods.kernel_sampling import Design, design_pairs
from worker.engine.methods.least_squares import Fit, fit_additive
from worker.engine.methods.paired_scores import PairedScores
from worker.engine.methods.player_limits import check_players
from worker.engine.methods.protocol import Game, Steps
from worker.engine.methods.ridge import fit_ridge
from worker.engine.request import Regularization, Request

STEADY = 4  # pairs per player; from here on a prior gains little


class Kernel:
    """One run of Kernel SHAP; its state is valid, and a snapshot possible, at every yield.

    max_evals: includes the two evaluations of the game, unlike shap's nsamples; an odd number is
    rounded down. Where it covers all coalitions, the values are exact. regularization: "auto" uses
    a prior for fewer than STEADY pairs per player, "none" never does. seed: for the draws. Raises
    BudgetError for more players than player_limits.py allows.
    """

    drafts_within_steps: ClassVar[bool] = True

    def __init__(
        self,
        game: Game,
        *,
        max_evals: int,
        regularization: Regularization = "auto",
        seed: int = 0,
    ) -> None:
        check_players("kernel", len(game.players))
        self._game = game
        pairs = (max_evals - 2) // 2
        self._design = design_pairs(len(game.players), pairs, np.random.RandomState(seed))
        self._whole = int((self._design.hits == 0).sum())  # pairs of sizes taken whole
        self._pairs = PairedScores(game, self._design.members)
        self._steady = STEADY * (len(game.players) - 1)  # pairs
        self._regularized = regularization == "auto"

    @classmethod
    def of(cls, game: Game, request: Request) -> Self:
        """Set up a run from the settings of a request."""
        return cls(
            game,
            max_evals=request.max_evals,
            regularization=request.regularization,
            seed=request.seed,
        )

    @property
    def planned_evaluations(self) -> int:
        """Count the evaluations of a whole run: the budget, unless there are fewer coalitions."""
        return 2 + 2 * len(self._pairs)

    def run(self) -> Steps:
        """Yield coalitions, each followed by its complement; return the attribution."""
        while self._pairs.done < len(self._pairs):
            self._pairs.add((yield self._pairs.next(CHUNK // 2)))
        return self.snapshot()

    def snapshot(self) -> Attribution:
        """Return the solution over the pairs scored so far."""
        design, odd = self._design.first(self._pairs.done), self._pairs.odd()  # (P, K)
        ends = self._game.base_values, self._game.scores
        scores = (ends[0] + ends[1]) / 2 + odd
        few = len(design) < self._steady and not self._pairs.complete
        if few and self._regularized and len(design):
            ridge = fit_ridge(design.members, design.weights, scores, *ends)
            values, held_out = ridge.values, ridge.held_out if len(design) > 1 else None
            known = 2 * len(design) >= len(values) and len(design) >= self._whole
            errors = ridge.errors if known else None
            freedom = len(design) - 1
        else:
            least = fit_additive(design.members, design.weights, scores, *ends)
            values, held_out = least.values, least.held_out_residuals()
            errors = self._standard_errors(design, least)
            freedom = int(design.hits.sum()) - 1

        fidelity = None
        if held_out is not None and len(design):
            square, total = design.weights @ held_out**2, design.weights @ odd**2  # (K,)
            fidelity = 1 - np.divide(square, total, out=np.zeros_like(total), where=total > 0)
        return self._pairs.attribution(
            values,
            errors,
            freedom=max(1, freedom),
            held_out_fidelity=fidelity,
            weights=design.weights,
            steady_from=2 + 2 * self._steady,
        )

    def keep(self, scores: Scores) -> int:
        """Take the pairs among the first scores of a step that is stopped."""
        return self._pairs.keep(scores)

    def draft(self, outputs: int, early: Scores) -> Credit | None:
        """Return rough values so far; without a prior None while they may be far too large."""
        with self._pairs.early(early):
            few = self._pairs.done < self._steady and not self._pairs.complete
            if few and not self._regularized:
                return None
            return self._pairs.draft(self._design.first(self._pairs.done).weights, outputs)

    def _standard_errors(self, design: Design, fitted: Fit) -> Credit | None:
        """Estimate the standard errors of the values, (M, K); None while they are not defined.

        They are once all sizes to be taken whole are scored, and the values are determined.
        """
        if self._pairs.done < self._whole or not fitted.determined:
            return None
        return _jackknife(design, fitted) if design.to_share else np.zeros_like(fitted.values)


def _jackknife(design: Design, fitted: Fit) -> Credit | None:
    """Estimate standard errors over the drawing of pairs, from left-out residuals: (M, K).

    As only the mean of the draws is random, the spread is taken about their mean influence.
    """
    residuals, draws = fitted.held_out_residuals(), design.hits.sum()
    if residuals is None or draws < 2:
        return None
    drawn = design.hits > 0
    residuals, influence = residuals[drawn], fitted.influence[:, drawn]  # (D, K), (M, D)
    squares = (influence**2 / design.hits[drawn]) @ residuals**2
    variance = draws / (draws - 1) * (squares - (influence @ residuals) ** 2 / draws)
    errors: Credit = np.sqrt(np.maximum(variance, 0))  # rounding may take it below
    return errors
