"""Regression of Shapley values on drawn pairs of coalitions, weighted by leverage.

Christopher Musco, R. Teal Witter, "Provably Accurate Shapley Value Estimation via Leverage Score
Sampling", 2025, https://arxiv.org/abs/2410.01917: Kernel SHAP's regression, where every pair also
counts for the pairs of its size that were not drawn.
"""

from math import comb

import numpy as np

from worker.engine.arrays import Credit, Mask, Scores
from worker.engine.methods.least_squares import fit_additive
from worker.engine.methods.pair_sampling import count_pairs


def regress_shapley(members: Mask, odd: Scores, certain: int) -> tuple[Credit, Credit]:
    """Estimate Shapley values and their standard errors, (M, K) each.

    members: (N, M), one coalition of each pair, the full one first. odd: (N, K), the odd part. The
    first `certain` rows were not drawn.
    """
    weights, undrawn = leverage_weights(members[1:], certain=certain - 1)
    fit = fit_additive(members[1:], weights, odd[1:], -odd[0], odd[0])
    return fit.values, np.sqrt((fit.influence**2 * undrawn) @ fit.residuals**2)


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
