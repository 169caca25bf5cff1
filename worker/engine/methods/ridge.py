"""The additive game behind few scores of a game, by a prior: regression that does not explode.

Arthur Hoerl, Robert Kennard, "Ridge regression: biased estimation for nonorthogonal problems",
1970, https://doi.org/10.1080/00401706.1970.10488634. With about as many scores as players, least
squares follow every score exactly, and what is not additive in them is blown up into values many
times too large (Mikhail Belkin et al., "Reconciling modern machine-learning practice and the
classical bias-variance trade-off", 2019, https://doi.org/10.1073/pnas.1903070116).

The prior: what players are worth beyond the even share is drawn from one normal distribution, and
so is what is not additive in each score. How much of the scores is additive, as odds, is unknown:
its logarithm has a Cauchy distribution about that of ODDS, which image games have about, of scale
1. As its tails are long, a game that is a sum is given back as it is, and of one that is all noise
the even share is. Values are posterior means over a grid of the odds.

Errors take nothing of the prior for granted but the odds: they are those of the jackknife (see
kernel.py), of what the prior holds back, and of not knowing the odds.
"""

from dataclasses import dataclass

import numpy as np

from worker.engine.arrays import Credit, Mask, Scores

ODDS = 3.0  # additive to not additive variance of a score
GRID = np.logspace(-8, 18, 131)  # of odds, over ODDS
NEGLIGIBLE = 1e-6  # of a posterior probability


@dataclass(frozen=True, eq=False)
class RidgeFit:
    """An additive game fitted to B coalitions of M players, for K outputs.

    values: (M, K) float64; they sum to the change from end to end. errors: (M, K), their standard
    errors. held_out: (B, K), the residual each score would have if it alone were left out.
    """

    values: Credit
    errors: Credit
    held_out: Scores


def fit_ridge(
    members: Mask, weights: Scores, scores: Scores, base_values: Scores, full_scores: Scores
) -> RidgeFit:
    """Fit by the prior, with the scores of the empty and the full coalition exact.

    members: (B, M), who is in, B >= 1. weights: (B,) > 0, of which only the proportions count.
    scores: (B, K). base_values and full_scores: (K,). As in fit_additive, values are fitted as what
    they differ from the even share.
    """
    (B, M), K = members.shape, scores.shape[1]
    total, in_share = full_scores - base_values, members.mean(axis=1, keepdims=True)  # (K,), (B, 1)
    root = np.sqrt(weights / weights.mean())[:, np.newaxis]
    targets = root * (scores - base_values - in_share * total)  # (B, K)
    left, stretch, right = np.linalg.svd(root * (members - in_share), full_matrices=False)
    kept = stretch > max(B, M) * np.finfo(np.float64).eps * stretch.max(initial=0)
    left, stretch, right = left[:, kept], stretch[kept], right[kept]  # (B, R), (R,), (R, M)
    along = left.T @ targets  # (R, K)
    across = np.maximum((targets**2).sum(axis=0) - (along**2).sum(axis=0), 0)  # (K,)

    # A centred row has a squared length of about M / 4, so odds of 1 are a variance of 4 / M each.
    ratios = ODDS * GRID * 4 / M  # (G,), of a player's variance to a score's
    kept_back = 1 / (1 + ratios[:, np.newaxis] * stretch**2)  # (G, R)
    noise = (kept_back @ along**2 + across) / B  # (G, K), variance of a score at each ratio
    posterior = _posterior(kept_back, noise, B)  # (G, K)

    no_row_sees = np.maximum(1 - 1 / M - (right**2).sum(axis=0), 0) * (len(right) < M - 1)  # (M,)
    values, errors, held_out = np.empty((M, K)), np.empty((M, K)), np.empty((B, K))
    for k in range(K):
        likely = posterior[:, k] > NEGLIGIBLE
        chance = posterior[likely, k] / posterior[likely, k].sum()  # (G',)
        followed = 1 - kept_back[likely]  # (G', R), shares of the least-squares solution
        fits = followed / stretch * along[:, k]  # (G', R)
        fit, mean_followed = chance @ fits, chance @ followed  # (R,)
        values[:, k] = total[k] / M + right.T @ fit
        leverages = (left**2) @ mean_followed  # (B,)
        held_out[:, k] = (targets[:, k] - left @ (stretch * fit)) / np.maximum(1 - leverages, 1e-12)
        influence = right.T * (mean_followed / stretch) @ left.T  # (M, B)
        unseen = no_row_sees + (right**2).T @ (1 - mean_followed) ** 2  # (M,)
        prior = chance @ (noise[likely, k] * ratios[likely])  # a player's variance
        variance = (
            influence**2 @ held_out[:, k] ** 2
            + prior * unseen
            + chance @ ((fits - fit) @ right) ** 2
        )
        errors[:, k] = np.sqrt(variance)
    return RidgeFit(values, errors, held_out / root)


def _posterior(kept_back: Scores, noise: Scores, count: int) -> Scores:
    """Give the probability of each of the ratios, (G, K), by the evidence of B scores."""
    evidence = np.log(kept_back).sum(axis=1, keepdims=True) / 2  # (G, 1)
    evidence = evidence - count / 2 * np.log(np.maximum(noise, np.finfo(np.float64).tiny))
    cauchy = -np.log1p(np.log(GRID) ** 2)[:, np.newaxis]
    likelihood = evidence + cauchy
    chances = np.exp(likelihood - likelihood.max(axis=0))
    posterior: Scores = chances / chances.sum(axis=0)
    return posterior
