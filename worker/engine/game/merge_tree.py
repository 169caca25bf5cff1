"""The merge tree of superpixels: similar neighbours are joined near the leaves, others further up.

Philippe Salembier and Luis Garrido, "Binary partition tree as an efficient representation for image
processing, segmentation, and information retrieval", 2000, https://doi.org/10.1109/83.841934, gave
the tree: the two neighbouring regions that are most alike are merged until one is left. Georges
Koepfler, Christian Lopez and Jean-Michel Morel, "A multiscale algorithm for image segmentation by
variational method", 1994, https://doi.org/10.1137/0731015, gave the cost of a merge: the squared
error it adds where each region is painted in its mean colour (Joe Ward, "Hierarchical grouping to
optimize an objective function", 1963, https://doi.org/10.1080/01621459.1963.10500845), over the
length of the boundary it removes.

Their tree splits off small bright spots one by one, while Partition doubles a part's contexts at
every split. To balance the branches' sizes, NOISE is added to differences of colour and costs are
weighted by size once more. On photos of 50 superpixels, Partition then takes about a thirtieth of
the evaluations until all parts above a sixteenth of the picture are split.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from heapq import heapify, heappop, heappush
from typing import NamedTuple, Self

import numpy as np

from worker.engine.arrays import Indices, Labels, Mask, Pictures
from worker.engine.game.players import PlayerCoalitions

NOISE = 40.0  # levels of intensity; for smaller differences, sizes and boundaries decide

Pair = tuple[int, int]  # of regions: 0..M-1 are the superpixels, M + k the k-th pair merged


class Branch(NamedTuple):
    """The superpixels at places [start, stop) of a merge tree, its leaves counted from the left."""

    start: int
    stop: int


@dataclass(frozen=True, eq=False)
class MergeTree:
    """A binary tree over superpixels; Tree documents its methods.

    labels: (H, W) int64, the superpixel of each pixel, 0..M-1. place_of: (M,) int64, the place of
    each superpixel among the leaves. places: (H, W) int64, that of each pixel's superpixel.
    ends: (M + 1,) int64, the number of elements before each place, and in total.
    cuts: for each branch that is not a leaf, the place where it splits in two.
    """

    labels: Indices
    place_of: Indices
    places: Indices
    ends: Indices
    cuts: dict[Branch, int]

    @classmethod
    def of(cls, labels: Labels, picture: Pictures) -> Self:
        """Grow the tree of the superpixels labels (H, W), 0..M-1, of a picture (H, W, C)."""
        merges = merge_all(labels, picture)
        count = len(merges) + 1
        sizes = [1] * count  # in superpixels, of all 2M - 1 regions
        for left, right in merges:
            sizes.append(sizes[left] + sizes[right])

        leaves: list[int] = []  # superpixels, from left to right
        cuts: dict[Branch, int] = {}
        stack = [len(sizes) - 1]
        while stack:
            region = stack.pop()
            if region < count:
                leaves.append(region)
            else:
                left, right = merges[region - count]
                start = len(leaves)
                cuts[Branch(start, start + sizes[region])] = start + sizes[left]
                stack += [right, left]

        place_of = np.argsort(leaves)  # (M,)
        places = place_of[labels]
        elements = np.bincount(places.ravel()) * picture.shape[2]  # (M,)
        ends = np.concatenate([[0], np.cumsum(elements)])
        return cls(labels.astype(np.int64), place_of, places, ends, cuts)

    @property
    def root(self) -> Branch:
        return Branch(0, len(self.ends) - 1)

    def children(self, part: Branch) -> tuple[Branch, Branch] | None:
        cut = self.cuts.get(part)
        return None if cut is None else (Branch(part.start, cut), Branch(cut, part.stop))

    def size(self, part: Branch) -> int:
        return int(self.ends[part.stop] - self.ends[part.start])

    def region(self, part: Branch) -> Mask:
        inside: Mask = (self.places >= part.start) & (self.places < part.stop)
        return inside  # (H, W)

    def coalitions(self, members: Sequence[tuple[Branch, ...]]) -> PlayerCoalitions:
        seen = np.zeros((len(members), len(self.ends) - 1), dtype=np.bool_)  # (B, M), by place
        for row, branches in zip(seen, members, strict=True):
            for branch in branches:
                row[branch.start : branch.stop] = True
        return PlayerCoalitions(self.labels, seen[:, self.place_of])


def merge_all(labels: Labels, picture: Pictures) -> list[Pair]:
    """Merge the superpixels labels (H, W), 0..M-1, until one region is left: M - 1 merges.

    The cheapest merge comes first; among equal costs, that of the older regions. As labels cover
    the picture, a merge always exists. Only each region's cheapest merge is queued. Where its
    neighbour has changed when its turn comes, the cheapest is found anew; its cost can only have
    risen, as the changed neighbour has queued its own merge.
    """
    regions = _Regions(labels, picture)
    count = len(regions.borders)
    queue = [regions.cheapest_merge(slot) for slot in range(count) if regions.borders[slot]]
    heapify(queue)
    merges: list[Pair] = []
    while len(merges) < count - 1:
        _, pair, (slot, neighbour) = heappop(queue)
        if regions.names[slot] != pair[0]:
            continue
        if regions.names[neighbour] == pair[1]:
            slot = regions.merge(slot, neighbour, name=count + len(merges))
            merges.append(pair)
        if regions.borders[slot]:
            heappush(queue, regions.cheapest_merge(slot))
    return merges


class _Regions:
    """Regions in M slots, at first the superpixels; a merged region takes a slot of its halves.

    names: the name of the region in each slot, 0..2M-2; -1 for a free slot. borders: for each slot,
    its neighbours' slots and the lengths of the common boundaries, in pixel sides.
    """

    def __init__(self, labels: Labels, picture: Pictures) -> None:
        pixels = labels.ravel()
        channels = picture.astype(np.float64).reshape(len(pixels), -1).T
        self._sizes = np.bincount(pixels).astype(np.float64)  # (M,)
        self._sums = np.stack([np.bincount(pixels, channel) for channel in channels], axis=1)
        self.borders = _borders(labels, len(self._sizes))
        self.names = list(range(len(self._sizes)))

    def cheapest_merge(self, slot: int) -> tuple[float, Pair, Pair]:
        """Return the cheapest merge of a region: its cost, the names and the slots of the two."""
        border = self.borders[slot]
        others = np.fromiter(border, np.int64)  # (n,)
        size, sizes = self._sizes[slot], self._sizes[others]
        means = self._sums[others] / sizes[:, np.newaxis]  # (n, C)
        apart = np.square(means - self._sums[slot] / size).sum(axis=1)
        weights = size * sizes / (size + sizes)  # Ward: times apart, the added error
        costs = (apart + NOISE**2) * weights**2 / np.fromiter(border.values(), np.float64)
        best = int(costs.argmin())
        other = int(others[best])
        return float(costs[best]), (self.names[slot], self.names[other]), (slot, other)

    def merge(self, slot: int, other: int, *, name: int) -> int:
        """Merge two regions in the slot of the one with more neighbours; return that slot."""
        if len(self.borders[slot]) < len(self.borders[other]):
            slot, other = other, slot
        self.names[slot], self.names[other] = name, -1
        self._sizes[slot] += self._sizes[other]
        self._sums[slot] += self._sums[other]
        del self.borders[slot][other], self.borders[other][slot]
        for neighbour, length in self.borders[other].items():
            del self.borders[neighbour][other]
            length += self.borders[slot].get(neighbour, 0)
            self.borders[slot][neighbour] = self.borders[neighbour][slot] = length
        return slot


def _borders(labels: Labels, count: int) -> list[dict[int, int]]:
    """Measure the common boundaries of superpixels (H, W), count of them, in sides of pixels."""
    one = np.concatenate([labels[:, :-1].ravel(), labels[:-1].ravel()]).astype(np.int64)
    other = np.concatenate([labels[:, 1:].ravel(), labels[1:].ravel()])
    apart = one != other
    low, high = np.minimum(one, other)[apart], np.maximum(one, other)[apart]
    pairs, lengths = np.unique(low * count + high, return_counts=True)
    borders: list[dict[int, int]] = [{} for _ in range(count)]
    for pair, length in zip(pairs.tolist(), lengths.tolist(), strict=True):
        a, b = divmod(pair, count)
        borders[a][b] = borders[b][a] = length
    return borders
