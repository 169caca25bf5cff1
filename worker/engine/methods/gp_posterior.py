"""A Gaussian process for the odd part of a game: its values and their standard errors.

Carl Rasmussen and Christopher Williams, "Gaussian Processes for Machine Learning", 2006,
https://gaussianprocess.org/gpml/; numbers in brackets refer to its equations. The covariance is

    product kernel, its rates learnt  +  one with equal rates  +  rough,

where the last, independent for every pair, is a part of the game, not noise of the scores: so
values are exact where all pairs are known. The second allows unimportant players to interact;
without it, standard errors are too small. Its variance has a narrow prior, as the likelihood says
little about it; only an additive game makes it vanish. A further part joins in smooth,
smooth_values, variance and _loss; value_index.py gives its covariances with the values.

The values assume the likeliest prior; their errors do not. Games differ most in how much of them is
additive. So errors average over priors with a further additive part of unknown variance, weighted
by its likelihood. They include the variance that each leaves open, and the distance of its
posterior mean from the values.
"""

from dataclasses import dataclass

import numpy as np
from scipy.linalg import cho_factor, cho_solve, solve_triangular

from worker.engine.arrays import Credit, Scores
from worker.engine.methods.gp_covariance import covariance, covariance_slope
from worker.engine.methods.gp_likelihood import find_likeliest, negative_log_likelihood
from worker.engine.methods.value_index import ValueIndex

EQUAL_SUM = 6.0  # of the equal rates
ADDITIVE = (0.0, 3.0, 30.0, 300.0)  # variances of the further additive part, over the first part's
LEARNING_ROWS = 256  # scores at most; learning takes time as their cube

# Normal priors of the learnt parameters, within bounds that keep all numbers finite and all
# matrices regular: mean, standard deviation, lowest, highest
SUM = (0.4, 1.0, -4.0, 2.5)  # log of the sum of rates
EQUAL = (-0.6, 0.25, -12.0, 1.5)  # log of the variance of the second part, over that of the first
ROUGH = (-5.0, 3.0, -13.0, 2.0)  # the same of the third
RATE_RATIO = (0.0, 0.6, -3.0, 3.0)  # log of each rate over their mean


