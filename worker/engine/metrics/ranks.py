"""Coalitions along an order of a picture's elements: the first ones, or all except those."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from worker.engine.arrays import Credit, Indices, Mask

Fingerprint = bytes
Ranks = NDArray[np.int32]  # places in an order, 0 the first; each taken once


class RankCut(NamedTuple):
    """An order cut in two: ranks (H, W) or (H, W, C) below `stop` are in if `keep`, else out."""

    ranks: Ranks
    stop: int
    keep: bool

    @property
    def visible(self) -> Mask:
        seen: Mask = self.ranks < self.stop if self.keep else self.ranks >= self.stop
        return seen


class Fingerprints:
    """Tells which coalitions of one picture are equal, without their masks.

    A fingerprint is the sum of a number for each visible element. The numbers, of 128 bits, are
    drawn anew for each object, so that nobody can make two coalitions with the same sum.
    """

    def __init__(self, shape: tuple[int, int, int]) -> None:
        drawn = np.random.default_rng().integers(2**64, size=(2, *shape), dtype=np.uint64)
        self._numbers = {3: drawn.reshape(2, -1), 2: drawn.sum(axis=3).reshape(2, -1)}

    def of(self, ranks: Ranks, stops: Indices, *, keep: bool) -> list[Fingerprint]:
        """Return the fingerprint of the RankCut at each stop."""
        numbers = self._numbers[ranks.ndim]
        sums = np.zeros((2, ranks.size + 1), dtype=np.uint64)  # of the first 0, 1, … elements
        sums[:, ranks.ravel() + 1] = numbers
        np.cumsum(sums, axis=1, out=sums)
        below = sums[:, stops]
        seen = below if keep else sums[:, -1:] - below
        return [each.tobytes() for each in seen.T]


@dataclass(frozen=True)
class RankCoalitions:
    """Coalitions of cuts; a mask is computed only when its coalition is painted."""

    cuts: Sequence[RankCut]

    def __len__(self) -> int:
        return len(self.cuts)

    def __getitem__(self, span: slice, /) -> "RankCoalitions":
        return RankCoalitions(self.cuts[span])

    def rows(self) -> list[bytes]:
        """Return a bit for each pixel, or each element, in order; the first in the highest bit."""
        return [np.packbits(cut.visible).tobytes() for cut in self.cuts]

    def visible(self, i: int) -> Mask:
        return self.cuts[i].visible

    def reveal(self, i: int, source: NDArray[Any], canvas: NDArray[Any]) -> None:
        seen = self.visible(i)
        np.copyto(canvas, source, where=seen.reshape(*seen.shape[:2], -1))


def rank(urgency: Credit) -> Ranks:
    """Rank elements of any shape, the lowest urgency first, equal ones in order of position."""
    flat = urgency.ravel()
    starts, lengths = runs(flat[np.newaxis])  # in superpixels, far fewer than elements
    order = np.argsort(flat[starts], kind="stable")
    firsts = np.empty(len(starts), dtype=np.int32)  # the rank of each run's first element
    firsts[order] = np.cumsum(lengths[order]) - lengths[order]
    ranks = np.repeat(firsts - starts, lengths) + np.arange(flat.size)
    return ranks.astype(np.int32).reshape(urgency.shape)


def runs(columns: NDArray[Any]) -> tuple[Indices, Indices]:
    """Return the start and the length of each run of equal columns (K, elements)."""
    changes = (columns[:, 1:] != columns[:, :-1]).any(axis=0)
    starts = np.append(0, np.flatnonzero(changes) + 1)
    return starts, np.diff(starts, append=columns.shape[1])
