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
from worker.engine.methods.gp_covariance import shapley_weights
from worker.engine.methods.gp_posterior import compute_posterior, fit_prior
from worker.engine.methods.least_squares import fit_additive
from worker.engine.methods.pair_sampling import count_pairs

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


def estimate(members: Mask, odd: Scores, *, complete: bool) -> Estimate:
    """Estimate from members (N, M) of one coalition of each pair, and the odd part (N, K) there.

    The first row is the full coalition. The others were drawn by size, at random within a size.
    complete: whether the rows are all pairs, so that the values are exact.
    """
    signs = np.where(members, 1.0, -1.0)
    fitted = _by_process(signs, odd) if len(odd) <= MAX_PAIRS else _by_both(members, signs, odd)
    if not complete:
        return fitted
    values = shapley_weights(signs).T @ odd
    return Estimate(values, np.zeros_like(values), fitted.held_out_fidelity)


def _by_process(signs: Scores, odd: Scores) -> Estimate:
    found = compute_posterior(fit_prior(signs, odd), signs, odd)
    return Estimate(found.values, found.errors, _fidelity(odd, found.held_out))


def _by_both(members: Mask, signs: Scores, odd: Scores) -> Estimate:
    first = signs[:MAX_PAIRS]
    prior = fit_prior(first, odd[:MAX_PAIRS])
    found = compute_posterior(prior, first, odd[:MAX_PAIRS])
    missed = odd - prior.smooth(signs, first) @ found.weights  # (N, K)
    weights, undrawn = _weigh(members[1:], certain=MAX_PAIRS - 1)
    rest = fit_additive(members[1:], weights, missed[1:], -missed[0], missed[0])
    values = prior.smooth_shapley(first).T @ found.weights + rest.values  # (M, K)
    errors = np.sqrt((rest.influence**2 * undrawn) @ rest.residuals**2)
    gains = errors.mean(axis=0) < found.errors.mean(axis=0)  # (K,)
    held_out = np.concatenate([found.held_out, missed[MAX_PAIRS:]])
    return Estimate(
        values=np.where(gains, values, found.values),
        errors=np.where(gains, errors, found.errors),
        held_out_fidelity=_fidelity(odd, held_out),
    )


def _weigh(members: Mask, certain: int) -> tuple[Scores, Scores]:
    """Weigh the smaller coalitions of pairs (P, M): weights, and 1 - probability of a draw, (P,).

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


def _fidelity(odd: Scores, held_out: Scores) -> Scores | None:
    """Compare the residuals of left-out pairs (N, K) with the odd part (N, K): (K,).

    The first row, the full coalition, is left out, as it was not drawn. None without drawn pairs.
    """
    if len(odd) == 1:
        return None
    missed, total = (held_out[1:] ** 2).sum(axis=0), (odd[1:] ** 2).sum(axis=0)  # (K,)
    fidelity: Scores = 1 - np.divide(missed, total, out=np.zeros_like(total), where=total > 0)
    return fidelity