@dataclass(frozen=True, eq=False)
class Prior:
    """Covariances of the odd part of a game of M players, all up to a factor for each output.

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

    def rounded(self) -> "Prior":
        """Return the prior with all parameters rounded to powers of 2^(1/8).

        Other processors fit other last digits; by the rounded prior they choose the same pairs.
        """
        logs = np.log([*self.rates, self.equal, self.rough])
        *rates, equal, rough = np.exp2(np.round(8 * logs / np.log(2)) / 8).tolist()
        return Prior(np.array(rates), equal, rough)

    def smooth(self, signs: Scores, others: Scores) -> Scores:
        """Return the covariances without the rough part, for signs (N, M) and (B, M): (N, B)."""
        equal = covariance(signs, others, self.equal_rates)
        return covariance(signs, others, self.rates) + self.equal * equal

    def smooth_values(self, index: ValueIndex, signs: Scores) -> Scores:
        """Return the covariances with the values, without the rough part, for signs: (N, M)."""
        equal = index.covariance(signs, self.equal_rates)
        return index.covariance(signs, self.rates) + self.equal * equal

    def known(self, signs: Scores) -> Scores:
        """Return the covariances of the odd part at different pairs, for signs (N, M): (N, N)."""
        return self.smooth(signs, signs) + self.rough * np.eye(len(signs))

    def values(self, index: ValueIndex, signs: Scores) -> Scores:
        """Return the covariances of the odd part with the values, for signs (N, M): (N, M)."""
        return self.smooth_values(index, signs) + self.rough * index.weights(signs)

    def variance(self, index: ValueIndex) -> Scores:
        """Return the variances of the values: (M,)."""
        smooth = index.variance(self.rates) + self.equal * index.variance(self.equal_rates)
        return smooth + self.rough * index.independent_variance()


@dataclass(frozen=True, eq=False)
class Posterior:
    """The posterior of M values for each of K outputs, given N scores.

    values, errors: (M, K), means and standard deviations. held_out: (N, K), each score minus its
    prediction from the others. weights: (N, K), of the kernels centred on the scores.
    """

    values: Credit
    errors: Credit
    held_out: Scores
    weights: Scores


def compute_posterior(prior: Prior, index: ValueIndex, signs: Scores, odd: Scores) -> Posterior:
    """Condition the prior on the odd part (N, K) at signs (N, M); takes time as N^3.

    The known pairs' share of the values is added exactly, and only the rest is inferred, so that no
    digits are lost however small the rough part is.
    """
    smooth, known = prior.smooth(signs, signs), index.weights(signs)  # (N, N), (N, M)
    rest = prior.smooth_values(index, signs) - smooth @ known  # (N, M), with what is not known
    gram = smooth + prior.rough * np.eye(len(signs))
    factor = cho_factor(gram)
    precision = cho_solve(factor, np.eye(len(gram)))
    weights = precision @ odd
    influence = precision @ rest  # (N, M), beside what is known
    explained = _dots(known, gram @ known + 2 * rest) + _dots(rest, influence)
    variance = np.maximum(prior.variance(index) - explained, 0)  # (M,) [2.26]
    whitened = solve_triangular(factor[0], np.hstack([signs, odd]), trans="T")
    return Posterior(
        values=known.T @ odd + rest.T @ weights,  # [2.25]
        errors=_errors(variance, signs, whitened, known + influence),
        held_out=weights / np.diag(precision)[:, np.newaxis],  # [5.12]
        weights=weights,
    )


def _errors(variance: Scores, signs: Scores, whitened: Scores, influence: Scores) -> Credit:
    """Return the standard errors of influence.T @ odd, averaged over additive parts: (M, K).

    variance: (M,), of the values without an additive part. whitened: (N, M + K), signs and
    odd, transformed so that scores are independent with variance 1. A part with the weights b (M,)
    adds signs @ b to odd and 2 b to the exact values; the estimates miss
    (2 - influence.T @ signs) b.
    """
    N, M = signs.shape
    rows, targets = whitened[:, :M], whitened[:, M:]  # (N, M), (N, K)
    left, stretch, right = np.linalg.svd(rows, full_matrices=False)  # R = min(N, M) directions of b
    along = stretch[:, np.newaxis] * (left.T @ targets)  # (R, K)
    missed = 2 * right.T - influence.T @ (signs @ right.T)  # (M, R)
    uncovered = np.maximum(1 - (right**2).sum(axis=0), 0)  # (M,)
    likelihoods, squares = [], []
    for share in ADDITIVE:
        left_open = share / (M + share * stretch**2)  # (R,), variance of b
        left_over = _dots(targets, targets) - left_open @ along**2  # (K,)
        amplitudes = np.maximum(left_over, 0) / N
        log_det = np.log1p(share / M * stretch**2).sum()
        log_amplitudes = np.log(np.maximum(amplitudes, np.finfo(np.float64).tiny))
        likelihoods.append(-(N * log_amplitudes + log_det) / 2)
        spread = variance + missed**2 @ left_open + 4 * share / M * uncovered  # (M,)
        shift = missed @ (left_open[:, np.newaxis] * along)  # (M, K), of the mean
        squares.append(spread[:, np.newaxis] * amplitudes + shift**2)
    chances = np.exp(np.array(likelihoods) - np.max(likelihoods, axis=0))  # (ADDITIVE, K)
    chances /= chances.sum(axis=0)
    errors: Credit = np.sqrt(np.einsum("ak,amk->mk", chances, np.array(squares)))
    return errors


def fit_prior(signs: Scores, odd: Scores) -> Prior:
    """Find the likeliest prior for the odd part (N, K) at signs (N, M).

    Each output has its own amplitude; all share the other parameters, fitted to the mean of their
    likelihoods' logarithms.
    """
    signs, odd = signs[:LEARNING_ROWS], odd[:LEARNING_ROWS]
    scale = np.sqrt((odd**2).mean(axis=0))  # (K,)
    odd = odd / np.where(scale > 0, scale, 1)  # the search stops by the size of its cost
    hyperpriors = np.array([SUM, EQUAL, ROUGH, *[RATE_RATIO] * signs.shape[1]])  # (3 + M, 4)
    loss = lambda logs: _loss(_prior(logs), signs, odd)  # noqa: E731
    return _prior(find_likeliest(loss, hyperpriors))


def _prior(logs: Scores) -> Prior:
    """Build the prior from logs (3 + M,): of the sum of rates, equal, rough, and rate ratios."""
    total, equal, rough, *ratios = np.exp(logs)
    return Prior(total * np.array(ratios) / len(ratios), equal, rough)


def _loss(prior: Prior, signs: Scores, odd: Scores) -> tuple[float, Scores]:
    """Return -log(likelihood) at the best amplitudes, and its slope [5.9] by the logs."""
    equal = prior.equal * covariance(signs, signs, prior.equal_rates)
    rough = prior.rough * np.eye(len(signs))
    gram = covariance(signs, signs, prior.rates) + equal + rough
    loss, by_gram = negative_log_likelihood(gram, odd)
    by_log_rates = prior.rates * covariance_slope(signs, prior.rates, by_gram)
    by_equal, by_rough = (by_gram * equal).sum(), (by_gram * rough).sum()
    return loss, np.array([by_log_rates.sum(), by_equal, by_rough, *by_log_rates])


def _dots(one: Scores, other: Scores) -> Scores:
    """Multiply column by column: (columns,) of two (N, columns)."""
    dots: Scores = np.einsum("nc,nc->c", one, other)
    return dots
