"""Arrays to pictures, and drawings to PNG bytes."""

import io
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from PIL.PngImagePlugin import PngInfo

from service.render.alt_text import AltText
from service.render.drawing import Drawing, Picture, Size, Stroke, Strokes, Text

COMPRESSION = 3  # zlib level: half the time of the usual 6 for a seventh more bytes
LUMINANCE = np.array([0.2989, 0.5870, 0.1140], dtype=np.float32)
SUPERSAMPLING = 3  # factor by which strokes are enlarged, then shrunk


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


def antialiased(strokes: Sequence[Stroke], size: Size) -> Image.Image:
    """Draws strokes on white, enlarged, and shrinks the result."""
    width, height = size
    image = Image.new("RGB", (width * SUPERSAMPLING, height * SUPERSAMPLING), "white")
    pen = ImageDraw.Draw(image)
    for stroke in strokes:
        points, thick = stroke.points * SUPERSAMPLING, stroke.width * SUPERSAMPLING
        width = max(1, round(thick))
        if stroke.inside is not None:
            pen.polygon(points.ravel().tolist(), stroke.inside, stroke.colour, round(thick))
        elif not stroke.dashed:
            pen.line(points.ravel().tolist(), stroke.colour, width, joint="curve")
        else:
            length, gap = (SUPERSAMPLING * each for each in stroke.dashes)
            along = np.concatenate([[0], np.hypot(*np.diff(points, axis=0).T).cumsum()])
            for start in np.arange(0, along[-1], length + gap):
                end = min(start + length, along[-1])
                between = points[(along > start) & (along < end)]
                first, last = (
                    [np.interp(at, along, axis) for axis in points.T] for at in (start, end)
                )
                dash = np.vstack([first, between, last])
                pen.line(dash.ravel().tolist(), stroke.colour, width)
    return image.reduce(SUPERSAMPLING)


def paint(drawing: Drawing) -> Image.Image:
    """Draws all items on one page."""
    first = drawing.items[0] if drawing.items else None
    if isinstance(first, Picture) and len(drawing.items) == 1 and first.image.size == drawing.size:
        return first.image  # spares the memory of a second large picture
    mode, ground = ("RGBA", None) if drawing.transparent else ("RGB", "white")
    page = Image.new(mode, drawing.size, ground)
    pen = ImageDraw.Draw(page)
    for item in drawing.items:
        match item:
            case Picture(at, image):
                page.paste(image, at)
            case Text(at, text, font, ink, anchor):
                font.write(pen, at, text, ink, anchor)
            case Strokes(at, size, strokes):
                page.paste(antialiased(strokes, size), at)
            case Stroke():
                pen.line(item.points.ravel().tolist(), item.colour)
    return page


def png(drawing: Drawing, text: AltText) -> bytes:
    """Draws and encodes a PNG, with the text in its metadata. Same input, same bytes."""
    info = PngInfo()
    for keyword, value in text.entries.items():
        info.add_itxt(keyword, value, lang="en" if keyword in ("Title", "Description") else "")
    return _encoded(paint(drawing), info)


def png_of(image: Image.Image) -> bytes:
    """Encodes a picture within another file."""
    return _encoded(image, PngInfo())


def _encoded(image: Image.Image, info: PngInfo) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "PNG", pnginfo=info, compress_level=COMPRESSION)
    return buffer.getvalue()
