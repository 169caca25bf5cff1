"""Arrays to pictures to PNG bytes, for every drawing."""

import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from service.render.alt_text import AltText, printable

COMPRESSION = 3  # zlib level: half the time of the usual 6 for a seventh more bytes
LUMINANCE = np.array([0.2989, 0.5870, 0.1140], dtype=np.float32)


def resized(numbers: NDArray[np.floating], size: tuple[int, int]) -> NDArray[np.float32]:
    """Resizes numbers (H, W) to `size` (width, height): repeats to enlarge, averages to shrink.

    Attributions are constant over regions, and interpolation would draw gradients that were not
    computed. Averaging numbers rather than colours keeps colours from mixing.
    """
    plane = Image.fromarray(np.ascontiguousarray(numbers, dtype=np.float32))
    return np.asarray(plane.resize(size, Image.Resampling.BOX))


def rgb_picture(data: NDArray[np.float32]) -> Image.Image:
    """Converts model input (H, W, 1 or 3) in 0..255 to an RGB picture of the same size."""
    pixels = np.clip(data, 0, 255).round().astype(np.uint8)
    return Image.fromarray(pixels if pixels.shape[2] == 3 else pixels.repeat(3, axis=2))


def ghost(data: NDArray[np.float32], alpha: float) -> NDArray[np.uint8]:
    """Converts data (H, W, C) to faint grey (H, W) on white, with its contrast stretched."""
    grey = data @ LUMINANCE if data.shape[2] == 3 else data[..., 0]
    darkest, brightest = grey.min(), grey.max()
    stretched = (grey - darkest) * (255 / max(brightest - darkest, 1e-6))
    faint: NDArray[np.uint8] = (255 - alpha * (255 - stretched)).round().astype(np.uint8)
    return faint


def png(image: Image.Image, text: AltText) -> bytes:
    """Encodes the image, with the text in its metadata. Same input, same bytes."""
    info = PngInfo()
    info.add_text("Software", "Shapshot")
    info.add_itxt("Title", printable(text.title), lang="en")
    info.add_itxt("Description", printable(text.description), lang="en")
    buffer = io.BytesIO()
    image.save(buffer, "PNG", pnginfo=info, compress_level=COMPRESSION)
    return buffer.getvalue()
