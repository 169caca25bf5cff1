"""Expects how much superpixels matter, from how they look, before anything is scored.

Large regions, regions that masking changes much, regions full of edges, and regions near the middle
tend to have large Shapley values. The coefficients are of a regression of log |Shapley value| on
these four, of games of CIFAR-10 pictures, doubled, as a value follows the root of a rate;
docs/estimators.md has its figures. They only set what a prior expects: scores overrule it.
"""

import numpy as np

from worker.engine.arrays import Pictures, Scores
from worker.engine.game.players import Players

BY_SIZE, BY_CHANGE, BY_EDGES, BY_DISTANCE = 0.8, 0.8, 0.6, -2.0
WIDEST = 4.0  # of the logs, about their mean
STEPS = 64  # for each unit of a log; other processors round to the same steps


def expect_importance(players: Players, shown: Pictures, hidden: Pictures) -> Scores:
    """Return the logs of the superpixels' expected rates (gp_covariance.py), of mean 0: (M,).

    shown, hidden: (H, W, C) in 0..255, the picture with all players visible, and with none.
    """
    H, W, _ = shown.shape
    grey = shown.mean(axis=2, dtype=np.float64)
    down, right = np.abs(np.diff(grey, axis=0)), np.abs(np.diff(grey, axis=1))
    edges = np.pad(down, ((0, 1), (0, 0))) + np.pad(right, ((0, 0), (0, 1)))
    change = np.abs(shown - hidden).mean(axis=2, dtype=np.float64)
    off = players.centres / (H, W) - 0.5  # (M, 2)
    logs: Scores = (
        BY_SIZE * np.log(players.sizes)
        + BY_CHANGE * np.log1p(players.means(change))
        + BY_EDGES * np.log1p(players.means(edges))
        + BY_DISTANCE * 2 * (off**2).sum(axis=1)  # 0 in the middle, -2 in the corners
    )
    rounded: Scores = np.rint(np.clip(logs - logs.mean(), -WIDEST, WIDEST) * STEPS) / STEPS
    return rounded
