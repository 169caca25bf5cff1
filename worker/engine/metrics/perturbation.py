"""Perturbs a picture in the order of an attribution: shows or hides its elements step by step.

keep_* and remove_*: Scott Lundberg and others, SequentialPerturbation in the benchmarks of shap,
https://github.com/shap/shap/blob/v0.51.0/shap/benchmark/_sequential.py. deletion and insertion:
Vitali Petsiuk, Abir Das and Kate Saenko, "RISE: Randomized Input Sampling for Explanation of
Black-box Models", 2018, https://arxiv.org/abs/1806.07421.

keep_* and insertion start from the empty coalition and show, remove_* and deletion start from the
full one and hide: 1 % of all at each step, in the order of one output's attribution. Positive and
negative orders stop where the sign of the attribution changes; from there on the coalition stays
the same. deletion and insertion order whole pixels, by the attribution summed over their channels;
the others order single elements.

Equal attributions are taken by position, row by row, where shap's order depends on the processor.
So a superpixel, or an undivided part of the image tree, is shown or hidden from top to bottom, in
as many steps as it has hundredths of the elements.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from worker.engine.arrays import Credit, Indices
from worker.engine.metrics.ranks import RankCut, Ranks, rank, runs

STEP = 0.01  # of the elements or pixels, rounded down, but at least one

# The order of elements, or pixels, by the attribution (H, W, C): the lowest number goes first.
ORDERS: dict[str, Callable[[Credit], Credit]] = {
    "positive": lambda values: -values,
    "negative": lambda values: values,
    "absolute": lambda values: -np.abs(values),
    "pixels": lambda values: -values.sum(axis=2),
}


class Metric(NamedTuple):
    """An order, and whether its first elements are shown (keep) or hidden."""

    order: str
    keep: bool

    @property
    def by_pixel(self) -> bool:
        return self.order == "pixels"

    @property
    def signed(self) -> bool:
        return self.order in ("positive", "negative")

    @property
    def rises(self) -> bool:
        """Return whether a high area is better; without meaning for the absolute orders."""
        return self.keep == (self.order != "negative")


METRICS = {
    "keep_positive": Metric("positive", keep=True),
    "keep_negative": Metric("negative", keep=True),
    "keep_absolute": Metric("absolute", keep=True),
    "remove_positive": Metric("positive", keep=False),
    "remove_negative": Metric("negative", keep=False),
    "remove_absolute": Metric("absolute", keep=False),
    "deletion": Metric("pixels", keep=False),
    "insertion": Metric("pixels", keep=True),
}


class Perturbation(NamedTuple):
    """The coalitions of one curve: after each step, all ranks below its stop have been perturbed.

    ranks: (H, W) or (H, W, C) int32. stops: (P,) int64, rising from 0.
    """

    ranks: Ranks
    stops: Indices
    keep: bool

    @property
    def cuts(self) -> list[RankCut]:
        return [RankCut(self.ranks, int(stop), self.keep) for stop in self.stops]


def perturb(metric: Metric, values: Credit) -> Perturbation:
    """Perturb by the attribution (H, W, C) of one output."""
    urgency = ORDERS[metric.order](values)  # (H, W) or (H, W, C)
    last = np.count_nonzero(urgency < 0) if metric.signed else urgency.size
    return Perturbation(rank(urgency), np.minimum(stops(urgency.size), last), metric.keep)


def largest_tie(metric: Metric, values: Credit) -> float:
    """Return the share of the elements, or pixels, in the largest group that the order ties."""
    urgency = ORDERS[metric.order](values)
    changed = urgency[urgency < 0] if metric.signed else urgency
    counts = np.unique(changed, return_counts=True)[1]
    return float(counts.max(initial=1)) / urgency.size


def stops(count: int) -> Indices:
    """Return how many of `count` are perturbed at each point of a curve, from 0 to all: (P,)."""
    step = max(1, int(count * STEP))
    return np.append(np.arange(0, count, step, dtype=np.int64), count)


def draw_lots(values: Credit, seed: int) -> Credit:
    """Draw a random attribution (H, W, C) with the same patches as a real one.

    values: (H, W, C, K). Elements with equal values in all outputs form a patch, which gets one
    random number in 0..1: superpixels stay whole, and so do undivided boxes of the image tree.
    Drawing each element alone would make a fine grain, which lowers the score by itself, above all
    over a blur. Elements without credit for any output form no patch; each gets its own number.
    """
    lots = np.random.default_rng(seed).random(values[..., 0].size)
    columns = values.transpose(3, 2, 0, 1).reshape(values.shape[-1], -1)  # channel by channel
    own = np.arange(lots.size).reshape(values.shape[:-1]).transpose(2, 0, 1).ravel()
    starts, lengths = runs(columns)
    patches = np.zeros_like(starts)  # of each run
    for column in columns[:, starts]:
        _, levels = np.unique(column, return_inverse=True)
        _, patches = np.unique(patches * len(starts) + levels, return_inverse=True)
    first = np.full(len(starts), lots.size)  # the first element of each patch
    np.minimum.at(first, patches, own[starts])
    drawn = np.where(columns.any(axis=0), np.repeat(first[patches], lengths), own)
    height, width, channels = values.shape[:-1]
    return lots[drawn].reshape(channels, height, width).transpose(1, 2, 0)
