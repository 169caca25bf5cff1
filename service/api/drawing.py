"""What of an explanation goes into a heatmap, and at which size."""

import io
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from pydantic import Field

from service import render
from service.contract.schema import Crop

Style = Literal["figure", "overlay", "heat"]
Size = Literal["model", "original"] | Annotated[int, Field(ge=32, le=4096)]
Box = tuple[int, int, int, int]  # left, top, right, bottom; the last two exclusive


@dataclass(frozen=True)
class Subject:
    """What is drawn: the outputs shown, and the photo, which is read only where it is needed."""

    arrays: render.Attributions
    scores: list[float]
    crop: Crop
    photo: Callable[[], NDArray[np.uint8]]  # (H0, W0, 3), upright


def draw(
    subject: Subject, style: Style, size: Size | None, percentile: float, alpha: float | None
) -> bytes:
    """A PNG. Raises render.BadOption."""
    if style == "figure":
        return _figure(subject, size, percentile, 0.15 if alpha is None else alpha)
    if style == "overlay":
        return _overlay(subject, size, percentile, 0.6 if alpha is None else alpha)
    return _heat(subject, size, percentile)


def _figure(subject: Subject, size: Size | None, percentile: float, alpha: float) -> bytes:
    if size == "original":
        raise render.BadOption("size of a figure must be model or a width; received original")
    return render.figure(
        subject.arrays,
        scores=subject.scores,
        percentile=percentile,
        alpha=alpha,
        width_px=size if isinstance(size, int) else None,
    )


def _overlay(subject: Subject, size: Size | None, percentile: float, alpha: float) -> bytes:
    if size == "model":
        return render.overlay(subject.arrays, percentile=percentile, alpha=alpha)
    photo = Image.fromarray(subject.photo())
    scale = size / photo.width if isinstance(size, int) else 1.0
    ground = photo if scale == 1 else photo.resize(_scaled(photo.size, scale))
    return render.overlay(
        subject.arrays,
        picture=np.asarray(ground),
        crop=_box(subject.crop, scale, ground.size),
        percentile=percentile,
        alpha=alpha,
    )


def _heat(subject: Subject, size: Size | None, percentile: float) -> bytes:
    if size == "original":
        return _laid_out(subject, percentile)
    height, width = subject.arrays.data.shape[:2]
    scale = size / width if isinstance(size, int) else 1.0
    return render.heat(subject.arrays, percentile=percentile, size=_scaled((width, height), scale))


def _laid_out(subject: Subject, percentile: float) -> bytes:
    """The heat where the model saw it, on a transparent sheet of the photo's size."""
    height, width = subject.photo().shape[:2]
    left, top, right, bottom = _box(subject.crop, 1.0, (width, height))
    layer = render.heat(subject.arrays, percentile=percentile, size=(right - left, bottom - top))
    if (right - left, bottom - top) == (width, height):
        return layer
    sheet = Image.new("RGBA", (width, height))
    sheet.paste(Image.open(io.BytesIO(layer)), (left, top))
    buffer = io.BytesIO()
    sheet.save(buffer, "PNG")
    return buffer.getvalue()


def _scaled(size: tuple[int, int], scale: float) -> tuple[int, int]:
    return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))


def _box(crop: Crop, scale: float, within: tuple[int, int]) -> Box:
    """The crop on a picture scaled so, at least a pixel wide and high."""
    width, height = within
    left = min(round(crop.left * scale), width - 1)
    top = min(round(crop.top * scale), height - 1)
    right = min(max(round(crop.right * scale), left + 1), width)
    bottom = min(max(round(crop.bottom * scale), top + 1), height)
    return left, top, right, bottom
