"""Shapley or Owen values by a Gaussian process on the odd part of the game, with standard errors.

After OddSHAP, 2026, https://arxiv.org/abs/2602.01399, which showed that Shapley values depend on
the odd part alone, half the difference between a coalition's score and its complement's, and
PolySHAP, 2026, https://arxiv.org/abs/2601.18608, that scoring such pairs is worth a second-order
model. The prior is in gp_covariance.py, its fit to scores in gp_posterior.py. The first pairs are
drawn (pair_sampling.py); the next ones are chosen by what their scores would tell of the values
(pair_selection.py).

Owen values of the tree of the players depend on the odd part alone, too, and only on the coalitions
of the tree (owen_index.py), which are then drawn and chosen.

Where all scores are probabilities, the prior is learnt from their odd and even part on a stretched
scale (score_scale.py), and a process on it corrects the values (warped_process.py).

The values are means of a posterior, the standard errors its standard deviations: the uncertainty
that the scores leave about the game. With few evaluations the values shrink towards the even share,
and the errors account for it.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import ClassVar, Self

import numpy as np

from worker.engine.arrays import Credit, Scores
from worker.engine.attribution import Attribution
from worker.engine.errors import RequestError
from worker.engine.game.coalitions import CHUNK
from worker.engine.methods.gp_estimator import Estimate, estimate
from worker.engine.methods.gp_interactions import estimate_interactions
from worker.engine.methods.leverage import leverage_weights
from worker.engine.methods.owen_index import OwenIndex
from worker.engine.methods.pair_selection import choose_pairs
from worker.engine.methods.paired_scores import PairedScores
from worker.engine.methods.player_limits import check_players, check_players_of_interactions
from worker.engine.methods.prior_family import PriorFamily
from worker.engine.methods.protocol import Game, Steps
from worker.engine.methods.score_scale import is_probability
from worker.engine.methods.value_index import ShapleyIndex
from worker.engine.methods.warped_process import probabilities, stretched_parts
from worker.engine.regions import quantile
from worker.engine.request import (
    InteractionOrder,
    Request,
    Sampling,
    ScoreScale,
    SolutionConcept,
)

WIDENED = 1.05  # factor of intervals for the prior's own uncertainty; from benchmarks.coverage
INTERACTIONS_WIDENED = 1.15  # the same of interactions; from benchmarks.interactions
FIRST_CHECK = 16  # pairs, before standard errors are first compared with their target
DRAWN = 1.5  # pairs a player, before others are chosen; by fewer the prior is not known enough
DRAWN_BY_LOOKS = 1.0  # where something is expected of the players, so that less is to be learnt
MOST_CHOSEN = 512  # pairs; later ones are as they were drawn, as choosing takes ever longer
CANDIDATES = 400  # pairs that a choice is made of
CHOICE_ROWS = 128  # scores that the prior for choices is fitted to; more choose hardly better
RELEARNT = 1.25  # times as many scores, before it is fitted again


class GaussianProcess:
    """One run of the estimator; its state is valid, and a snapshot possible, at every yield.

    max_evals: includes the two evaluations of the game; an odd number is rounded down. Where it
    covers all coalitions, or all of the tree, the values are exact. target_standard_error: in units
    of the (linked) score; the run ends early when no player's standard error for any output exceeds
    it, checked after FIRST_CHECK pairs and then after every quarter more. sampling: "adaptive"
    draws the first pairs, DRAWN or DRAWN_BY_LOOKS for each player, and chooses the next ones, up to
    MOST_CHOSEN, by the scores so far; "random" draws all. solution_concept: "shapley", or "owen"
    for the Owen values of the players' tree, as Partition has them. interactions: 2 estimates those
    of pairs of players too, beside Shapley values. score_scale: "auto" models scores that are
    probabilities on a stretched scale (warped_process.py), "linear" none. seed: for the draw. A
    request's prior says whether the game expects something of its players. Raises BudgetError for
    more players than player_limits.py allows, RequestError for interactions beside Owen values.
    """

    drafts_within_steps: ClassVar[bool] = True

    def __init__(
        self,
        game: Game,
        *,
        max_evals: int,
        target_standard_error: float | None = None,
        sampling: Sampling = "adaptive",
        solution_concept: SolutionConcept = "shapley",
        interactions: InteractionOrder = 1,
        score_scale: ScoreScale = "auto",
        seed: int = 0,
    ) -> None:
        players, pairs = len(game.players), (max_evals - 2) // 2
        check_players("gaussian_process", players)
        owen = solution_concept == "owen"
        if interactions == 2:
            check_players_of_interactions(game.players)
            if owen:
                raise RequestError(
                    "interactions are of Shapley values; received the solution concept owen",
                    field="interactions",
                    received=interactions,
                    accepted=[1],
                )
        self._interactions = interactions
        self._scale = score_scale
        self._adaptive = sampling == "adaptive"
        share = DRAWN if game.expected is None else DRAWN_BY_LOOKS
        self._drawn = max(FIRST_CHECK, int(share * players)) if self._adaptive else pairs
        spare = 3 * min(pairs, MOST_CHOSEN) if pairs > self._drawn else 0
        self._index = OwenIndex.of(game.players) if owen else ShapleyIndex(players)
        members = self._index.draw(pairs + spare, np.random.default_rng(seed))
        self._game = game
        self._family = PriorFamily.of(game)
        self._pairs = PairedScores(game, members, pairs, self._index)
        self._target = target_standard_error
        self._logs: Scores | None = None  # of the prior by which pairs are chosen
        self._learnt = 0  # scores that it is fitted to
        self._estimate: Estimate | None = None  # of the scores known now

    @classmethod
    def of(cls, game: Game, request: Request) -> Self:
        """Set up a run from the settings of a request."""
        return cls(
            game,
            max_evals=request.max_evals,
            target_standard_error=request.target_standard_error,
            sampling=request.sampling,
            solution_concept=request.solution_concept,
            interactions=request.interactions,
            score_scale=request.score_scale,
            seed=request.seed,
        )

    @property
    def planned_evaluations(self) -> int:
        """Count the evaluations of a run that does not end early."""
        return 2 + 2 * len(self._pairs)

    def run(self) -> Steps:
        """Yield coalitions, each followed by its complement; return the attribution."""
        while (done := self._pairs.done) < len(self._pairs):
            if done >= FIRST_CHECK and self._is_sure():
                break
            count = min(self._step(), len(self._pairs) - done)
            if self._adaptive and self._drawn <= done < MOST_CHOSEN:
                self._choose(count)
            scores = yield self._pairs.next(count)
            self._pairs.add(scores)  # (2 P, K)
            self._estimate = None
        return self.snapshot()

    def _is_sure(self) -> bool:
        return self._target is not None and self._estimate_now().errors.max() <= self._target

    def _step(self) -> int:
        """Count the pairs to score before the scores are looked at."""
        done = self._pairs.done
        if self._target is not None:
            return min(CHUNK // 2, max(FIRST_CHECK, done // 4))
        if done < self._drawn:
            return min(CHUNK // 2, self._drawn - done)
        if done < MOST_CHOSEN:
            return min(CHUNK // 2, max(FIRST_CHECK, done // 2))
        return CHUNK // 2

    def _choose(self, count: int) -> None:
        """Prefer the pairs that tell most of the values, by a prior fitted to the scores so far."""
        members, _ = self._pairs.known()
        signs = np.where(members, 1.0, -1.0)
        learnt = min(len(signs), CHOICE_ROWS)
        if self._logs is None or learnt > RELEARNT * self._learnt:
            parts = [part[:learnt] for part in self._parts()]
            self._logs = self._family.learn_roughly(signs[:learnt], parts, self._logs)
            self._learnt = learnt
        prior = self._family.prior(self._logs)
        candidates = np.where(self._pairs.waiting[: max(CANDIDATES, count)], 1.0, -1.0)
        self._pairs.prefer(choose_pairs(prior, self._index, signs, candidates, count))

    def snapshot(self) -> Attribution:
        """Return the estimate from the pairs scored so far; before the first pair, even shares."""
        if self._pairs.done == 0 and not self._pairs.complete:
            players, change = len(self._game.players), self._game.scores - self._game.base_values
            return self._pairs.attribution(np.tile(change / players, (players, 1)))
        now, freedom = self._estimate_now(), 1 + self._pairs.done
        attribution = self._pairs.attribution(
            now.values,
            now.errors,
            freedom=freedom,
            widened=WIDENED,
            held_out_fidelity=self._fidelity(now.missed),
            drawn=self._drawn,
        )
        if self._interactions == 1:
            return attribution
        interactions = estimate_interactions(
            self._pairs.known()[0],
            self._pairs.known_scores().mean(axis=1),
            now.values,
            now.errors,
            complete=self._pairs.complete,
            reach=INTERACTIONS_WIDENED * quantile(freedom) if self._pairs.enough else None,
        )
        return replace(attribution, interactions=interactions)

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

    def _fidelity(self, missed: Scores) -> Scores | None:
        """Return the share of the odd part's mean square that other pairs predict: (K,), at most 1.

        None where no pair is scored, as the full coalition is no drawn one.
        """
        if not self._pairs.done:
            return None
        odd = self._pairs.odd()
        square, total = (missed[1:] ** 2).sum(axis=0), (odd**2).sum(axis=0)  # (K,)
        fidelity: Scores = 1 - np.divide(square, total, out=np.zeros_like(total), where=total > 0)
        return fidelity

    def _estimate_now(self) -> Estimate:
        if self._estimate is None:
            members, _ = self._pairs.known()
            family = self._family
            learn = family.learn_roughly if self._warped else family.learn
            logs = learn(np.where(members, 1.0, -1.0), self._parts(), self._logs)
            self._estimate = estimate(
                members,
                self._pairs.known_scores(),
                family.prior(logs),
                self._index,
                complete=self._pairs.complete,
                warped=self._warped,
                compared=self._game.compared,
            )
        return self._estimate

    @property
    def _warped(self) -> bool:
        """Return whether scores are modelled on the stretched scale."""
        return self._scale == "auto" and is_probability(self._probabilities())

    def _parts(self) -> Sequence[Scores]:
        """Return what the prior is learnt from, (N, K) each: the odd part, or that and the even.

        On the stretched scale the odd part of scores depends on both.
        """
        if self._warped:
            return stretched_parts(self._probabilities())[0]
        return [self._pairs.known()[1]]

    def _probabilities(self) -> Scores:
        return probabilities(self._pairs.known_scores(), compared=self._game.compared)
