"""Decodes photos to upright 8-bit pixels; the API checks what the worker decodes later.

The first bytes of a file tell its format. Data that is no part of the picture is removed before
Pillow reads the file (`formats/`), and limits apply to the rest.
"""

import struct
import zlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, ImageChops, ImageFile, ImagePalette, TiffImagePlugin
from PIL.AvifImagePlugin import AvifImageFile
from PIL.BmpImagePlugin import BmpImageFile
from PIL.GifImagePlugin import GifImageFile
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile
from PIL.PpmImagePlugin import PpmImageFile
from PIL.WebPImagePlugin import WebPImageFile

from service.images.decode_limits import DecodeLimitError, LimitedReader, check_decode_limits
from service.images.formats import avif, jpeg, tiff
from service.images.formats.colour_space import Colours, colours_of
from service.images.formats.detection import FORMATS, HEIF_EXTRA, kind_of, reads_heif
from service.images.formats.source import PictureSource, extract_source
from service.images.rgb import to_rgb

DECODED_BYTES = {"WEBP": 16, "AVIF": 20, "HEIF": 20}  # per pixel, decoding; else 4
MAX_CODED = 4  # coded pixels / allowed pixels, in AVIF and HEIF: alpha, thumbnails etc.
ROUNDED = 2**20  # pixels: encoders round sizes up, which multiplies those of small pictures

UNREAD_BY_PILLOW = (
    "unknown pixel mode",
    "unknown data organization",
    "unknown raw mode for given image mode",
)  # Pillow's messages for TIFF layouts that it cannot read

# Blocks of this size are returned to the system when freed; smaller ones accumulate in glibc's
# arenas, one per thread: 3 GB after eight drawings (https://github.com/python-pillow/Pillow, "Block
# Allocator").
Image.core.set_block_size(64 * 2**20)  # type: ignore[attr-defined]

ReserveMemory = Callable[[int], AbstractContextManager[object]]

DECODING_ERRORS = (
    OSError,
    ValueError,
    SyntaxError,
    EOFError,
    TypeError,
    IndexError,
    KeyError,
    ArithmeticError,
    RuntimeError,
    MemoryError,
    struct.error,
    zlib.error,
)  # raised by Pillow and libheif for damaged pictures

_TURN = Image.Transpose
_UPRIGHT_BY = {
    2: _TURN.FLIP_LEFT_RIGHT,
    3: _TURN.ROTATE_180,
    4: _TURN.FLIP_TOP_BOTTOM,
    5: _TURN.TRANSPOSE,
    6: _TURN.ROTATE_270,
    7: _TURN.TRANSVERSE,
    8: _TURN.ROTATE_90,
}  # by EXIF orientation
_LYING = (_TURN.TRANSPOSE, _TURN.ROTATE_270, _TURN.TRANSVERSE, _TURN.ROTATE_90)
_READERS: dict[str, Callable[[LimitedReader], ImageFile.ImageFile]] = {
    "JPEG": JpegImageFile,
    "PNG": PngImageFile,
    "WEBP": WebPImageFile,
    "GIF": GifImageFile,
    "BMP": BmpImageFile,
    "TIFF": TiffImagePlugin.TiffImageFile,
    "PPM": PpmImageFile,
    "AVIF": AvifImageFile,
}


class PictureError(Exception):
    """Base of the errors of this module.

    PictureError
    ├── NotAPictureError        not a supported format or layout
    │   └── BrokenPictureError  a supported format, but damaged or truncated
    ├── UnsuitablePictureError  beyond a limit on shape or structure
    └── TooManyPixelsError      larger than allowed
    """


class NotAPictureError(PictureError):
    """Not a supported format or layout."""


class BrokenPictureError(NotAPictureError):
    """A supported format, but damaged or truncated."""


class UnsuitablePictureError(PictureError):
    """A picture beyond a limit on shape or structure: see decode_limits.py."""


class TooManyPixelsError(PictureError):
    """More pixels than allowed."""


@dataclass(frozen=True)
class Picture:
    """An upright picture: `pixels` (H, W, 3) uint8 RGB; `format` as Pillow names it.

    colours: the colour space that the file names; pixels are not converted from it. deep: whether
    the file has more than 8 bits per sample.
    """

    pixels: NDArray[np.uint8]
    format: str
    colours: Colours | None
    deep: bool


@dataclass(frozen=True)
class PictureInfo:
    """The upright size of a picture, and its format as Pillow names it."""

    format: str
    width: int
    height: int


def _freely(_bytes: int) -> AbstractContextManager[None]:
    return nullcontext()


def accepted_formats() -> list[str]:
    """Return the formats that this server can decode."""
    return [name for name in FORMATS if name != "HEIF" or reads_heif()]


def inspect_picture(
    content: bytes, *, max_pixels: int, holding: ReserveMemory = _freely
) -> PictureInfo:
    """Check that a picture can be decoded, in a third of the memory of `decode_picture`.

    Reads all of it, as damage may be anywhere, but converts only one pixel to RGB. holding: called
    with the bytes that the pixels take, and entered while they are in memory. Raises the errors of
    `decode_picture` and of `holding`.
    """
    with _loaded(content, max_pixels, holding) as (source, image):
        to_rgb(replace(source, clear=None), image.crop((0, 0, 1, 1)))
        sides = image.size[::-1] if _turn(image) in _LYING else image.size
        return PictureInfo(source.kind, *sides)


