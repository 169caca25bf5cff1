"""How many pixels the pictures in an AVIF have really, which its boxes may say are few.

libavif decodes whatever the AV1 stream says, and compares sizes afterwards. Boxes: ISO/IEC 14496-12
and 23008-12, as AVIF 1.1 uses them, https://aomediacodec.github.io/av1-avif/; the sequence header:
AV1, section 5.5, https://aomediacodec.github.io/av1-spec/.
"""

import struct
from collections.abc import Iterator

from service.contract.burden import Burden

MOST_ITEMS = 1024  # a grid has at most 256 tiles, and as many of alpha
MOST_UNITS = 100_000  # of AV1, in all items
SEQUENCE_HEADER = 1
Span = tuple[int, int]  # bytes from, to


class BadBoxes(ValueError):  # noqa: N818
    """The boxes, or the streams in them, are not as the standards have them."""


def as_still(content: bytes) -> bytes:
    """The same file, of which the primary picture is decoded and not the first frame of a film."""
    return content[:8] + b"avif" + content[12:] if content[8:12] == b"avis" else content


def count_pixels(content: bytes) -> int:
    """Of all AV1 pictures in it: tiles, alpha and thumbnails too. Raises BadBoxes, Burden."""
    try:
        return _count_pixels(content)
    except (struct.error, IndexError, KeyError) as error:
        raise BadBoxes("its boxes are cut short") from error


def _count_pixels(content: bytes) -> int:
    metas = [span for kind, span in _boxes(content, (0, len(content))) if kind == b"meta"]
    if len(metas) != 1:
        raise BadBoxes(f"it has {len(metas)} boxes meta; one is needed")
    [(start, end)] = metas
    inside = dict(_boxes(content, (start + 4, end)))  # after its version and flags
    pixels, units = 0, 0
    kinds = _kinds_of_items(content, inside[b"iinf"])
    for item, extents in _places_of_items(content, inside[b"iloc"], inside.get(b"idat", (0, 0))):
        if kinds.get(item) != b"av01":
            continue
        stream = b"".join(content[at:to] for at, to in extents)
        sizes = []
        for kind, payload in _units(stream):
            units += 1
            if units > MOST_UNITS:
                raise Burden(f"an AVIF may have {MOST_UNITS} units of AV1")
            if kind == SEQUENCE_HEADER:
                sizes.append(_size(payload))
        if not sizes:
            raise BadBoxes("a picture in it has no sequence header")
        pixels += max(width * height for width, height in sizes)
    return pixels


def _boxes(content: bytes, within: Span) -> Iterator[tuple[bytes, Span]]:
    """The type of each box, and where its content is."""
    at, end = within
    while at + 8 <= end:
        size, kind = struct.unpack_from(">L4s", content, at)
        head = 8
        if size == 1:
            [size] = struct.unpack_from(">Q", content, at + 8)
            head = 16
        to = end if size == 0 else at + size
        if size and size < head:
            raise BadBoxes("a box is shorter than its head")
        yield kind, (at + head, min(to, end))
        at = to


def _kinds_of_items(content: bytes, within: Span) -> dict[int, bytes]:
    """The type of each item, by its id."""
    start, end = within
    start += 6 if content[start] == 0 else 8  # version, flags, and the count of entries
    kinds = {}
    for kind, (at, _) in _boxes(content, (start, end)):
        if kind == b"infe" and content[at] in (2, 3):
            form = ">HH4s" if content[at] == 2 else ">LH4s"
            item, _, type_ = struct.unpack_from(form, content, at + 4)
            kinds[item] = type_
        if len(kinds) > MOST_ITEMS:
            raise Burden(f"an AVIF may have {MOST_ITEMS} items")
    return kinds


def _places_of_items(content: bytes, within: Span, data: Span) -> Iterator[tuple[int, list[Span]]]:
    """The spans of each item's bytes, by its id; data: the box that some of them are in."""
    at, _ = within
    version, sizes = content[at], struct.unpack_from(">H", content, at + 4)[0]
    offset_size, length_size = sizes >> 12, sizes >> 8 & 15
    base_size, index_size = sizes >> 4 & 15, (sizes & 15 if version else 0)
    at += 6

    def number(size: int) -> int:
        nonlocal at
        if at + size > len(content):
            raise BadBoxes("its boxes are cut short")
        at += size
        return int.from_bytes(content[at - size : at], "big")

    id_size = 4 if version == 2 else 2
    for _ in range(number(id_size)):
        item = number(id_size)
        in_data = version > 0 and number(2) & 15 == 1
        number(2)  # which file it is in: this one
        base = number(base_size) + (data[0] if in_data else 0)
        extents = []
        for _ in range(number(2)):
            number(index_size)
            start = base + number(offset_size)
            length = number(length_size)
            extents.append((start, start + length if length else len(content)))
        if sum(to - start for start, to in extents) > 2 * len(content):
            raise Burden("an item of an AVIF may be as long as the file")
        yield item, extents


def _units(stream: bytes) -> Iterator[tuple[int, bytes]]:
    """The open bitstream units of AV1: type and payload."""
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
    """Width and height, at most, of the frames after a sequence header."""
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
        raise BadBoxes("a sequence header is cut short")
    return size
