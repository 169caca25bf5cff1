"""Players: groups of the elements of a picture that are visible or hidden together."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from worker.engine.arrays import Credit, Indices, Labels, Mask, Scores
from worker.engine.game.coalitions import Shape
from worker.engine.game.tree import Tree


@dataclass(frozen=True, eq=False)
class Players:
    """The M players of a picture of a shape (H, W, C), and the tree that nests them.

    labels: the player of each pixel (H, W) or, where channels are separate players, of each
    element (H, W, C); int32, 0..M-1, each used. tree: its leaves are the players.
    superpixels: False where every player is a pixel or an element.
    """

    shape: Shape
    labels: Labels
    tree: Tree[Any]
    superpixels: bool

    @cached_property
    def sizes(self) -> Indices:
        """Count the elements of each player: (M,)."""
        pixels = np.bincount(self.labels.ravel())
        return pixels * (self.shape[2] if self.labels.ndim == 2 else 1)

    def __len__(self) -> int:
        return len(self.sizes)

    def means(self, plane: Scores) -> Scores:
        """Return the mean of a plane (H, W) over each superpixel: (M,)."""
        labels = self.labels.ravel()
        means: Scores = np.bincount(labels, plane.ravel()) / np.bincount(labels)
        return means

    @cached_property
    def centres(self) -> Scores:
        """Return the mean row and column of each superpixel, in pixels: (M, 2)."""
        rows, columns = np.indices(self.labels.shape) + 0.5
        return np.column_stack([self.means(rows), self.means(columns)])

    @property
    def superpixel_labels(self) -> Labels | None:
        """Return the labels (H, W) int32 where the players are superpixels, else None."""
        return self.labels if self.superpixels else None

    @property
    def tree_name(self) -> str:
        return "superpixel tree" if self.superpixels else "image tree"

    @cached_property
    def pairs(self) -> int:
        """Count the ordered pairs of elements of different players."""
        return int(self.sizes.sum()) ** 2 - int((self.sizes**2).sum())

    def unresolved(self, groups: Scores) -> float:
        """Return the share, 0..1, of `pairs` that lie within one group.

        groups: (G,), the number of elements in each group. Each group consists of whole players,
        and the groups make up the picture.
        """
        together = float((groups**2).sum() - (self.sizes**2).sum())
        return together / self.pairs if self.pairs else 0.0

    @cached_property
    def _indices(self) -> Indices:
        return self.labels.astype(np.int64)

    def coalitions(self, members: Mask) -> "PlayerCoalitions":
        """Return the coalitions of members (B, M) bool, True for players that are in."""
        return PlayerCoalitions(self._indices, members)

    def spread(self, credit: Credit) -> Credit:
        """Spread credit (M, K) evenly over the elements of each player: (H, W, C, K)."""
        density = credit / self.sizes[:, np.newaxis]
        apart = self.labels.reshape(*self.labels.shape[:2], -1)  # (H, W, C) or (H, W, 1)
        return np.broadcast_to(density[apart], (*self.shape, credit.shape[1])).copy()


@dataclass(frozen=True, eq=False)
class PlayerCoalitions:
    """Coalitions of players: coalition i sees the elements of the players in members[i].

    members: (B, M) bool. labels: as in Players, but int64, as NumPy would convert other indices
    for every coalition.
    """

    labels: Indices
    members: Mask

    def __len__(self) -> int:
        return len(self.members)

    def __getitem__(self, span: slice, /) -> "PlayerCoalitions":
        return PlayerCoalitions(self.labels, self.members[span])

    def rows(self) -> list[bytes]:
        """Return a bit for each player, the first player in the highest bit of the first byte."""
        return [row.tobytes() for row in np.packbits(self.members, axis=1)]

    def visible(self, i: int) -> Mask:
        seen: Mask = self.members[i].take(self.labels)  # (H, W) or (H, W, C)
        return seen

    def reveal(self, i: int, source: NDArray[Any], canvas: NDArray[Any]) -> None:
        seen = self.visible(i)
        if seen.ndim == 2:
            source = _whole_pixels(source.astype(canvas.dtype, copy=False))
            canvas = _whole_pixels(canvas)
        np.copyto(canvas, source, where=seen)


def _whole_pixels(picture: NDArray[Any]) -> NDArray[np.void]:
    """View (H, W, C) as (H, W), one value per pixel: masked copies are then 15 times as fast."""
    pixel = np.dtype((np.void, picture.dtype.itemsize * picture.shape[2]))
    return picture.view(pixel)[..., 0]
