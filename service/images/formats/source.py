"""Reduces a file to its picture, and collects properties that Pillow does not report."""

from dataclasses import dataclass

from service.images.decode_limits import check_directory
from service.images.formats import avif, heif, jpeg, png, tiff
from service.images.formats.isobmff import boxes_of_stills, codes_of_colours
from service.images.formats.jpeg import Jpeg


@dataclass(frozen=True)
class PictureSource:
    """The bytes to decode, and how to interpret them."""

    kind: str
    content: bytes
    bits: int = 8  # per grey level
    inverted: bool = False  # whether grey level 0 is white
    clear: tuple[int, ...] | None = None  # transparent colour of a PNG, unscaled
    jpeg: Jpeg | None = None  # set if decoding alone does not detect truncation
    coded: int = 0  # pixels coded in an AVIF or HEIF, which may exceed those shown
    profile: bytes | None = None  # ICC profile that Pillow does not see
    codes: tuple[int, int] | None = None  # primaries and transfer: see `colours_of`


def extract_source(kind: str, content: bytes) -> PictureSource:
    """Extract the picture from a file of a known format. Raises ValueError, struct.error."""
    match kind:
        case "JPEG":
            picture = jpeg.extract(content)
            return PictureSource(kind, picture.content, jpeg=picture if picture.scan_ends else None)
        case "PNG":
            chunks = png.extract(content)
            bits, clear, profile, codes = chunks.bits, chunks.clear, chunks.profile, chunks.codes
            return PictureSource(
                kind, chunks.content, bits=bits, clear=clear, profile=profile, codes=codes
            )
        case "TIFF":
            check_directory(content)
            page = tiff.extract(content)
            return PictureSource(kind, page.content, bits=page.bits, inverted=page.inverted)
        case "WEBP":
            return PictureSource(kind, content[: 8 + int.from_bytes(content[4:8], "little")])
        case "AVIF" | "HEIF":
            coded = (avif if kind == "AVIF" else heif).count_pixels(content)
            codes = codes_of_colours(content, boxes_of_stills(content)[b"iprp"])
            return PictureSource(kind, avif.as_still(content), coded=coded, codes=codes)
    return PictureSource(kind, content)
