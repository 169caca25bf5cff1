"""Scores of pairs of complementary coalitions, and the attribution made from them."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np

from worker.engine.arrays import Credit, Indices, Mask, Scores
from worker.engine.attribution import Attribution
from worker.engine.game.coalitions import Coalitions
from worker.engine.methods.even_energy import even_energy
from worker.engine.methods.protocol import Game
from worker.engine.methods.ridge import fit_roughly
from worker.engine.methods.value_index import ShapleyIndex, ValueIndex
from worker.engine.regions import Regions, quantile


class PairedScores:
    """The scores of P pairs of coalitions, of which the first `done` are scored.

    members: (at least P, M) bool, one coalition of each pair; those after the first P wait to be
    preferred. The pair of the full and the empty coalition is known from the game and not among
    them. planned: P; by default all of members. index: the values that are estimated, by default
    Shapley's; members are only pairs that have a weight in them.
    """

    def __init__(
        self,
        game: Game,
        members: Mask,
        planned: int | None = None,
        index: ValueIndex | None = None,
    ) -> None:
        self._game = game
        self._index = index or ShapleyIndex(len(game.players))
        self._members = members
        self._planned = len(members) if planned is None else min(planned, len(members))
        self._scores = np.empty((self._planned, 2, len(game.scores)))  # (P, 2, K)
        self.done = 0

    def __len__(self) -> int:
        return self._planned

    @property
    def waiting(self) -> Mask:
        """Return the members of the pairs that are not scored, in their order."""
        return self._members[self.done :]

    def prefer(self, rows: Indices) -> None:
        """Move rows of `waiting` to its front."""
        rest = np.delete(self.waiting, rows, axis=0)
        self._members[self.done :] = np.concatenate([self.waiting[rows], rest])

    @property
    def complete(self) -> bool:
        """Return whether all pairs that have a weight in the values are scored."""
        return self.done == self._index.pairs

    @property
    def enough(self) -> bool:
        """Return whether the scored pairs are all, or at least half as many as players."""
        return self.complete or 2 * self.done >= len(self._game.players)

    def next(self, pairs: int) -> Coalitions:
        """Return the coalitions of the next pairs, each followed by its complement: (2 P, M)."""
        members = self._members[self.done : min(self.done + pairs, self._planned)]
        both = np.stack([members, ~members], axis=1).reshape(-1, members.shape[1])
        return self._game.players.coalitions(both)

    def add(self, scores: Scores) -> None:
        """Store the scores (2 P, K) of the coalitions that `next` gave."""
        pairs = len(scores) // 2
        self._scores[self.done : self.done + pairs] = scores.reshape(pairs, 2, scores.shape[1])
        self.done += pairs

    def keep(self, scores: Scores) -> int:
        """Store the whole pairs among the first scores (B, K) of a step; count their coalitions."""
        whole = len(scores) // 2 * 2
        self.add(scores[:whole])
        return whole

    @contextmanager
    def early(self, scores: Scores) -> Iterator[None]:
        """Count the whole pairs among the first scores (B, K) of a step as scored for a while."""
        done = self.done
        self.keep(scores)
        try:
            yield
        finally:
            self.done = done

    def odd(self) -> Scores:
        """Return the odd part of the scored pairs: (P, K)."""
        odd: Scores = (self._scores[: self.done, 0] - self._scores[: self.done, 1]) / 2
        return odd

    def known(self) -> tuple[Mask, Scores]:
        """Return the members (N, M) and odd part (N, K) of the known pair, then the scored ones."""
        full = np.ones((1, self._members.shape[1]), dtype=np.bool_)
        ends = (self._game.scores - self._game.base_values) / 2
        members = np.concatenate([full, self._members[: self.done]])
        return members, np.concatenate([ends[np.newaxis], self.odd()])

    def known_scores(self) -> Scores:
        """Return the scores of the coalitions of `known` and of their complements: (N, 2, K)."""
        ends = np.stack([self._game.scores, self._game.base_values])
        return np.concatenate([ends[np.newaxis], self._scores[: self.done]])

    def draft(self, weights: Scores, outputs: int) -> Credit | None:
        """Return rough values (H, W, C, K) of the first outputs; None before a pair is scored.

        weights: (P,), of the scored pairs.
        """
        if not self.done:
            return None
        total, odd = (self._game.scores - self._game.base_values)[:outputs], self.odd()[:, :outputs]
        values = fit_roughly(self._members[: self.done], weights, odd, total)
        return self._game.players.spread(values)

    def attribution(
        self,
        values: Credit,
        errors: Credit | None = None,
        *,
        freedom: float = np.inf,
        widened: float = 1.0,
        held_out_fidelity: Scores | None = None,
        weights: Scores | None = None,
        steady_from: int | None = None,
        drawn: int | None = None,
    ) -> Attribution:
        """Report values and standard errors (M, K) of the players as estimates of the index.

        freedom: degrees of freedom of the errors; 95 % intervals use Student's t with them.
        widened: a further factor of the intervals. With fewer pairs than half the players no
        intervals are given. weights: (P,), of the scored pairs in the even energy, by default
        equal. held_out_fidelity, steady_from: see Attribution. drawn: the number of first pairs
        that were drawn, not chosen, so that they stand for the game in the even energy; None: all.
        """
        game, (one, other) = self._game, self._scores[: self.done].swapaxes(0, 1)  # (P, K)
        return Attribution(
            values=game.players.spread(values),
            base_values=game.base_values,
            scores=game.scores,
            evaluations=2 + 2 * self.done,
            unresolved=self._unresolved(),
            solution_concept=self._index.concept,
            regions=Regions(
                game.players.labels,
                values,
                players=np.ones(len(values), dtype=np.int64),
                errors=errors,
                reach=self._reach(errors, widened * quantile(freedom)),
            ),
            exact=self.complete,
            players=game.players.superpixel_labels,
            standard_errors=None if errors is None else game.players.spread(errors),
            held_out_fidelity=held_out_fidelity,
            even_energy=even_energy(one[:drawn], other[:drawn], weights) if self.done else None,
            steady_from=steady_from,
        )

    def _reach(self, errors: Credit | None, factor: float) -> Callable[[], Credit] | None:
        """Return half-widths, `factor` times the errors (M, K); None where pairs are too few."""
        if errors is None or not self.enough:
            return None
        return lambda: errors if self.complete else factor * errors

    def _unresolved(self) -> float:
        """Return `unresolved`; players in the same coalitions of all scored pairs share credit."""
        players = self._game.players
        seen = np.packbits(self._members[: self.done], axis=0)  # (P / 8, M)
        _, group = np.unique(seen, axis=1, return_inverse=True)  # (M,)
        together: Scores = np.bincount(group.ravel(), weights=players.sizes).astype(np.float64)
        return players.unresolved(together)
