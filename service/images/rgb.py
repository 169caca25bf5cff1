"""Converts pixels of any mode of Pillow to 8-bit RGB."""

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
        scaled = np.clip(np.asarray(image), 0, top).astype(np.uint32)
        scaled *= 255  # in place: pictures are large
        scaled += top // 2  # rounds to nearest
        scaled //= top
        levels = scaled.astype(np.uint8)
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


def _where_clear(source: PictureSource, image: Image.Image) -> NDArray[np.bool_] | None:
    """Find the pixels of a PNG's transparent colour, (H, W); None if it has no such colour."""
    if source.clear is None:
        return None
    levels = np.asarray(image).astype(np.int32, copy=False)
    if source.bits < 8:  # Pillow has scaled these to 0..255
        white = 1 if image.mode == "1" else 255
        return np.asarray(levels * (2**source.bits - 1) == source.clear[0] * white)
    if image.mode == "RGB" and source.bits == 16:  # Pillow has decoded the high bytes only
        with PngImageFile(LimitedReader(source.content)) as low:
            low.tile = [tile._replace(args="RGB;16L") for tile in low.tile]
            levels = levels << 8 | np.asarray(low).astype(np.int32)
    return np.asarray((levels.reshape(*levels.shape[:2], -1) == source.clear).all(axis=2))
