"""Coalitions along an order of a picture's elements: the first ones, or all except those."""

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from worker.engine.arrays import Credit, Mask

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

    def fingerprint(self, channels: int) -> bytes:
        """Return a digest of the visible elements; equal coalitions have equal digests."""
        seen = self.visible
        elements = seen if seen.ndim == 3 else np.repeat(seen, channels, axis=1)  # flat, the same
        return blake2b(np.packbits(elements).tobytes(), digest_size=16).digest()


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
    order = np.argsort(urgency, axis=None, kind="stable")
    ranks = np.empty(urgency.size, dtype=np.int32)
    ranks[order] = np.arange(urgency.size, dtype=np.int32)
    return ranks.reshape(urgency.shape)
