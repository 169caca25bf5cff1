"""Draws an explanation, as a figure or as a layer of one output."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from pydantic import BaseModel, ConfigDict, Field

from service import render
from service.api.results.drawing_size import Size, Style, layer_size, uses_photo
from service.schemas.results import Rectangle

TrueLabel = Annotated[str, Field(min_length=1, max_length=100)]


class DrawingOptions(BaseModel):
    """Options of every drawing."""

    model_config = ConfigDict(extra="forbid")

    alpha: float | None = Field(
        None,
        ge=0,
        le=1,
        description="Opacity: of the grey picture behind a figure's colours, by default 0.15; of "
        "the colours of an overlay, by default 0.6",
    )
    percentile: float = Field(
        99.9,
        gt=0,
        le=100,
        description="The colour scale ends at this percentile of the absolute values",
    )
    palette: render.PaletteName = Field(
        "red_blue",
        description="Colours of positive and negative values; the palettes with orange suit "
        "colour-blind readers",
    )


@dataclass(frozen=True)
class DrawingSubject:
    """The input of a drawing: the outputs shown, and the photo, read only if needed."""

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
    crop = _scaled_crop(subject, drawn) if on_photo else None
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
    picture = None
    if on_photo:
        photo = Image.fromarray(subject.photo())
        picture = np.asarray(photo if photo.size == drawn else photo.resize(drawn))
    return render.overlay(
        arrays,
        picture=picture,
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


def _scaled_crop(subject: DrawingSubject, size: render.Size) -> render.Box:
    """Returns the part of the resized photo that the model saw, at least 1 x 1 pixels."""
    (width, height), crop = size, subject.crop
    across, down = width / subject.photo_size[0], height / subject.photo_size[1]
    left = min(round(crop.left * across), width - 1)
    top = min(round(crop.top * down), height - 1)
    right = min(max(round(crop.right * across), left + 1), width)
    bottom = min(max(round(crop.bottom * down), top + 1), height)
    return left, top, right, bottom
