"""Detects a colour space other than sRGB, and measures how far it shifts the pixels.

Models get the stored levels without conversion, as Keras and OpenCV read them and as models were
trained. So a picture in another colour space looks different to a model than to people.

ICC profiles: ICC.1:2022, https://www.color.org/specification/ICC.1-2022-05.pdf; code points: ITU-T
H.273; sRGB: IEC 61966-2-1. Matrices are from linear RGB to XYZ under D50, by rows.
"""

import struct
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image

Numbers = NDArray[np.float64]
Curve = Callable[[Numbers], Numbers]  # from levels 0..1 to light 0..1

SRGB = np.array([[0.4361, 0.3851, 0.1431], [0.2225, 0.7169, 0.0606], [0.0139, 0.0971, 0.7141]])
P3 = np.array([[0.5151, 0.2920, 0.1571], [0.2412, 0.6922, 0.0666], [-0.0011, 0.0419, 0.7841]])
ADOBE = np.array([[0.6097, 0.2053, 0.1492], [0.3111, 0.6257, 0.0632], [0.0195, 0.0609, 0.7448]])
BT2020 = np.array([[0.6734, 0.1656, 0.1251], [0.2790, 0.6753, 0.0456], [-0.0019, 0.0300, 0.7973]])
PRIMARIES = {9: ("BT.2020", BT2020), 11: ("DCI-P3", P3), 12: ("Display P3", P3)}
TRANSFERS = {8: "linear", 16: "PQ", 18: "HLG"}  # far from sRGB's
MOST_TAGS = 100
LONGEST_NAME = 60
SIDE = 64  # most pixels compared along each side
BROKEN = (struct.error, ValueError, IndexError, KeyError, SyntaxError, TypeError, OverflowError)


@dataclass(frozen=True)
class Colours:
    """A named colour space; curves and matrix, if it is defined by these, as sRGB is."""

    name: str
    curves: tuple[Curve, ...] = ()
    matrix: Numbers | None = None

    def shift(self, pixels: NDArray[np.uint8]) -> float | None:
        """Return the mean difference from sRGB, in levels 0..255, of (H, W, 3); None: unknown."""
        H, W = pixels.shape[:2]
        some = pixels[:: -(-H // SIDE), :: -(-W // SIDE)].astype(np.float64) / 255
        if self.matrix is None or not self.curves:
            return None
        with np.errstate(all="ignore"):
            light = np.stack([f(some[..., c]) for c, f in enumerate(self.curves)], axis=-1)
            light = light @ (np.linalg.inv(SRGB) @ self.matrix).T
            apart = float(np.abs(_encode(light) - some).mean())
        return 255 * apart if np.isfinite(apart) else None


def colours_of(
    image: Image.Image, profile: bytes | None, codes: tuple[int, int] | None
) -> Colours | None:
    """Return the colour space that a picture names; None if absent or unreadable.

    profile: ICC. codes: code points of primaries and transfer, used if there is no profile.
    """
    profile = profile or image.info.get("icc_profile")
    try:
        if profile:
            return _of_profile(profile)
        if codes:
            primaries, transfer = codes
            name, matrix = PRIMARIES.get(primaries, ("", SRGB))
            if transfer in TRANSFERS:
                return Colours(f"{name} {TRANSFERS[transfer]}".strip())
            return Colours(name, (_decode,) * 3, matrix) if name else None
        if image.mode == "CMYK":
            return Colours("CMYK")
        if (
            image.format == "JPEG" and image.getexif().get_ifd(ExifTags.IFD.Interop).get(1) == "R03"
        ):  # DCF: "option file"
            return Colours("Adobe RGB", (lambda x: x**2.2,) * 3, ADOBE)
    except BROKEN:  # an unreadable one is ignored, as in viewers
        pass
    return None


def _of_profile(profile: bytes) -> Colours:
    """Parse an ICC profile. Raises one of BROKEN."""
    space = profile[16:20]
    tags = {}
    [count] = struct.unpack_from(">L", profile, 128)
    for n in range(min(count, MOST_TAGS)):
        tag, at, size = struct.unpack_from(">4sLL", profile, 132 + 12 * n)
        tags[tag] = profile[at : at + size]
    name = _name(tags[b"desc"]) or f"of {space.decode('ascii').strip()}"
    if space == b"GRAY":
        return Colours(name, (_curve(tags[b"kTRC"]),) * 3, SRGB)
    if space != b"RGB " or b"rXYZ" not in tags:
        return Colours(name)
    columns = [struct.unpack_from(">3l", tags[tag], 8) for tag in (b"rXYZ", b"gXYZ", b"bXYZ")]
    curves = tuple(_curve(tags[tag]) for tag in (b"rTRC", b"gTRC", b"bTRC"))
    return Colours(name, curves, np.array(columns).T / 65536)


def _name(tag: bytes) -> str:
    if tag[:4] == b"mluc":
        length, at = struct.unpack_from(">LL", tag, 20)
        text = tag[at : at + length].decode("utf-16-be", "replace")
    else:
        [length] = struct.unpack_from(">L", tag, 8)
        text = tag[12 : 12 + length].decode("ascii", "replace")
    return "".join(each for each in text if each.isprintable())[:LONGEST_NAME].strip()


def _curve(tag: bytes) -> Curve:
    if tag[:4] == b"para":
        [kind] = struct.unpack_from(">H", tag, 8)
        count = (1, 3, 4, 5, 7)[kind]
        numbers = [each / 65536 for each in struct.unpack_from(f">{count}l", tag, 12)]
        g, a, b, c, d, e, f = numbers + [1.0, 0.0, 0.0, 0.0, 0.0, 0.0][count - 1 :]
        if kind in (1, 2):  # below -b / a the curve is the constant c
            c, d, e, f = 0.0, -b / a, c, c
        return lambda x: np.where(x >= d, (a * x + b) ** g + e, c * x + f)
    [count] = struct.unpack_from(">L", tag, 8)
    table = np.frombuffer(tag, ">u2", count, 12)
    if count == 0:
        return lambda x: x
    if count == 1:
        return lambda x: x ** (table[0] / 256)
    return lambda x: np.interp(x, np.linspace(0, 1, count), table / 65535)


def _decode(levels: Numbers) -> Numbers:
    return np.where(levels <= 0.04045, levels / 12.92, ((levels + 0.055) / 1.055) ** 2.4)


def _encode(light: Numbers) -> Numbers:
    light = np.clip(light, 0, 1)
    return np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)
