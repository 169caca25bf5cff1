"""Cuts a picture into players: single pixels, a grid, SLIC superpixels, or a label map."""

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from worker.engine.arrays import Labels, Pictures
from worker.engine.errors import SuperpixelsError
from worker.engine.game.coalitions import Shape
from worker.engine.game.image_tree import ImageTree
from worker.engine.game.merge_tree import MergeTree
from worker.engine.game.players import Players

MAX_SEGMENTS = 10_000  # superpixels that a request may have
MAX_SIGMA = 100.0  # pixels; smoothing time is proportional to it


@dataclass(frozen=True)
class Pixels:
    """Every pixel is a player; with channels "apart", as in shap, every element is a player."""

    channels: Literal["apart", "together"] = "apart"


@dataclass(frozen=True)
class Grid:
    """Rectangles in rows and columns, of sizes as equal as possible: 1..10,000 rectangles."""

    rows: int
    columns: int

    def __post_init__(self) -> None:
        _require("rows", self.rows, "at least 1", self.rows >= 1)
        _require("columns", self.columns, "at least 1", self.columns >= 1)
        count = self.rows * self.columns
        _require("rows x columns", count, f"at most {MAX_SEGMENTS}", count <= MAX_SEGMENTS)


@dataclass(frozen=True)
class Slic:
    """About `segments` superpixels, 1..10,000, by SLIC as scikit-image computes them.

    Radhakrishna Achanta et al., "SLIC superpixels compared to state-of-the-art superpixel methods",
    2012, https://doi.org/10.1109/TPAMI.2012.120. compactness: above 0, the weight of nearness
    against similarity of colour. sigma: 0..100 pixels, the width of the Gaussian that first smooths
    the picture. As the centres start on a square grid and small pieces are joined, the number of
    superpixels may be lower than `segments`, or up to a third higher.
    """

    segments: int = 50
    compactness: float = 30.0
    sigma: float = 3.0

    def __post_init__(self) -> None:
        accepted = 1 <= self.segments <= MAX_SEGMENTS
        _require("segments", self.segments, f"in 1..{MAX_SEGMENTS}", accepted)
        accepted = 0 < self.compactness < float("inf")
        _require("compactness", self.compactness, "above 0 and finite", accepted)
        accepted = 0 <= self.sigma <= MAX_SIGMA
        _require("sigma", self.sigma, f"in 0..{MAX_SIGMA:g}", accepted)


@dataclass(frozen=True, eq=False)
class LabelMap:
    """Superpixels from the caller: pixels with equal labels (H, W), integers, form a superpixel.

    At most 10,000 different labels, of any value; a superpixel's pixels need not be connected.
    """

    labels: NDArray[np.integer[Any]]

    def __post_init__(self) -> None:
        kind, shape = self.labels.dtype, self.labels.shape
        whole = np.issubdtype(kind, np.integer) and len(shape) == 2
        _require("the label map", f"{kind} of shape {shape}", "of whole numbers (H, W)", whole)
        count = len(np.unique(self.labels))
        _require("the number of labels", count, f"in 1..{MAX_SEGMENTS}", 1 <= count <= MAX_SEGMENTS)


Superpixels = Pixels | Grid | Slic | LabelMap
PIXELS = Pixels()


def make_players(superpixels: Superpixels, picture: Pictures) -> Players:
    """Cut a picture (H, W, C), float32 in 0..255, into players.

    Superpixels are numbered 0..M-1 without gaps: a grid's row by row, others in the order of their
    labels. Raises SuperpixelsError where the picture cannot be cut into these superpixels.
    """
    if isinstance(superpixels, Pixels):
        return make_pixels(superpixels, picture.shape)
    labels = _label(superpixels, picture)
    return Players(picture.shape, labels, MergeTree.of(labels, picture), superpixels=True)


def make_pixels(pixels: Pixels, shape: Shape) -> Players:
    """Make every pixel or element of pictures of a shape (H, W, C) a player."""
    together = pixels.channels == "together"
    extents = shape[:2] if together else shape
    labels = np.arange(np.prod(extents), dtype=np.int32).reshape(extents)
    return Players(shape, labels, ImageTree(shape, channels_together=together), superpixels=False)


def _label(superpixels: Grid | Slic | LabelMap, picture: Pictures) -> Labels:
    """Give the superpixel 0..M-1 of every pixel: (H, W)."""
    if isinstance(superpixels, Grid):
        raw = _grid(superpixels, picture.shape)
    elif isinstance(superpixels, Slic):
        raw = _slic(superpixels, picture)
    else:
        raw = _given(superpixels, picture.shape)
    _, labels = np.unique(raw, return_inverse=True)
    return np.asarray(labels, dtype=np.int32)


def _grid(grid: Grid, shape: Shape) -> NDArray[np.integer[Any]]:
    H, W, _ = shape
    if grid.rows > H or grid.columns > W:
        raise SuperpixelsError(
            f"the grid has {grid.rows} rows and {grid.columns} columns; a picture of {H} x {W} "
            f"pixels can be cut into 1..{H} rows and 1..{W} columns",
            field="superpixels",
            received={"rows": grid.rows, "columns": grid.columns},
            accepted={"rows": {"maximum": H}, "columns": {"maximum": W}},
        )
    rows = np.arange(H) * grid.rows // H  # (H,)
    columns = np.arange(W) * grid.columns // W  # (W,)
    return rows[:, np.newaxis] * grid.columns + columns


def _slic(slic: Slic, picture: Pictures) -> NDArray[np.integer[Any]]:
    """Segment the picture in 8 bits, as uploaded, so that scikit-image computes in float64: (H, W).

    Grey is converted to RGB, so that its lightness counts as 0..100, as for colours. scikit-image
    would scale grey to 0..1, where a compactness of 30 leaves only the grid of the centres.
    """
    from skimage.segmentation import slic as segment  # takes half a second, so only where needed

    H, W, C = picture.shape
    if slic.segments > H * W:
        raise SuperpixelsError(
            f"{slic.segments} segments are asked for; a picture of {H} x {W} pixels can be cut "
            f"into 1..{H * W}",
            field="superpixels",
            received=slic.segments,
            accepted={"segments": {"minimum": 1, "maximum": H * W}},
        )
    levels = np.rint(picture).astype(np.uint8)
    labels: NDArray[np.integer[Any]] = segment(
        np.repeat(levels, 3, axis=2) if C == 1 else levels,
        n_segments=slic.segments,
        compactness=slic.compactness,
        sigma=slic.sigma,
        start_label=0,
        max_num_iter=10,
        enforce_connectivity=True,
        convert2lab=C in (1, 3),
        channel_axis=-1,
    )
    return labels


def _given(label_map: LabelMap, shape: Shape) -> NDArray[np.integer[Any]]:
    if label_map.labels.shape != shape[:2]:
        H, W = label_map.labels.shape
        raise SuperpixelsError(
            f"the label map has {H} x {W} pixels; the model's picture has {shape[0]} x {shape[1]}"
        )
    return label_map.labels


def _require(name: str, value: object, accepted: str, holds: bool) -> None:
    if not holds:
        raise SuperpixelsError(f"{name} is {value}; it must be {accepted}")
