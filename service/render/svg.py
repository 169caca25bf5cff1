"""Drawings as SVG: text stays text, pictures are embedded as PNG; refers to nothing outside."""

import base64
from xml.sax.saxutils import escape, quoteattr

from service.render.alt_text import AltText, printable
from service.render.drawing import Drawing, Item, Picture, Stroke, Strokes, Text
from service.render.fonts import can_write
from service.render.palettes import Colour
from service.render.raster import png_of

FONTS = "'DejaVu Sans', Verdana, sans-serif"
ALIGN = {"l": "start", "m": "middle", "r": "end"}


def svg(drawing: Drawing, text: AltText) -> bytes:
    """Writes an SVG, with the text in title, desc and metadata. Same input, same bytes."""
    width, height = drawing.size
    entries = text.entries
    facts = (f"{name}: {entries[name]}" for name in entries if name not in ("Title", "Description"))
    ground = "" if drawing.transparent else '<rect width="100%" height="100%" fill="#fff"/>'
    parts = [
        '<svg xmlns="http://www.w3.org/2000/svg" role="img" '
        f'width="{width}" height="{height}" viewBox="0 0 {width} {height}">',
        f"<title>{escape(entries['Title'])}</title>",
        f"<desc>{escape(entries['Description'])}</desc>",
        f"<metadata>{escape(chr(10).join(facts))}</metadata>",
        f'<g font-family="{FONTS}">{ground}',
        *map(_element, drawing.items),
        "</g></svg>\n",
    ]
    return "\n".join(parts).encode()


def _element(item: Item) -> str:
    match item:
        case Picture((left, top), image):
            data = base64.b64encode(png_of(image)).decode()
            width, height = image.size
            return (
                f'<image x="{left}" y="{top}" width="{width}" height="{height}" '
                f'style="image-rendering:pixelated" href="data:image/png;base64,{data}"/>'
            )
        case Text((x, _), text, font, ink, anchor):
            # textLength keeps the width measured here where another font is shown; what no font has
            # here was measured as code points
            length = (
                f'textLength="{font.width(text):.2f}" lengthAdjust="spacingAndGlyphs"'
                if can_write(text)
                else ""
            )
            return (
                f'<text x="{x:.2f}" y="{font.base_line(item.at, anchor):.2f}" '
                f'font-size="{font.size}" fill="{_hex(ink)}" text-anchor="{ALIGN[anchor[0]]}" '
                f"{length}>{escape(printable(text))}</text>"
            )
        case Strokes((left, top), _, strokes):
            inside = "".join(map(_path, strokes))
            return f'<g transform="translate({left} {top})">{inside}</g>'
        case Stroke():
            return _path(item)


def _path(stroke: Stroke) -> str:
    points = quoteattr(" ".join(f"{x:.2f},{y:.2f}" for x, y in stroke.points.tolist()))
    name, fill = ("polyline", "none") if stroke.inside is None else ("polygon", _hex(stroke.inside))
    dashes = ""
    if stroke.dashed:
        dash, gap = stroke.dashes
        dashes = f' stroke-dasharray="{dash:.2f} {gap:.2f}"'
    return (
        f'<{name} points={points} fill="{fill}" stroke="{_hex(stroke.colour)}" '
        f'stroke-width="{stroke.width:.2f}" stroke-linejoin="round"{dashes}/>'
    )


def _hex(colour: Colour) -> str:
    return "#" + bytes(colour).hex()
