"""A JPEG without what is appended to it: films of motion photos, further pictures of an MPO.

ITU-T T.81, https://www.w3.org/Graphics/JPEG/itu-t81.pdf: the markers are in table B.1.
"""

import re
import struct
from dataclasses import dataclass, field

from service.contract.burden import MOST_EXIF, MOST_READS, MOST_SCANS, Burden

START, END, START_OF_SCAN, APP1 = 0xD8, 0xD9, 0xDA, 0xE1
END_OF_IMAGE = b"\xff\xd9"
ALONE = {0x01}  # markers without a length that may stand between segments
FRAMES = {0xC0, 0xC1, 0xC2, 0xC9, 0xCA}
PROGRESSIVE = {0xC2, 0xCA}
UNREAD_FRAMES = {0xC3, 0xC5, 0xC6, 0xC7, 0xCB, 0xCD, 0xCE, 0xCF}
EXIF = b"Exif\0\0"
UNWRITTEN = 16  # zeros at the end, or more: room that was never written to, and no pixels
EVERY_COEFFICIENT = 2**64 - 1

# Neither a stuffed zero, nor a restart, nor a byte of filling
_MARKER = re.compile(rb"\xff[\x01-\xcf\xd8-\xfe]")


class Cut(ValueError):  # noqa: N818
    """A part of the picture is missing."""


class UnreadFrame(ValueError):  # noqa: N818
    """A kind of JPEG that is not read."""


@dataclass(frozen=True)
class Jpeg:
    """The bytes of the picture; not `ended` where there is no end of image after them."""

    content: bytes
    ended: bool


@dataclass
class _Scans:
    """Which coefficients of which component are still to come, as bits."""

    progressive: bool = False
    missing: dict[int, int] = field(default_factory=dict)
    count: int = 0

    def begin(self, code: int, frame: bytes) -> None:
        self.progressive = code in PROGRESSIVE
        self.missing = dict.fromkeys(frame[6::3], EVERY_COEFFICIENT)

    def add(self, head: bytes) -> None:
        self.count += 1
        if self.count > MOST_SCANS:
            raise Burden(f"a JPEG may have {MOST_SCANS} scans")
        components = head[1 : 1 + 2 * head[0] : 2]
        first, last, bits = head[-3], head[-2], head[-1]
        for component in components:
            if not self.progressive:
                self.missing[component] = 0
            elif not bits & 15:  # bits that later scans would refine
                self.missing[component] &= ~(2 ** (last + 1) - 2**first)


def alone(content: bytes) -> Jpeg:
    """Cut at the end of the first picture. Raises Burden, Cut, UnreadFrame.

    Cut: there is no end, and scans that were to come before it have not begun. Whether the last one
    that has is there to its end does not show in the markers.
    """
    scans, exif, at = _Scans(), 0, 2
    for _ in range(MOST_READS):
        found = _MARKER.search(content, at)
        if found is None:
            break
        code, at = content[found.end() - 1], found.end()
        if code == END:
            return Jpeg(content[:at], ended=True)
        if code == START:  # another picture, before this one has ended
            content = content[: found.start()]
            break
        if code in ALONE:
            continue
        if code in UNREAD_FRAMES:
            raise UnreadFrame("a lossless or hierarchical JPEG is not read")
        segment = content[at : at + int.from_bytes(content[at : at + 2], "big")]
        if code == APP1 and segment[2:].startswith(EXIF):
            exif += 1
            if exif > MOST_EXIF:
                raise Burden(f"a JPEG may have {MOST_EXIF} segments of EXIF")
        try:
            if code in FRAMES:
                scans.begin(code, segment[2:])
            elif code == START_OF_SCAN:
                scans.add(segment[2:])
        except (IndexError, KeyError, struct.error):
            break  # Pillow finds out, too
        at += max(len(segment), 2)
    else:
        raise Burden(f"it comes in more than {MOST_READS} pieces")
    if not scans.count or any(scans.missing.values()):
        raise Cut("it is cut short: a part of the picture is missing")
    written = content.rstrip(b"\0")
    if len(content) - len(written) >= UNWRITTEN:
        content = written
    return Jpeg(content.rstrip(b"\xff"), ended=False)  # which begins a marker, or is filling
