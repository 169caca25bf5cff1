"""A Gaussian process for probabilities, on a scale on which players add up more nearly.

After Edward Snelson, Carl Rasmussen, Zoubin Ghahramani, "Warped Gaussian Processes", 2003. On the
stretched scale (score_scale.py) the odd and the even part of the game are independent processes
with the same parameters (gp_posterior.py). A probability depends on both, so that its values are
not linear in the stretched scores: gp_estimator.py sums what is predicted over drawn pairs.
"""

import numpy as np
from scipy.linalg import cho_factor, cho_solve

from worker.engine.arrays import Scores
from worker.engine.methods.gp_posterior import Prior
from worker.engine.methods.score_scale import shrink, stretch


class WarpedProcess:
    """The process, given the scores (N, 2, K) of pairs, the first of each at signs (N, M)."""

    def __init__(self, prior: Prior, signs: Scores, scores: Scores) -> None:
        self._parts, self._mean = stretched_parts(scores)
        grams = prior.known_parts(signs)
        self._precisions = [cho_solve(cho_factor(gram), np.eye(len(gram))) for gram in grams]
        paired = zip(self._precisions, self._parts, strict=True)
        self._weights = [precision @ part for precision, part in paired]  # (N, K) each

    def predict(self, odd: Scores, even: Scores) -> Scores:
        """Return the odd part of the scores of B pairs: (B, K).

        odd, even: (B, N), the covariances of both parts with those of the known pairs
        (Prior.smooth_parts).
        """
        return self._odd_of_scores(odd @ self._weights[0], even @ self._weights[1])

    def held_out(self) -> Scores:
        """Predict the odd part of the scores of each pair from the others: (N, K)."""
        off = [
            weights / np.diag(precision)[:, np.newaxis]  # [5.12] of gp_posterior.py's source
            for precision, weights in zip(self._precisions, self._weights, strict=True)
        ]
        odd, even = (part - missed for part, missed in zip(self._parts, off, strict=True))
        return self._odd_of_scores(odd, even)

    def _odd_of_scores(self, odd: Scores, even: Scores) -> Scores:
        """Return the odd part of scores whose stretched parts are odd and even: (N, K)."""
        middle = even + self._mean
        scores: Scores = (shrink(middle + odd) - shrink(middle - odd)) / 2
        return scores


def stretched_parts(scores: Scores) -> tuple[tuple[Scores, Scores], Scores]:
    """Return the odd and the even part (N, K) of stretched scores of pairs, and the mean (K,).

    scores: (N, 2, K), of a coalition and of its complement. The mean is taken off the even part.
    """
    quantiles = stretch(scores)
    odd, even = (quantiles[:, 0] - quantiles[:, 1]) / 2, quantiles.mean(axis=1)
    mean = even.mean(axis=0)
    return (odd, even - mean), mean
