"""Priors of games, told apart by parameters that are learnt from the scores.

The odd part of a game (gp_posterior.py) has the parts

    product kernel  +  one with equal rates  +  local product kernels  +  additive  +  rough.

A rate says how much a player matters, alone and together with others; rates are expected to follow
the players' looks (expected_importance.py), where they have a picture. The second part allows
unimportant players to interact; without it, standard errors are too small. Its variance has a
narrow prior, as the likelihood says little about it. The local kernels let near players interact
more than distant ones: each is of the players within one window of the picture. The even part,
where it is learnt from, has the same product kernels, a mean, and the same rough part.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np

from worker.engine.arrays import Scores
from worker.engine.methods.gp_likelihood import (
    find_likeliest,
    negative_log_likelihood,
    scaled,
)
from worker.engine.methods.gp_posterior import Prior
from worker.engine.methods.product_kernels import Gram, ProductKernels
from worker.engine.methods.protocol import Game

EQUAL_SUM = 6.0  # of the equal rates
LOCAL_SUM = 2.5  # of the rates in a window
WINDOWS = 3  # along each side of the picture
WINDOW_WIDTH = 0.9  # standard deviation, over the distance of windows
ENOUGH = 0.02  # log-likelihood that a step gains, where parameters are rounded
LEARNING_ROWS = 256  # scores at most; learning takes time as their cube

# Normal priors of the learnt parameters, within bounds that keep all numbers finite and all
# matrices regular: mean, standard deviation, lowest, highest
SUM = (0.4, 1.0, -4.0, 2.5)  # log of the sum of rates
EQUAL = (-0.6, 0.25, -12.0, 1.5)  # log of the variance of the second part, over that of the first
ROUGH = (-5.0, 3.0, -13.0, 2.0)  # the same of the last
LOCAL = (1.0, 0.7, -8.0, 4.0)  # the same of all local kernels
ADDITIVE = (-0.7, 0.7, -8.0, 5.0)  # the same of the additive part; a wide prior overfits few pairs
RATE_RATIO = (0.0, 0.6, -3.0, 3.0)  # log of each rate over its expected share of their mean


@dataclass(frozen=True, eq=False)
class PriorFamily:
    """The priors of games of M players.

    expected: (M,), logs of the players' expected rates over their mean. windows: (Q, M), the
    nearness, 0..1, of each player to Q windows; Q is 0 where players have no places. additive:
    whether there is such a part.
    """

    expected: Scores
    windows: Scores
    additive: bool

    @classmethod
    def of(cls, game: Game) -> Self:
        """Choose the priors of a game, by what is expected of its players."""
        if game.expected is None:
            return cls.uniform(len(game.players))
        return cls.of_picture(game.expected, game.players.centres)

    @classmethod
    def uniform(cls, players: int) -> Self:
        """Expect the same of every player, without local kernels and without an additive part."""
        return cls(np.zeros(players), np.empty((0, players)), additive=False)

    @classmethod
    def of_picture(cls, expected: Scores, places: Scores) -> Self:
        """Expect logs of rates (M,), up to a constant, at places (M, 2) in a picture."""
        low, high = places.min(axis=0), places.max(axis=0)
        middles = (np.arange(WINDOWS) + 0.5) / WINDOWS
        grid = np.stack(np.meshgrid(middles, middles, indexing="ij"), axis=-1).reshape(-1, 2)
        distance = np.maximum((high - low) / WINDOWS, np.finfo(np.float64).tiny)  # of windows
        away = (places - low - grid[:, np.newaxis] * (high - low)) / distance / WINDOW_WIDTH
        scaled = expected - np.log(np.exp(expected).mean())
        return cls(scaled, np.exp(-(away**2).sum(axis=-1) / 2), additive=True)

    def learn(
        self,
        signs: Scores,
        parts: Sequence[Scores],
        start: Scores | None = None,
        enough: float | None = None,
    ) -> Scores:
        """Find logs (5 + M,) of the likeliest parameters for scores at signs (N, M).

        parts: the odd part (N, K), or this and the even part, of mean 0. Each output has its own
        amplitude; all share the parameters, fitted to the mean of their likelihoods' logarithms.
        start: logs learnt from fewer scores; None: what is expected. enough: see find_likeliest.
        """
        signs = signs[:LEARNING_ROWS]
        targets = scaled(np.concatenate([part[:LEARNING_ROWS] for part in parts]))
        split = np.split(targets, len(parts))
        loss = lambda logs: self.loss(logs, signs, split)  # noqa: E731
        return find_likeliest(loss, self._hyperpriors(), start, enough)

    def learn_roughly(
        self, signs: Scores, parts: Sequence[Scores], start: Scores | None = None
    ) -> Scores:
        """Find logs (5 + M,) as `learn` does, in fewer steps, and the same on other processors.

        These fit other last digits, so logs are rounded.
        """
        return rounded(self.learn(signs, parts, start, ENOUGH))

    def prior(self, logs: Scores) -> Prior:
        """Build a prior from logs (5 + M,) of the parameters.

        They are the sum of rates, equal, rough, local, additive, and the rates' ratios.
        """
        total, equal, rough, local, additive, *others = np.exp(logs)
        ratios = np.array(others)
        within = self.windows * ratios  # (Q, M)
        sums = within.sum(axis=1, keepdims=True)
        parts = [total * ratios / len(ratios), np.full_like(ratios, EQUAL_SUM / len(ratios))]
        return Prior(
            ProductKernels(
                rates=np.vstack([*parts, LOCAL_SUM * within / sums]),
                shares=np.array([1.0, equal, *(local * sums[:, 0] / sums.sum())]),
            ),
            additive=self.additive * additive * ratios**2 / (ratios**2).sum(),
            rough=rough,
        )

    def loss(self, logs: Scores, signs: Scores, parts: Sequence[Scores]) -> tuple[float, Scores]:
        """Return -log(likelihood) at the best amplitudes, and its slope by logs (5 + M,).

        parts: the odd part (N, K), or this and the even part.
        """
        prior = self.prior(logs)
        products = Gram.of(prior.kernels, signs)
        smooth = prior.add_sums(products.covariances(len(parts)), signs, signs)
        loss, by_grams = negative_log_likelihood(smooth + prior.rough * np.eye(len(signs)), parts)

        by_parts, by_rates = products.weigh(by_grams)  # (Q,), (Q, M)
        by_additive = prior.additive * (signs * (by_grams[0] @ signs)).sum(axis=0)  # (M,)
        by_ratios = by_rates[0] + 2 * by_additive
        if self.additive:
            by_ratios -= 2 * by_additive.sum() * prior.additive / prior.additive.sum()
        locally = zip(prior.kernels.rates[2:], by_rates[2:], by_parts[2:], strict=True)
        for within, by_rate, by_part in locally:
            by_ratios += by_rate + (by_part - by_rate.sum()) * within / LOCAL_SUM
        if len(self.windows):
            share = self.windows.sum(axis=0) * np.exp(logs[5:])
            by_ratios -= by_parts[2:].sum() * share / share.sum()
        by_rough = prior.rough * sum(np.trace(by_gram) for by_gram in by_grams)
        slope = [by_rates[0].sum(), by_parts[1], by_rough, by_parts[2:].sum(), by_additive.sum()]
        return loss, np.array([*slope, *by_ratios])

    def _hyperpriors(self) -> Scores:
        """Return the mean, standard deviation, lowest and highest of each log: (5 + M, 4)."""
        ratios = np.tile(RATE_RATIO, (len(self.expected), 1))
        ratios[:, [0, 2, 3]] += self.expected[:, np.newaxis]
        return np.array([SUM, EQUAL, ROUGH, LOCAL, ADDITIVE, *ratios])


def rounded(logs: Scores) -> Scores:
    """Round the logs of parameters so that these are powers of 2^(1/8)."""
    steps: Scores = np.round(8 * logs / np.log(2)) / 8 * np.log(2)
    return steps
