"""Bytes of any photo -> upright 8-bit pixels: the API checks, the worker computes on the same.

What a file is shows in its first bytes. What is no part of the picture is left out before Pillow
reads it (`formats/`), and limits count within the picture.
"""

import struct
import zlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, replace
from typing import Any

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

from service.contract.burden import Burden, Reads, check_burden, check_unopened
from service.contract.formats import avif, heif, jpeg, png, tiff
from service.contract.formats.kinds import FORMATS, HEIF_EXTRA, kind_of, reads_heif

LOADED_BYTES = {"WEBP": 16, "AVIF": 20, "HEIF": 20}  # of a pixel, while it is decoded; 4 of others
MOST_CODED = (
    4  # times the pixels allowed: what AVIF and HEIF may hold with alpha, thumbnails and the like
)
ROUNDED = 2**20  # pixels: encoders round sizes up, of small pictures to many times their own
NOISE = bytes(np.random.default_rng(0).integers(1, 255, 4096, dtype=np.uint8))  # no marker in it

UNREAD_BY_PILLOW = (
    "unknown pixel mode",
    "unknown data organization",
    "unknown raw mode for given image mode",
)  # what it says of layouts of TIFF

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
    KeyError,
    ArithmeticError,
    RuntimeError,
    MemoryError,
    struct.error,
    zlib.error,
)  # what Pillow and libheif raise for pictures that are damaged

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
_READERS: dict[str, Callable[[Reads], ImageFile.ImageFile]] = {
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
    ├── NotAPicture        not one of the formats we read, or of their layouts
    │   └── BrokenPicture  one of them, but damaged or cut short
    ├── UnfitPicture       whole, perhaps, but of a shape or structure that nobody needs
    └── TooManyPixels      larger than allowed
    """


class NotAPicture(PictureError):  # noqa: N818
    """Not one of the formats we read, or of their layouts."""


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


@dataclass(frozen=True)
class _Source:
    """What is left of a file when only the picture is, and what Pillow does not know of it."""

    kind: str
    content: bytes
    bits: int = 8  # of grey levels
    inverted: bool = False  # whether grey levels count from white
    clear: tuple[int, ...] | None = None  # the transparent colour of a PNG, in its own bits
    ended: bool = True  # False: a JPEG without its end
    coded: int = 0  # pixels that are decoded, where those are more than are shown


def _freely(_bytes: int) -> AbstractContextManager[None]:
    return nullcontext()


def accepted_formats() -> list[str]:
    """The formats that are read here."""
    return [name for name in FORMATS if name != "HEIF" or reads_heif()]


def inspect_picture(content: bytes, *, max_pixels: int, holding: Hold = _freely) -> Found:
    """Look whether a picture can be decoded, in a third of the memory that decoding takes.

    All of it is read, as damage may be anywhere; of its pixels one is brought to RGB. holding: is
    told how many bytes its pixels will take, and is entered while they are there. Raises what
    `decode_picture` raises, and what `holding` does.
    """
    with _loaded(content, max_pixels, holding) as (source, image):
        _to_rgb(replace(source, clear=None), image.crop((0, 0, 1, 1)))
        sides = image.size[::-1] if _turn(image) in _LYING else image.size
        return Found(source.kind, *sides)


def decode_picture(content: bytes, *, max_pixels: int) -> Picture:
    """Decode the first frame, turn it upright by its EXIF tag and bring it to 8-bit RGB.

    Palettes are looked up, grey is repeated, 16-bit levels are divided by 257, transparency is
    laid over white, CMYK is converted. Raises NotAPicture, BrokenPicture, UnfitPicture,
    TooManyPixels.
    """
    with _loaded(content, max_pixels) as (source, image):
        upright = _to_rgb(source, image)
        turn = _turn(image)
        if turn is not None:
            upright = upright.transpose(turn)
        return Picture(np.asarray(upright, dtype=np.uint8), source.kind)


@contextmanager
def _loaded(
    content: bytes, max_pixels: int, holding: Hold = _freely
) -> Iterator[tuple[_Source, Image.Image]]:
    """All of a picture that is fit; whatever Pillow raises of it becomes a PictureError."""
    kind = _read_kind(content)
    try:
        source = _alone(kind, content, max_pixels)
        with _opened(source) as image:
            _check_size(image, max_pixels)
            check_burden(image, source.content, max_pixels=max_pixels)
            pixels = max(image.width * image.height, source.coded)
            with holding(pixels * LOADED_BYTES.get(kind, 4 if source.ended else 12)):
                _mend_palette(image)
                image.load()
                _check_size(image, max_pixels)
                if image.mode in ("P", "PA") and image.palette is None:
                    raise BrokenPicture("a broken picture: it names colours of a missing palette")
                if not source.ended:
                    _check_end(source, image)
                yield source, image
    except PictureError:
        raise
    except Burden as error:
        raise UnfitPicture(f"a picture that is not accepted: {error}") from error
    except (tiff.UnreadLayout, jpeg.UnreadFrame) as error:
        raise NotAPicture(f"{error}") from error
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise TooManyPixels(f"{error}") from error
    except BROKEN as error:
        if kind == "TIFF" and str(error) in UNREAD_BY_PILLOW:
            raise NotAPicture(f"{tiff.unread(tiff.Directory(content))}") from error
        raise BrokenPicture(f"a broken picture ({kind}): {error}") from error


def _read_kind(content: bytes) -> str:
    """The format, which is one that is read here. Raises NotAPicture."""
    kind, accepted = kind_of(content), f"accepted are {', '.join(accepted_formats())}"
    if not content:
        raise NotAPicture(f"the file is empty; {accepted}")
    if kind is None:
        raise NotAPicture(f"not a picture; {accepted}")
    if kind == "HEIF" and not reads_heif():
        extra = f"pip install 'shapshot[{HEIF_EXTRA}]' on the server"
        raise NotAPicture(f"HEIC (HEIF) is not read here: the extra {HEIF_EXTRA} is: {extra}")
    if kind not in FORMATS:
        raise NotAPicture(f"{kind} is not read; {accepted}")
    return kind


def _alone(kind: str, content: bytes, max_pixels: int) -> _Source:
    """The picture without what is no part of it."""
    match kind:
        case "JPEG":
            picture = jpeg.alone(content)
            end = b"" if picture.ended else jpeg.END_OF_IMAGE
            return _Source(kind, picture.content + end, ended=picture.ended)
        case "PNG":
            chunks = png.alone(content)
            return _Source(kind, chunks.content, bits=chunks.bits, clear=chunks.clear)
        case "TIFF":
            check_unopened(content)
            page = tiff.look(content)
            return _Source(kind, page.content, bits=page.bits, inverted=page.inverted)
        case "WEBP":
            return _Source(kind, content[: 8 + int.from_bytes(content[4:8], "little")])
        case "AVIF" | "HEIF":
            coded = (avif if kind == "AVIF" else heif).count_pixels(content)
            if coded > MOST_CODED * max_pixels + ROUNDED:
                raise TooManyPixels(f"at most {max_pixels} pixels are accepted; {coded} are in it")
            return _Source(kind, avif.as_still(content), coded=coded)
    return _Source(kind, content)


def _opened(source: _Source) -> ImageFile.ImageFile:
    stream = Reads(source.content)
    if source.kind == "HEIF":
        from pillow_heif import HeifImageFile  # an extra

        opened: ImageFile.ImageFile = HeifImageFile(stream)
        return opened
    try:
        return _READERS[source.kind](stream)
    except SyntaxError as error:
        if str(error) == "not identified by this driver":
            raise SyntaxError("its head gives no size, or no kind of pixels") from error
        raise


def _check_size(image: Image.Image, max_pixels: int) -> None:
    width, height = image.size
    if width * height > max_pixels:
        raise TooManyPixels(
            f"at most {max_pixels} pixels are accepted; received {width} x {height}"
        )


def _check_end(source: _Source, image: Image.Image) -> None:
    """Look whether a JPEG without its end is whole: whatever follows then changes no pixel."""
    at = len(source.content) - len(jpeg.END_OF_IMAGE)
    with JpegImageFile(Reads(source.content[:at] + NOISE + jpeg.END_OF_IMAGE)) as other:
        other.load()
        if ImageChops.difference(image, other).getbbox(alpha_only=False):
            raise jpeg.Cut("it is cut short: a part of the picture is missing")


def _mend_palette(image: ImageFile.ImageFile) -> None:
    """A palette of TIFF is of 16 bits; some writers give 8, which Pillow makes black of."""
    colours = getattr(image, "tag_v2", {}).get(tiff.COLOUR_MAP, ())
    if colours and image.mode in ("P", "PA") and max(colours) < 256:
        image.palette = ImagePalette.raw("RGB;L", bytes(colours))


def _turn(image: Image.Image) -> Image.Transpose | None:
    """Pillow's exif_transpose writes the whole EXIF anew and fails on that of some cameras.

    In AVIF and HEIF the boxes turn the picture, and nothing else does: pillow_heif has turned it,
    and Pillow puts what those of AVIF say into EXIF.
    """
    if image.format == "AVIF":
        image.info.pop("xmp", None)
    try:
        return _UPRIGHT_BY.get(image.getexif().get(ExifTags.Base.Orientation, 1))
    except (SyntaxError, ValueError, struct.error):  # unreadable EXIF says nothing, as in viewers
        return None


# --- Colours


def _to_rgb(source: _Source, image: Image.Image) -> Image.Image:
    if image.mode == "F":
        raise NotAPicture("floating-point pixels have no defined white; send 8 or 16 bits")
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
    rgb = image if image.mode == "RGB" else image.convert("RGB")  # which would be a copy
    if clear is not None:
        rgb.paste((255, 255, 255), mask=Image.fromarray(clear))
    return rgb


def _to_8_bits(levels: NDArray[np.integer[Any]], top: int) -> NDArray[np.uint8]:
    """Grey levels 0..top, of at most 16 bits, brought to 0..255, to the nearest."""
    scaled = np.clip(levels, 0, top).astype(np.uint32)
    scaled *= 255  # in place: pictures are large
    scaled += top // 2
    scaled //= top
    levels_8: NDArray[np.uint8] = scaled.astype(np.uint8)
    return levels_8


def _where_clear(source: _Source, image: Image.Image) -> NDArray[np.bool_] | None:
    """Where a PNG has the colour that is transparent, (H, W); None where there is none."""
    if source.clear is None:
        return None
    levels = np.asarray(image).astype(np.int32, copy=False)
    if source.bits < 8:  # which Pillow has spread over 0..255
        return np.asarray(levels * (2**source.bits - 1) == source.clear[0] * _white(image))
    if image.mode == "RGB" and source.bits == 16:
        levels = levels << 8 | np.asarray(_low_bytes(source)).astype(np.int32)
    return np.asarray((levels.reshape(*levels.shape[:2], -1) == source.clear).all(axis=2))


def _white(image: Image.Image) -> int:
    return 1 if image.mode == "1" else 255


def _low_bytes(source: _Source) -> Image.Image:
    """The low bytes of RGB of 16 bits, of which Pillow gives the high ones."""
    with PngImageFile(Reads(source.content)) as image:
        image.tile = [tile._replace(args="RGB;16L") for tile in image.tile]
        image.load()
        return image.copy()
