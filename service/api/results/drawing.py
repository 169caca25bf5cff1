"""Draws an explanation: options, sizes, memory needed."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from pydantic import BaseModel, ConfigDict, Field

from service import render
from service.schemas.results import Rectangle

Style = Literal["figure", "overlay", "heat"]
Size = Literal["model", "original"] | Annotated[int, Field(ge=32, le=4096)]
PANEL = (270, 400)  # most pixels of a figure for a panel and its surroundings
VALUE_BYTES, SUM_BYTES = 8, 32  # of memory, for an array element and for a sum over channels
PAGE_BYTES, LAYER_BYTES, PHOTO_BYTES = 8, 16, 18  # of memory, for a pixel
TrueLabel = Annotated[str, Field(min_length=1, max_length=100)]


class DrawingOptions(BaseModel):
    """Options of every drawing."""

    model_config = ConfigDict(extra="forbid")

    alpha: float | None = Field(
        None,
        ge=0,
        le=1,
        description="figure: opacity of the grey ghost (0.15); overlay: of the colours (0.6)",
    )
    percentile: float = Field(
        99.9, gt=0, le=100, description="Absolute values up to this percentile span the colours"
    )
    palette: render.PaletteName = Field(
        "red_blue",
        description="Colours of for and against; those with orange suit colour-blind eyes",
    )


@dataclass(frozen=True)
class DrawingSubject:
    """Input of a drawing: the outputs shown, and the photo, read only if needed."""

    arrays: render.Attributions
    scores: list[float]
    crop: Rectangle
    placement: Rectangle
    photo_size: render.Size  # upright
    photo: Callable[[], NDArray[np.uint8]]  # (H0, W0, 3), upright
    true_label: str | None = None

    @property
    def on_photo(self) -> render.Attributions:
        """The attributions inside the photo, without the padding around it."""
        box = self.placement
        return self.arrays.within(box.left, box.top, box.right, box.bottom)

    @property
    def row(self) -> render.Row:
        return render.Row(self.arrays, self.scores, self.true_label)


def draw(subject: DrawingSubject, style: Style, size: Size | None, look: DrawingOptions) -> bytes:
    """Returns a PNG. Raises render.InvalidOptionError."""
    if style == "figure":
        if size == "original":
            raise render.InvalidOptionError(
                "size of a figure must be model or a width; received original"
            )
        return draw_figure([subject.row], look, size if isinstance(size, int) else None)
    if subject.true_label is not None:
        raise render.InvalidOptionError(f"only a figure shows a true_label; received style {style}")
    model = subject.arrays.data.shape[1::-1]
    drawn = layer_size(style, size, model=model, photo=subject.photo_size)
    on_photo = uses_photo(style, size)
    crop = _box(subject, drawn) if on_photo else None
    arrays = subject.on_photo if on_photo else subject.arrays
    if style == "heat":
        return render.heat(
            arrays,
            size=drawn,
            crop=crop,
            percentile=look.percentile,
            palette=look.palette,
            score=subject.scores[0],
        )
    return render.overlay(
        arrays,
        picture=_ground(subject.photo(), drawn) if on_photo else None,
        crop=crop,
        percentile=look.percentile,
        alpha=0.6 if look.alpha is None else look.alpha,
        palette=look.palette,
        score=subject.scores[0],
    )


def draw_figure(rows: Sequence[render.Row], look: DrawingOptions, width: int | None) -> bytes:
    """Returns a PNG of one or more pictures. Raises render.InvalidOptionError."""
    return render.figure(
        *rows,
        percentile=look.percentile,
        alpha=0.15 if look.alpha is None else look.alpha,
        width_px=width,
        palette=look.palette,
    )


def uses_photo(style: Style, size: Size | None) -> bool:
    """Whether a layer is drawn for the photo, rather than for the model's input."""
    return size == "original" or (style == "overlay" and size != "model")


def layer_size(
    style: Style, size: Size | None, *, model: render.Size, photo: render.Size
) -> render.Size:
    """Width and height of a layer. Raises render.InvalidOptionError if it is too large."""
    width, height = photo if uses_photo(style, size) else model
    scale = size / width if isinstance(size, int) else 1.0
    if size is None:  # the largest permitted
        scale = min(1.0, math.sqrt(render.MAX_LAYER_PIXELS / (width * height)))
        width, height = max(1, math.floor(width * scale)), max(1, math.floor(height * scale))
    else:
        width, height = max(1, round(width * scale)), max(1, round(height * scale))
    if width * height > render.MAX_LAYER_PIXELS:
        raise render.InvalidOptionError(
            f"a layer may have {render.MAX_LAYER_PIXELS} pixels; received {width} x {height}: "
            f"give a smaller width as size"
        )
    return width, height


# --- Memory needed


def figure_memory_bytes(shapes: Sequence[tuple[int, int, int, int]], width: int | None) -> int:
    """Bytes of memory to draw pictures with values of shape (H, W, C, K)."""
    columns = min(render.MAX_COLUMNS, 1 + max(shape[3] for shape in shapes))
    scale = width / (columns * PANEL[0]) if width else 1.0
    panels = sum(1 + shape[3] for shape in shapes)
    pixels = min(panels * PANEL[0] * PANEL[1] * scale**2, render.MAX_PIXELS)
    return sum(map(_held_of_arrays, shapes)) + round(pixels * PAGE_BYTES)


def layer_memory_bytes(
    shape: tuple[int, int, int, int], photo: render.Size | None, size: render.Size
) -> int:
    """Bytes of memory to draw one output at `size`, alone or over a photo (width, height)."""
    decoded = photo[0] * photo[1] * PHOTO_BYTES if photo else 0
    return _held_of_arrays((*shape[:3], 1)) + decoded + size[0] * size[1] * LAYER_BYTES


def _held_of_arrays(shape: tuple[int, int, int, int]) -> int:
    H, W, C, K = shape
    return H * W * (K * (C * VALUE_BYTES + SUM_BYTES) + C * VALUE_BYTES)


def _ground(photo: NDArray[np.uint8], size: render.Size) -> NDArray[np.uint8]:
    """Resizes the photo to this width and height."""
    picture = Image.fromarray(photo)
    return np.asarray(picture if picture.size == size else picture.resize(size))


def _box(subject: DrawingSubject, size: render.Size) -> render.Box:
    """The part of the resized photo that the model saw, at least a pixel wide and high."""
    (width, height), crop = size, subject.crop
    across, down = width / subject.photo_size[0], height / subject.photo_size[1]
    left = min(round(crop.left * across), width - 1)
    top = min(round(crop.top * down), height - 1)
    right = min(max(round(crop.right * across), left + 1), width)
    bottom = min(max(round(crop.bottom * down), top + 1), height)
    return left, top, right, bottom
