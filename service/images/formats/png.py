"""Strips a PNG of chunks that do not affect its pixels, and of appended data.

Portable Network Graphics, third edition, https://www.w3.org/TR/png-3/: chunks are in section 11.
Texts and profiles may be of any length, and damage in them affects no pixel.
"""

import struct
import zlib
from contextlib import suppress
from dataclasses import dataclass

from service.images.decode_limits import MAX_READS, DecodeLimitError

SIGNATURE = b"\x89PNG\r\n\x1a\n"
CRITICAL = (b"IHDR", b"PLTE", b"IDAT", b"IEND")
TRANSPARENCY, EXIF, PROFILE, CODES = b"tRNS", b"eXIf", b"iCCP", b"cICP"
MOST_PROFILE = 2**20  # bytes read of a colour profile
GREY, RGB = 0, 2  # colour types for which tRNS names a single colour


class InvalidChunkError(ValueError):
    """A critical or transparency chunk is damaged, or a critical chunk is unknown."""


@dataclass(frozen=True)
class Png:
    """The stripped file. bits: per sample.

    clear: the samples of the transparent colour of grey or RGB, if any. Its chunk is removed, as
    Pillow compares it with samples already scaled to 8 bits. profile, codes: see `colours_of`.
    """

    content: bytes
    bits: int
    clear: tuple[int, ...] | None
    profile: bytes | None
    codes: tuple[int, int] | None


def extract(content: bytes) -> Png:
    """Keep the chunks of the pixels, and EXIF. Raises InvalidChunkError, DecodeLimitError.

    A truncated file is kept as far as it goes: Pillow reports the truncation.
    """
    view, clear, at = memoryview(content), None, len(SIGNATURE)
    profile: bytes | None = None
    codes: tuple[int, int] | None = None
    parts = [view[:at]]
    bits, colour = content[24:26] if len(content) > 26 else (8, GREY)
    for _ in range(MAX_READS):
        if at + 8 > len(content):
            break
        length, kind = struct.unpack_from(">I4s", content, at)
        start, end = at + 8, at + 12 + length
        wanted = kind in (*CRITICAL, TRANSPARENCY)
        if not wanted and not kind[0] & 32:
            raise InvalidChunkError(f"unknown critical chunk {_name(kind)}")
        whole = end <= len(content)
        if whole and (wanted or kind == EXIF):
            checksum = zlib.crc32(view[at + 4 : end - 4])
            whole = checksum == int.from_bytes(content[end - 4 : end], "big")
            if wanted and not whole:
                raise InvalidChunkError(f"the checksum of chunk {_name(kind)} is wrong")
        if kind == TRANSPARENCY and colour in (GREY, RGB):
            data = content[start : start + length]
            samples = 1 if colour == GREY else 3
            if len(data) < 2 * samples:
                raise InvalidChunkError("chunk tRNS is too short")
            clear = tuple(each % 2**bits for each in struct.unpack_from(f">{samples}H", data))
        elif wanted or (kind == EXIF and whole):
            parts.append(view[at:end])
        elif kind == PROFILE and whole:
            profile = None
            with suppress(ValueError, zlib.error):  # a damaged one is ignored
                packed = content.index(0, start, end - 4) + 2  # after its name and the method
                profile = zlib.decompressobj().decompress(content[packed : end - 4], MOST_PROFILE)
        elif kind == CODES and length == 4:
            codes = content[start], content[start + 1]
        if kind == b"IEND":
            break
        at = end
    else:
        raise DecodeLimitError(f"it has more than {MAX_READS} pieces")
    kept = content if sum(map(len, parts)) == len(content) else b"".join(parts)  # avoids a copy
    return Png(kept, bits, clear, profile, codes)


def _name(kind: bytes) -> str:
    return kind.decode("ascii", "backslashreplace")
