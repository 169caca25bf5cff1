"""Photos as users have them, made from the sample."""

import io
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
from PIL import Image

import service

SAMPLE = Path(service.__file__).parent / "samples" / "cat.jpg"


def cat() -> Image.Image:
    return Image.open(SAMPLE).convert("RGB")


def saved(image: Image.Image, form: str = "PNG", **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, form, **options)  # type: ignore[arg-type]
    return buffer.getvalue()


def _rotated_by_exif() -> bytes:
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned clockwise
    return saved(cat().transpose(Image.Transpose.ROTATE_90), "JPEG", exif=exif, quality=95)


def _sixteen_bit() -> bytes:
    return saved(Image.fromarray(np.asarray(cat().convert("L"), dtype=np.uint16) * 257))


KINDS: Mapping[str, Callable[[], bytes]] = {
    "JPEG": lambda: SAMPLE.read_bytes(),
    "EXIF-rotated JPEG": _rotated_by_exif,
    "palette PNG": lambda: saved(cat().convert("P")),
    "grey PNG": lambda: saved(cat().convert("L")),
    "PNG with alpha": lambda: saved(cat().convert("RGBA")),
    "16-bit grey PNG": _sixteen_bit,
    "CMYK JPEG": lambda: saved(cat().convert("CMYK"), "JPEG"),
    "WebP": lambda: saved(cat(), "WEBP"),
    "large JPEG": lambda: saved(cat().resize((6000, 4000)), "JPEG"),
    "one pixel": lambda: saved(cat().resize((1, 1))),
    "a line": lambda: saved(cat().resize((100, 1))),
}
