"""The regions of a picture that an attribution separates: one value for each region and output.

Values, errors and intervals are of whole regions. Spreading over elements divides a value and its
error by the region's size. Within a region the elements' errors add up, as they are one error; the
errors of different regions do not.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.special import stdtrit

from worker.engine.arrays import Credit, Indices, Labels
from worker.engine.game.players import Players

COVERED = 0.95  # the share of intervals that contain the exact value


@dataclass(frozen=True, eq=False)
class Interval:
    """Bounds of a 95 % interval of each of R regions for K outputs: (R, K) each."""

    low: Credit
    high: Credit


@dataclass(frozen=True, eq=False)
class Regions:
    """R disjoint regions that make up a picture, and each region's credit for each of K outputs.

    labels: the region of each pixel (H, W), or of each element (H, W, C) where channels are
    separate; int32, 0..R-1. values: (R, K) float64, in units of the (linked) score; positive: the
    region raises the output. players: (R,) int64, the number of players in each region; above 1
    where Partition divided it no further. errors: (R, K) float64, standard errors of the values;
    None where the method estimates none. reach: returns the half-widths (R, K) of 95 % intervals
    of the exact values; None where no valid interval is known.
    """

    labels: Labels
    values: Credit
    players: Indices
    errors: Credit | None = None
    reach: Callable[[], Credit] | None = None

    def __len__(self) -> int:
        return len(self.values)

    @cached_property
    def interval(self) -> Interval | None:
        """Compute the 95 % intervals; on demand, as they are large for many regions."""
        if self.reach is None:
            return None
        reach = self.reach()
        return Interval(self.values - reach, self.values + reach)

    @cached_property
    def largest_error(self) -> float | None:
        """Return the largest standard error of a region for any output."""
        return None if self.errors is None else float(self.errors.max(initial=0))


def whole_pixels(labels: Labels) -> Labels:
    """Return labels (H, W, C) as (H, W), where no pixel is divided into channels."""
    whole: Labels = labels[..., 0]
    return whole if (labels == labels[..., :1]).all() else labels


def count_players(labels: Labels, players: Players) -> Indices:
    """Count the players in each region of labels (H, W, C), as no player is divided: (R,)."""
    firsts = np.unique(players.labels, return_index=True)[1]  # (M,), an element or pixel of each
    channels = players.shape[2] if players.labels.ndim == 2 else 1
    return np.bincount(labels.ravel()[firsts * channels])


def quantile(freedom: float) -> float:
    """Return the half-width of a 95 % interval, in standard errors of these degrees of freedom.

    Infinite for 0 degrees of freedom or fewer.
    """
    if freedom <= 0:
        return np.inf
    return float(stdtrit(freedom, (1 + COVERED) / 2))
