"""Extracts the first picture of a JPEG, without appended data such as motion photos or an MPO.

ITU-T T.81, https://www.w3.org/Graphics/JPEG/itu-t81.pdf: the markers are in table B.1.
"""

import re
import struct
from dataclasses import dataclass, field

import numpy as np

from service.images.decode_limits import MAX_EXIF, MAX_READS, MAX_SCANS, DecodeLimitError

START, END, START_OF_SCAN, APP1 = 0xD8, 0xD9, 0xDA, 0xE1
END_OF_IMAGE = b"\xff\xd9"
ALONE = {0x01}  # markers without a length that may stand between segments
FRAMES = {0xC0, 0xC1, 0xC2, 0xC9, 0xCA}
PROGRESSIVE = {0xC2, 0xCA}
ARITHMETIC = {0xC9, 0xCA}
UNREAD_FRAMES = {0xC3, 0xC5, 0xC6, 0xC7, 0xCB, 0xCD, 0xCE, 0xCF}
EXIF = b"Exif\0\0"
UNWRITTEN = 16  # trailing zeros, at least: preallocated space that was never written
EVERY_COEFFICIENT = 2**64 - 1
# Decoders read up to 8 bytes ahead; a run of 1 bits is no Huffman code, so it makes no pixels
AHEAD = b"\xff\x00" * 9
NOISE = bytes(np.random.default_rng(0).integers(1, 255, 4096, dtype=np.uint8))  # contains no marker
CUT = "it is cut short: a part of the picture is missing"

# A marker with the fill bytes before it; neither a stuffed zero nor a restart marker
_MARKER = re.compile(rb"\xff+[\x01-\xcf\xd8-\xfe]")


class TruncatedJpegError(ValueError):
    """A part of the picture is missing."""


class UnsupportedFrameError(ValueError):
    """A kind of JPEG that is not supported."""


@dataclass(frozen=True)
class Jpeg:
    """The bytes of the picture, and the ends of its scans if decoding does not detect truncation.

    A single sequential scan is kept without its end-of-image marker, so that the decoder asks for
    more bytes only if data is missing. In other files a marker ends each scan, and decoders fill
    missing data with grey.
    """

    content: bytes
    scan_ends: tuple[int, ...]

    def with_noise(self) -> bytes:
        """Insert noise after each scan; the pixels stay the same if every scan is complete."""
        parts, at = [], 0
        for end in self.scan_ends:
            parts += [self.content[at:end], NOISE]
            at = end
        return b"".join([*parts, self.content[at:]])


@dataclass
class _Scans:
    """The coefficients still missing of each component, as a bit mask, and the end of each scan."""

    progressive: bool = False
    arithmetic: bool = False
    missing: dict[int, int] = field(default_factory=dict)
    unseen: set[int] = field(default_factory=set)
    components: int = 0  # of the last scan
    count: int = 0
    ends: list[int] = field(default_factory=list)

    @property
    def is_one(self) -> bool:
        """Return whether one sequential scan holds all components, decoded while it is read."""
        sequential = not self.progressive and not self.arithmetic
        return sequential and self.count == 1 and self.components == len(self.missing)

    def begin(self, code: int, frame: bytes) -> None:
        self.progressive = code in PROGRESSIVE
        self.arithmetic = code in ARITHMETIC
        self.missing = dict.fromkeys(frame[6::3], EVERY_COEFFICIENT)
        self.unseen = set(self.missing)

    def add(self, head: bytes) -> None:
        self.count += 1
        if self.count > MAX_SCANS:
            raise DecodeLimitError(f"a JPEG may have {MAX_SCANS} scans")
        components = head[1 : 1 + 2 * head[0] : 2]
        first, last, bits = head[-3], head[-2], head[-1]
        self.components = len(components)
        self.unseen.difference_update(components)
        for component in components:
            if not self.progressive:
                self.missing[component] = 0
            elif not bits & 15:  # bits that later scans would refine
                self.missing[component] &= ~(2 ** (last + 1) - 2**first)


def extract(content: bytes) -> Jpeg:
    """Cut off everything after the first picture. Raises DecodeLimitError, TruncatedJpegError,
    UnsupportedFrameError.

    Truncated: a component has no scan, or the end marker is missing together with whole scans. The
    markers do not show whether a scan itself is complete: see Jpeg.
    """
    scans, exif, at, ended = _Scans(), 0, 2, False
    for _ in range(MAX_READS):
        found = _MARKER.search(content, at)
        if found is None:
            break
        code, at = content[found.end() - 1], found.end()
        if code in ALONE:
            continue
        if len(scans.ends) < scans.count:
            scans.ends.append(found.start())
        if code in (START, END):  # START: another picture, before this one has ended
            content, ended = content[: found.start()], code == END
            break
        if code in UNREAD_FRAMES:
            raise UnsupportedFrameError("a lossless or hierarchical JPEG is not supported")
        segment = content[at : at + int.from_bytes(content[at : at + 2], "big")]
        if code == APP1 and segment[2:].startswith(EXIF):
            exif += 1
            if exif > MAX_EXIF:
                raise DecodeLimitError(f"a JPEG may have {MAX_EXIF} segments of EXIF")
        try:
            if code in FRAMES:
                scans.begin(code, segment[2:])
            elif code == START_OF_SCAN:
                scans.add(segment[2:])
        except (IndexError, KeyError, struct.error):
            break  # Pillow reports it too
        at += max(len(segment), 2)
    else:
        raise DecodeLimitError(f"it has more than {MAX_READS} pieces")
    if not scans.count or scans.unseen or (not ended and any(scans.missing.values())):
        raise TruncatedJpegError(CUT)
    if ended and scans.is_one:
        return Jpeg(content + AHEAD, ())
    if ended:  # arithmetic coding may omit trailing zeros, so reading past the end proves nothing
        return Jpeg(content + END_OF_IMAGE, () if scans.arithmetic else tuple(scans.ends))
    written = content.rstrip(b"\0")
    if len(content) - len(written) >= UNWRITTEN:
        content = written
    content = content.rstrip(b"\xff")  # the start of a marker, or fill bytes
    return Jpeg(content + END_OF_IMAGE, (*scans.ends[: scans.count - 1], len(content)))
