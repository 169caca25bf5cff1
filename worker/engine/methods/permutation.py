"""Permutation SHAP: each player's change of the score, averaged over orders and their reverses.

Javier Castro, Daniel Gómez, Juan Tejada, "Polynomial calculation of the Shapley value based on
sampling", 2009, https://doi.org/10.1016/j.cor.2008.04.004, sampled orders. Rory Mitchell et al.,
"Sampling permutations for Shapley value estimation", 2022,
https://jmlr.org/papers/v23/21-0439.html, measured the gain of antithetic, reversed orders. Scott
Lundberg, PermutationExplainer, in shap,
https://shap.readthedocs.io/en/latest/generated/shap.PermutationExplainer.html.

A pass switches the players on one after the other; each is credited with the change of the score.
A permutation is two passes, the second in the opposite order: shap switches the players off in the
same order instead, which sees the same coalitions and gives the same credit.

Superpixels are put in uniformly random order, so the means estimate Shapley values. Pixels are put
in the order of the image tree's leaves, its branches swapped at random, so that the elements of
every part are consecutive: the means estimate Owen values of the image tree. For the same settings
and seed both equal shap 0.54's, which also draws from NumPy's legacy generator. shap 0.51 does so
for superpixels; for pixels it draws from numba's generator, which its `seed` does not set.
"""

from collections.abc import Iterator
from functools import partial
from itertools import islice
from typing import ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from worker.engine.arrays import Credit, Indices, Scores
from worker.engine.attribution import Attribution
from worker.engine.errors import BudgetError
from worker.engine.game.coalitions import CHUNK
from worker.engine.game.image_tree import splits
from worker.engine.game.players import Players
from worker.engine.methods.even_energy import even_energy
from worker.engine.methods.protocol import Game, Steps
from worker.engine.regions import Regions, quantile
from worker.engine.request import Request

PRIOR_SAMPLES = 3  # weight of all players' mean variance; chosen by benchmarks.coverage
Ranks = NDArray[np.int32]  # of players in an order, 0..M-1


