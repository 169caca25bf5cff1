"""The result of a method: each element's contribution to each output."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from worker.engine.arrays import Credit, Labels, Scores
from worker.engine.interactions import Interactions
from worker.engine.regions import Regions


@dataclass(frozen=True)
class Attribution:
    """Attributions of every element of a picture to K outputs of a model.

    values: (H, W, C, K) float64, in units of the (linked) score. Positive: seeing the element
        raises the output; negative: it lowers it.
    base_values: (K,) float64, the scores when nothing is visible.
    scores: (K,) float64, the scores when everything is visible: f(x), as the masker shows x.
    evaluations: model evaluations spent, the two above included.
    unresolved: 0..1, the chance that two random elements of different players share one credit
        evenly, because the method has not separated them. 1 before anything is known; it never
        rises as evaluations are added, and is 0 once all players are separated.
    solution_concept: the value of game theory that the values are or estimate.
    regions: the separated parts: the players, or for Partition the parts it divided no further.
    exact: whether more evaluations could not change the values.
    players: the labels of superpixels, (H, W) int32, 0..M-1; None for other players.
    standard_errors: (H, W, C, K) float64, of the values; None where the method estimates none.
    held_out_fidelity: (K,) float64, the share of the variance of the left-out odd part that the
        method's model of the game predicts, at most 1; None where the method has no such model.
    even_energy: (K,) float64, 0..1, the share of the game's variance over pairs of complementary
        coalitions that is equal in both of a pair, so that no attribution can show it. None where
        the method evaluates no pairs.
    tied: how many parts Partition left undivided although their change of the score equals that of
        the last divided part; the seed decided between them.
    interactions: of pairs of players, where they were wanted.
    steady_from: the evaluations from which the method's regression is steady; None for methods
        without a regression.
    """

    values: Credit
    base_values: Scores
    scores: Scores
    evaluations: int
    unresolved: float
    solution_concept: str
    regions: Regions
    exact: bool = False
    players: Labels | None = None
    standard_errors: Credit | None = None
    held_out_fidelity: Scores | None = None
    even_energy: Scores | None = None
    tied: int = 0
    steady_from: int | None = None
    interactions: Interactions | None = None

    @property
    def efficiency_gap(self) -> Credit:
        """Return scores - base_values - sum of values, (K,): the change left unexplained."""
        gap: Credit = self.scores - self.base_values - self.values.sum(axis=(0, 1, 2))
        return gap

    @cached_property
    def sparseness(self) -> Scores:
        """Return the Gini index of |values| over all elements, (K,) float64, from 0 to below 1.

        0: all are equal, or none has any credit. 1 - 1 / elements: one has all. Niall Hurley and
        Scott Rickard, "Comparing Measures of Sparsity", 2009, https://arxiv.org/abs/0811.4706; for
        attributions Prasad Chalasani et al., "Concise Explanations of Neural Networks using
        Adversarial Training", 2020, https://arxiv.org/abs/1810.06583. Players of equal size give
        the same number as their elements; a larger one counts by its size.
        """
        count = self.values[..., 0].size
        weights = np.arange(1 - count, count, 2) / count
        gini: Scores = np.zeros(len(self.scores))
        for k in range(len(gini)):  # one at a time, to copy only one output's values
            sizes = np.sort(np.abs(self.values[..., k]), axis=None)  # rising
            gini[k] = weights @ sizes / (sizes.sum() or 1)
        return gini.clip(0)  # equal values give 0 but for rounding
