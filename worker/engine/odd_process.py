"""A Gaussian process for the odd part of a game: Shapley values and how sure they are.

Carl Rasmussen and Christopher Williams, "Gaussian Processes for Machine Learning", 2006,
https://gaussianprocess.org/gpml/, numbers in brackets are of its equations. The covariance is

    product kernel, its rates learnt  +  one with equal rates  +  rough,

where the last, every pair on its own, is a part of the game, not noise of the scores: so values are
exact where all pairs are known. The second keeps in mind that unimportant players may interact;
without it, standard errors come out too small. Its variance is nearly given, as its
likelihood knows less of this than we do; only an additive game makes it vanish.
"""

from dataclasses import dataclass

import numpy as np
from scipy.linalg import cho_factor, cho_solve

from worker.engine.arrays import Credit, Scores
from worker.engine.odd_kernel import (
    covariance,
    covariance_slope,
    independent_variance,
    shapley_covariance,
    shapley_variance,
    shapley_weights,
)

EQUAL_SUM = 6.0  # of the equal rates
LEARNING_ROWS = 256  # scores at most: learning takes time as their cube, and gains little by more

# Normal priors of what is learnt, within bounds that keep all numbers finite and all matrices
# regular: mean, standard deviation, lowest, highest
SUM = (0.4, 1.0, -4.0, 2.5)  # log of the sum of rates
EQUAL = (-0.6, 0.25, -12.0, 1.5)  # log of the variance of the second part, over that of the first
ROUGH = (-5.0, 3.0, -13.0, 2.0)  # the same of the third
UNLIKENESS = (0.0, 0.6, -3.0, 3.0)  # log of each rate over their mean


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
        """Give the rates of the second part: (M,)."""
        return np.full_like(self.rates, EQUAL_SUM / len(self.rates))

    def smooth(self, signs: Scores, others: Scores) -> Scores:
        """Give the covariances without the rough part, for signs (N, M) and (B, M): (N, B)."""
        equal = covariance(signs, others, self.equal_rates)
        return covariance(signs, others, self.rates) + self.equal * equal

    def smooth_shapley(self, signs: Scores) -> Scores:
        """Give the covariances with the Shapley values, without the rough part: (N, M)."""
        equal = shapley_covariance(signs, self.equal_rates)
        return shapley_covariance(signs, self.rates) + self.equal * equal

    def shapley_variance(self) -> Scores:
        """Give the variances of the Shapley values: (M,)."""
        smooth = shapley_variance(self.rates) + self.equal * shapley_variance(self.equal_rates)
        return smooth + self.rough * independent_variance(len(self.rates))


@dataclass(frozen=True, eq=False)
class Posterior:
    """What N scores tell of M Shapley values for each of K outputs.

    values, errors: (M, K), means and standard deviations. held_out: (N, K), how far each score is
    from what the others predict. weights: (N, K), of the kernels around the scores.
    """

    values: Credit
    errors: Credit
    held_out: Scores
    weights: Scores


def infer(prior: Prior, signs: Scores, odd: Scores) -> Posterior:
    """Condition the prior on the odd part (N, K) at signs (N, M); takes time as N^3.

    What the known pairs add to the values is added as it is, and only the rest is inferred: so no
    digits are lost, however small the rough part.
    """
    smooth, known = prior.smooth(signs, signs), shapley_weights(signs)  # (N, N), (N, M)
    rest = prior.smooth_shapley(signs) - smooth @ known  # (N, M), covariance with what is not known
    gram = smooth + prior.rough * np.eye(len(signs))
    precision = _invert(gram)[0]
    weights = precision @ odd
    explained = _dots(known, gram @ known + 2 * rest) + _dots(rest, precision @ rest)
    variance = np.maximum(prior.shapley_variance() - explained, 0)  # (M,) [2.26]
    amplitudes = _amplitudes(odd, weights)
    return Posterior(
        values=known.T @ odd + rest.T @ weights,  # [2.25]
        errors=np.sqrt(variance[:, np.newaxis] * amplitudes),
        held_out=weights / np.diag(precision)[:, np.newaxis],  # [5.12]
        weights=weights,
    )


def learn(signs: Scores, odd: Scores) -> Prior:
    """Find the likeliest prior for the odd part (N, K) at signs (N, M).

    Outputs differ in amplitude and share all else: by the mean of what each says.
    """
    signs, odd = signs[:LEARNING_ROWS], odd[:LEARNING_ROWS]
    scale = np.sqrt((odd**2).mean(axis=0))  # (K,)
    odd = odd / np.where(scale > 0, scale, 1)  # the search stops by the size of its cost
    means, deviations, lowest, highest = _hyperpriors(signs.shape[1])

    def cost(logs: Scores) -> tuple[float, Scores]:
        surprise, slope = _surprise(_prior(logs), signs, odd)
        off = (logs - means) / deviations
        return surprise + off @ off / 2, slope + off / deviations

    from scipy.optimize import minimize  # half a second, which only this should pay

    bounds = list(zip(lowest, highest, strict=True))
    return _prior(minimize(cost, means, method="L-BFGS-B", jac=True, bounds=bounds).x)


def _hyperpriors(players: int) -> Scores:
    """Give mean, deviation, lowest and highest of all that is learnt: (4, 3 + M)."""
    return np.array([SUM, EQUAL, ROUGH, *[UNLIKENESS] * players]).T


def _prior(logs: Scores) -> Prior:
    """Read the logs of the sum of rates, equal, rough, and every unlikeness: (3 + M,)."""
    total, equal, rough, *unlikeness = np.exp(logs)
    return Prior(total * np.array(unlikeness) / len(unlikeness), equal, rough)


def _surprise(prior: Prior, signs: Scores, odd: Scores) -> tuple[float, Scores]:
    """Give -log(likelihood) [5.8] at the best amplitudes, and its slope [5.9] by the logs."""
    equal = prior.equal * covariance(signs, signs, prior.equal_rates)
    rough = prior.rough * np.eye(len(signs))
    precision, half_log_det = _invert(covariance(signs, signs, prior.rates) + equal + rough)
    weights = precision @ odd
    amplitudes = np.maximum(_amplitudes(odd, weights), np.finfo(np.float64).tiny)
    surprise = len(odd) * np.log(amplitudes).mean() / 2 + half_log_det
    by_gram = (precision - weights / amplitudes @ weights.T / len(amplitudes)) / 2  # (N, N)
    by_log_rates = prior.rates * covariance_slope(signs, prior.rates, by_gram)
    by_equal, by_rough = (by_gram * equal).sum(), (by_gram * rough).sum()
    return surprise, np.array([by_log_rates.sum(), by_equal, by_rough, *by_log_rates])


def _amplitudes(odd: Scores, weights: Scores) -> Scores:
    """Give the likeliest factors of the variances: (K,)."""
    return _dots(odd, weights) / len(odd)


def _invert(gram: Scores) -> tuple[Scores, float]:
    """Give the inverse (N, N) and half the logarithm of the determinant."""
    factor = cho_factor(gram)
    return cho_solve(factor, np.eye(len(gram))), float(np.log(np.diag(factor[0])).sum())


def _dots(one: Scores, other: Scores) -> Scores:
    """Multiply column by column: (columns,) of two (N, columns)."""
    dots: Scores = np.einsum("nc,nc->c", one, other)
    return dots
