"""Fits an additive game to few scores of a game by a prior, which keeps the regression stable.

Arthur Hoerl, Robert Kennard, "Ridge regression: biased estimation for nonorthogonal problems",
1970, https://doi.org/10.1080/00401706.1970.10488634. With about as many scores as players, least
squares follow every score exactly, and the scores' non-additive part is amplified into values many
times too large (Mikhail Belkin et al., "Reconciling modern machine-learning practice and the
classical bias-variance trade-off", 2019, https://doi.org/10.1073/pnas.1903070116).

The prior: the players' worths beyond the even share are drawn from one normal distribution, the
non-additive parts of the scores from another. The odds of additive to non-additive variance are
unknown: their logarithm has a Cauchy distribution of scale 1 about that of ODDS, about the odds of
image games. As its tails are long, an additive game is returned unchanged, and pure noise gives the
even share. Values are posterior means over a grid of the odds.

Errors rely on the prior only for the odds. They combine the jackknife's (see kernel.py), the
shrinkage by the prior, and the uncertainty of the odds.
"""

from dataclasses import dataclass

import numpy as np

from worker.engine.arrays import Credit, Mask, Scores

ODDS = 3.0  # additive to non-additive variance of a score
GRID = np.logspace(-8, 18, 131)  # of odds, over ODDS
NEGLIGIBLE = 1e-6  # of a posterior probability
ROUNDING = 1e-12  # of the square of the scores


@dataclass(frozen=True, eq=False)
class RidgeFit:
    """An additive game fitted to B coalitions of M players, for K outputs.

    values: (M, K) float64; they sum to full_scores - base_values. errors: (M, K), their standard
    errors. held_out: (B, K), the residual of each score when it alone is left out of the fit.
    """

    values: Credit
    errors: Credit
    held_out: Scores


def fit_ridge(
    members: Mask, weights: Scores, scores: Scores, base_values: Scores, full_scores: Scores
) -> RidgeFit:
    """Fit by the prior, with the scores of the empty and the full coalition exact.

    members: (B, M), 1 or True for players that are in, B >= 1. weights: (B,) > 0; only their
    proportions matter. scores: (B, K). base_values and full_scores: (K,). As in fit_additive, the
    fit is of the values' differences from the even share.
    """
    (B, M), K = members.shape, scores.shape[1]
    total, in_share = full_scores - base_values, members.mean(axis=1, keepdims=True)  # (K,), (B, 1)
    root = np.sqrt(weights / weights.mean())[:, np.newaxis]
    targets = root * (scores - base_values - in_share * total)  # (B, K)
    left, stretch, right = np.linalg.svd(root * (members - in_share), full_matrices=False)
    kept = stretch > max(B, M) * np.finfo(np.float64).eps * stretch.max(initial=0)
    left, stretch, right = left[:, kept], stretch[kept], right[kept]  # (B, R), (R,), (R, M)
    along = left.T @ targets  # (R, K)
    square = (targets**2).sum(axis=0)  # (K,)
    across = square - (along**2).sum(axis=0)  # of what no additive game follows
    across = np.where(across > ROUNDING * square, across, 0)  # else last digits decide the odds

    # A centred row has a squared length of about M / 4, so odds of 1 are a variance of 4 / M each.
    ratios = ODDS * GRID * 4 / M  # (G,), of a player's variance to a score's
    shrinkage = 1 / (1 + ratios[:, np.newaxis] * stretch**2)  # (G, R)
    noise = (shrinkage @ along**2 + across) / B  # (G, K), variance of a score at each ratio
    posterior = _posterior(shrinkage, noise, B)  # (G, K)

    uncovered = np.maximum(1 - 1 / M - (right**2).sum(axis=0), 0) * (len(right) < M - 1)  # (M,)
    values, errors, held_out = np.empty((M, K)), np.empty((M, K)), np.empty((B, K))
    for k in range(K):
        likely = posterior[:, k] > NEGLIGIBLE
        chance = posterior[likely, k] / posterior[likely, k].sum()  # (G',)
        followed = 1 - shrinkage[likely]  # (G', R), shares of the least-squares solution
        fits = followed / stretch * along[:, k]  # (G', R)
        fit, mean_followed = chance @ fits, chance @ followed  # (R,)
        values[:, k] = total[k] / M + right.T @ fit
        leverages = (left**2) @ mean_followed  # (B,)
        held_out[:, k] = (targets[:, k] - left @ (stretch * fit)) / np.maximum(1 - leverages, 1e-12)
        influence = right.T * (mean_followed / stretch) @ left.T  # (M, B)
        unseen = uncovered + (right**2).T @ (1 - mean_followed) ** 2  # (M,)
        prior = chance @ (noise[likely, k] * ratios[likely])  # a player's variance
        variance = (
            influence**2 @ held_out[:, k] ** 2
            + prior * unseen
            + chance @ ((fits - fit) @ right) ** 2
        )
        errors[:, k] = np.sqrt(variance)
    return RidgeFit(values, errors, held_out / root)


def fit_roughly(members: Mask, weights: Scores, odd: Scores, total: Scores) -> Credit:
    """Fit to the odd part (P, K) of pairs by the prior with ODDS, for drafts: (M, K).

    members: (P, M), one coalition of each pair. weights: (P,) > 0; only their proportions matter.
    total: (K,), the sum of the values. It takes time as P M^2, and gives neither errors nor what
    the odds would be by the evidence; as pairs are added, the values approach those of fit_ridge.
    """
    M, in_share = members.shape[1], members.mean(axis=1, keepdims=True)  # (P, 1)
    rows, targets = members - in_share, odd + (0.5 - in_share) * total  # (P, M), (P, K)
    weighted = (weights / weights.mean())[:, np.newaxis] * rows
    gram = weighted.T @ rows + M / (4 * ODDS) * np.eye(M)
    values: Credit = total / M + np.linalg.solve(gram, weighted.T @ targets)
    return values


def _posterior(shrinkage: Scores, noise: Scores, count: int) -> Scores:
    """Return the posterior probability of each ratio, (G, K), by the evidence of B scores."""
    evidence = np.log(shrinkage).sum(axis=1, keepdims=True) / 2  # (G, 1)
    evidence = evidence - count / 2 * np.log(np.maximum(noise, np.finfo(np.float64).tiny))
    cauchy = -np.log1p(np.log(GRID) ** 2)[:, np.newaxis]
    likelihood = evidence + cauchy
    chances = np.exp(likelihood - likelihood.max(axis=0))
    posterior: Scores = chances / chances.sum(axis=0)
    return posterior
