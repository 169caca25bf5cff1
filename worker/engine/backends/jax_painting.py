"""Paints coalitions on JAX's device; only boxes or members are copied there, no pixels."""

from collections.abc import Sequence
from typing import TypeVar
from weakref import WeakKeyDictionary

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray

from worker.engine.arrays import Indices, Mask
from worker.engine.game.coalitions import Coalitions
from worker.engine.game.image_tree import BoxCoalitions
from worker.engine.game.players import PlayerCoalitions
from worker.engine.masking.maskers import FillMasker

MIN_BOXES = 32  # more than a coalition of the image tree has in pictures of up to 2^13 a side
MIN_PLAYERS = 64
Portion = tuple[FillMasker, Coalitions]
Kind = TypeVar("Kind")


class Resident:
    """One explanation's arrays on the device: picture and fill, (H, W, C), and labels."""

    def __init__(self, filling: FillMasker) -> None:
        self.picture = jax.device_put(filling.picture)
        self.fill = jax.device_put(np.asarray(filling.fill))
        self._labels: tuple[Indices, jax.Array] | None = None  # the last ones, on host and device

    def labels(self, labels: Indices) -> jax.Array:
        """Return the players' labels on the device; they are copied once."""
        if self._labels is None or self._labels[0] is not labels:
            self._labels = labels, jax.device_put(labels)
        return self._labels[1]


class Painter:
    """Paints coalitions of any number of pictures into one batch, as their maskers would.

    Arrays on the device are freed with their masker. Numbers of boxes, players and pictures are
    padded to powers of two, so that a job compiles its painting once.
    """

    def __init__(self) -> None:
        self._residents: WeakKeyDictionary[FillMasker, Resident] = WeakKeyDictionary()

    def __call__(self, portions: Sequence[Portion], size: int) -> jax.Array:
        """Paint up to `size` coalitions: (size, H, W, C) float32; the other rows are padding."""
        for filling, _ in portions:
            if filling not in self._residents:
                self._residents[filling] = Resident(filling)
        residents = [self._residents[filling] for filling, _ in portions]
        pictures = _stack([each.picture for each in residents])  # (E, H, W, C)
        fills = _stack([each.fill for each in residents])

        parts = [coalitions for _, coalitions in portions]
        counts = [len(part) for part in parts]
        owners = np.zeros(size, np.int32)  # (N,), the portion of each row; the first for padding
        owners[: sum(counts)] = np.repeat(np.arange(len(counts)), counts)

        if boxes := _as(BoxCoalitions, parts):
            return _paint_boxes(pictures, fills, owners, _boxes(boxes, size))
        players = _as(PlayerCoalitions, parts)
        if players and len({part.labels.ndim for part in players}) == 1:  # all pixels or elements
            pairs = zip(residents, players, strict=True)
            labels = _stack([resident.labels(part.labels) for resident, part in pairs])
            return _paint_players(pictures, fills, owners, labels, _members(players, size))
        return _paint(pictures, fills, owners, _visible(parts, size, pictures.shape[1:]))


def _as(kind: type[Kind], parts: Sequence[object]) -> list[Kind] | None:
    """Return the parts if all of them are of the kind, else None."""
    found = [part for part in parts if isinstance(part, kind)]
    return found if len(found) == len(parts) else None


def _stack(arrays: Sequence[jax.Array]) -> jax.Array:
    """Stack arrays, and the last one again up to a power of two."""
    missing = _padded(len(arrays), 1) - len(arrays)
    return jnp.stack([*arrays, *[arrays[-1]] * missing])


def _boxes(parts: Sequence[BoxCoalitions], size: int) -> NDArray[np.int32]:
    """Return the edges of the boxes of each coalition, (size, P, 6), padded with empty boxes."""
    members = [boxes for part in parts for boxes in part.members]
    most = max(len(boxes) for boxes in members)
    edges = np.zeros((size, _padded(most, MIN_BOXES), 6), np.int32)
    for row, boxes in zip(edges, members, strict=False):
        row[: len(boxes)] = np.array(boxes, np.int32).reshape(-1, 6)
    return edges


def _members(parts: Sequence[PlayerCoalitions], size: int) -> Mask:
    """Return the members of each coalition, (size, M), M padded with players without pixels."""
    most = max(part.members.shape[1] for part in parts)
    members = np.zeros((size, _padded(most, MIN_PLAYERS)), np.bool_)
    start = 0
    for part in parts:
        count, players = part.members.shape
        members[start : start + count, :players] = part.members
        start += count
    return members


def _visible(parts: Sequence[Coalitions], size: int, shape: tuple[int, ...]) -> Mask:
    """Return the elements that coalitions of any kind see: (size, H, W, C)."""
    masks = np.zeros((size, *shape), np.bool_)
    rows = iter(masks)
    for part in parts:
        for i in range(len(part)):
            seen = part.visible(i)
            next(rows)[:] = seen if seen.ndim == 3 else seen[..., np.newaxis]
    return masks


def _padded(count: int, fewest: int) -> int:
    """Return the smallest power of two that is at least `count` and `fewest`."""
    return max(fewest, 1 << (count - 1).bit_length())


@jax.jit
def _paint(
    pictures: jax.Array, fills: jax.Array, owners: jax.Array, visible: jax.Array
) -> jax.Array:
    return jnp.where(visible, pictures[owners], fills[owners])  # (N, H, W, C)


@jax.jit
def _paint_players(
    pictures: jax.Array,
    fills: jax.Array,
    owners: jax.Array,
    labels: jax.Array,
    members: jax.Array,
) -> jax.Array:
    """Paint coalitions of players: (N, H, W, C); an element is visible where its player is in.

    labels: (E, H, W) or (E, H, W, C).
    """
    players = labels[owners].reshape(len(owners), -1)  # (N, elements)
    visible = jnp.take_along_axis(members, players, axis=1)
    visible = visible.reshape(len(owners), *pictures.shape[1:3], -1)
    return _paint(pictures, fills, owners, visible)


@jax.jit
def _paint_boxes(
    pictures: jax.Array, fills: jax.Array, owners: jax.Array, boxes: jax.Array
) -> jax.Array:
    """Paint coalitions of boxes: (N, H, W, C); an element is visible where one box contains it.

    A box contains it if its rows, columns and channels all do: a product of three 0 or 1. The boxes
    of a coalition are disjoint, so sums of these products are exactly 0 or 1.
    """
    rows, columns, channels = (  # (N, P, H), (N, P, W), (N, P, C)
        _inside(boxes[..., 2 * axis], boxes[..., 2 * axis + 1], extent)
        for axis, extent in enumerate(pictures.shape[1:])
    )
    visible = jnp.einsum("nph,npw,npc->nhwc", rows, columns, channels) > 0.5
    return _paint(pictures, fills, owners, visible)


def _inside(start: jax.Array, stop: jax.Array, extent: int) -> jax.Array:
    """Return 1 for each of the places 0..extent in [start, stop), else 0: (..., extent)."""
    places = jnp.arange(extent)
    inside = (start[..., None] <= places) & (places < stop[..., None])
    return inside.astype(jnp.float32)
