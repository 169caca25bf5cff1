"""Encodes pictures and label maps as files."""

import io
from typing import Any

import numpy as np
from PIL import Image

from tests.extras import import_or_skip


def encoded(picture: Image.Image | np.ndarray, form: str = "PNG", **options: Any) -> bytes:
    image = picture if isinstance(picture, Image.Image) else Image.fromarray(picture)
    buffer = io.BytesIO()
    if form == "HEIF":
        import_or_skip("pillow_heif").from_pillow(image).save(buffer, **options)
    else:
        image.save(buffer, form, **options)
    return buffer.getvalue()


def noise(width: int = 60, height: int = 40, *, seed: int = 0) -> np.ndarray:
    """Return a photo of noise, which no encoder compresses: (H, W, 3) uint8."""
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def npy(labels: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, labels)
    return buffer.getvalue()
