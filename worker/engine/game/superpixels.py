"""Cuts a picture into players: single pixels, a grid, SLIC superpixels, or a label map."""

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from worker.engine.arrays import Pictures
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

    def segment(self, picture: Pictures) -> NDArray[np.integer[Any]]:
        """Return the superpixel of each pixel (H, W) of a picture (H, W, C)."""
        H, W, _ = picture.shape
        if self.rows > H or self.columns > W:
            raise SuperpixelsError(
                f"the grid has {self.rows} rows and {self.columns} columns; a picture of {H} x {W} "
                f"pixels can be cut into 1..{H} rows and 1..{W} columns",
                field="superpixels",
                received={"rows": self.rows, "columns": self.columns},
                accepted={"rows": {"maximum": H}, "columns": {"maximum": W}},
            )
        rows = np.arange(H) * self.rows // H  # (H,)
        columns = np.arange(W) * self.columns // W  # (W,)
        labels: NDArray[np.integer[Any]] = rows[:, np.newaxis] * self.columns + columns
        return labels


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

    def segment(self, picture: Pictures) -> NDArray[np.integer[Any]]:
        """Return the superpixel of each pixel (H, W) of a picture (H, W, C).

        The picture is segmented in 8 bits, as uploaded, so that scikit-image computes in float64.
        Grey is converted to RGB, so that its lightness counts as 0..100, as for colours;
        scikit-image would scale it to 0..1, where a compactness of 30 leaves only the grid of the
        centres.
        """
        from skimage.segmentation import slic  # takes half a second, so only where needed

        H, W, C = picture.shape
        if self.segments > H * W:
            raise SuperpixelsError(
                f"segments is {self.segments}; a picture of {H} x {W} pixels can be cut into "
                f"1..{H * W} segments",
                field="superpixels",
                received=self.segments,
                accepted={"segments": {"minimum": 1, "maximum": H * W}},
            )
        levels = np.rint(picture).astype(np.uint8)
        labels: NDArray[np.integer[Any]] = slic(
            np.repeat(levels, 3, axis=2) if C == 1 else levels,
            n_segments=self.segments,
            compactness=self.compactness,
            sigma=self.sigma,
            start_label=0,
            max_num_iter=10,
            enforce_connectivity=True,
            convert2lab=C in (1, 3),
            channel_axis=-1,
        )
        return labels


@dataclass(frozen=True, eq=False)
class LabelMap:
    """Superpixels from the caller: pixels with equal labels (H, W), integers, form a superpixel.

    At most 10,000 different labels, of any value; a superpixel's pixels need not be connected.
    """

    labels: NDArray[np.integer[Any]]

    def __post_init__(self) -> None:
        kind, shape = self.labels.dtype, self.labels.shape
        whole = np.issubdtype(kind, np.integer) and len(shape) == 2
        _require("the label map", f"{kind} of shape {shape}", "whole numbers (H, W)", whole)
        count = len(np.unique(self.labels))
        _require("the number of labels", count, f"in 1..{MAX_SEGMENTS}", 1 <= count <= MAX_SEGMENTS)

    def segment(self, picture: Pictures) -> NDArray[np.integer[Any]]:
        """Return the labels (H, W), where they fit a picture (H, W, C)."""
        if self.labels.shape != picture.shape[:2]:
            (h, w), (H, W) = self.labels.shape, picture.shape[:2]
            raise SuperpixelsError(
                f"the label map has {h} x {w} pixels; the model's picture has {H} x {W}"
            )
        return self.labels


Superpixels = Pixels | Grid | Slic | LabelMap
PIXELS = Pixels()


def make_players(superpixels: Superpixels, picture: Pictures) -> Players:
    """Cut a picture (H, W, C), float32 in 0..255, into players.

    Superpixels are numbered 0..M-1 without gaps: a grid's row by row, others in the order of their
    labels. Raises SuperpixelsError where the picture cannot be cut into these superpixels.
    """
    if isinstance(superpixels, Pixels):
        return make_pixels(superpixels, picture.shape)
    _, numbered = np.unique(superpixels.segment(picture), return_inverse=True)  # (H, W)
    labels = np.asarray(numbered, dtype=np.int32)
    return Players(picture.shape, labels, MergeTree.of(labels, picture), superpixels=True)


def make_pixels(pixels: Pixels, shape: Shape) -> Players:
    """Make every pixel or element of pictures of a shape (H, W, C) a player."""
    together = pixels.channels == "together"
    extents = shape[:2] if together else shape
    labels = np.arange(np.prod(extents), dtype=np.int32).reshape(extents)
    return Players(shape, labels, ImageTree(shape, channels_together=together), superpixels=False)


def _require(name: str, value: object, accepted: str, holds: bool) -> None:
    if not holds:
        raise SuperpixelsError(f"{name} is {value}; it must be {accepted}")
