"""Parses the boxes of AVIF and HEIF that describe the pictures in a file.

ISO/IEC 14496-12 and 23008-12: ids, types, locations and claimed sizes of items.
"""

import struct
from collections.abc import Iterator

from service.images.decode_limits import DecodeLimitError

MAX_ITEMS = 1024  # a grid has at most 256 tiles, and as many of alpha
Span = tuple[int, int]  # byte offsets: start, end


class InvalidBoxError(ValueError):
    """A box, or a stream in it, violates the standard."""


def boxes_of_stills(content: bytes) -> dict[bytes, Span]:
    """Return the boxes inside the file's meta box. Raises InvalidBoxError, struct.error."""
    metas = [span for kind, span in boxes(content, (0, len(content))) if kind == b"meta"]
    if len(metas) != 1:
        raise InvalidBoxError(f"it has {len(metas)} meta boxes; a still picture has one")
    [(start, end)] = metas
    return dict(boxes(content, (start + 4, end)))  # after its version and flags


def boxes(content: bytes, within: Span) -> Iterator[tuple[bytes, Span]]:
    """Yield the type of each box, and the span of its content."""
    at, end = within
    while at + 8 <= end:
        size, kind = struct.unpack_from(">L4s", content, at)
        head = 8
        if size == 1:
            [size] = struct.unpack_from(">Q", content, at + 8)
            head = 16
        to = end if size == 0 else at + size
        if size and size < head:
            raise InvalidBoxError("a box is shorter than its header")
        yield kind, (at + head, min(to, end))
        at = to


def kinds_of_items(content: bytes, within: Span) -> dict[int, bytes]:
    """Read the type of each item, by id."""
    start, end = within
    start += 6 if content[start] == 0 else 8  # version, flags, and the count of entries
    kinds = {}
    for kind, (at, _) in boxes(content, (start, end)):
        if kind == b"infe" and content[at] in (2, 3):
            form = ">HH4s" if content[at] == 2 else ">LH4s"
            item, _, type_ = struct.unpack_from(form, content, at + 4)
            kinds[item] = type_
        if len(kinds) > MAX_ITEMS:
            raise DecodeLimitError(f"it may have {MAX_ITEMS} items")
    return kinds


def places_of_items(content: bytes, within: Span, data: Span) -> Iterator[tuple[int, list[Span]]]:
    """Yield the id and the byte spans of each item; data: the span of the box `idat`."""
    at, _ = within
    version, sizes = content[at], struct.unpack_from(">H", content, at + 4)[0]
    offset_size, length_size = sizes >> 12, sizes >> 8 & 15
    base_size, index_size = sizes >> 4 & 15, (sizes & 15 if version else 0)
    at += 6

    def number(size: int) -> int:
        nonlocal at
        if at + size > len(content):
            raise InvalidBoxError("its boxes are cut short")
        at += size
        return int.from_bytes(content[at - size : at], "big")

    id_size = 4 if version == 2 else 2
    for _ in range(number(id_size)):
        item = number(id_size)
        in_data = version > 0 and number(2) & 15 == 1
        number(2)  # data reference index: taken as this file
        base = number(base_size) + (data[0] if in_data else 0)
        extents = []
        for _ in range(number(2)):
            number(index_size)
            start = base + number(offset_size)
            length = number(length_size)
            extents.append((start, start + length if length else len(content)))
        if sum(to - start for start, to in extents) > 2 * len(content):
            raise DecodeLimitError("an item is longer than the file")
        yield item, extents


def codes_of_colours(content: bytes, within: Span) -> tuple[int, int] | None:
    """Read the H.273 code points of primaries and transfer; within: the box `iprp`."""
    inside = dict(boxes(content, within))
    for kind, (at, _) in boxes(content, inside[b"ipco"]):
        if kind == b"colr" and content[at : at + 4] == b"nclx":
            primaries, transfer = struct.unpack_from(">HH", content, at + 4)
            return primaries, transfer
    return None


def sizes_of_items(content: bytes, within: Span) -> dict[int, tuple[int, int]]:
    """Read the width and height that each item claims, by id; within: the box `iprp`."""
    inside = dict(boxes(content, within))
    sizes = {
        number: struct.unpack_from(">LL", content, at + 4)
        for number, (kind, (at, _)) in enumerate(boxes(content, inside[b"ipco"]), start=1)
        if kind == b"ispe"
    }
    at, end = inside[b"ipma"]
    wide_ids, wide_numbers = content[at] > 0, content[at + 3] & 1
    [count] = struct.unpack_from(">L", content, at + 4)
    at += 8
    claimed = {}
    for _ in range(min(count, MAX_ITEMS)):
        [item] = struct.unpack_from(">L" if wide_ids else ">H", content, at)
        at += 4 if wide_ids else 2
        properties = content[at]
        at += 1
        for _ in range(properties):
            number = struct.unpack_from(">H" if wide_numbers else ">B", content, at)[0]
            at += 2 if wide_numbers else 1
            size = sizes.get(number & (0x7FFF if wide_numbers else 0x7F))
            if size:
                claimed[item] = size
        if at > end:
            raise InvalidBoxError("its boxes are cut short")
    return claimed
