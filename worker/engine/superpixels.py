"""Cutting a picture into players: single pixels, a grid, SLIC superpixels, or the caller's own."""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from worker.engine.arrays import Labels, Pictures
from worker.engine.boxes import ImageTree
from worker.engine.coalitions import Shape
from worker.engine.players import Players


@dataclass(frozen=True)
class Pixels:
    """Every pixel is a player; with channels "apart", as in shap, every element is."""

    channels: Literal["apart", "together"] = "apart"


@dataclass(frozen=True)
class Grid:
    """Rectangles in rows and columns, of sizes as equal as can be."""

    rows: int
    columns: int


@dataclass(frozen=True)
class Slic:
    """About `segments` superpixels by SLIC, as scikit-image computes them.

    Achanta et al., SLIC Superpixels, 2012. compactness: weight of nearness against colour.
    sigma: pixels, width of the Gaussian that smooths the picture before.
    """

    segments: int = 50
    compactness: float = 30.0
    sigma: float = 3.0


@dataclass(frozen=True, eq=False)
class LabelMap:
    """Superpixels of the caller's own: pixels (H, W) with equal whole numbers belong together."""

    labels: Labels


Superpixels = Pixels | Grid | Slic | LabelMap
PIXELS = Pixels()


def make_players(superpixels: Superpixels, picture: Pictures) -> Players:
    """Cut a picture (H, W, C), float32 in 0..255, into players.

    Raises SuperpixelsError where the picture cannot be cut so.
    """
    if not isinstance(superpixels, Pixels):
        raise NotImplementedError
    return make_pixels(superpixels, picture.shape)


def make_pixels(pixels: Pixels, shape: Shape) -> Players:
    """Make every pixel or element of pictures of a shape (H, W, C) a player."""
    together = pixels.channels == "together"
    extents = shape[:2] if together else shape
    labels = np.arange(np.prod(extents), dtype=np.int32).reshape(extents)
    return Players(shape, labels, ImageTree(shape, channels_together=together), superpixels=False)
