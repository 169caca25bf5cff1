"""Binary trees over the elements of a picture, which group elements level by level."""

from collections.abc import Hashable, Sequence
from typing import Protocol, TypeVar

from worker.engine.arrays import Region
from worker.engine.game.coalitions import Coalitions

Part = TypeVar("Part", bound=Hashable)


class Tree(Protocol[Part]):
    """A binary tree whose nodes, called parts, are sets of elements; the root has all elements."""

    @property
    def root(self) -> Part:
        """Return the part of all elements."""

    def children(self, part: Part) -> tuple[Part, Part] | None:
        """Split a part into (left child, right child), in shap's order; None for a leaf."""

    def size(self, part: Part) -> int:
        """Count the elements of a part."""

    def region(self, part: Part) -> Region:
        """Return the index of a part's elements in an (H, W, C, ...) array."""

    def coalitions(self, members: Sequence[tuple[Part, ...]]) -> Coalitions:
        """Return the coalitions that see the disjoint parts members[i], for each i."""


def count_coalitions(tree: Tree[Part], *, contexts: int, limit: int) -> int:
    """Count the halves of all parts, each `contexts` ** depth times; stop at `limit`."""
    count, seen, level = 0, 1, [tree.root]
    while level and count < limit:
        halves = [pair for node in level if (pair := tree.children(node))]
        count += 2 * seen * len(halves)
        seen *= contexts
        level = [half for pair in halves for half in pair]
    return min(count, limit)
