"""A Gaussian process for the even part of a game: interactions of pairs and their standard errors.

Like that of the odd part (gp_posterior.py), a product kernel with learnt rates, one with equal
rates, and a rough part. The mean of the even part is not known and tells nothing of interactions:
scores are replaced by their contrasts, N - 1 combinations of N scores that do not depend on it.
"""

from dataclasses import dataclass

import numpy as np
from scipy.linalg import cho_factor, cho_solve

from worker.engine.arrays import Credit, Indices, Scores
from worker.engine.methods.gp_even_covariance import (
    even_covariance,
    even_covariance_slope,
    independent_interaction_variance,
    interaction_covariance,
    interaction_variance,
    interaction_weights,
)
from worker.engine.methods.gp_likelihood import (
    dots,
    find_likeliest,
    negative_log_likelihood,
    scaled,
)
from worker.engine.methods.prior_family import EQUAL_SUM, LEARNING_ROWS

BLOCK = 256  # interactions that are inferred at a time, 4 MB a matrix for 2000 scores

# Normal priors of the learnt parameters, as in prior_family.py: mean, deviation, lowest, highest
SUM = (0.4, 1.0, -4.0, 2.5)
EQUAL = (-1.0, 0.4, -12.0, 1.5)
ROUGH = (-5.0, 3.0, -13.0, 2.0)
RATE_RATIO = (0.9, -3.0, 3.0)  # without the mean
IMPORTANCE = 0.5  # power of players' importance that rates are expected to be proportional to


@dataclass(frozen=True, eq=False)
class EvenPrior:
    """Covariances of the even part of a game of M players, all up to a factor for each output.

    rates: (M,) > 0, of the product kernel. equal, rough: > 0, the variances of the second and of
    the third part, over that of the first.
    """

    rates: Scores
    equal: float
    rough: float

    @property
    def equal_rates(self) -> Scores:
        """Return the rates of the second part: (M,)."""
        return np.full_like(self.rates, EQUAL_SUM / len(self.rates))

    def smooth(self, signs: Scores, others: Scores) -> Scores:
        """Return the covariances without the rough part, for signs (N, M) and (B, M): (N, B)."""
        equal = even_covariance(signs, others, self.equal_rates)
        return even_covariance(signs, others, self.rates) + self.equal * equal


@dataclass(frozen=True, eq=False)
class Sums:
    """F weighted sums over the even part of a game, their covariances up to factors.

    weights: (N, F), of the scored pairs, which are also their covariances with the rough part, over
    its variance. smooth: (N, F), their covariances with the scores without the rough part.
    variances: (F,).
    """

    weights: Scores
    smooth: Scores
    variances: Scores


def interaction_sums(prior: EvenPrior, signs: Scores, pairs: Indices) -> Sums:
    """Return the interactions SII_ij of pairs (2, P) of players, for scores at signs (N, M)."""
    variances = interaction_variance(prior.rates, pairs)
    variances += prior.equal * interaction_variance(prior.equal_rates, pairs)
    variances += prior.rough * independent_interaction_variance(signs.shape[1])
    equal = interaction_covariance(signs, prior.equal_rates, pairs)
    smooth = interaction_covariance(signs, prior.rates, pairs) + prior.equal * equal
    return Sums(interaction_weights(signs, pairs), smooth, variances)


def row_sums(prior: EvenPrior, signs: Scores) -> Sums:
    """Return every player's sum of interactions, for scores at signs (N, M).

    sum_j SII_ij = 4 sum_{even U with i} b_U, which is twice the difference of the even part at all
    players and at all but i.
    """
    players = signs.shape[1]
    everybody = np.ones((1, players))
    all_but_one = everybody - 2 * np.eye(players)  # (M, M)
    is_full = np.abs(signs.sum(axis=1, keepdims=True)) == players  # (N, 1)
    is_all_but = np.abs(signs @ all_but_one.T) == players  # (N, M)
    smooth = prior.smooth(signs, everybody) - prior.smooth(signs, all_but_one)
    alike = prior.smooth(everybody, all_but_one)[0]  # (M,)
    variances = 8 * (1 + prior.equal - alike + prior.rough)
    return Sums(2.0 * is_full - 2.0 * is_all_but, 2 * smooth, variances)


