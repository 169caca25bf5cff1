"""Checks the layout of a TIFF; rejects layouts that Pillow cannot read or would misread.

TIFF, revision 6.0, 1992, https://www.itu.int/itudoc/itu-t/com16/tiff-fx/docs/tiff6.pdf; BigTIFF,
http://bigtiff.org. Only the first directory counts.
"""

import struct
from dataclasses import dataclass
from functools import cached_property

ORDERS = {b"II": "<", b"MM": ">"}
LETTERS = {
    **{1: "B", 3: "H", 4: "L", 16: "Q"},
    **{6: "b", 8: "h", 9: "l", 17: "q"},  # signed
    **{13: "L", 18: "Q"},  # offsets of directories
}  # struct codes of the integer types
MAX_TAG_VALUES = 64  # values read of one tag

SUBFILE, BITS, COMPRESSION, PHOTOMETRIC, FILL_ORDER = 254, 258, 259, 262, 266
SAMPLES, PLANAR, COLOUR_MAP, INK_SET, EXTRA, FORMAT, DNG = 277, 284, 320, 332, 338, 339, 50706

WHITE_IS_ZERO, BLACK_IS_ZERO, RGB, PALETTE, CMYK, YCBCR, CIELAB = 0, 1, 2, 3, 5, 6, 8
COLOURS = {
    WHITE_IS_ZERO: "grey, white is zero",
    BLACK_IS_ZERO: "grey, black is zero",
    RGB: "RGB",
    PALETTE: "palette",
    4: "transparency mask",
    CMYK: "separated inks",
    YCBCR: "YCbCr",
    CIELAB: "CIELab",
    9: "ICCLab",
    10: "ITULab",
    32844: "LogL",
    32845: "LogLuv",
}
RAW = {32803, 34892}  # colour filter array, linear raw
NOT_COMPRESSED, JPEG = 1, 7
COMPRESSIONS = {
    NOT_COMPRESSED: "not compressed",
    2: "CCITT",
    3: "CCITT group 3",
    4: "CCITT group 4",
    5: "LZW",
    JPEG: "JPEG",
    8: "deflate",
    32773: "PackBits",
    32946: "deflate",
    34925: "LZMA",
    50000: "zstd",
}
UNREAD_COMPRESSIONS = {
    6: "old JPEG",
    32809: "ThunderScan",
    33003: "JPEG 2000",
    33005: "JPEG 2000",
    34676: "SGI Log",
    34677: "SGI Log",
    34712: "JPEG 2000",
    34713: "Nikon's raw",
    34887: "LERC",
    34892: "lossy JPEG of DNG",
    50001: "WebP",  # not built into the libtiff of Pillow's wheels
    50002: "JPEG XL",
    52546: "JPEG XL",
}
NUMBERS = {
    1: "unsigned",
    2: "signed",
    3: "floating-point",
    4: "undefined",
    5: "complex",
    6: "complex",
}
READ = (
    "grey of 1, 2, 4, 8 and 16 bits, RGB and CMYK of 8 and 16, palettes, CIELab of 8 and YCbCr of "
    "JPEG, of unsigned numbers"
)


class UnsupportedLayoutError(ValueError):
    """A layout of TIFF that Pillow cannot read, or would misread."""


