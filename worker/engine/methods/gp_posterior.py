"""A Gaussian process for the odd part of a game: its values and their standard errors.

Carl Rasmussen and Christopher Williams, "Gaussian Processes for Machine Learning", 2006,
https://gaussianprocess.org/gpml/; numbers in brackets refer to its equations. The covariance is

    product kernels (product_kernels.py)  +  additive  +  rough,

where the last, independent for every pair, is a part of the game, not noise of the scores: so
values are exact where all pairs are known. prior_family.py learns the parameters from the scores.

The values assume the likeliest prior; their errors do not. Games differ most in how much of them is
additive. So errors average over priors with a further additive part of unknown variance, weighted
by its likelihood. They include the variance that each leaves open, and the distance of its
posterior mean from the values.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from scipy.linalg import solve_triangular

from worker.engine.arrays import Credit, Scores
from worker.engine.methods.gp_likelihood import dots, invert
from worker.engine.methods.product_kernels import ProductKernels
from worker.engine.methods.value_index import ValueIndex

ADDITIVE = (0.0, 3.0, 30.0, 300.0)  # variances of the further additive part, over the first part's
MEAN = 10.0  # variance of the mean of the even part, which is hardly known before


@dataclass(frozen=True, eq=False)
class Prior:
    """Covariances of the odd part of a game of M players, all up to a factor for each output.

    kernels: Q product kernels. additive: (M,) >= 0, variances of the weight that each player adds.
    rough: > 0, the variance of the last part. Variances are of the game's odd part at the full
    coalition.
    """

    kernels: ProductKernels
    additive: Scores
    rough: float

    def smooth(self, signs: Scores, others: Scores) -> Scores:
        """Return the covariances without the rough part, for signs (N, M) and (B, M): (N, B)."""
        covariances: Scores = self.smooth_parts(signs, others, parts=1)[0]
        return covariances

    def smooth_parts(self, signs: Scores, others: Scores, *, parts: int = 2) -> Scores:
        """Return the covariances of the odd and of the even part, without the rough part.

        For signs (N, M) and (B, M): (parts, N, B). The mean of the even part has the variance MEAN.
        """
        return self.add_sums(self.kernels.covariances(signs, others, parts=parts), signs, others)

    def add_sums(self, products: Scores, signs: Scores, others: Scores) -> Scores:
        """Add the additive part and the mean of the even part to (parts, N, B), in place."""
        products[0] += (signs * self.additive) @ others.T
        products[1:] += MEAN
        return products

    def known_parts(self, signs: Scores) -> Scores:
        """Return the covariances of both parts at different pairs: (2, N, N); signs: (N, M)."""
        return self.smooth_parts(signs, signs) + self.rough * np.eye(len(signs))

    def smooth_values(self, index: ValueIndex, signs: Scores) -> Scores:
        """Return the covariances with the values, without the rough part, for signs: (N, M)."""
        total: Scores = 2 * signs * self.additive
        for rates, share in self._products():
            total += share * index.covariance(signs, rates)
        return total

    def known(self, signs: Scores) -> Scores:
        """Return the covariances of the odd part at different pairs, for signs (N, M): (N, N)."""
        return self.smooth(signs, signs) + self.rough * np.eye(len(signs))

    def values(self, index: ValueIndex, signs: Scores) -> Scores:
        """Return the covariances of the odd part with the values, for signs (N, M): (N, M)."""
        return self.smooth_values(index, signs) + self.rough * index.weights(signs)

    def score_variance(self) -> float:
        """Return the variance of the odd part of any pair."""
        return float(self.kernels.shares.sum() + self.additive.sum() + self.rough)

    def variance(self, index: ValueIndex) -> Scores:
        """Return the variances of the values: (M,)."""
        total: Scores = 4 * self.additive + self.rough * index.independent_variance()
        for rates, share in self._products():
            total += share * index.variance(rates)
        return total

    def _products(self) -> Iterator[tuple[Scores, float]]:
        return zip(self.kernels.rates, self.kernels.shares.tolist(), strict=True)


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
    precision, factor = invert(gram)
    weights = precision @ odd
    influence = precision @ rest  # (N, M), beside what is known
    explained = dots(known, gram @ known + 2 * rest) + dots(rest, influence)
    variance = np.maximum(prior.variance(index) - explained, 0)  # (M,) [2.26]
    whitened = solve_triangular(factor, np.hstack([signs, odd]), trans="T")
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
        left_over = dots(targets, targets) - left_open @ along**2  # (K,)
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
