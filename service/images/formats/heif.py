"""How many pixels the pictures in a HEIF have, of which a small one may be put together.

libheif decodes no picture that is larger than its box says, but all tiles of a grid, of which only
a corner may be shown. ISO/IEC 23008-12.
"""

import struct

from service.images.formats.isobmff import (
    InvalidBoxError,
    boxes_of_stills,
    kinds_of_items,
    sizes_of_items,
)

DERIVED = (b"grid", b"iden", b"iovl", b"tmap")  # put together of other items


def count_pixels(content: bytes) -> int:
    """Of all coded pictures in it: tiles, alpha and thumbnails too.

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
