"""Limits on the work and memory of decoding, which a small file can make arbitrarily large.

They are checked before any pixel is decoded. The limit on pixels is passed in by the caller.
"""

import io
import re
import struct

import numpy as np
from PIL import Image, ImageFile
from PIL.TiffImagePlugin import TiffImageFile

MAX_ASPECT_RATIO = 100  # longer side / shorter side: models see next to nothing of a longer strip
MAX_SCANS = 40  # of a JPEG; encoders write about ten, and each covers all pixels
MAX_READS = 100_000  # by Pillow: a few per segment, chunk or comment before the pixels
MAX_NUMBERS = 100_000  # in a directory of TIFF or EXIF: each becomes a Python object in Pillow
MAX_EXIF = 8  # segments of a JPEG, 64 kB each, which Pillow concatenates

_COLUMNS, _ROWS, _STRIP_ROWS, _TILE_COLUMNS, _TILE_ROWS = 256, 257, 278, 322, 323  # TIFF tags
_STRIPS, _STRIP_BYTES, _TILES, _TILE_BYTES = 273, 279, 324, 325
_SCANS = re.compile(rb"\xff\xda")
_PLAIN_BYTES = {1, 2, 7}  # types of entries that stay one bytes object: BYTE, ASCII, UNDEFINED


class DecodeLimitError(ValueError):
    """Decoding would take more work or memory than the picture's size justifies."""


class LimitedReader(io.BytesIO):
    """Bytes with a limit on the number of reads: Pillow steps through small chunks in Python."""

    _left = MAX_READS

    def read(self, size: int | None = -1, /) -> bytes:
        self._left -= 1
        if self._left < 0:
            raise DecodeLimitError(f"it has more than {MAX_READS} pieces")
        return super().read(size)


def check_decode_limits(image: ImageFile.ImageFile, content: bytes, *, max_pixels: int) -> None:
    """Check a picture that is opened but not loaded. Raises DecodeLimitError."""
    width, height = image.size
    if min(image.size) < 1:
        raise DecodeLimitError(f"it has no pixels ({width} x {height})")
    if max(image.size) > MAX_ASPECT_RATIO * min(image.size):
        raise DecodeLimitError(
            f"a side may be {MAX_ASPECT_RATIO} times as long as the other; received {width} x "
            f"{height}"
        )
    for tile in image.tile:
        if tile.codec_name in Image.DECODERS:  # written in Python: takes seconds per megabyte
            raise DecodeLimitError(
                "BMP is accepted without run lengths, PPM with raw levels up to 255, "
                f"or up to 65535 if it is grey; received {tile.codec_name}"
            )
    check_directory(re.sub(b"^(Exif\0\0){1,2}", b"", image.info.get("exif") or b""))

    # Pixels decoded at once: a strip or tile of a TIFF, else the whole picture
    tags = image.tag_v2 if isinstance(image, TiffImageFile) else {}
    columns, rows = int(tags.get(_COLUMNS, width)), int(tags.get(_ROWS, height))
    columns = int(tags.get(_TILE_COLUMNS, columns))
    rows = int(tags.get(_TILE_ROWS, min(rows, tags.get(_STRIP_ROWS, rows))))
    if columns * rows > max_pixels:
        raise DecodeLimitError(f"a tile may have {max_pixels} pixels; received {columns * rows}")
    if image.format == "TIFF" and "jpeg" in str(image.info.get("compression", "")):
        _check_scans(image, content)


def check_directory(content: bytes) -> None:
    """Check a directory of TIFF or EXIF before Pillow parses it.

    Raises DecodeLimitError.
    """
    order = {b"II": "<", b"MM": ">"}.get(content[:2])
    if order is None:
        return
    big = content[2:3] == b"+"  # BigTIFF
    offset, length, entry = ("Q", "Q", "HHQ8x") if big else ("L", "H", "HHL4x")
    try:
        [start] = struct.unpack_from(order + offset, content, 8 if big else 4)
        [entries] = struct.unpack_from(order + length, content, start)
        start += struct.calcsize(order + length)
        size = struct.calcsize(order + entry)
        present = min(entries, (len(content) - start) // size)
        found = struct.iter_unpack(order + entry, content[start : start + present * size])
        numbers = sum(count for _, kind, count in found if kind not in _PLAIN_BYTES)
    except struct.error:  # truncated: Pillow reports it too
        return
    if numbers > MAX_NUMBERS:
        detail = f"a directory of TIFF or EXIF may have {MAX_NUMBERS} numbers; received {numbers}"
        raise DecodeLimitError(detail)


def _check_scans(image: ImageFile.ImageFile, content: bytes) -> None:
    """Limit the JPEG scans in each strip or tile of a TIFF's first page."""
    tags = image.tag_v2 if isinstance(image, TiffImageFile) else {}
    scans = np.fromiter((found.start() for found in _SCANS.finditer(content)), np.int64)
    for places, lengths in ((_STRIPS, _STRIP_BYTES), (_TILES, _TILE_BYTES)):
        starts = np.array(tags.get(places, ()), np.int64)
        ends = starts + np.resize(
            np.array(tags.get(lengths, (len(content),)), np.int64), len(starts)
        )
        if np.any(np.searchsorted(scans, ends) - np.searchsorted(scans, starts) > MAX_SCANS):
            raise DecodeLimitError(f"a JPEG may have {MAX_SCANS} scans")
