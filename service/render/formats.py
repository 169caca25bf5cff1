"""The file formats of drawings."""

from typing import Literal

from service.render.alt_text import AltText
from service.render.drawing import Drawing
from service.render.pdf import pdf
from service.render.raster import png
from service.render.svg import svg

Format = Literal["png", "svg", "pdf"]
FORMATS: dict[Format, str] = {  # and their media types
    "png": "image/png",
    "svg": "image/svg+xml",
    "pdf": "application/pdf",
}


def written(drawing: Drawing, text: AltText, form: Format) -> bytes:
    """Writes a drawing as a file of this format, with the text in its metadata."""
    write = {"png": png, "svg": svg, "pdf": pdf}[form]
    return write(drawing, text)
