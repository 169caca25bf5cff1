"""Shapley values from the odd part of a game at any number of pairs: process, regression, or exact.

A Gaussian process takes time as the cube of the pairs. Beyond MAX_PAIRS it is fitted to the first
MAX_PAIRS and predicts the others; its residuals are divided among the players by the
leverage-weighted least squares of Christopher Musco, R. Teal Witter, "Provably Accurate Shapley
Value Estimation via Leverage Score Sampling", 2025, https://arxiv.org/abs/2410.01917: Kernel SHAP's
regression, where every pair also counts for the pairs of its size that were not drawn. The
regression does not rely on the process being right, so it needs many more pairs to be better than
the process alone. Each output takes the values of the one with the smaller errors.
"""

from dataclasses import dataclass
from math import comb

import numpy as np

from worker.engine.arrays import Credit, Mask, Scores
from worker.engine.methods.gp_posterior import compute_posterior, fit_prior
from worker.engine.methods.least_squares import fit_additive
from worker.engine.methods.pair_sampling import count_pairs
from worker.engine.methods.value_index import ValueIndex

MAX_PAIRS = 2000  # a process of this many pairs takes seconds, and 32 MB per matrix


@dataclass(frozen=True, eq=False)
class Estimate:
    """Shapley values of M players for K outputs.

    values: (M, K), positive where the player raises the score. errors: (M, K), standard errors.
    held_out_fidelity: (K,), the share of the odd part's mean square that is predicted for a pair
    from the others, at most 1; None where no pair was drawn.
    """

    values: Credit
    errors: Credit
    held_out_fidelity: Scores | None


def estimate(members: Mask, odd: Scores, index: ValueIndex, *, complete: bool) -> Estimate:
    """Estimate from members (N, M) of one coalition of each pair, and the odd part (N, K) there.

    The first row is the full coalition. The others were drawn by size, at random within a size.
    complete: whether the rows are all pairs, so that the values are exact.
    """
    signs = np.where(members, 1.0, -1.0)
    first = signs[:MAX_PAIRS]
    prior = fit_prior(first, odd[:MAX_PAIRS])
    process = compute_posterior(prior, index, first, odd[:MAX_PAIRS])
    values, errors, held_out = process.values, process.errors, process.held_out

    if len(odd) > MAX_PAIRS:
        missed = odd - prior.smooth(signs, first) @ process.weights  # (N, K)
        weights, undrawn = leverage_weights(members[1:], certain=MAX_PAIRS - 1)
        rest = fit_additive(members[1:], weights, missed[1:], -missed[0], missed[0])
        regressed = prior.smooth_values(index, first).T @ process.weights + rest.values  # (M, K)
        regression_errors = np.sqrt((rest.influence**2 * undrawn) @ rest.residuals**2)
        gains = regression_errors.mean(axis=0) < errors.mean(axis=0)  # (K,)
        values = np.where(gains, regressed, values)
        errors = np.where(gains, regression_errors, errors)
        held_out = np.concatenate([held_out, missed[MAX_PAIRS:]])

    if complete:
        values = index.weights(signs).T @ odd
        errors = np.zeros_like(values)

    fidelity = None
    if len(odd) > 1:  # the first row, the full coalition, was not drawn
        square, total = (held_out[1:] ** 2).sum(axis=0), (odd[1:] ** 2).sum(axis=0)  # (K,)
        fidelity = 1 - np.divide(square, total, out=np.zeros_like(total), where=total > 0)
    return Estimate(values, errors, fidelity)


def leverage_weights(members: Mask, certain: int) -> tuple[Scores, Scores]:
    """Return the weights (P,) of pairs, and 1 - the probability that each is drawn, (P,).

    members: (P, M), the smaller coalition of each pair.

    The first `certain` pairs stand for themselves; the others also for those of their size that
    were not drawn, by the weights of Kernel SHAP over the probability of a draw.
    """
    players, sizes = members.shape[1], members.sum(axis=1)
    weights, undrawn = np.empty(len(sizes)), np.zeros(len(sizes))
    for size in np.unique(sizes).tolist():
        of_size = np.flatnonzero(sizes == size)
        drawn = of_size[of_size >= certain]
        left = count_pairs(players, size) - len(of_size) + len(drawn)
        mass = comb(players, size) * size * (players - size)
        weights[of_size] = 1 / mass
        if len(drawn):
            weights[drawn] = left / (len(drawn) * mass)  # of whole numbers without limit
            undrawn[drawn] = 1 - len(drawn) / left
    return weights, undrawn
