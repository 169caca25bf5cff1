"""The odd and the even part of a game: what tells a coalition from its complement, and what not."""

import numpy as np

from worker.engine.arrays import Scores

ROUNDING = 1e-12  # of a score: what averaging equal ones may leave


def even_energy(scores: Scores, complements: Scores, weights: Scores | None = None) -> Scores:
    """Give the share of a game's variance, 0..1, that is in its even part: (K,).

    scores: (P, K) of P >= 1 coalitions; complements: (P, K) of their complements; weights: (P,) of
    the pairs, by default equal. The odd part has the mean 0, whatever the game. A game that does
    not vary has nothing that an attribution could not show: 0.
    """
    even, odd = (scores + complements) / 2, (scores - complements) / 2
    centre = np.average(even, axis=0, weights=weights)
    hidden = np.average((even - centre) ** 2, axis=0, weights=weights)
    total = hidden + np.average(odd**2, axis=0, weights=weights)
    scale = np.abs([scores, complements]).max(axis=(0, 1))  # (K,)
    varies = total > (ROUNDING * scale) ** 2
    return np.divide(hidden, total, out=np.zeros_like(total), where=varies)
