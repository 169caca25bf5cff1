"""Counts the coded pixels of a HEIF, which may be many more than the picture shows.

libheif decodes no picture larger than its box claims, but it decodes all tiles of a grid, even if
only a corner is shown. ISO/IEC 23008-12.
"""

import struct

from service.images.formats.isobmff import (
    InvalidBoxError,
    boxes_of_stills,
    kinds_of_items,
    sizes_of_items,
)

DERIVED = (b"grid", b"iden", b"iovl", b"tmap")  # composed of other items


def count_pixels(content: bytes) -> int:
    """Count the pixels of all coded pictures in the file, with tiles, alpha and thumbnails.

    Raises InvalidBoxError, DecodeLimitError.
    """
    try:
        inside = boxes_of_stills(content)
        kinds = kinds_of_items(content, inside[b"iinf"])
        sizes = sizes_of_items(content, inside[b"iprp"])
    except (struct.error, IndexError, KeyError) as error:
        raise InvalidBoxError("its boxes are cut short") from error
    coded = (size for item, size in sizes.items() if kinds.get(item) not in DERIVED)
    return sum(width * height for width, height in coded)
