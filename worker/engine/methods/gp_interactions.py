"""Interactions of pairs of players from the even part of a game: by a process, or exact.

The pairs of coalitions that are scored for the Shapley values tell the even part at no further
evaluation. Beyond MAX_PAIRS scored pairs the process is of the first MAX_PAIRS alone.
"""

import numpy as np

from worker.engine.arrays import Credit, Indices, Mask, Scores
from worker.engine.interactions import Interactions, pairs_of
from worker.engine.methods.gp_estimator import MAX_PAIRS
from worker.engine.methods.gp_even_covariance import interaction_weights
from worker.engine.methods.gp_even_posterior import EvenPosterior, fit_even_prior

ROWS = 2048  # scores of which weights are computed at a time


def estimate_interactions(
    members: Mask,
    even: Scores,
    values: Credit,
    errors: Credit,
    *,
    complete: bool,
    reach: float | None,
) -> Interactions:
    """Estimate from members (N, M) of one coalition of each pair, and the even part (N, K) there.

    The first row is the full coalition; N >= 2, or 1 of a single player. values, errors: (M, K),
    the Shapley values and their standard errors. complete: whether the rows are all pairs, so that
    all is exact. reach: see Interactions. The odd and the even part are independent by their
    priors, so that variances add up.
    """
    signs, players = np.where(members, 1.0, -1.0), members.shape[1]
    pairs = pairs_of(players)
    if complete:
        found = _exact(signs, even, pairs)
        halves = np.zeros_like(values)
        np.add.at(halves, pairs, found[:, np.newaxis] / 2)
        return Interactions(
            pairs, found, np.zeros_like(found), values - halves, np.zeros_like(values), reach
        )
    signs, even = signs[:MAX_PAIRS], even[:MAX_PAIRS]
    posterior = EvenPosterior(
        fit_even_prior(signs, even, _importances(values, errors)), signs, even
    )
    found, found_errors = posterior.interactions(pairs.T)
    sums, sums_errors = posterior.row_sums()
    alone_errors = np.sqrt(errors**2 + sums_errors**2 / 4)
    return Interactions(pairs, found, found_errors, values - sums / 2, alone_errors, reach)


def _exact(signs: Scores, even: Scores, pairs: Indices) -> Credit:
    """Sum the even part (N, K) at all pairs of coalitions: (P, K)."""
    total = np.zeros((len(pairs), even.shape[1]))
    for start in range(0, len(signs), ROWS):
        rows = slice(start, start + ROWS)
        total += interaction_weights(signs[rows], pairs.T).T @ even[rows]
    return total


def _importances(values: Credit, errors: Credit) -> Scores:
    """Return the root mean square of players' Shapley values over outputs of equal scale: (M,)."""
    squares = values**2 + errors**2  # (M, K), expected
    scales = squares.mean(axis=0)
    shares = np.divide(squares, scales, out=np.ones_like(squares), where=scales > 0)
    importances: Scores = np.sqrt(np.maximum(shares.mean(axis=1), np.finfo(np.float64).tiny))
    return importances