@dataclass(frozen=True)
class Directory:
    """The first directory of a TIFF, parsed on demand."""

    content: bytes

    @cached_property
    def _entries(self) -> dict[int, tuple[int, int, int]]:
        """Return the type, the value count and the value offset of each tag."""
        order, big = ORDERS[self.content[:2]], self.content[2:4] in (b"+\0", b"\0+")
        offset, length, entry, inline = ("Q", "Q", "HHQ", 8) if big else ("L", "H", "HHL", 4)
        [at] = struct.unpack_from(order + offset, self.content, 8 if big else 4)
        [count] = struct.unpack_from(order + length, self.content, at)
        at += struct.calcsize(order + length)
        entries = {}
        head = struct.calcsize(order + entry)
        for _ in range(min(count, 4096)):
            tag, kind, values = struct.unpack_from(order + entry, self.content, at)
            place = at + head
            if kind in LETTERS and values * struct.calcsize(order + LETTERS[kind]) > inline:
                [place] = struct.unpack_from(order + offset, self.content, place)
            entries[tag] = kind, values, place
            at += head + inline
        return entries

    def has(self, tag: int) -> bool:
        return tag in self._entries

    def with_value(self, tag: int, value: int) -> bytes:
        """Return the file with the first value of an existing tag replaced. Raises struct.error."""
        kind, _, at = self._entries[tag]
        if kind not in LETTERS:
            raise struct.error(f"tag {tag} is of type {kind}, which is not an integer type")
        packed = struct.pack(ORDERS[self.content[:2]] + LETTERS[kind], value)
        return self.content[:at] + packed + self.content[at + len(packed) :]

    def values(self, tag: int, *default: int, most: int = MAX_TAG_VALUES) -> tuple[int, ...]:
        """Read the first integers of a tag; the default if it has none. Raises struct.error."""
        kind, count, at = self._entries.get(tag, (0, 0, 0))
        if kind not in LETTERS or not count:
            return default
        form = f"{ORDERS[self.content[:2]]}{min(count, most)}{LETTERS[kind]}"
        return struct.unpack_from(form, self.content, at)

    def value(self, tag: int, default: int) -> int:
        return self.values(tag, default)[0]

    @cached_property
    def bits(self) -> tuple[int, ...]:
        """Return the bits of each sample of a pixel."""
        given, samples = self.values(BITS, 1), min(self.value(SAMPLES, 1), MAX_TAG_VALUES)
        return given * samples if len(given) == 1 else given

    def __str__(self) -> str:
        """Describe the layout."""
        colour, how = self.value(PHOTOMETRIC, WHITE_IS_ZERO), self.value(COMPRESSION, 1)
        numbers = sorted({NUMBERS.get(each, "unknown") for each in self.values(FORMAT, 1)})
        widths = " and ".join(map(str, sorted(set(self.bits))))
        samples = f"{len(self.bits)} sample{'s' if len(self.bits) > 1 else ''}"
        known = COMPRESSIONS | UNREAD_COMPRESSIONS
        parts = [
            f"{samples} of {widths} bits, {' and '.join(numbers)}",
            COLOURS.get(colour, f"colours of kind {colour}"),
            known.get(how, f"compression {how}"),
        ]
        parts += ["separate planes"] if self.value(PLANAR, 1) == 2 else []
        parts += ["lowest bit first"] if self.value(FILL_ORDER, 1) == 2 else []
        parts += ["further samples"] if self.has(EXTRA) else []
        parts += ["big-endian"] if self.content.startswith(b"MM") else []
        return f"a TIFF of {', '.join(parts)}"


@dataclass(frozen=True)
class Tiff:
    """The file for Pillow; grey levels have `bits` bits, and 0 is white if `inverted`."""

    content: bytes
    bits: int
    inverted: bool


def extract(content: bytes) -> Tiff:
    """Check the layout.

    Raises UnsupportedLayoutError; struct.error if the file is truncated.
    """
    if content.startswith(b"MM\0+"):
        raise UnsupportedLayoutError(
            f"a big-endian BigTIFF is not supported; supported are, in other TIFFs, {READ}"
        )
    found = Directory(content)
    colour, how = found.value(PHOTOMETRIC, WHITE_IS_ZERO), found.value(COMPRESSION, 1)
    bits, numbers = found.bits, set(found.values(FORMAT, 1))
    if found.has(DNG) or colour in RAW:
        raise UnsupportedLayoutError("a raw photo is not supported")
    if found.value(SUBFILE, 0) & 1:
        raise UnsupportedLayoutError(
            "a TIFF that begins with a thumbnail, as raw photos do, is not supported"
        )
    if how not in COMPRESSIONS:
        raise unsupported(found)
    if 3 in numbers:
        raise unsupported(found, "floating-point pixels have no defined white; send 8 or 16 bits")
    if 2 in numbers:
        raise unsupported(found, "signed numbers have no defined black; send unsigned ones")
    if numbers != {1} or len(set(bits)) != 1:
        raise unsupported(found)
    if bits[0] > 16:
        raise unsupported(found, "the level of white is not defined above 16 bits; send 8 or 16")
    if colour == YCBCR and how != JPEG:
        raise unsupported(found)
    if colour == CMYK and found.value(INK_SET, 1) != 1:
        raise unsupported(found, "its inks are not CMYK")
    if found.value(PLANAR, 1) == 2 and bits[0] > 8 and how == NOT_COMPRESSED and len(bits) > 1:
        raise unsupported(found)
    inverted = colour == WHITE_IS_ZERO and bits == (16,)
    if inverted and found.has(PHOTOMETRIC):  # Pillow inverts fewer bits, but not these
        content = found.with_value(PHOTOMETRIC, BLACK_IS_ZERO)
    return Tiff(content, bits[0], inverted)


def unsupported(found: Directory, why: str = "") -> UnsupportedLayoutError:
    """Build the error for an unsupported layout."""
    reason = f": {why}" if why else ""
    return UnsupportedLayoutError(f"{found} is not supported{reason}; supported are {READ}")