class Permutation:
    """One run of Permutation SHAP; its state is valid, and a snapshot possible, at every yield.

    max_evals: as in shap, a permutation of M players counts as 2 M + 1, so that the same number
    gives the same values; it takes only 2 M - 2 evaluations, as the ends are known. seed: for the
    orders. Raises BudgetError where max_evals is too low for one permutation.
    """

    drafts_within_steps: ClassVar[bool] = True

    def __init__(self, game: Game, *, max_evals: int, seed: int = 0) -> None:
        players, cost = game.players, 2 * len(game.players) + 1  # evaluations of a permutation
        if max_evals < cost:
            advice = "fewer superpixels" if players.superpixels else "superpixels instead of pixels"
            raise BudgetError(
                f"max_evals is {max_evals}; permutation needs at least {cost}, which is 2 M + 1 "
                f"for the {len(players)} players of this picture. Increase max_evals, or use "
                f"{advice}",
                field="max_evals",
                received=max_evals,
                accepted={"minimum": cost},
            )
        self._game = game
        self._m = len(players)
        permutations, random = max_evals // cost, np.random.RandomState(seed)
        draw = _random_orders if players.superpixels else _tree_orders
        orders = islice(draw(players, random), permutations)
        passes = [ranks for order in orders for ranks in (order, self._m - 1 - order)]
        self._passes: Ranks = np.array(passes)  # (2 permutations, M)
        # Along every pass, from the empty coalition to the full one: (2 permutations, M + 1, K)
        self._paths: Scores = np.empty((2 * permutations, self._m + 1, len(game.scores)))
        self._paths[:, 0], self._paths[:, -1] = game.base_values, game.scores
        self._done = 0  # evaluations, without the two of the game

    @classmethod
    def of(cls, game: Game, request: Request) -> Self:
        """Set up a run from the settings of a request."""
        return cls(game, max_evals=request.max_evals, seed=request.seed)

    @property
    def planned_evaluations(self) -> int:
        """Count the evaluations of a whole run: 2 M - 2 a permutation, and the two of the game."""
        return 2 + len(self._passes) * (self._m - 1)

    def run(self) -> Steps:
        """Yield the coalitions of pass after pass, from one player on; return the attribution."""
        inner = self._m - 1  # coalitions of a pass; its two ends are known
        while left := len(self._passes) * inner - self._done:
            pass_, before = self._next(min(left, CHUNK))
            members = self._passes[pass_] <= before[:, np.newaxis]  # (B, M)
            self._add((yield self._game.players.coalitions(members)))
        return self.snapshot()

    def snapshot(self) -> Attribution:
        """Return the mean over the finished passes; before the first ends, its credit so far."""
        paths = self._known_paths()  # (P, M + 1, K)
        credit = self._credit(paths)
        players, values = self._game.players, credit.mean(axis=0)  # (M, K)
        exact = self._m == 1 or (self._m == 2 and len(paths) > 1)  # all orders are there
        errors = np.zeros_like(values) if exact else _standard_errors(credit)
        regions = Regions(
            players.labels,
            values,
            players=np.ones(self._m, dtype=np.int64),
            errors=errors,
            reach=None if errors is None else partial(_reach, errors, len(credit) // 2),
        )

        even, permutations = None, len(paths) // 2
        if permutations and self._m > 1:  # pairs a coalition with its complement in the reverse
            inner = paths[: 2 * permutations, 1:-1]  # (2 permutations, M - 1, K)
            there, back = inner[::2], inner[1::2, ::-1]
            outputs = paths.shape[2]
            even = even_energy(there.reshape(-1, outputs), back.reshape(-1, outputs))
        return Attribution(
            values=players.spread(values),
            base_values=self._game.base_values,
            scores=self._game.scores,
            evaluations=2 + self._done,
            unresolved=self._unresolved(),
            solution_concept=(
                "Shapley values"
                if players.superpixels
                else "Owen values of a fixed binary image tree"
            ),
            regions=regions,
            exact=exact,
            players=players.superpixel_labels,
            standard_errors=None if errors is None else players.spread(errors),
            even_energy=even,
        )

    def keep(self, scores: Scores) -> int:
        """Take the first scores of a step that is stopped."""
        self._add(scores)
        return len(scores)

    def draft(self, outputs: int, early: Scores) -> Credit | None:
        """Return the values so far; None before the first coalition is scored."""
        done = self._done
        self._add(early)
        try:
            if not self._done:
                return None
            credit = self._credit(self._known_paths()[..., :outputs])
            return self._game.players.spread(credit.mean(axis=0))
        finally:
            self._done = done

    def _next(self, count: int) -> tuple[Indices, Indices]:
        """Return the next coalitions' passes (count,), and how many players precede the last."""
        pass_, before = np.divmod(np.arange(self._done, self._done + count), self._m - 1)
        return pass_, before

    def _add(self, scores: Scores) -> None:
        """Store the scores (B, K) of the next coalitions."""
        pass_, before = self._next(len(scores))
        self._paths[pass_, before + 1] = scores
        self._done += len(scores)

    def _credit(self, paths: Scores) -> Credit:
        """Return each player's change of the score along each of the first passes: (P, M, K).

        paths: (P, M + 1, K), the scores along them.
        """
        changes = np.diff(paths, axis=1)  # (P, M, K), by rank
        ranks = self._passes[: len(paths), :, np.newaxis]
        credit: Credit = np.take_along_axis(changes, ranks, axis=1)
        return credit

    @property
    def _finished(self) -> int:
        """Count the passes that are finished; a single player's need no evaluation."""
        return self._done // (self._m - 1) if self._m > 1 else len(self._passes)

    def _known_paths(self) -> Scores:
        """Return the scores along the finished passes, or else along the first: (P, M + 1, K).

        The unknown rest of the first is a straight line, so its credit is spread evenly.
        """
        paths = self._paths[: max(1, self._finished)].copy()
        if not self._finished:
            known, end = paths[0, self._done], paths[0, -1]  # (K,)
            paths[0, self._done :] = np.linspace(known, end, self._m + 1 - self._done)
        return paths

    def _unresolved(self) -> float:
        """Return `unresolved`; players on the straight line of _known_paths share one credit."""
        players = self._game.players
        apart = players.sizes.astype(np.float64)
        if self._finished:
            return players.unresolved(apart)
        together = self._passes[0] >= self._done  # (M,)
        return players.unresolved(np.append(apart[~together], apart[together].sum()))


def _standard_errors(credit: Credit) -> Credit | None:
    """Estimate the standard error of the mean of credit (P, M, K): (M, K).

    The two passes of a permutation are dependent, so their mean is one sample. None before two
    permutations are finished: the passes of a single one, treated as independent samples, would
    give twice the error, as they are negatively correlated.
    """
    permutations = len(credit) // 2
    if permutations < 2:
        return None
    samples = credit[: 2 * permutations].reshape(permutations, 2, *credit.shape[1:]).mean(axis=1)
    errors: Credit = samples.std(axis=0, ddof=1) / np.sqrt(permutations)
    return errors


def _reach(errors: Credit, permutations: int) -> Credit:
    """Return half-widths of 95 % intervals by standard errors (M, K), for any sample size: (M, K).

    Few samples of a player may agree by chance, the more so as credit has long tails. So each
    variance is shrunk towards the mean variance of all players, which counts as PRIOR_SAMPLES
    samples; Student's t gets as many more degrees of freedom.
    """
    own, mean = errors**2, (errors**2).mean(axis=0)  # (M, K), (K,)
    freedom = permutations - 1 + PRIOR_SAMPLES
    variances = ((permutations - 1) * own + PRIOR_SAMPLES * mean) / freedom
    reach: Credit = quantile(freedom) * np.sqrt(variances)
    return reach


def _random_orders(players: Players, random: np.random.RandomState) -> Iterator[Ranks]:
    """Yield uniformly random orders without end, as the rank of each player: (M,)."""
    order = np.arange(len(players))
    while True:
        random.shuffle(order)  # shuffles the previous order, as shap does
        yield np.argsort(order).astype(np.int32)


def _tree_orders(players: Players, random: np.random.RandomState) -> Iterator[Ranks]:
    """Yield orders of the image tree's leaves without end, as the rank of each player: (M,).

    The branches of the tree are swapped at random.
    Every order takes one draw for each part, smaller parts before larger ones; a negative draw puts
    the left child first.
    """
    tree = players.tree
    halves = splits(tree)
    while True:
        left_first = dict(zip(halves, random.randn(len(halves)) < 0, strict=True))
        ranks = np.empty(players.shape, dtype=np.int32)  # of the elements
        stack, leaves = [tree.root], 0
        while stack:
            part = stack.pop()
            if part in halves:
                stack += halves[part][::-1] if left_first[part] else halves[part]
            else:
                ranks[tree.region(part)] = leaves
                leaves += 1
        of_players = np.empty(len(players), dtype=np.int32)  # elements of a player rank alike
        of_players[players.labels] = ranks.reshape(*players.labels.shape, -1)[..., 0]
        yield of_players