def decode_picture(content: bytes, *, max_pixels: int) -> Picture:
    """Decode the first frame, turn it upright by its EXIF tag and bring it to 8-bit RGB.

    Palettes are looked up, grey is repeated, 16-bit levels are divided by 257, transparency is
    laid over white, CMYK is converted. Colour profiles are not applied. Raises NotAPictureError,
    BrokenPictureError, UnsuitablePictureError, TooManyPixelsError.
    """
    with _loaded(content, max_pixels) as (source, image):
        colours = colours_of(image, source.profile, source.codes)
        deep = source.bits > 8 or image.mode.startswith("I")
        upright = to_rgb(source, image)
        turn = _turn(image)
        if turn is not None:
            upright = upright.transpose(turn)
        return Picture(np.asarray(upright, dtype=np.uint8), source.kind, colours, deep)


@contextmanager
def _loaded(
    content: bytes, max_pixels: int, holding: ReserveMemory = _freely
) -> Iterator[tuple[PictureSource, Image.Image]]:
    """Check limits and load a picture; translates the errors of Pillow to PictureError."""
    kind = _read_kind(content)
    try:
        source = extract_source(kind, content)
        if source.coded > MAX_CODED * max_pixels + ROUNDED:
            detail = f"at most {max_pixels} pixels are accepted; {source.coded} are coded in it"
            raise TooManyPixelsError(detail)
        with _opened(source) as image:
            _check_size(image, max_pixels)
            check_decode_limits(image, source.content, max_pixels=max_pixels)
            pixels = max(image.width * image.height, source.coded)
            with holding(pixels * DECODED_BYTES.get(kind, 12 if source.jpeg else 4)):
                _repair_palette(image)
                image.load()
                _check_size(image, max_pixels)
                if image.mode == "F":
                    raise NotAPictureError(
                        "floating-point pixels have no defined white; send 8 or 16 bits"
                    )
                if image.mode in ("P", "PA") and image.palette is None:
                    raise BrokenPictureError("a broken picture: it refers to a missing palette")
                if source.jpeg:
                    _check_scans(source.jpeg, image)
                yield source, image
    except PictureError:
        raise
    except DecodeLimitError as error:
        raise UnsuitablePictureError(f"a picture that is not accepted: {error}") from error
    except (
        tiff.UnsupportedLayoutError,
        jpeg.UnsupportedFrameError,
        avif.UnsupportedCropError,
    ) as error:
        raise NotAPictureError(f"{error}") from error
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise TooManyPixelsError(f"{error}") from error
    except DECODING_ERRORS as error:
        if kind == "TIFF" and str(error) in UNREAD_BY_PILLOW:
            raise NotAPictureError(f"{tiff.unsupported(tiff.Directory(content))}") from error
        if kind == "JPEG" and "truncated" in str(error):
            raise BrokenPictureError(f"a broken picture (JPEG): {jpeg.CUT}") from error
        raise BrokenPictureError(f"a broken picture ({kind}): {error}") from error


def _read_kind(content: bytes) -> str:
    """Detect a supported format. Raises NotAPictureError."""
    kind, accepted = kind_of(content), f"accepted are {', '.join(accepted_formats())}"
    if not content:
        raise NotAPictureError(f"the file is empty; {accepted}")
    if kind is None:
        raise NotAPictureError(f"not a picture; {accepted}")
    if kind == "HEIF" and not reads_heif():
        extra = f"pip install 'shapshot[{HEIF_EXTRA}]' on the server"
        raise NotAPictureError(f"HEIC (HEIF) needs the extra {HEIF_EXTRA}: {extra}")
    if kind not in FORMATS:
        raise NotAPictureError(f"{kind} is not supported; {accepted}")
    return kind


def _opened(source: PictureSource) -> ImageFile.ImageFile:
    stream = LimitedReader(source.content)
    if source.kind == "HEIF":
        from pillow_heif import HeifImageFile  # an extra

        opened: ImageFile.ImageFile = HeifImageFile(stream)
        return opened
    try:
        return _READERS[source.kind](stream)
    except SyntaxError as error:
        if str(error) == "not identified by this driver":
            raise SyntaxError("its header gives no size or no pixel format") from error
        raise


def _check_size(image: Image.Image, max_pixels: int) -> None:
    width, height = image.size
    if width * height > max_pixels:
        raise TooManyPixelsError(
            f"at most {max_pixels} pixels are accepted; received {width} x {height}"
        )


def _check_scans(picture: jpeg.Jpeg, image: Image.Image) -> None:
    """Check that all scans are complete: data inserted after a complete scan changes no pixel."""
    with JpegImageFile(LimitedReader(picture.with_noise())) as other:
        other.load()
        if ImageChops.difference(image, other).getbbox(alpha_only=False):
            raise jpeg.TruncatedJpegError(jpeg.CUT)


def _repair_palette(image: ImageFile.ImageFile) -> None:
    """Repair a TIFF palette written with 8 instead of 16 bits, which Pillow reads as black."""
    colours = (
        image.tag_v2.get(tiff.COLOUR_MAP)
        if isinstance(image, TiffImagePlugin.TiffImageFile)
        else None
    )
    if colours and image.mode in ("P", "PA") and max(colours) < 256:
        image.palette = ImagePalette.raw("RGB;L", bytes(colours))


def _turn(image: Image.Image) -> Image.Transpose | None:
    """Return the transposition that turns the picture upright.

    Pillow's exif_transpose rewrites all of EXIF, which fails for some cameras. In AVIF and HEIF the
    orientation comes from the boxes only: pillow_heif has applied it, and Pillow copies that of
    AVIF into EXIF.
    """
    if image.format == "AVIF":
        image.info.pop("xmp", None)
    try:
        return _UPRIGHT_BY.get(image.getexif().get(ExifTags.Base.Orientation, 1))
    except (SyntaxError, ValueError, struct.error):  # unreadable EXIF is ignored, as in viewers
        return None
