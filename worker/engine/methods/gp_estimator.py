"""Values from the scores of pairs of coalitions: by processes, residuals, or exact.

There are up to three estimates, and each output takes the one with the smallest errors; where two
models are compared, both scores of a class and their difference take the same one:

- The Gaussian process of the odd part of the scores (gp_posterior.py).
- Where the scores are probabilities, a process on a stretched scale (warped_process.py). Its values
  are those of the first process, and of what it predicts beyond the first, divided among the
  players over drawn pairs as below. Its errors are those of the first process, times the distance
  of its predictions from held-out scores over that of the first, and those of the drawn pairs.
- A process takes time as the cube of the pairs. Beyond MAX_PAIRS it is fitted to the first
  MAX_PAIRS and predicts the others; its residuals are divided among the players as the value index
  divides what was drawn: by regression (leverage.py), or as a stratified mean (owen_index.py). That
  does not rely on the process being right, so it needs many more pairs to be better than the
  process alone.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from worker.engine.arrays import Credit, Mask, Scores
from worker.engine.methods.gp_posterior import Prior, compute_posterior
from worker.engine.methods.value_index import ValueIndex
from worker.engine.methods.warped_process import WarpedProcess
from worker.engine.outputs import SIDES

MAX_PAIRS = 2000  # a process of this many pairs takes seconds, and 32 MB per matrix
SUMMED = 8  # pairs for each known one, over which a warped process is summed
SUMMED_BETWEEN = (2000, 4000)  # of them, at least and at most; more change errors by 1 to 2 %
SUMMED_SEED = 2**32  # of these; no request has it, so they are no prefix of the pairs to score
ALIKE = 8  # pairs that count as missed as far by both, as few pairs tell them little apart
BLOCK = 512  # pairs that are predicted at a time, 8 MB a matrix


@dataclass(frozen=True, eq=False)
class Estimate:
    """Values of M players for K outputs.

    values: (M, K), positive where the player raises the score. errors: (M, K), standard errors.
    missed: (N, K), the odd part of the scores minus what other pairs predict.
    """

    values: Credit
    errors: Credit
    missed: Scores

    def nearer(self, other: "Estimate", *, compared: bool) -> "Estimate":
        """Take each output from the estimate with the smaller errors, on average over players.

        compared: whether outputs are in threes, which stay together, the last being the difference
        of the others. It decides.
        """
        gains = other.errors.mean(axis=0) < self.errors.mean(axis=0)  # (K,)
        if compared:
            gains = np.repeat(gains[SIDES - 1 :: SIDES], SIDES)
        return Estimate(
            np.where(gains, other.values, self.values),
            np.where(gains, other.errors, self.errors),
            np.where(gains, other.missed, self.missed),
        )


def estimate(
    members: Mask,
    scores: Scores,
    prior: Prior,
    index: ValueIndex,
    *,
    complete: bool,
    warped: bool,
    compared: bool = False,
) -> Estimate:
    """Estimate from members (N, M) of one coalition of each pair, and the scores (N, 2, K) of both.

    The first row is the full coalition. Those after MAX_PAIRS were drawn as the index draws.
    complete: whether no other pair has a weight, so that the values are exact. warped: whether the
    scores are probabilities, and the prior is of them on the stretched scale. compared: see Game.
    """
    fitted = _Fitted(members, (scores[:, 0] - scores[:, 1]) / 2, prior, index)
    found = fitted.by_process()
    if complete:
        return replace(found, values=fitted.exact(), errors=np.zeros_like(found.errors))
    if warped and len(members) > 1:
        found = found.nearer(fitted.by_warped_process(scores, compared), compared=compared)
    if len(members) > MAX_PAIRS:
        found = found.nearer(fitted.by_residuals(), compared=compared)
    return found


class _Fitted:
    """The process of the odd part (N, K) of scores, fitted to the first pairs."""

    def __init__(self, members: Mask, odd: Scores, prior: Prior, index: ValueIndex) -> None:
        self._members, self._odd, self._prior, self._index = members, odd, prior, index
        self._signs = np.where(members, 1.0, -1.0)
        self._first = self._signs[:MAX_PAIRS]
        self._process = compute_posterior(prior, index, self._first, odd[:MAX_PAIRS])

        def predict(block: Scores) -> Scores:
            smooth: Scores = prior.smooth(block, self._first) @ self._process.weights
            return smooth

        later = odd[MAX_PAIRS:] - _in_blocks(predict, self._signs[MAX_PAIRS:])
        in_sample = prior.rough * self._process.weights
        self._rest = np.concatenate([in_sample, later])  # (N, K), beyond the smooth part
        self._missed = np.concatenate([self._process.held_out, later])  # (N, K)

    def exact(self) -> Credit:
        """Return the values (M, K), with the scores of all pairs that have a weight known."""
        values: Credit = self._index.weights(self._signs).T @ self._odd
        return values

    def by_process(self) -> Estimate:
        return Estimate(self._process.values, self._process.errors, self._missed)

    def by_residuals(self) -> Estimate:
        values, errors = self._with_rest(self._members, self._rest, certain=MAX_PAIRS)
        return Estimate(values, errors, self._missed)

    def by_warped_process(self, scores: Scores, compared: bool) -> Estimate:
        warped = WarpedProcess(self._prior, self._first, scores[:MAX_PAIRS], compared=compared)

        def predict_rest(block: Scores) -> Scores:
            odd, even = self._prior.smooth_parts(block, self._first)
            rest: Scores = warped.predict(odd, even) - odd @ self._process.weights
            return rest

        others = self._draw_others()
        values, summing = self._with_rest(
            np.concatenate([self._members, others]),
            np.concatenate([self._rest, _in_blocks(predict_rest, np.where(others, 1.0, -1.0))]),
            certain=len(self._members),
        )
        later = self._rest[MAX_PAIRS:] - _in_blocks(predict_rest, self._signs[MAX_PAIRS:])
        missed = np.concatenate([self._odd[:MAX_PAIRS] - warped.held_out(), later])
        distance = _relative_distance(missed[1:], self._missed[1:])
        return Estimate(values, np.hypot(distance * self._process.errors, summing), missed)

    def _draw_others(self) -> Mask:
        """Draw pairs that are not known: the smaller coalitions, (P, M)."""
        count = int(np.clip(SUMMED * len(self._members), *SUMMED_BETWEEN))
        drawn = self._index.draw(count, np.random.default_rng(SUMMED_SEED))
        known = np.concatenate([self._members, ~self._members])
        rows = {row.tobytes() for row in np.packbits(known, axis=1)}
        new = [row.tobytes() not in rows for row in np.packbits(drawn, axis=1)]
        return drawn[np.array(new, dtype=np.bool_)]

    def _with_rest(self, members: Mask, rest: Scores, certain: int) -> tuple[Credit, Credit]:
        """Divide the smooth part, and what is beyond it at members, among the players."""
        values, errors = self._index.divide(members, rest, certain)
        return values + self._smooth_values, errors

    @cached_property
    def _smooth_values(self) -> Credit:
        values: Credit = (
            self._prior.smooth_values(self._index, self._first).T @ self._process.weights
        )
        return values


def _in_blocks(predict: Callable[[Scores], Scores], signs: Scores) -> Scores:
    """Predict at signs (B, M), some at a time: (B, K)."""
    blocks = np.split(signs, range(BLOCK, len(signs), BLOCK))
    return np.concatenate([predict(block) for block in blocks])


def _relative_distance(one: Scores, other: Scores) -> Scores:
    """Divide the root mean squares of columns (N, K), as if ALIKE more rows had other's: (K,)."""
    above, below = ((part**2).sum(axis=0) for part in (one, other))
    further = ALIKE / len(other) * below
    ratios = np.divide(above + further, below + further, out=np.ones_like(below), where=below > 0)
    roots: Scores = np.sqrt(ratios)
    return roots
