"""The image tree of shap, and coalitions of its boxes.

The image tree splits a picture into two boxes, each of those into two, down to single channels of
single pixels. A coalition of that tree is a few disjoint boxes, so it costs some hundred bytes and
becomes a mask only at the moment it is painted.
"""

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from worker.engine.arrays import Mask, Region
from worker.engine.game.coalitions import Shape
from worker.engine.game.tree import Tree


class Box(NamedTuple):
    """Rows [top, bottom), columns [left, right) and channels [front, back) of a picture."""

    top: int
    bottom: int
    left: int
    right: int
    front: int
    back: int


@dataclass(frozen=True)
class ImageTree:
    """The image tree over pictures of a shape (H, W, C); Tree documents its methods.

    channels_together: whether to stop at whole pixels, where shap goes on to single channels.
    """

    shape: Shape
    channels_together: bool = False

    @property
    def root(self) -> Box:
        return whole(self.shape)

    def children(self, part: Box) -> tuple[Box, Box] | None:
        is_pixel = extents(part)[:2] == (1, 1)
        return None if is_pixel and self.channels_together else children(part)

    def size(self, part: Box) -> int:
        return size(part)

    def region(self, part: Box) -> Region:
        return region(part)

    def coalitions(self, members: Sequence[tuple[Box, ...]]) -> "BoxCoalitions":
        return BoxCoalitions(self.shape, members)


@dataclass(frozen=True)
class BoxCoalitions:
    """Coalitions of disjoint boxes: `members[i]` are the boxes coalition i sees."""

    shape: Shape
    members: Sequence[tuple[Box, ...]]

    def __len__(self) -> int:
        return len(self.members)

    def __getitem__(self, span: slice, /) -> "BoxCoalitions":
        return BoxCoalitions(self.shape, self.members[span])

    def rows(self) -> list[bytes]:
        """Return the six bounds of each box, as unsigned little-endian integers of 16 bits."""
        return [struct.pack(f"<{6 * len(boxes)}H", *chain(*boxes)) for boxes in self.members]

    def visible(self, i: int) -> Mask:
        boxes, channels = self.members[i], self.shape[2]
        whole_pixels = all(box.front == 0 and box.back == channels for box in boxes)
        mask = np.zeros(self.shape[:2] if whole_pixels else self.shape, dtype=np.bool_)
        for box in boxes:
            mask[region(box)[: mask.ndim]] = True
        return mask

    def reveal(self, i: int, source: NDArray[Any], canvas: NDArray[Any]) -> None:
        for box in self.members[i]:
            canvas[region(box)] = source[region(box)]


def empty_coalition(shape: Shape) -> BoxCoalitions:
    """Return the empty coalition, as a batch of one."""
    return BoxCoalitions(shape, [()])


def grand_coalition(shape: Shape) -> BoxCoalitions:
    """Return the coalition of all elements, as a batch of one."""
    return BoxCoalitions(shape, [(whole(shape),)])


def whole(shape: Shape) -> Box:
    """Return the box of all elements: the root of the image tree."""
    rows, columns, channels = shape
    return Box(0, rows, 0, columns, 0, channels)


def children(box: Box) -> tuple[Box, Box] | None:
    """Split a box as the image tree of shap does: (left child, right child); None for a leaf.

    The longer side is halved, rows before columns where equal, and channels once a single pixel is
    left. The left child is the half nearer the end (bottom, right, last channels); of an odd
    length it gets the smaller half.
    """
    top, bottom, left, right, front, back = box
    rows, columns, channels = extents(box)
    if rows >= columns and rows > 1:
        cut = bottom - rows // 2
        return Box(cut, bottom, left, right, front, back), Box(top, cut, left, right, front, back)
    if columns > 1:
        cut = right - columns // 2
        return Box(top, bottom, cut, right, front, back), Box(top, bottom, left, cut, front, back)
    if channels > 1:
        cut = back - channels // 2
        return Box(top, bottom, left, right, cut, back), Box(top, bottom, left, right, front, cut)
    return None


def splits(tree: Tree[Box]) -> dict[Box, tuple[Box, Box]]:
    """Return (left child, right child) of every part of the image tree that has children.

    Parts are ordered as in shap's `clustering`: by size, smaller first; parts of equal size by
    their ends, then by their starts.
    """
    found: dict[Box, tuple[Box, Box]] = {}
    stack = [tree.root]
    while stack:
        part = stack.pop()
        if halves := tree.children(part):
            found[part] = halves
            stack += halves
    return {part: found[part] for part in sorted(found, key=_number)}


def _number(box: Box) -> tuple[int, ...]:
    top, bottom, left, right, front, back = box
    return size(box), bottom, top, right, left, back, front


def extents(box: Box) -> Shape:
    """Return the numbers of rows, columns and channels of a box."""
    return box.bottom - box.top, box.right - box.left, box.back - box.front


def size(box: Box) -> int:
    """Count the elements of a box."""
    rows, columns, channels = extents(box)
    return rows * columns * channels


def region(box: Box) -> tuple[slice, slice, slice]:
    """Return the index of a box in an (H, W, C, ...) array."""
    return slice(box.top, box.bottom), slice(box.left, box.right), slice(box.front, box.back)
