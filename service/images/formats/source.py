"""What is left of a file when only the picture is, and what Pillow does not know of it."""

from dataclasses import dataclass

from service.images.decode_limits import check_directory
from service.images.formats import avif, heif, jpeg, png, tiff
from service.images.formats.isobmff import boxes_of_stills, codes_of_colours
from service.images.formats.jpeg import Jpeg


@dataclass(frozen=True)
class PictureSource:
    """The bytes that are to be decoded, and what they mean."""

    kind: str
    content: bytes
    bits: int = 8  # of grey levels
    inverted: bool = False  # whether grey levels count from white
    clear: tuple[int, ...] | None = None  # the transparent colour of a PNG, in its own bits
    jpeg: Jpeg | None = None  # of which decoding alone does not tell whether it is whole
    coded: int = 0  # pixels that are decoded, where those are more than are shown
    profile: bytes | None = None  # of colours, where Pillow does not see it
    codes: tuple[int, int] | None = None  # of primaries and transfer, as `colours_of` takes them


def extract_source(kind: str, content: bytes) -> PictureSource:
    """The picture of a format without what is no part of it. Raises ValueError, struct.error."""
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
