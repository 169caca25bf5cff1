"""The even part of a game: the part that is equal for a coalition and its complement."""

import numpy as np

from worker.engine.arrays import Scores

ROUNDING = 1e-12  # of a score; the rounding error of averaging equal scores


def even_energy(scores: Scores, complements: Scores, weights: Scores | None = None) -> Scores:
    """Return the share of a game's variance, 0..1, that is in its even part: (K,).

    scores: (P, K) of P >= 1 coalitions; complements: (P, K) of their complements; weights: (P,) of
    the pairs, by default equal. The mean of the odd part is 0 for every game. A game without
    variance gives 0.
    """
    even, odd = (scores + complements) / 2, (scores - complements) / 2
    centre = np.average(even, axis=0, weights=weights)
    hidden = np.average((even - centre) ** 2, axis=0, weights=weights)
    total = hidden + np.average(odd**2, axis=0, weights=weights)
    scale = np.abs([scores, complements]).max(axis=(0, 1))  # (K,)
    varies = total > (ROUNDING * scale) ** 2
    return np.divide(hidden, total, out=np.zeros_like(total), where=varies)
