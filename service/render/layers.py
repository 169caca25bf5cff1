"""One output as a layer: over the picture it explains (`overlay`) or by itself (`heat`)."""

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from service.render.attributions import Attributions, BadOption
from service.render.colours import channel_sums, limit, paint
from service.render.raster import png, resized, rgb_picture

Box = tuple[int, int, int, int]  # left, top, right, bottom; the last two exclusive

MAX_SIDE = 8192  # pixels
LIGHTER = 90  # the level, of 255, to which black is lifted
HATCHING = (190, 190, 190)


def overlay(
    attributions: Attributions,
    *,
    picture: NDArray[np.uint8] | None = None,
    crop: Box | None = None,
    percentile: float = 99.9,
    alpha: float = 0.6,
) -> bytes:
    """The first output over `picture` (H0, W0, 3), at its size; over the model's input without one.

    `crop` is the part of the picture that the model saw (all of it by default); the rest is faded
    and hatched. `alpha` is the opacity of the strongest colours. Raises BadOption.
    """
    if not 0 <= alpha <= 1:
        raise BadOption(f"alpha must be in 0..1; received {alpha}")
    ground = rgb_picture(attributions.data) if picture is None else _checked(picture)
    seen = _checked_crop(crop, ground.size)
    muted = _muted(ground)
    page = muted if seen == (0, 0, *ground.size) else _unseen(muted)
    left, top, right, bottom = seen
    layer = Image.fromarray(_colours(attributions, percentile, (right - left, bottom - top)))
    opacity = layer.getchannel("A").point([round(alpha * level) for level in range(256)])
    part = muted.crop(seen)
    part.paste(layer.convert("RGB"), mask=opacity)
    page.paste(part, (left, top))
    return png(page, f"Red speaks for {attributions.output_names[0]}, blue against it.")


def heat(
    attributions: Attributions,
    *,
    percentile: float = 99.9,
    size: tuple[int, int] | None = None,
) -> bytes:
    """The first output alone, on transparency; `size` is (width, height), the model's by default.

    Raises BadOption.
    """
    height, width = attributions.values.shape[:2]
    size = size or (width, height)
    if not all(1 <= side <= MAX_SIDE for side in size):
        raise BadOption(f"width and height must be in 1..{MAX_SIDE}; received {size}")
    layer = Image.fromarray(_colours(attributions, percentile, size))
    return png(layer, f"Red speaks for {attributions.output_names[0]}, blue against it.")


def _colours(
    attributions: Attributions, percentile: float, size: tuple[int, int]
) -> NDArray[np.uint8]:
    first = attributions.values[..., :1]
    return paint(resized(channel_sums(first)[..., 0], size), limit(first, percentile))


def _checked(picture: NDArray[np.uint8]) -> Image.Image:
    if picture.ndim != 3 or picture.shape[2] != 3 or picture.dtype != np.uint8:
        raise BadOption(
            f"picture must be (H, W, 3) uint8; received {picture.shape} {picture.dtype}"
        )
    return Image.fromarray(picture)


def _checked_crop(crop: Box | None, size: tuple[int, int]) -> Box:
    width, height = size
    left, top, right, bottom = crop or (0, 0, width, height)
    if not (0 <= left < right <= width and 0 <= top < bottom <= height):
        raise BadOption(f"crop must lie within the {width} x {height} picture; received {crop}")
    return left, top, right, bottom


def _muted(picture: Image.Image) -> Image.Image:
    """Grey and without deep shadows, against which red and blue both stand out."""
    lifted = [round(LIGHTER + (255 - LIGHTER) * level / 255) for level in range(256)]
    return picture.convert("L").point(lifted).convert("RGB")


def _unseen(picture: Image.Image) -> Image.Image:
    """Faded and hatched; the lines keep their look at any size of the picture."""
    width, height = picture.size
    faded = Image.blend(picture, Image.new("RGB", picture.size, "white"), 0.6)
    pen = ImageDraw.Draw(faded)
    period = max(6, max(width, height) // 48)
    for start in range(0, width + height, period):
        line = [(start, 0), (start - height, height)]
        pen.line(line, fill=HATCHING, width=max(1, period // 10))
    return faded
