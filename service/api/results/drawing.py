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
FigureScale = Annotated[
    render.ScaleBy,
    Field(
        description="Colour scales of a figure: shared by all panels, or one for each row or each "
        "panel, drawn beside it"
    ),
]


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
    unit: render.Unit | None = Field(
        None,
        description="pixel: colours show the attribution of each pixel; region: that of the region "
        "it is in, as a whole (see `/regions`). Default: region in a figure, and with a legend, if "
        "the players are superpixels; else pixel",
    )
    legend: bool = Field(
        False,
        description="Adds to an overlay or heat the output, its score, the colour scale and its "
        "meaning; to these and to a figure of one picture, the id and how it was explained",
    )


@dataclass(frozen=True)
class DrawingSubject:
    """The input of a drawing: the outputs shown, and the photo, read only if needed."""

    row: render.Row
    concept: str  # of the values
    unit: render.Unit
    crop: Rectangle
    placement: Rectangle
    photo_size: render.Size  # upright
    photo: Callable[[], NDArray[np.uint8]]  # (H0, W0, 3), upright

    @property
    def arrays(self) -> render.Attributions:
        return self.row.attributions

    @property
    def on_photo(self) -> render.Attributions:
        """The attributions inside the photo, without the padding around it."""
        box = self.placement
        return self.arrays.within(box.left, box.top, box.right, box.bottom)


def draw(
    subject: DrawingSubject,
    style: Style,
    size: Size | None,
    look: DrawingOptions,
    scale: render.ScaleBy,
    form: render.Format,
) -> bytes:
    """Returns a file of this format. Raises render.InvalidOptionError."""
    if style == "figure":
        if size == "original":
            raise render.InvalidOptionError(
                "size of a figure must be model or a width; received original"
            )
        width = size if isinstance(size, int) else None
        caption = captioned([subject.concept], subject.unit)
        return draw_figure([subject.row], look, scale, width, subject.unit, caption, form)
    if subject.row.true_label is not None:
        raise render.InvalidOptionError(f"only a figure shows a true_label; received style {style}")
    if scale != "shared":
        raise render.InvalidOptionError(
            f"only a figure has several colour scales; received style {style} and scale {scale}"
        )
    model = subject.arrays.data.shape[1::-1]
    drawn = layer_size(style, size, model=model, photo=subject.photo_size)
    on_photo = uses_photo(style, size)
    crop = _scaled_crop(subject, drawn) if on_photo else None
    arrays = subject.on_photo if on_photo else subject.arrays
    score = subject.row.scores[0] if subject.row.scores else None
    unit: render.Unit = subject.unit if look.legend else look.unit or "pixel"
    legend = None
    if look.legend:
        minus = subject.row.minus if subject.row.differences[0] else ""
        legend = ", ".join(filter(None, [captioned([subject.concept], unit), minus]))
    if style == "heat":
        return render.heat(
            arrays,
            size=drawn,
            crop=crop,
            percentile=look.percentile,
            palette=look.palette,
            score=score,
            unit=unit,
            origin=subject.row.origin,
            legend=legend,
            form=form,
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
        score=score,
        unit=unit,
        origin=subject.row.origin,
        legend=legend,
        form=form,
    )


def captioned(concepts: Sequence[str], unit: render.Unit) -> str:
    """Returns the meaning of the numbers on a colour bar, for example "Owen value per pixel"."""
    names = (concept.partition(" values")[0] for concept in concepts)
    named = dict.fromkeys(
        f"{name} value" if name in ("Owen", "Shapley") else "attribution" for name in names
    )
    text = f"{' or '.join(named)} per {unit}"
    return text[0].upper() + text[1:]


def draw_figure(
    rows: Sequence[render.Row],
    look: DrawingOptions,
    scale: render.ScaleBy,
    width: int | None,
    unit: render.Unit,
    caption: str,
    form: render.Format,
) -> bytes:
    """Returns a file of one or more pictures. Raises render.InvalidOptionError."""
    return render.figure(
        *rows,
        percentile=look.percentile,
        alpha=0.15 if look.alpha is None else look.alpha,
        width_px=width,
        caption=caption,
        palette=look.palette,
        scale=scale,
        unit=unit,
        legend=look.legend,
        form=form,
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
