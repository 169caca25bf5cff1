"""Drawings as PDF, by the PDF renderer of matplotlib: text stays text, fonts are embedded."""

import io
from importlib import import_module
from threading import Lock
from typing import Any

import numpy as np
from numpy.typing import NDArray

from service.render.alt_text import AltText
from service.render.drawing import Drawing, Picture, Size, Stroke, Strokes, Text

PER_INCH = 96  # pixels
POINT = 72 / PER_INCH  # of a pixel
_one_at_a_time = Lock()  # matplotlib shares its fonts between threads


def pdf(drawing: Drawing, text: AltText) -> bytes:
    """Writes a PDF of one page, with the text in its information. Same input, same bytes."""
    # Imported here: it takes memory that a process which draws no PDF does not need
    backend: Any = import_module("matplotlib.backends.backend_pdf")  # has no types

    entries = text.entries
    buffer = io.BytesIO()
    facts = (f"{name}: {entries[name]}" for name in entries if name not in ("Title", "Description"))
    about = {
        "Title": entries["Title"],
        "Subject": entries["Description"],
        "Keywords": "; ".join(facts),
        "Creator": entries["Software"],
        "CreationDate": None,  # would be now
    }
    width, height = (side / PER_INCH for side in drawing.size)
    with _one_at_a_time:
        file = backend.PdfFile(buffer, metadata=about)
        file.newPage(width, height)
        renderer = backend.RendererPdf(file, PER_INCH, height, width)
        page = _Page(renderer, drawing.size)
        for item in drawing.items:
            match item:
                case Picture(at, image):
                    page.paste(at, np.asarray(image.convert("RGBA")))
                case Text():
                    page.write(item)
                case Strokes((left, top), _, strokes):
                    for stroke in strokes:
                        page.stroke(stroke, np.array([left, top], float))
                case Stroke():
                    page.stroke(item, np.zeros(2))
        renderer.finalize()
        file.finalize()
        file.close()
    return buffer.getvalue()


class _Page:
    """Draws on a page whose origin is the upper left corner, in pixels."""

    def __init__(self, renderer: Any, size: Size) -> None:
        self._renderer = renderer
        self._height = size[1]

    def paste(self, at: tuple[int, int], pixels: NDArray[np.uint8]) -> None:
        left, top = at
        bottom = (self._height - top - pixels.shape[0]) * POINT
        self._renderer.draw_image(self._renderer.new_gc(), left * POINT, bottom, pixels[::-1])

    def write(self, text: Text) -> None:
        from matplotlib.font_manager import FontProperties

        look = self._renderer.new_gc()
        look.set_foreground([part / 255 for part in text.ink], isRGBA=False)
        left = text.at[0] - text.font.shift(text.text, text.anchor)
        base = (self._height - text.font.base_line(text.at, text.anchor)) * POINT
        for face, piece in text.font.pieces(text.text):
            properties = FontProperties(fname=str(face.path), size=text.font.size * POINT)
            self._renderer.draw_text(look, left * POINT, base, piece, properties, 0)
            left += face.getlength(piece)

    def stroke(self, stroke: Stroke, origin: NDArray[np.float64]) -> None:
        from matplotlib.path import Path
        from matplotlib.transforms import IdentityTransform

        look = self._renderer.new_gc()
        look.set_foreground([part / 255 for part in stroke.colour])
        look.set_linewidth(stroke.width * POINT)
        look.set_joinstyle("round")
        if stroke.dashed:
            look.set_dashes(0, [each * POINT for each in stroke.dashes])
        points = (stroke.points + origin) * POINT
        points[:, 1] = self._height * POINT - points[:, 1]
        inside = None if stroke.inside is None else tuple(part / 255 for part in stroke.inside)
        path = Path(points) if inside is None else Path(points, closed=False)
        self._renderer.draw_path(look, path, IdentityTransform(), inside)
