"""What of an explanation goes into a heatmap, how it looks, and at which size."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from pydantic import BaseModel, ConfigDict, Field

from service import render
from service.contract.outcome import Crop, Placement

Style = Literal["figure", "overlay", "heat"]
Size = Literal["model", "original"] | Annotated[int, Field(ge=32, le=4096)]
PANEL = (270, 400)  # pixels of a figure that a panel takes with what is around it, or fewer
VALUE_BYTES, SUM_BYTES = 8, 32  # of a number of the arrays, and of a sum over channels
PAGE_BYTES, LAYER_BYTES, PHOTO_BYTES = 8, 16, 18  # of a pixel
TrueLabel = Annotated[str, Field(min_length=1, max_length=100)]


class Look(BaseModel):
    """What every drawing lets one choose."""

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
class Subject:
    """What is drawn: the outputs shown, and the photo, which is read only where it is needed."""

    arrays: render.Attributions
    scores: list[float]
    crop: Crop
    placement: Placement
    photo: Callable[[], NDArray[np.uint8]]  # (H0, W0, 3), upright
    true_label: str | None = None

    @property
    def on_photo(self) -> render.Attributions:
        """Those of the photo, without what surrounds it in the model's picture."""
        box = self.placement
        return self.arrays.within(box.left, box.top, box.right, box.bottom)

    @property
    def row(self) -> render.Row:
        return render.Row(self.arrays, self.scores, self.true_label)


def draw(subject: Subject, style: Style, size: Size | None, look: Look) -> bytes:
    """A PNG. Raises render.BadOption."""
    if style == "figure":
        if size == "original":
            raise render.BadOption("size of a figure must be model or a width; received original")
        return draw_figure([subject.row], look, size if isinstance(size, int) else None)
    if subject.true_label is not None:
        raise render.BadOption(f"only a figure shows a true_label; received style {style}")
    return _overlay(subject, size, look) if style == "overlay" else _heat(subject, size, look)


def draw_figure(rows: Sequence[render.Row], look: Look, width: int | None) -> bytes:
    """A PNG of one picture or several. Raises render.BadOption."""
    return render.figure(
        *rows,
        percentile=look.percentile,
        alpha=0.15 if look.alpha is None else look.alpha,
        width_px=width,
        palette=look.palette,
    )


# --- How much memory it takes


def held_of_figure(shapes: Sequence[tuple[int, int, int, int]], width: int | None) -> int:
    """Bytes, of pictures whose values are of shape (H, W, C, K)."""
    columns = min(render.MAX_COLUMNS, 1 + max(shape[3] for shape in shapes))
    scale = width / (columns * PANEL[0]) if width else 1.0
    panels = sum(1 + shape[3] for shape in shapes)
    pixels = min(panels * PANEL[0] * PANEL[1] * scale**2, render.MAX_PIXELS)
    return sum(map(_held_of_arrays, shapes)) + round(pixels * PAGE_BYTES)


def held_of_layer(
    shape: tuple[int, int, int, int], photo: tuple[int, int] | None, width: int | None
) -> int:
    """Bytes of an output alone, or over the photo of this width and height."""
    columns, rows = photo or (shape[1], shape[0])
    drawn = min(_area(columns, rows, width), render.MAX_PIXELS)
    decoded = columns * rows * PHOTO_BYTES if photo else 0
    return _held_of_arrays((*shape[:3], 1)) + decoded + drawn * LAYER_BYTES


def _held_of_arrays(shape: tuple[int, int, int, int]) -> int:
    H, W, C, K = shape
    return H * W * (K * (C * VALUE_BYTES + SUM_BYTES) + C * VALUE_BYTES)


def _area(columns: int, rows: int, width: int | None) -> int:
    """Pixels, where it is brought to that width."""
    scale = width / columns if width else 1.0
    return round(columns * scale) * round(rows * scale)


def _overlay(subject: Subject, size: Size | None, look: Look) -> bytes:
    drawn = partial(
        render.overlay,
        subject.arrays if size == "model" else subject.on_photo,
        percentile=look.percentile,
        alpha=0.6 if look.alpha is None else look.alpha,
        palette=look.palette,
        score=subject.scores[0],
    )
    if size == "model":
        return drawn()
    photo = Image.fromarray(subject.photo())
    scale = size / photo.width if isinstance(size, int) else 1.0
    ground = photo if scale == 1 else photo.resize(_scaled(photo.size, scale))
    return drawn(picture=np.asarray(ground), crop=_box(subject.crop, scale, ground.size))


def _heat(subject: Subject, size: Size | None, look: Look) -> bytes:
    drawn = partial(
        render.heat,
        subject.on_photo if size == "original" else subject.arrays,
        percentile=look.percentile,
        palette=look.palette,
        score=subject.scores[0],
    )
    if size == "original":
        height, width = subject.photo().shape[:2]
        return drawn(size=(width, height), crop=_box(subject.crop, 1.0, (width, height)))
    height, width = subject.arrays.data.shape[:2]
    scale = size / width if isinstance(size, int) else 1.0
    return drawn(size=_scaled((width, height), scale))


def _scaled(size: tuple[int, int], scale: float) -> tuple[int, int]:
    """Raises render.BadOption where it becomes too large to draw."""
    width, height = max(1, round(size[0] * scale)), max(1, round(size[1] * scale))
    if width * height > render.MAX_PIXELS:
        raise render.BadOption(
            f"a drawing may have {render.MAX_PIXELS} pixels; received {width} x {height}"
        )
    return width, height


def _box(crop: Crop, scale: float, within: tuple[int, int]) -> render.Box:
    """The crop on a picture scaled so, at least a pixel wide and high."""
    width, height = within
    left = min(round(crop.left * scale), width - 1)
    top = min(round(crop.top * scale), height - 1)
    right = min(max(round(crop.right * scale), left + 1), width)
    bottom = min(max(round(crop.bottom * scale), top + 1), height)
    return left, top, right, bottom
