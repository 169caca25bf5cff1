"""Bytes of any photo -> upright 8-bit pixels: the API checks, the worker computes on the same."""

import io
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "PPM")


class PictureError(Exception):
    """Base of the errors of this module.

    PictureError
    ├── NotAPicture        not one of the formats we read
    │   └── BrokenPicture  one of them, but damaged or cut short
    └── TooManyPixels      larger than allowed
    """


class NotAPicture(PictureError):  # noqa: N818
    """Not one of the formats we read."""


class BrokenPicture(NotAPicture):
    """One of the formats we read, but damaged or cut short."""


class TooManyPixels(PictureError):  # noqa: N818
    """More pixels than allowed."""


@dataclass(frozen=True)
class Picture:
    """An upright picture: `pixels` (H, W, 3) uint8 RGB; `format` as Pillow names it."""

    pixels: NDArray[np.uint8]
    format: str


def decode_picture(content: bytes, *, max_pixels: int) -> Picture:
    """Decode the first frame, turn it upright by its EXIF tag and bring it to 8-bit RGB.

    Palettes are looked up, grey is repeated, 16-bit levels are divided by 257, transparency is
    laid over white, CMYK is converted. Raises NotAPicture, BrokenPicture, TooManyPixels.
    """
    try:
        with Image.open(io.BytesIO(content), formats=FORMATS) as image:
            _check_size(image, max_pixels)
            image.load()
            upright = _to_rgb(ImageOps.exif_transpose(image))
            return Picture(np.asarray(upright, dtype=np.uint8), str(image.format))
    except PictureError:
        raise
    except UnidentifiedImageError as error:
        raise NotAPicture(f"not a picture; accepted are {', '.join(FORMATS)}") from error
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise TooManyPixels(f"{error}") from error
    except (OSError, ValueError, SyntaxError, EOFError, TypeError, IndexError) as error:
        raise BrokenPicture(f"a broken picture: {error}") from error


def _check_size(image: Image.Image, max_pixels: int) -> None:
    width, height = image.size
    if width * height > max_pixels:
        raise TooManyPixels(
            f"at most {max_pixels} pixels are accepted; received {width} x {height}"
        )


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I"):
        return _from_levels(np.asarray(image)).convert("RGB")
    if image.mode == "F":
        raise NotAPicture("floating-point pixels have no defined white; send 8 or 16 bits")
    if image.has_transparency_data:
        layer = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", layer.size, "white"), layer).convert("RGB")
    return image.convert("RGB")


def _from_levels(levels: NDArray[np.generic]) -> Image.Image:
    """16-bit grey (Pillow reads it as I;16 or I) -> 8-bit grey."""
    return Image.fromarray((np.clip(levels, 0, 65535) / 257).round().astype(np.uint8))
