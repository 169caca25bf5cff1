"""A Gaussian process for probabilities, on a scale on which players add up more nearly.

After Edward Snelson, Carl Rasmussen, Zoubin Ghahramani, "Warped Gaussian Processes", 2003. On the
stretched scale (score_scale.py) the odd and the even part of the game are independent processes
with the same parameters (gp_posterior.py). A probability depends on both, so that its values are
not linear in the stretched scores: gp_estimator.py sums what is predicted over drawn pairs.

Numbers in brackets refer to the equations of gp_posterior.py's source.
"""

import numpy as np
from scipy.linalg import cho_factor, cho_solve

from worker.engine.arrays import Scores
from worker.engine.methods.gp_likelihood import dots
from worker.engine.methods.gp_posterior import Prior
from worker.engine.methods.score_scale import shrink, stretch


class WarpedProcess:
    """The process, given the scores (N, 2, K) of pairs, the first of each at signs (N, M)."""

    def __init__(self, prior: Prior, signs: Scores, scores: Scores) -> None:
        self._parts, self._mean = stretched_parts(scores)
        grams = prior.known_parts(signs)
        self._variances = [gram[0, 0] for gram in grams]  # the same of all coalitions
        self._precisions = [cho_solve(cho_factor(gram), np.eye(len(gram))) for gram in grams]
        paired = list(zip(self._precisions, self._parts, strict=True))
        self._weights = [precision @ part for precision, part in paired]  # (N, K) each
        squares = [dots(part, w) for part, w in zip(self._parts, self._weights, strict=True)]
        self._amplitudes = sum(squares) / (2 * len(signs))  # the likeliest: (K,)

    def predict(self, odd: Scores, even: Scores) -> Scores:
        """Return the odd part of the scores of B pairs, as is expected: (B, K).

        odd, even: (B, N), the covariances of both parts with those of the known pairs
        (Prior.smooth_parts).
        """
        variance = np.zeros(len(odd))
        for covariances, precision, before in zip(
            (odd, even), self._precisions, self._variances, strict=True
        ):
            variance += before - ((covariances @ precision) * covariances).sum(axis=1)  # [2.26]
        return self._expect(odd @ self._weights[0], even @ self._weights[1], variance)

    def held_out(self) -> Scores:
        """Predict the odd part of the scores of each pair from the others: (N, K)."""
        variances = [1 / np.diag(precision) for precision in self._precisions]  # [5.12]
        odd, even = (
            part - variance[:, np.newaxis] * weights
            for part, variance, weights in zip(self._parts, variances, self._weights, strict=True)
        )
        return self._expect(odd, even, variances[0] + variances[1])

    def _expect(self, odd: Scores, even: Scores, variance: Scores) -> Scores:
        """Expect the odd part of scores, (B, K), whose stretched parts have means and a variance.

        odd, even: (B, K), the means. variance: (B,), of the sum of both parts, over the amplitudes.
        """
        middle = even + self._mean
        deviation = np.sqrt(np.maximum(variance, 0)[:, np.newaxis] * self._amplitudes)
        scores: Scores = (_expect(middle + odd, deviation) - _expect(middle - odd, deviation)) / 2
        return scores


def _expect(quantiles: Scores, deviation: Scores) -> Scores:
    """Return the mean probability of normal quantiles, by the Gauss-Hermite rule of two points."""
    probabilities: Scores = (shrink(quantiles + deviation) + shrink(quantiles - deviation)) / 2
    return probabilities


def stretched_parts(scores: Scores) -> tuple[tuple[Scores, Scores], Scores]:
    """Return the odd and the even part (N, K) of stretched scores of pairs, and the mean (K,).

    scores: (N, 2, K), of a coalition and of its complement. The mean is taken off the even part.
    """
    quantiles = stretch(scores)
    odd, even = (quantiles[:, 0] - quantiles[:, 1]) / 2, quantiles.mean(axis=1)
    mean = even.mean(axis=0)
    return (odd, even - mean), mean
