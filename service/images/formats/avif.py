"""Counts the coded pixels of an AVIF from its AV1 streams, as the boxes may claim fewer.

libavif decodes the size in the AV1 stream, and compares it afterwards. Boxes: ISO/IEC 14496-12
and 23008-12, as AVIF 1.1 uses them, https://aomediacodec.github.io/av1-avif/; the sequence header:
AV1, section 5.5, https://aomediacodec.github.io/av1-spec/.
"""

import struct
from collections.abc import Iterator

from service.images.decode_limits import DecodeLimitError
from service.images.formats.isobmff import (
    InvalidBoxError,
    boxes,
    boxes_of_stills,
    kinds_of_items,
    places_of_items,
)

MAX_UNITS = 100_000  # of AV1, in all items
SEQUENCE_HEADER = 1


class UnsupportedCropError(ValueError):
    """Boxes that crop the picture, which Pillow ignores."""


def as_still(content: bytes) -> bytes:
    """Rebrand an image sequence, so that its primary picture is decoded, not its first frame."""
    return content[:8] + b"avif" + content[12:] if content[8:12] == b"avis" else content


def count_pixels(content: bytes) -> int:
    """Count the pixels of all AV1 pictures in the file, with tiles, alpha and thumbnails.

    Raises InvalidBoxError, DecodeLimitError, UnsupportedCropError.
    """
    pixels, units = 0, 0
    try:
        inside = boxes_of_stills(content)
        properties = dict(boxes(content, inside[b"iprp"]))[b"ipco"]
        if any(kind == b"clap" for kind, _ in boxes(content, properties)):
            raise UnsupportedCropError("a cropped AVIF (box clap) is not supported")
        kinds = kinds_of_items(content, inside[b"iinf"])
        for item, extents in places_of_items(content, inside[b"iloc"], inside.get(b"idat", (0, 0))):
            if kinds.get(item) != b"av01":
                continue
            stream = b"".join(content[at:to] for at, to in extents)
            sizes = []
            for kind, payload in _units(stream):
                units += 1
                if units > MAX_UNITS:
                    raise DecodeLimitError(f"an AVIF may have {MAX_UNITS} units of AV1")
                if kind == SEQUENCE_HEADER:
                    sizes.append(_size(payload))
            if not sizes:
                raise InvalidBoxError("a picture in it has no sequence header")
            pixels += max(width * height for width, height in sizes)
    except (struct.error, IndexError, KeyError) as error:
        raise InvalidBoxError("its boxes are cut short") from error
    return pixels


def _units(stream: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield type and payload of each open bitstream unit (OBU) of AV1."""
    at = 0
    while at < len(stream):
        head = stream[at]
        at += 2 if head & 4 else 1  # an extension
        length = len(stream) - at
        if head & 2:
            length, shift = 0, 0
            while True:
                length |= (stream[at] & 127) << shift
                at, shift = at + 1, shift + 7
                if not stream[at - 1] & 128 or shift > 56:
                    break
        yield head >> 3 & 15, stream[at : at + length]
        at += length


def _size(header: bytes) -> tuple[int, int]:
    """Read the maximum frame width and height from a sequence header."""
    bits = "".join(f"{byte:08b}" for byte in header[:64])
    at = 0

    def read(count: int) -> int:
        nonlocal at
        at += count
        return int(bits[at - count : at] or "0", 2)

    read(4)  # profile, still picture
    if read(1):  # reduced header
        read(5)
    else:
        has_model = False
        delay_bits = 0
        if read(1):  # timing
            read(64)
            if read(1):  # equal intervals: a number in unary and binary
                zeros = 0
                while at < len(bits) and not read(1):
                    zeros += 1
                read(zeros)
            if has_model := bool(read(1)):
                delay_bits = read(5) + 1
                read(42)
        has_delay = read(1)
        for _ in range(read(5) + 1):  # operating points
            read(12)
            if read(5) > 7:  # level
                read(1)
            if has_model and read(1):
                read(2 * delay_bits + 1)
            if has_delay and read(1):
                read(4)
    width_bits, height_bits = read(4) + 1, read(4) + 1
    size = read(width_bits) + 1, read(height_bits) + 1
    if at > len(bits):
        raise InvalidBoxError("a sequence header is cut short")
    return size
