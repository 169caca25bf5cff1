"""Photos like those of users, made from the sample."""

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
from PIL import Image

import service
from tests.encoded import encoded
from tests.tiffs import DEFLATE, tiff

SAMPLE = Path(service.__file__).parent / "samples" / "cat.jpg"


def cat() -> Image.Image:
    return Image.open(SAMPLE).convert("RGB")


def _rotated_by_exif() -> bytes:
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned clockwise
    return encoded(cat().transpose(Image.Transpose.ROTATE_90), "JPEG", exif=exif, quality=95)


def _sixteen_bit() -> bytes:
    return encoded(Image.fromarray(np.asarray(cat().convert("L"), dtype=np.uint16) * 257))


def _turned_heic() -> bytes:
    exif = Image.Exif()
    exif[0x0112] = 6  # the encoder writes it as a box, too
    turned = cat().transpose(Image.Transpose.ROTATE_90)
    return encoded(turned, "HEIF", exif=exif.tobytes(), quality=95)


def _from_white() -> bytes:
    grey = np.asarray(cat().convert("L"), dtype=np.uint16) * 257
    return tiff(65_535 - grey, 16, 0, compression=DEFLATE)


KINDS: Mapping[str, Callable[[], bytes]] = {
    "JPEG": lambda: SAMPLE.read_bytes(),
    "EXIF-rotated JPEG": _rotated_by_exif,
    "palette PNG": lambda: encoded(cat().convert("P")),
    "grey PNG": lambda: encoded(cat().convert("L")),
    "PNG with alpha": lambda: encoded(cat().convert("RGBA")),
    "16-bit grey PNG": _sixteen_bit,
    "CMYK JPEG": lambda: encoded(cat().convert("CMYK"), "JPEG"),
    "WebP": lambda: encoded(cat(), "WEBP"),
    "large JPEG": lambda: encoded(cat().resize((6000, 4000)), "JPEG"),
    "turned HEIC": _turned_heic,
    "AVIF": lambda: encoded(cat(), "AVIF", quality=95),
    "motion photo": lambda: SAMPLE.read_bytes() + b"\0\0\0\x18ftypmp42" + b"\xff\xda" * 9999,
    "JPEG without its end": lambda: SAMPLE.read_bytes()[:-2],
    "16-bit TIFF from white": _from_white,
    "one pixel": lambda: encoded(cat().resize((1, 1))),
    "a line": lambda: encoded(cat().resize((100, 1))),
}