class EvenPosterior:
    """The posterior of the even part, given its N scores (N, K) at signs (N, M); N >= 2."""

    def __init__(self, prior: EvenPrior, signs: Scores, even: Scores) -> None:
        self._prior, self._signs = prior, signs
        self._smooth = contrasts(contrasts(prior.smooth(signs, signs)).T)
        self._gram = self._smooth + prior.rough * np.eye(len(self._smooth))
        self._factor = cho_factor(self._gram)
        self._scores = contrasts(even)
        self._weights = cho_solve(self._factor, self._scores)
        self._amplitudes = dots(self._scores, self._weights) / len(self._scores)  # (K,)

    def interactions(self, pairs: Indices) -> tuple[Credit, Credit]:
        """Return means and standard deviations of SII_ij for pairs (2, P): two (P, K)."""
        blocks = np.split(pairs, range(BLOCK, pairs.shape[1], BLOCK), axis=1)
        found = [self._infer(interaction_sums(self._prior, self._signs, b)) for b in blocks]
        values, errors = zip(*found, strict=True)
        return np.concatenate(values), np.concatenate(errors)

    def row_sums(self) -> tuple[Credit, Credit]:
        """Return means and standard deviations of every player's sum_j SII_ij: two (M, K)."""
        return self._infer(row_sums(self._prior, self._signs))

    def _infer(self, sums: Sums) -> tuple[Credit, Credit]:
        """Add the known pairs' share exactly and infer the rest, as compute_posterior does."""
        known = contrasts(sums.weights)  # (N - 1, F)
        rest = contrasts(sums.smooth) - self._smooth @ known
        influence = cho_solve(self._factor, rest)
        explained = dots(known, self._gram @ known + 2 * rest) + dots(rest, influence)
        variances = np.maximum(sums.variances - explained, 0)[:, np.newaxis] * self._amplitudes
        return known.T @ self._scores + rest.T @ self._weights, np.sqrt(variances)


def contrasts(rows: Scores) -> Scores:
    """Return N - 1 orthonormal combinations of N rows, each zero for equal rows: (N - 1, ...)."""
    return _reflect(rows)[1:]


def fit_even_prior(signs: Scores, even: Scores, importances: Scores) -> EvenPrior:
    """Find the likeliest prior for the even part (N, K) at signs (N, M).

    importances: (M,) > 0, of the players alone, by which rates are expected to differ. All outputs
    share the prior, but for their amplitudes.
    """
    signs, even = signs[:LEARNING_ROWS], even[:LEARNING_ROWS]
    targets = scaled(contrasts(even))
    expected = importances**IMPORTANCE
    ratios = [(log, *RATE_RATIO) for log in np.log(expected / expected.mean()).clip(-2, 2)]
    loss = lambda logs: _loss(_prior(logs), signs, targets)  # noqa: E731
    return _prior(find_likeliest(loss, np.array([SUM, EQUAL, ROUGH, *ratios])))


def _prior(logs: Scores) -> EvenPrior:
    """Build the prior from logs (3 + M,): of the sum of rates, equal, rough, and rate ratios."""
    total, equal, rough, *ratios = np.exp(logs)
    return EvenPrior(total * np.array(ratios) / len(ratios), equal, rough)


def _loss(prior: EvenPrior, signs: Scores, targets: Scores) -> tuple[float, Scores]:
    """Return -log(likelihood) of contrasts (N - 1, K) and its slope by the logs."""
    equal = prior.equal * even_covariance(signs, signs, prior.equal_rates)
    smooth = contrasts(contrasts(even_covariance(signs, signs, prior.rates) + equal).T)
    gram = smooth + prior.rough * np.eye(len(smooth))
    loss, (by_gram,) = negative_log_likelihood([gram], [targets])
    by_scores = _reflect(_reflect(np.pad(by_gram, ((1, 0), (1, 0)))).T)  # (N, N)
    by_log_rates = prior.rates * even_covariance_slope(signs, prior.rates, by_scores)
    by_equal, by_rough = (by_scores * equal).sum(), prior.rough * np.trace(by_gram)
    return loss, np.array([by_log_rates.sum(), by_equal, by_rough, *by_log_rates])


def _reflect(rows: Scores) -> Scores:
    """Reflect so that equal rows (N, ...) become a multiple of the first; its own inverse."""
    normal = np.full(len(rows), 1 / np.sqrt(len(rows)))
    normal[0] += 1
    reflected: Scores = rows - np.outer(normal * 2 / (normal @ normal), normal @ rows)
    return reflected
