"""Paints coalitions on the device of JAX: boxes or members travel there, and no pixels."""

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray

from worker.engine.arrays import Indices, Mask, Pictures
from worker.engine.boxes import BoxCoalitions
from worker.engine.coalitions import Coalitions
from worker.engine.players import PlayerCoalitions

FEWEST_BOXES = 32  # more than a coalition of the image tree has in pictures of up to 2^13 a side
FEWEST_PLAYERS = 64


class Painter:
    """Shows a picture where visible and a fill elsewhere, as the masker Filling does.

    picture, fill: (H, W, C) float32. Numbers of boxes and of players are padded to powers of two,
    so that a job compiles its painting once.
    """

    def __init__(self, picture: Pictures, fill: Pictures) -> None:
        self._picture = jax.device_put(picture)
        self._fill = jax.device_put(fill)
        self._labels: tuple[Indices, jax.Array] | None = None  # as last seen: here and there

    def __call__(self, coalitions: Coalitions, size: int) -> jax.Array:
        """Paint up to `size` coalitions: (size, H, W, C) float32, the rest of it as nobody's."""
        if isinstance(coalitions, BoxCoalitions):
            return _paint_boxes(self._picture, self._fill, _boxes(coalitions, size))
        if isinstance(coalitions, PlayerCoalitions):
            labels = self._on_device(coalitions.labels)
            return _paint_players(self._picture, self._fill, labels, _members(coalitions, size))
        return _paint(self._picture, self._fill, _visible(coalitions, size))

    def _on_device(self, labels: Indices) -> jax.Array:
        """The labels of an explanation travel once."""
        if self._labels is None or self._labels[0] is not labels:
            self._labels = labels, jax.device_put(labels)
        return self._labels[1]


def _boxes(coalitions: BoxCoalitions, size: int) -> NDArray[np.int32]:
    """Give the edges of the boxes of each coalition, (size, P, 6); those missing are empty."""
    most = max(len(boxes) for boxes in coalitions.members)
    edges = np.zeros((size, _padded(most, FEWEST_BOXES), 6), np.int32)
    for row, boxes in zip(edges, coalitions.members, strict=False):
        row[: len(boxes)] = np.array(boxes, np.int32).reshape(-1, 6)
    return edges


def _members(coalitions: PlayerCoalitions, size: int) -> Mask:
    """Give who is in each coalition, (size, M), M padded with players that have no pixels."""
    count, players = coalitions.members.shape
    members = np.zeros((size, _padded(players, FEWEST_PLAYERS)), np.bool_)
    members[:count, :players] = coalitions.members
    return members


def _visible(coalitions: Coalitions, size: int) -> Mask:
    """Give what each coalition of another kind sees, (size, H, W, C) or (size, H, W, 1)."""
    masks = np.stack([coalitions.visible(i) for i in range(len(coalitions))])
    masks = masks.reshape(*masks.shape[:3], -1)
    return np.pad(masks, [(0, size - len(masks)), *[(0, 0)] * 3])


def _padded(count: int, fewest: int) -> int:
    """Give the power of two that holds a count, and is not below `fewest`."""
    return max(fewest, 1 << (count - 1).bit_length())


@jax.jit
def _paint(picture: jax.Array, fill: jax.Array, visible: jax.Array) -> jax.Array:
    return jnp.where(visible, picture, fill)  # (N, H, W, C)


@jax.jit
def _paint_players(
    picture: jax.Array, fill: jax.Array, labels: jax.Array, members: jax.Array
) -> jax.Array:
    visible = members[:, labels].reshape(len(members), *picture.shape[:2], -1)
    return _paint(picture, fill, visible)


@jax.jit
def _paint_boxes(picture: jax.Array, fill: jax.Array, boxes: jax.Array) -> jax.Array:
    """An element is visible where the rows, columns and channels of one box all hold it.

    The boxes of a coalition are disjoint, so sums of these products are exactly 0 or 1.
    """
    rows, columns, channels = (  # (N, P, H), (N, P, W), (N, P, C)
        _inside(boxes[..., 2 * axis], boxes[..., 2 * axis + 1], extent)
        for axis, extent in enumerate(picture.shape)
    )
    return _paint(picture, fill, jnp.einsum("nph,npw,npc->nhwc", rows, columns, channels) > 0.5)


def _inside(start: jax.Array, stop: jax.Array, extent: int) -> jax.Array:
    """Tell by 1 and 0 which of the places 0..extent are in [start, stop): (..., extent)."""
    places = jnp.arange(extent)
    inside = (start[..., None] <= places) & (places < stop[..., None])
    return inside.astype(jnp.float32)
