"""The scale on which the Gaussian process models scores that are probabilities.

Probabilities saturate: what a player adds shrinks as they come near 0 or 1. On the scale of the
quantiles of Tukey's lambda distribution, Q(p) = (p^l - (1 - p)^l) / l, both ends are stretched, and
players add up more nearly. l -> 0 gives log-odds, which are without bounds at 0 and 1, and l = 1 a
multiple of p. docs/estimators.md has the figures by which l was chosen.
"""

import numpy as np

from worker.engine.arrays import Scores

LAMBDA = 0.2  # `shrink` solves for this one
STEPS = 8  # of Newton's method; six reach the last digits
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
    """Return the probabilities of quantiles; beyond the ends, 0 and 1.

    With a = p^(1/5), b = (1 - p)^(1/5) and d = a - b, their sum s solves
    s^5 + 10 s^3 d^2 + 5 s d^4 = 16 (a^5 + b^5) = 16. The left side is convex, so that Newton's
    method comes down to the root from the largest s, that of p = 1/2.
    """
    d = np.clip(LAMBDA * quantiles, -1, 1)
    square = d * d
    s = np.full_like(d, 16**0.2)
    for _ in range(STEPS):
        of_s = s * s
        value = s * (of_s * (of_s + 10 * square) + 5 * square * square) - 16
        s -= value / (5 * (of_s * (of_s + 6 * square) + square * square))
    roots: Scores = np.clip((s + d) / 2, 0, 1)
    return roots**5
