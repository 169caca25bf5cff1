"""Converts pixels of any mode of Pillow to 8-bit RGB."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from PIL.PngImagePlugin import PngImageFile

from service.images.decode_limits import LimitedReader
from service.images.formats.source import PictureSource


def to_rgb(source: PictureSource, image: Image.Image) -> Image.Image:
    """Convert: apply palettes, repeat grey, scale levels, composite transparency over white."""
    clear = _where_clear(source, image)
    if image.mode.startswith("I"):
        top = 2**source.bits - 1 if source.kind == "TIFF" else 65_535
        levels = _to_8_bits(np.asarray(image), top)
        image = Image.fromarray(255 - levels if source.inverted else levels)
    if image.mode == "La":
        image = image.convert("LA")
    if image.has_transparency_data:
        layer = image.convert("RGBA")
        ground = Image.new("RGBA", layer.size, "white")
        return Image.alpha_composite(ground, layer).convert("RGB")
    rgb = image if image.mode == "RGB" else image.convert("RGB")  # convert() always copies
    if clear is not None:
        rgb.paste((255, 255, 255), mask=Image.fromarray(clear))
    return rgb


def _to_8_bits(levels: NDArray[np.integer[Any]], top: int) -> NDArray[np.uint8]:
    """Scale grey levels 0..top, of at most 16 bits, to 0..255, rounded to nearest."""
    scaled = np.clip(levels, 0, top).astype(np.uint32)
    scaled *= 255  # in place: pictures are large
    scaled += top // 2
    scaled //= top
    levels_8: NDArray[np.uint8] = scaled.astype(np.uint8)
    return levels_8


def _where_clear(source: PictureSource, image: Image.Image) -> NDArray[np.bool_] | None:
    """Find the pixels of a PNG's transparent colour, (H, W); None if it has no such colour."""
    if source.clear is None:
        return None
    levels = np.asarray(image).astype(np.int32, copy=False)
    if source.bits < 8:  # Pillow has scaled these to 0..255
        return np.asarray(levels * (2**source.bits - 1) == source.clear[0] * _white(image))
    if image.mode == "RGB" and source.bits == 16:
        levels = levels << 8 | np.asarray(_low_bytes(source)).astype(np.int32)
    return np.asarray((levels.reshape(*levels.shape[:2], -1) == source.clear).all(axis=2))


def _white(image: Image.Image) -> int:
    return 1 if image.mode == "1" else 255


def _low_bytes(source: PictureSource) -> Image.Image:
    """Decode the low bytes of 16-bit RGB; Pillow returns the high bytes only."""
    with PngImageFile(LimitedReader(source.content)) as image:
        image.tile = [tile._replace(args="RGB;16L") for tile in image.tile]
        image.load()
        return image.copy()
