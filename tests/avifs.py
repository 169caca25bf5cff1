"""AVIF files that Pillow does not write: grids of tiles, turned or cropped by their boxes.

ISO/IEC 14496-12 and 23008-12, as AVIF 1.1 uses them: https://aomediacodec.github.io/av1-avif/.
"""

import struct
from collections.abc import Sequence

from service.images.formats.isobmff import boxes, boxes_of_stills, places_of_items


def box(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">L4s", 8 + len(content), kind) + content


def full(kind: bytes, content: bytes, *, version: int = 0, flags: int = 0) -> bytes:
    return box(kind, struct.pack(">L", version << 24 | flags) + content)


def grid(tiles: Sequence[bytes], columns: int, size: tuple[int, int], *changes: bytes) -> bytes:
    """Assemble one AVIF of size (W, H) from AVIFs of equal size, row by row.

    changes: further property boxes of the whole picture, such as irot.
    """
    inside = boxes_of_stills(tiles[0])
    place = dict(boxes(tiles[0], inside[b"iprp"]))[b"ipco"]
    known = {kind: box(kind, tiles[0][at:to]) for kind, (at, to) in boxes(tiles[0], place)}
    data = [_data(tile) for tile in tiles]
    rows, whole = len(tiles) // columns, len(tiles) + 1  # the item number of the grid
    data.append(struct.pack(">BBBBHH", 0, 0, rows - 1, columns - 1, *size))

    types = [b"av01"] * len(tiles) + [b"grid"]
    entries = [
        full(b"infe", struct.pack(">HH4sx", n, 0, kind), version=2, flags=int(n < whole))
        for n, kind in enumerate(types, start=1)
    ]
    numbers = struct.pack(f">{len(tiles)}H", *range(1, whole))
    parts = box(b"dimg", struct.pack(">HH", whole, len(tiles)) + numbers)
    properties = [known[kind] for kind in (b"ispe", b"av1C", b"pixi", b"colr")]
    properties += [full(b"ispe", struct.pack(">LL", *size)), *changes]
    of_tile, of_grid = [1, 0x82, 3, 4], [5, 3, 4, *(0x86 + n for n in range(len(changes)))]
    owned = b"".join(
        struct.pack(">HB", n, len(each)) + bytes(each)
        for n, each in enumerate([of_tile] * len(tiles) + [of_grid], start=1)
    )

    def meta(start: int) -> bytes:
        places = b""
        for n, each in enumerate(data, start=1):
            places += struct.pack(">HHHLL", n, 0, 1, start, len(each))
            start += len(each)
        return full(
            b"meta",
            full(b"hdlr", bytes(4) + b"pict" + bytes(13))
            + full(b"pitm", struct.pack(">H", whole))
            + full(b"iloc", struct.pack(">HH", 0x4400, whole) + places)
            + full(b"iinf", struct.pack(">H", whole) + b"".join(entries))
            + full(b"iref", parts)
            + box(
                b"iprp",
                box(b"ipco", b"".join(properties))
                + full(b"ipma", struct.pack(">L", whole) + owned),
            ),
        )

    head = box(b"ftyp", b"avif" + bytes(4) + b"avifmif1miaf")
    return head + meta(len(head) + len(meta(0)) + 8) + box(b"mdat", b"".join(data))


def _data(avif: bytes) -> bytes:
    """Return the AV1 data of a file with one picture."""
    [(_, [(at, to)])] = places_of_items(avif, boxes_of_stills(avif)[b"iloc"], (0, 0))
    return avif[at:to]
