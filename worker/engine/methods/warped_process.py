"""A Gaussian process for probabilities, on a scale on which players add up more nearly.

After Edward Snelson, Carl Rasmussen, Zoubin Ghahramani, "Warped Gaussian Processes", 2003,
https://proceedings.neurips.cc/paper/2003/hash/6b5754d737784b51ec5075c0dc437bf0-Abstract.html. On
the stretched scale (score_scale.py) the odd and the even part of the game are independent processes
with the same parameters (gp_posterior.py). A probability depends on both, so that its values are
not linear in the stretched scores: gp_estimator.py sums what is predicted over drawn pairs.

Numbers in brackets refer to the equations of gp_posterior.py's source.
"""

from dataclasses import dataclass
from typing import Self

import numpy as np

from worker.engine.arrays import Scores
from worker.engine.methods.gp_likelihood import dots, invert
from worker.engine.methods.gp_posterior import Prior
from worker.engine.methods.score_scale import shrink, stretch
from worker.engine.outputs import with_differences, without_differences


class WarpedProcess:
    """The process, given the scores (N, 2, K) of pairs, the first of each at signs (N, M).

    compared: whether every third output is the difference of the two before it. It is that of what
    is expected of them, too.
    """

    def __init__(
        self, prior: Prior, signs: Scores, scores: Scores, *, compared: bool = False
    ) -> None:
        self._compared = compared
        parts, self._mean = stretched_parts(probabilities(scores, compared=compared))
        grams = prior.known_parts(signs)
        self._odd, self._even = map(_Part.of, grams, parts)
        squares = self._odd.square + self._even.square
        self._amplitudes = squares / (2 * len(signs))  # the likeliest: (K,)

    def predict(self, odd: Scores, even: Scores) -> Scores:
        """Return the odd part of the scores of B pairs, as is expected: (B, K).

        odd, even: (B, N), the covariances of both parts with those of the known pairs
        (Prior.smooth_parts).
        """
        return self._expect(self._odd.predict(odd), self._even.predict(even))

    def held_out(self) -> Scores:
        """Predict the odd part of the scores of each pair from the others: (N, K)."""
        return self._expect(self._odd.held_out(), self._even.held_out())

    def _expect(self, odd: tuple[Scores, Scores], even: tuple[Scores, Scores]) -> Scores:
        """Expect the odd part of scores (B, K) from means and variances of the stretched parts."""
        centre, half = even[0] + self._mean, odd[0]
        variance = np.maximum(odd[1] + even[1], 0)  # (B,), of a coalition, over the amplitudes
        deviation = np.sqrt(variance[:, np.newaxis] * self._amplitudes)
        one, other = (_mean_probability(each, deviation) for each in (centre + half, centre - half))
        scores: Scores = (one - other) / 2
        return with_differences(scores) if self._compared else scores


@dataclass(frozen=True, eq=False)
class _Part:
    """The odd or the even part of the stretched game, given N scores (N, K) of it.

    precision: (N, N). weights: (N, K), precision @ scores. variance: of any coalition, before.
    """

    scores: Scores
    precision: Scores
    weights: Scores
    variance: float

    @classmethod
    def of(cls, gram: Scores, scores: Scores) -> Self:
        """Condition on scores (N, K) with the covariances (N, N)."""
        precision, _ = invert(gram)
        return cls(scores, precision, precision @ scores, gram[0, 0])

    @property
    def square(self) -> Scores:
        """Return the squared length of the scores in the metric of the precision: (K,)."""
        return dots(self.scores, self.weights)

    def predict(self, covariances: Scores) -> tuple[Scores, Scores]:
        """Return means (B, K) and variances (B,) [2.25, 2.26], for covariances (B, N)."""
        explained = ((covariances @ self.precision) * covariances).sum(axis=1)
        return covariances @ self.weights, self.variance - explained

    def held_out(self) -> tuple[Scores, Scores]:
        """Return means (N, K) and variances (N,) of each score given the others [5.12]."""
        variances = 1 / np.diag(self.precision)
        return self.scores - variances[:, np.newaxis] * self.weights, variances


def _mean_probability(quantiles: Scores, deviation: Scores) -> Scores:
    """Return the mean probability of normal quantiles, by the Gauss-Hermite rule of two points."""
    mean: Scores = (shrink(quantiles + deviation) + shrink(quantiles - deviation)) / 2
    return mean


def probabilities(scores: Scores, *, compared: bool) -> Scores:
    """Return the scores (..., K) that may be probabilities: differences of two models are none."""
    return without_differences(scores) if compared else scores


def stretched_parts(scores: Scores) -> tuple[tuple[Scores, Scores], Scores]:
    """Return the odd and the even part (N, K) of stretched scores of pairs, and the mean (K,).

    scores: (N, 2, K), of a coalition and of its complement. The mean is taken off the even part.
    """
    quantiles = stretch(scores)
    odd, even = (quantiles[:, 0] - quantiles[:, 1]) / 2, quantiles.mean(axis=1)
    mean = even.mean(axis=0)
    return (odd, even - mean), mean
