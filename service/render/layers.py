"""One output as a layer: on the picture it explains (`overlay`) or by itself (`heat`)."""

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from service.render import alt_text
from service.render.attributions import Attributions
from service.render.colours import Scale, Sums, channel_sums, limit
from service.render.errors import InvalidOptionError
from service.render.layout import Size
from service.render.palettes import PaletteName, find_palette
from service.render.raster import png, resized, rgb_picture

MAX_LAYER_PIXELS = 4096 * 4096  # of a layer

Box = tuple[int, int, int, int]  # left, top, right, bottom; the last two exclusive

LIGHTER = 90  # of 255; black is lifted to this level
HATCHING = (190, 190, 190)


def overlay(
    attributions: Attributions,
    *,
    picture: NDArray[np.uint8] | None = None,
    crop: Box | None = None,
    percentile: float = 99.9,
    alpha: float = 0.6,
    palette: PaletteName = "red_blue",
    score: float | None = None,
) -> bytes:
    """Draws the first output over `picture` (H0, W0, 3), or over the model's input without one.

    `crop` is the part of the picture that the model saw (all of it by default); the rest is faded
    and hatched. `alpha` is the opacity of the strongest colours; `score` appears in the alternative
    text. The PNG has the picture's size. Raises InvalidOptionError.
    """
    if not 0 <= alpha <= 1:
        raise InvalidOptionError(f"alpha must be in 0..1; received {alpha}")
    ground = rgb_picture(attributions.data) if picture is None else _checked(picture)
    seen = _checked_crop(crop, ground.size)
    # Grey with lifted shadows, so that red and blue both stand out
    lifted = [round(LIGHTER + (255 - LIGHTER) * level / 255) for level in range(256)]
    muted = ground.convert("L").point(lifted).convert("RGB")
    page = muted if seen == (0, 0, *ground.size) else _unseen(muted)
    sums, scale = _first(attributions, percentile, palette)
    layer = _layer(sums, scale, seen)
    opacity = layer.getchannel("A").point([round(alpha * level) for level in range(256)])
    part = muted.crop(seen)
    part.paste(layer.convert("RGB"), mask=opacity)
    page.paste(part, seen[:2])
    name = attributions.names[0]
    return png(
        page, alt_text.of_layer("The picture in grey, and over it", name, score, sums, scale)
    )


def heat(
    attributions: Attributions,
    *,
    size: Size | None = None,
    crop: Box | None = None,
    percentile: float = 99.9,
    palette: PaletteName = "red_blue",
    score: float | None = None,
) -> bytes:
    """Draws the first output on a transparent sheet of `size` (width, height), or the input's size.

    The output fills `crop` (all by default), its place on a picture of that size. Raises
    InvalidOptionError.
    """
    height, width = attributions.values.shape[:2]
    size = width, height = size or (width, height)
    if not (width >= 1 and height >= 1 and width * height <= MAX_LAYER_PIXELS):
        raise InvalidOptionError(
            f"width and height must be 1 or more and give at most {MAX_LAYER_PIXELS} pixels; "
            f"received {width} x {height}"
        )
    seen = _checked_crop(crop, size)
    sums, scale = _first(attributions, percentile, palette)
    sheet = Image.new("RGBA", size)
    sheet.paste(_layer(sums, scale, seen), seen[:2])
    name = attributions.names[0]
    return png(sheet, alt_text.of_layer("On transparency,", name, score, sums, scale))


def _first(
    attributions: Attributions, percentile: float, palette: PaletteName
) -> tuple[Sums, Scale]:
    """The sums of the first output (H, W, 1), and a colour scale for them alone."""
    sums = channel_sums(attributions.values[..., :1])
    return sums, Scale(limit(sums, percentile=percentile), find_palette(palette))


def _layer(sums: Sums, scale: Scale, box: Box) -> Image.Image:
    left, top, right, bottom = box
    return scale.paint(resized(sums[..., 0], (right - left, bottom - top)))


def _checked(picture: NDArray[np.uint8]) -> Image.Image:
    if picture.ndim != 3 or picture.shape[2] != 3 or picture.dtype != np.uint8:
        raise InvalidOptionError(
            f"picture must be (H, W, 3) uint8; received {picture.shape} {picture.dtype}"
        )
    return Image.fromarray(picture)


def _checked_crop(crop: Box | None, size: Size) -> Box:
    width, height = size
    left, top, right, bottom = crop or (0, 0, width, height)
    if not (0 <= left < right <= width and 0 <= top < bottom <= height):
        raise InvalidOptionError(
            f"crop must lie within the {width} x {height} picture; received {crop}"
        )
    return left, top, right, bottom


def _unseen(picture: Image.Image) -> Image.Image:
    """Fades and hatches the picture; line spacing and width scale with its size."""
    width, height = picture.size
    faded = Image.blend(picture, Image.new("RGB", picture.size, "white"), 0.6)
    pen = ImageDraw.Draw(faded)
    period = max(6, max(width, height) // 48)
    for start in range(0, width + height, period):
        line = [(start, 0), (start - height, height)]
        pen.line(line, fill=HATCHING, width=max(1, period // 10))
    return faded
