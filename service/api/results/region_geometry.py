"""Areas, boxes and centroids of regions, in the model's input and in the upload."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from service.images.model_view import ModelView
from service.schemas.regions import Box, Point


@dataclass(frozen=True, eq=False)
class RegionShapes:
    """The shapes of R regions, in pixels of the model's input.

    areas: (R,). boxes: (R, 4), left, top, right, bottom, the last two exclusive. centroids: (R, 2),
    x and y. channels: for each region its channels; None for all.
    """

    areas: NDArray[np.int64]
    boxes: NDArray[np.int64]
    centroids: NDArray[np.float64]
    channels: list[list[int] | None]


def measure(labels: NDArray[np.integer], count: int) -> RegionShapes:
    """Measures regions 0..R-1 in labels (H, W) or, by channel, (H, W, C); -1 is no region.

    Raises ValueError if a label is out of range, or a region has no pixel.
    """
    H, W = labels.shape[:2]
    planes = labels.reshape(H * W, -1).astype(np.int64)  # (H W, C), or (H W, 1)
    if planes.min() < -1 or planes.max() >= count:
        raise ValueError(f"labels {planes.min()}..{planes.max()} of {count} regions")
    pixel, channel = np.nonzero(planes >= 0)
    region = planes[pixel, channel]
    present = np.zeros((count, planes.shape[1]), dtype=np.bool_)
    present[region, channel] = True
    if planes.shape[1] > 1:  # a pixel counts once, however many of its channels are in a region
        region, pixel = np.divmod(np.unique(region * (H * W) + pixel), H * W)
    row, column = np.divmod(pixel, W)
    areas = np.bincount(region, minlength=count)
    if not areas.all():
        raise ValueError(f"{np.count_nonzero(areas == 0)} of {count} regions have no pixel")
    first, last = np.full((2, count), max(H, W)), np.full((2, count), -1)
    for axis, places in enumerate((column, row)):
        np.minimum.at(first[axis], region, places)
        np.maximum.at(last[axis], region, places)
    sums = [np.bincount(region, weights=places + 0.5) for places in (column, row)]
    return RegionShapes(
        areas=areas,
        boxes=np.concatenate([first, last + 1]).T,
        centroids=np.stack(sums, axis=1) / areas[:, np.newaxis],
        channels=[None if all_in.all() else np.flatnonzero(all_in).tolist() for all_in in present],
    )


def box_of(edges: NDArray[np.number]) -> Box:
    left, top, right, bottom = edges.tolist()
    return Box(left=left, top=top, right=right, bottom=bottom)


def point_of(place: NDArray[np.floating]) -> Point:
    x, y = place.tolist()
    return Point(x=x, y=y)


def in_upload(places: NDArray[np.number], view: ModelView) -> NDArray[np.float64]:
    """Maps places (R, 2 n), x and y in turn, from the model's input to the upright upload."""
    crop, placed = view.crop, view.placement
    height, width = view.size
    scale = np.array([(crop.right - crop.left) / width, (crop.bottom - crop.top) / height])
    pairs = places.reshape(len(places), -1, 2) - np.array([placed.left, placed.top])
    brought: NDArray[np.float64] = pairs * scale + np.array([crop.left, crop.top])
    return brought.reshape(places.shape)
