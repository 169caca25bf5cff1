"""Chooses the pairs whose scores tell most of the values, in closed form.

The A-optimal choice of David Cohn, Zoubin Ghahramani, Michael Jordan, "Active Learning with
Statistical Models", 1996, https://arxiv.org/abs/cs/9603104, for the sum of the posterior variances
of all values. Greedy: after each choice, variances are those with its score known.
"""

import numpy as np
from scipy.linalg import cho_factor, cho_solve

from worker.engine.arrays import Indices, Scores
from worker.engine.methods.gp_posterior import Prior
from worker.engine.methods.value_index import ValueIndex

SMALLEST = 1e-9  # of the prior variance; what is left of scores that others determine


def choose_pairs(
    prior: Prior, index: ValueIndex, signs: Scores, candidates: Scores, count: int
) -> Indices:
    """Choose `count` of the candidates (B, M), given scores at signs (N, M): (count,) rows.

    All are signs, 1 for players that are in, of one coalition of each pair. The first is the pair
    that tells most.
    """
    factor = cho_factor(prior.known(signs))
    between = prior.smooth(signs, candidates)  # (N, B)
    explained = cho_solve(factor, between)
    variances = prior.score_variance() - (between * explained).sum(axis=0)  # (B,), that are left
    told = prior.values(index, candidates) - explained.T @ prior.values(index, signs)  # (B, M)

    chosen = np.empty(count, dtype=np.int64)
    usable = np.ones(len(candidates), dtype=np.bool_)
    factors = np.empty((count, len(candidates)))  # of what is left, as by a pivoted Cholesky factor
    for nth in range(count):
        squares = np.einsum("bm,bm->b", told, told)
        gains = np.where(usable, squares / np.maximum(variances, SMALLEST), -1)
        best = chosen[nth] = gains.argmax()
        usable[best] = False
        deviation = np.sqrt(max(variances[best], SMALLEST))
        known = explained[:, best] @ between + factors[:nth, best] @ factors[:nth]  # (B,)
        along = (prior.smooth(candidates[[best]], candidates)[0] - known) / deviation
        along[best] = deviation
        told -= np.outer(along, told[best] / deviation)
        variances -= along**2
        factors[nth] = along
    return chosen
