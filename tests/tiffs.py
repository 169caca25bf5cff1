"""Encodes TIFFs of any layout by hand: the tags, and samples packed accordingly."""

import struct
import zlib
from collections.abc import Mapping, Sequence

import numpy as np

SHORT, LONG = 3, 4
WIDTH, LENGTH, BITS, COMPRESSION, PHOTOMETRIC, FILL_ORDER = 256, 257, 258, 259, 262, 266
STRIPS, SAMPLES, ROWS, STRIP_BYTES, PLANAR, PREDICTOR = 273, 277, 278, 279, 284, 317
COLOUR_MAP, TILE_WIDTH, TILE_LENGTH, TILES, TILE_BYTES = 320, 322, 323, 324, 325
INK_SET, EXTRA, FORMAT, SUBSAMPLING = 332, 338, 339, 530
NONE, DEFLATE, PACKBITS = 1, 8, 32773

Values = Sequence[int] | int


def write(
    tags: Mapping[int, Values],
    blocks: Sequence[bytes],
    *,
    order: str = "<",
    tiled: bool = False,
    big: bool = False,
) -> bytes:
    """Encode a TIFF of one page with these tags and those that locate the blocks."""
    at = 16 if big else 8
    offsets = []
    body = b""
    for block in blocks:
        offsets.append(at + len(body))
        body += block + b"\0" * (len(block) % 2)
    where = {TILES if tiled else STRIPS: offsets, TILE_BYTES if tiled else STRIP_BYTES: None}
    entries = dict(tags) | where
    entries[TILE_BYTES if tiled else STRIP_BYTES] = [len(block) for block in blocks]
    start = at + len(body)
    inline, size = (8, 20) if big else (4, 12)
    spill = start + (8 if big else 2) + size * len(entries) + inline
    head, tail = b"", b""
    for tag in sorted(entries):
        given = entries[tag]
        values = [given] if isinstance(given, int) else list(given)
        kind, letter = (LONG, "L") if max(values) > 65_535 or tag in where else (SHORT, "H")
        packed = struct.pack(f"{order}{len(values)}{letter}", *values)
        if len(packed) > inline:
            place = struct.pack(order + ("Q" if big else "L"), spill + len(tail))
            tail += packed + b"\0" * (len(packed) % 2)
        else:
            place = packed.ljust(inline, b"\0")
        head += struct.pack(order + ("HHQ" if big else "HHL"), tag, kind, len(values)) + place
    mark = b"II" if order == "<" else b"MM"
    count = struct.pack(order + ("Q" if big else "H"), len(entries))
    first = (
        mark + struct.pack(order + "HHHQ", 43, 8, 0, start)
        if big
        else mark + struct.pack(order + "HL", 42, start)
    )
    return first + body + count + head + bytes(inline) + tail


def pack(samples: np.ndarray, bits: int, order: str = "<", kind: str = "u") -> bytes:
    """Pack samples (rows, columns of one or more samples) in whole bytes a row, high bits first."""
    rows = samples.reshape(len(samples), -1)
    if bits in (8, 16, 32, 64):
        return rows.astype(np.dtype(f"{order}{kind}{bits // 8}")).tobytes()
    shifts = np.arange(bits - 1, -1, -1)
    each = (rows[..., np.newaxis] >> shifts & 1).astype(np.uint8)
    return np.packbits(each.reshape(len(rows), -1), axis=1).tobytes()


def tiff(
    samples: np.ndarray,
    bits: int,
    photometric: int,
    *,
    order: str = "<",
    kind: str = "u",
    compression: int = NONE,
    planar: bool = False,
    rows: int | None = None,
    tile: int | None = None,
    big: bool = False,
    **named: Values,
) -> bytes:
    """Encode samples (H, W) or (H, W, S) as a TIFF; `t332=2` replaces a tag."""
    deep = samples if samples.ndim == 3 else samples[..., np.newaxis]
    H, W, S = deep.shape
    formats = {"u": 1, "i": 2, "f": 3}
    tags: dict[int, Values] = {
        WIDTH: W,
        LENGTH: H,
        BITS: [bits] * S,
        COMPRESSION: compression,
        PHOTOMETRIC: photometric,
        SAMPLES: S,
        PLANAR: 2 if planar else 1,
        FORMAT: [formats[kind]] * S,
    }
    planes = [deep[..., [s]] for s in range(S)] if planar else [deep]
    blocks = []
    for plane in planes:
        if tile:
            padded = np.pad(plane, ((0, -H % tile), (0, -W % tile), (0, 0)))
            blocks += [
                pack(padded[top : top + tile, left : left + tile], bits, order, kind)
                for top in range(0, H, tile)
                for left in range(0, W, tile)
            ]
        else:
            step = rows or H
            blocks += [
                pack(plane[top : top + step], bits, order, kind) for top in range(0, H, step)
            ]
    tags |= {TILE_WIDTH: tile, TILE_LENGTH: tile} if tile else {ROWS: rows or H}
    tags |= {int(name[1:]): value for name, value in named.items()}
    squeezed = [_squeezed(block, compression) for block in blocks]
    return write(tags, squeezed, order=order, tiled=bool(tile), big=big)


def _squeezed(block: bytes, compression: int) -> bytes:
    if compression == DEFLATE:
        return zlib.compress(block)
    if compression == PACKBITS:
        parts = [block[at : at + 128] for at in range(0, len(block), 128)]
        return b"".join(bytes([len(part) - 1]) + part for part in parts)
    return block
