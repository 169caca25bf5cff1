"""The scale on which the Gaussian process models scores that are probabilities.

Probabilities saturate: what a player adds shrinks as they come near 0 or 1. On the scale of the
quantiles of Tukey's lambda distribution, Q(p) = (p^l - (1 - p)^l) / l, both ends are stretched, and
players add up more nearly. l -> 0 gives log-odds, which are without bounds at 0 and 1, and l = 1 a
multiple of p. docs/estimators.md has the figures by which l was chosen.
"""

import numpy as np
from scipy.special import tklmbda

from worker.engine.arrays import Scores

LAMBDA = 0.2
ROUNDING = 1e-5  # by which float32 probabilities leave 0..1


def is_probability(scores: Scores) -> bool:
    """Return whether all scores lie in 0..1."""
    return bool(scores.min() >= -ROUNDING and scores.max() <= 1 + ROUNDING)


def stretch(scores: Scores) -> Scores:
    """Return the quantiles of probabilities, -1 / LAMBDA..1 / LAMBDA."""
    p = np.clip(scores, 0, 1)
    quantiles: Scores = (p**LAMBDA - (1 - p) ** LAMBDA) / LAMBDA
    return quantiles


def shrink(quantiles: Scores) -> Scores:
    """Return the probabilities of quantiles; beyond the ends, 0 and 1."""
    probabilities: Scores = tklmbda(quantiles, LAMBDA)
    return probabilities
