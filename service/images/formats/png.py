"""A PNG without the chunks that say nothing of its pixels, and without what is appended.

Portable Network Graphics, third edition, https://www.w3.org/TR/png-3/: chunks are in section 11.
Texts and profiles may be of any length, and a damaged one of those damages no pixel.
"""

import struct
import zlib
from dataclasses import dataclass

from service.images.decode_limits import MAX_READS, DecodeLimitError

SIGNATURE = b"\x89PNG\r\n\x1a\n"
CRITICAL = (b"IHDR", b"PLTE", b"IDAT", b"IEND")
TRANSPARENCY, EXIF, PROFILE, CODES = b"tRNS", b"eXIf", b"iCCP", b"cICP"
MOST_PROFILE = 2**20  # bytes of a profile of colours that are looked at
GREY, RGB = 0, 2  # types of colour with which a transparency is one colour


class InvalidChunkError(ValueError):
    """A chunk that says what the pixels are is damaged, or unknown."""


@dataclass(frozen=True)
class Png:
    """What is left of the file. bits: of a sample.

    clear: the samples of the one colour that is transparent, where there is one: of grey or RGB. It
    is left out of the content, as Pillow compares it with samples that it has brought to 8 bits.
    profile, codes: of its colours, as `colours_of` takes them.
    """

    content: bytes
    bits: int
    clear: tuple[int, ...] | None
    profile: bytes | None
    codes: tuple[int, int] | None


def extract(content: bytes) -> Png:
    """Keep what makes the pixels, and EXIF. Raises InvalidChunkError, DecodeLimitError.

    A file that ends early is kept to its end: Pillow finds what is missing.
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
            raise InvalidChunkError(f"chunk {_name(kind)} is none that a reader may leave out")
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
            profile = _profile(content[start : end - 4])
        elif kind == CODES and length == 4:
            codes = content[start], content[start + 1]
        if kind == b"IEND":
            break
        at = end
    else:
        raise DecodeLimitError(f"it comes in more than {MAX_READS} pieces")
    kept = content if sum(map(len, parts)) == len(content) else b"".join(parts)  # no copy of all
    return Png(kept, bits, clear, profile, codes)


def _profile(data: bytes) -> bytes | None:
    """Inflate the first bytes of a chunk's profile; None where it is damaged."""
    try:
        packed = data[data.index(0) + 2 :]  # after its name, and the method of compression
        return zlib.decompressobj().decompress(packed, MOST_PROFILE)
    except (ValueError, zlib.error):
        return None


def _name(kind: bytes) -> str:
    return kind.decode("ascii", "backslashreplace")
