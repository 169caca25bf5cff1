"""The size of a drawing: in pixels, and in bytes of memory while it is made."""

import math
from collections.abc import Sequence
from typing import Annotated, Literal

from pydantic import Field

from service import render

Style = Literal["figure", "overlay", "heat", "interactions"]
Size = Literal["model", "original"] | Annotated[int, Field(ge=32, le=4096)]
PANEL = (270, 400)  # most pixels of a figure for a panel and its surroundings
VALUE_BYTES, SUM_BYTES = 8, 48  # of memory, for an array element and for a sum over channels
FILE_FACTOR = 2  # of the memory of an SVG or PDF, which holds all pictures once more
PAGE_BYTES, LAYER_BYTES, PHOTO_BYTES = 8, 16, 18  # of memory, for a pixel


def uses_photo(style: Style, size: Size | None) -> bool:
    """Returns whether a layer is drawn over the photo, rather than over the model's input."""
    return size == "original" or (style == "overlay" and size != "model")


def layer_size(
    style: Style, size: Size | None, *, model: render.Size, photo: render.Size
) -> render.Size:
    """Returns width and height of a layer. Raises render.InvalidOptionError if it is too large."""
    width, height = photo if uses_photo(style, size) else model
    scale = size / width if isinstance(size, int) else 1.0
    if size is None:  # the largest permitted
        scale = min(1.0, math.sqrt(render.MAX_LAYER_PIXELS / (width * height)))
        width, height = max(1, math.floor(width * scale)), max(1, math.floor(height * scale))
    else:
        width, height = max(1, round(width * scale)), max(1, round(height * scale))
    if width * height > render.MAX_LAYER_PIXELS:
        raise render.InvalidOptionError(
            f"a layer may have at most {render.MAX_LAYER_PIXELS} pixels; received {width} x "
            f"{height}: request a smaller width as size"
        )
    return width, height


def figure_memory_bytes(shapes: Sequence[tuple[int, int, int, int]], width: int | None) -> int:
    """Returns the bytes of memory to draw pictures with values of shape (H, W, C, K)."""
    columns = min(render.MAX_COLUMNS, 1 + max(shape[3] for shape in shapes))
    scale = width / (columns * PANEL[0]) if width else 1.0
    panels = sum(1 + shape[3] for shape in shapes)
    pixels = min(panels * PANEL[0] * PANEL[1] * scale**2, render.MAX_PIXELS)
    return sum(map(_arrays_bytes, shapes)) + round(pixels * PAGE_BYTES)


def layer_memory_bytes(
    shape: tuple[int, int, int, int], photo: render.Size | None, size: render.Size
) -> int:
    """Returns the bytes of memory to draw one output at `size`.

    photo: width and height, if it is drawn over one.
    """
    decoded = photo[0] * photo[1] * PHOTO_BYTES if photo else 0
    return _arrays_bytes((*shape[:3], 1)) + decoded + size[0] * size[1] * LAYER_BYTES


def file_memory_bytes(drawing: int, form: render.Format) -> int:
    """Returns the bytes of memory to draw and write a file, given those of a PNG."""
    return drawing if form == "png" else FILE_FACTOR * drawing


def _arrays_bytes(shape: tuple[int, int, int, int]) -> int:
    H, W, C, K = shape
    return H * W * (K * (C * VALUE_BYTES + SUM_BYTES) + C * VALUE_BYTES)
