"""Values from the odd part of a game at any number of pairs: process, residuals, or exact.

A Gaussian process takes time as the cube of the pairs. Beyond MAX_PAIRS it is fitted to the first
MAX_PAIRS and predicts the others; its residuals are divided among the players as the value index
divides what was drawn: by regression (leverage.py), or as a stratified mean (owen_index.py). That
does not rely on the process being right, so it needs many more pairs to be better than the process
alone. Each output takes the values of the one with the smaller errors.
"""

from dataclasses import dataclass

import numpy as np

from worker.engine.arrays import Credit, Mask, Scores
from worker.engine.methods.gp_posterior import Prior, compute_posterior
from worker.engine.methods.value_index import ValueIndex

MAX_PAIRS = 2000  # a process of this many pairs takes seconds, and 32 MB per matrix


@dataclass(frozen=True, eq=False)
class Estimate:
    """Values of M players for K outputs.

    values: (M, K), positive where the player raises the score. errors: (M, K), standard errors.
    held_out_fidelity: (K,), the share of the odd part's mean square that is predicted for a pair
    from the others, at most 1; None where no pair was drawn.
    """

    values: Credit
    errors: Credit
    held_out_fidelity: Scores | None


def estimate(
    members: Mask, odd: Scores, prior: Prior, index: ValueIndex, *, complete: bool
) -> Estimate:
    """Estimate from members (N, M) of one coalition of each pair, and the odd part (N, K) there.

    The first row is the full coalition. Those after MAX_PAIRS were drawn as
    the index draws. complete: whether no other pair has a weight, so that the values are exact.
    """
    signs = np.where(members, 1.0, -1.0)
    first = signs[:MAX_PAIRS]
    process = compute_posterior(prior, index, first, odd[:MAX_PAIRS])
    values, errors, held_out = process.values, process.errors, process.held_out

    if len(odd) > MAX_PAIRS:
        missed = odd - prior.smooth(signs, first) @ process.weights  # (N, K)
        rest, rest_errors = index.divide(members, missed, certain=MAX_PAIRS)  # (M, K)
        regressed = prior.smooth_values(index, first).T @ process.weights + rest
        gains = rest_errors.mean(axis=0) < errors.mean(axis=0)  # (K,)
        values = np.where(gains, regressed, values)
        errors = np.where(gains, rest_errors, errors)
        held_out = np.concatenate([held_out, missed[MAX_PAIRS:]])

    if complete:
        values = index.weights(signs).T @ odd
        errors = np.zeros_like(values)

    fidelity = None
    if len(odd) > 1:  # the first row, the full coalition, was not drawn
        square, total = (held_out[1:] ** 2).sum(axis=0), (odd[1:] ** 2).sum(axis=0)  # (K,)
        fidelity = 1 - np.divide(square, total, out=np.zeros_like(total), where=total > 0)
    return Estimate(values, errors, fidelity)
