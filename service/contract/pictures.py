"""Bytes of any photo -> upright 8-bit pixels: the API checks, the worker computes on the same."""

import struct
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, UnidentifiedImageError

from service.contract.burden import Burden, Reads, check_burden, check_unopened

FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "PPM")

LOADED_BYTES = {"WEBP": 16}  # of a pixel, while it is decoded; 4 of other formats

# Blocks so large are given back to the system at once; smaller ones of Pillow's pile up in glibc's
# arenas, one a thread: after eight drawings, 3 GB (https://github.com/python-pillow/Pillow, "Block
# Allocator").
Image.core.set_block_size(64 * 2**20)  # type: ignore[attr-defined]

Hold = Callable[[int], AbstractContextManager[object]]

BROKEN = (
    OSError,
    ValueError,
    SyntaxError,
    EOFError,
    TypeError,
    IndexError,
    OverflowError,
)  # what Pillow raises for pictures that are damaged

_TURN = Image.Transpose
_UPRIGHT_BY = {
    2: _TURN.FLIP_LEFT_RIGHT,
    3: _TURN.ROTATE_180,
    4: _TURN.FLIP_TOP_BOTTOM,
    5: _TURN.TRANSPOSE,
    6: _TURN.ROTATE_270,
    7: _TURN.TRANSVERSE,
    8: _TURN.ROTATE_90,
}  # by the orientation of EXIF
_LYING = (_TURN.TRANSPOSE, _TURN.ROTATE_270, _TURN.TRANSVERSE, _TURN.ROTATE_90)


class PictureError(Exception):
    """Base of the errors of this module.

    PictureError
    ├── NotAPicture        not one of the formats we read
    │   └── BrokenPicture  one of them, but damaged or cut short
    ├── UnfitPicture       whole, perhaps, but of a shape or structure that nobody needs
    └── TooManyPixels      larger than allowed
    """


class NotAPicture(PictureError):  # noqa: N818
    """Not one of the formats we read."""


class BrokenPicture(NotAPicture):
    """One of the formats we read, but damaged or cut short."""


class UnfitPicture(PictureError):  # noqa: N818
    """Whole, perhaps, but of a shape or structure that nobody needs."""


class TooManyPixels(PictureError):  # noqa: N818
    """More pixels than allowed."""


@dataclass(frozen=True)
class Picture:
    """An upright picture: `pixels` (H, W, 3) uint8 RGB; `format` as Pillow names it."""

    pixels: NDArray[np.uint8]
    format: str


@dataclass(frozen=True)
class Found:
    """What a picture is: its sides as it is seen upright, and its format as Pillow names it."""

    format: str
    width: int
    height: int


def _freely(_bytes: int) -> AbstractContextManager[None]:
    return nullcontext()


def inspect_picture(content: bytes, *, max_pixels: int, holding: Hold = _freely) -> Found:
    """Look whether a picture can be decoded, in a third of the memory that decoding takes.

    All of it is read, as damage may be anywhere; of its pixels one is brought to RGB. holding: is
    told how many bytes its pixels will take, and is entered while they are there. Raises what
    `decode_picture` raises, and what `holding` does.
    """
    with _loaded(content, max_pixels, holding) as image:
        _to_rgb(image.crop((0, 0, 1, 1)))
        sides = image.size[::-1] if _turn(image) in _LYING else image.size
        return Found(str(image.format), *sides)


def decode_picture(content: bytes, *, max_pixels: int) -> Picture:
    """Decode the first frame, turn it upright by its EXIF tag and bring it to 8-bit RGB.

    Palettes are looked up, grey is repeated, 16-bit levels are divided by 257, transparency is
    laid over white, CMYK is converted. Raises NotAPicture, BrokenPicture, UnfitPicture,
    TooManyPixels.
    """
    with _loaded(content, max_pixels) as image:
        turn = _turn(image)
        upright = image if turn is None else image.transpose(turn)
        return Picture(np.asarray(_to_rgb(upright), dtype=np.uint8), str(image.format))


@contextmanager
def _loaded(content: bytes, max_pixels: int, holding: Hold = _freely) -> Iterator[Image.Image]:
    """All of a picture that is fit; whatever Pillow raises of it becomes a PictureError."""
    try:
        check_unopened(content)
        with Image.open(Reads(content), formats=FORMATS) as image:
            _check_size(image, max_pixels)
            check_burden(image, content, max_pixels=max_pixels)
            bytes_each = LOADED_BYTES.get(str(image.format), 4)
            with holding(image.width * image.height * bytes_each):
                image.load()
                if image.mode in ("P", "PA") and image.palette is None:
                    raise BrokenPicture("a broken picture: it names colours of a missing palette")
                yield image
    except PictureError:
        raise
    except Burden as error:
        raise UnfitPicture(f"a picture that is not accepted: {error}") from error
    except UnidentifiedImageError as error:
        raise NotAPicture(f"not a picture; accepted are {', '.join(FORMATS)}") from error
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise TooManyPixels(f"{error}") from error
    except BROKEN as error:
        raise BrokenPicture(f"a broken picture: {error}") from error


def _check_size(image: Image.Image, max_pixels: int) -> None:
    width, height = image.size
    if width * height > max_pixels:
        raise TooManyPixels(
            f"at most {max_pixels} pixels are accepted; received {width} x {height}"
        )


def _turn(image: Image.Image) -> Image.Transpose | None:
    """Pillow's exif_transpose writes the whole EXIF anew and fails on that of some cameras."""
    try:
        return _UPRIGHT_BY.get(image.getexif().get(ExifTags.Base.Orientation, 1))
    except (SyntaxError, ValueError, struct.error):  # unreadable EXIF says nothing, as in viewers
        return None


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I"):
        return _from_levels(np.asarray(image)).convert("RGB")
    if image.mode == "F":
        raise NotAPicture("floating-point pixels have no defined white; send 8 or 16 bits")
    if image.has_transparency_data:
        layer = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", layer.size, "white"), layer).convert("RGB")
    return image if image.mode == "RGB" else image.convert("RGB")  # which would be a copy


def _from_levels(levels: NDArray[np.integer[Any]]) -> Image.Image:
    """16-bit grey (Pillow reads it as I;16 or I) -> 8-bit grey."""
    scaled = np.clip(levels, 0, 65535).astype(np.uint32)
    scaled *= 255  # in place: pictures are large
    scaled += 32_895
    scaled >>= 16  # now levels / 257, to the nearest
    return Image.fromarray(scaled.astype(np.uint8))
