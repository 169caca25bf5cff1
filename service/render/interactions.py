"""Interactions of pairs of regions as lines between them, over the grey picture."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from service.render.alt_text import AltText, join_names
from service.render.attributions import Attributions
from service.render.drawing import Drawing, Size
from service.render.errors import InvalidAttributionsError
from service.render.formats import Format, written
from service.render.layers import MAX_LAYER_PIXELS, MIN_LEGEND_WIDTH
from service.render.layout import SMALL_SIZE, TITLE_SIZE
from service.render.palettes import Palette, PaletteName, find_palette
from service.render.provenance import SEPARATOR, Provenance, common, metadata
from service.render.raster import SUPERSAMPLING, rgb_picture
from service.render.text import FAINT_INK, INK, MAX_NOTE_LINES, MINUS, Font, short_numbers, wrap

WIDTH = 480  # pixels of a picture, at least; a smaller one is enlarged
THICKEST = 0.022  # of the picture's longer side: the line of the strongest pair
THINNEST = 1.0  # pixels
ENLARGED = 3000  # pixels of the longer side at which lines are drawn, unless the picture is longer
LINES_BYTES = 2 * 4 * max(ENLARGED**2, MAX_LAYER_PIXELS)  # of memory, to draw lines
SAMPLES = (1.0, 0.5, 0.25)  # shares of the strongest value, in the legend
BORDER, DOT, CASING = (255, 255, 255), (40, 40, 40), (255, 255, 255)
LIGHTEST, DARKEST = 235, 90  # of the grey picture


@dataclass(frozen=True, eq=False)
class Pairs:
    """Interactions of P pairs of regions for one output, the strongest first.

    regions: (P, 2), numbers of regions. values: (P,), in units of the score. of: how many pairs
    there are in all.
    """

    regions: NDArray[np.integer]
    values: NDArray[np.floating]
    of: int


def interactions(
    attributions: Attributions,
    pairs: Pairs,
    centres: NDArray[np.floating],
    *,
    width_px: int | None = None,
    palette: PaletteName = "red_blue",
    score: float | None = None,
    origin: Provenance | None = None,
    form: Format = "png",
) -> bytes:
    """Draws lines between the centres (R, 2), x and y in pixels, of pairs of regions.

    Colours tell the sign, widths the size, in proportion. Of attributions, the first output is
    named. width_px: of the picture; None: a whole multiple of its own, at least WIDTH. Raises
    InvalidAttributionsError if there are no regions.
    """
    if attributions.regions is None or attributions.regions.ndim != 2:
        raise InvalidAttributionsError("interactions are of regions (H, W); there are none")
    height, width = attributions.regions.shape
    factor = width_px / width if width_px else float(-(-WIDTH // width))
    size = max(1, round(width * factor)), max(1, round(height * factor))
    colours = find_palette(palette)
    picture = _grey(attributions, size)
    _draw_borders(picture, attributions.regions)
    thick = max(THINNEST, THICKEST * max(size))
    picture = _with_lines(picture, pairs, centres * factor, thick, colours)
    name = attributions.names[0]
    drawing = _page(picture, pairs, thick, colours, name, score, origin)
    text = replace(_described(name, pairs, colours), metadata=metadata([origin] if origin else []))
    return written(drawing, text, form)


def _grey(attributions: Attributions, size: Size) -> Image.Image:
    levels = [round(DARKEST + (LIGHTEST - DARKEST) * level / 255) for level in range(256)]
    grey = rgb_picture(attributions.data).convert("L").point(levels)
    return grey.resize(size, Image.Resampling.BICUBIC).convert("RGB")


def _draw_borders(picture: Image.Image, regions: NDArray[np.integer]) -> None:
    """Whitens the pixels of the picture where the region to the right or below is another."""
    width, height = picture.size
    rows = np.arange(height) * regions.shape[0] // height
    columns = np.arange(width) * regions.shape[1] // width
    enlarged = regions[rows][:, columns]
    edges = np.zeros((height, width), dtype=np.bool_)
    edges[:, :-1] |= enlarged[:, 1:] != enlarged[:, :-1]
    edges[:-1] |= enlarged[1:] != enlarged[:-1]
    picture.paste(BORDER, mask=Image.fromarray(np.where(edges, 170, 0).astype(np.uint8)))


def _with_lines(
    picture: Image.Image,
    pairs: Pairs,
    centres: NDArray[np.floating],
    thick: float,
    colours: Palette,
) -> Image.Image:
    """Draws the lines with white casings, the strongest last, and a dot at each of their ends."""
    finer = max(1, min(SUPERSAMPLING, ENLARGED // max(picture.size)))
    layer = Image.new("RGBA", (finer * picture.width, finer * picture.height))
    pen = ImageDraw.Draw(layer)
    largest = float(np.abs(pairs.values).max(initial=0))
    for (one, other), value in zip(pairs.regions[::-1], pairs.values[::-1], strict=True):
        if not value:
            continue
        ends = [tuple(finer * centres[region]) for region in (one, other)]
        width = finer * _thickness(abs(value) / largest, thick)
        casing = width + 2 * finer
        pen.line(ends, (*CASING, 200), round(casing))
        pen.line(ends, (*_colour(value, colours), 235), max(1, round(width)))
        for x, y in ends:
            radius = finer * max(2.0, thick / 2.5)
            pen.ellipse([x - radius, y - radius, x + radius, y + radius], DOT, CASING, finer)
    layer = layer.reduce(finer)
    return Image.alpha_composite(picture.convert("RGBA"), layer).convert("RGB")


def _page(
    picture: Image.Image,
    pairs: Pairs,
    thick: float,
    colours: Palette,
    name: str,
    score: float | None,
    origin: Provenance | None,
) -> Drawing:
    """Lays out the output's name and score, the picture, samples of lines, and their meaning."""
    scale = max(1.0, picture.width / 600)
    title, small = Font(round(TITLE_SIZE * scale)), Font(round(SMALL_SIZE * scale))
    margin, line = round(16 * scale), small.line_height
    width = max(picture.width, MIN_LEGEND_WIDTH)
    shown = f"The {len(pairs.values)} strongest of {pairs.of} pairs of regions."
    notes = [
        "Shapley interaction index of pairs of regions, in units of the score: "
        f"{colours.positive_name}, the two add more together than each without the other; "
        f"{colours.negative_name}, less. {shown}"
    ]
    if origin:
        notes.append(SEPARATOR.join([origin.id, common([origin])]))
    lines = [each for note in notes for each in wrap(note, small, width, MAX_NOTE_LINES)]
    names = wrap(name, title, width)
    top = margin + len(names) * title.line_height + (0 if score is None else line) + margin // 4
    legend_top = top + picture.height + margin // 2
    below = legend_top + round(max(line, thick)) + line + margin // 2
    page = Drawing((width + 2 * margin, below + len(lines) * line + margin))
    middle, y = page.size[0] / 2, margin
    for each in names:
        page.write(title, (middle, y), each, INK, "ma")
        y += title.line_height
    if score is not None:
        number = short_numbers([score])[0].replace("-", MINUS)
        page.write(small, (middle, y), f"score {number}", FAINT_INK, "ma")
    page.paste(picture, ((page.size[0] - picture.width) // 2, top))
    _draw_legend(page, pairs, thick, colours, small, (margin, legend_top), width)
    for count, text in enumerate(lines):
        page.write(small, (middle, below + count * line), text, FAINT_INK, "ma")
    return page


def _draw_legend(
    page: Drawing,
    pairs: Pairs,
    thick: float,
    colours: Palette,
    font: Font,
    at: tuple[int, int],
    width: int,
) -> None:
    """Draws sample lines from the strongest negative to the strongest positive value."""
    largest = float(np.abs(pairs.values).max(initial=0))
    shares = [*(-share for share in SAMPLES), *reversed(SAMPLES)] if largest else []
    cell, height = width / max(1, len(shares)), round(max(font.line_height, thick))
    strip = Image.new("RGB", (width, height), "white")
    pen = ImageDraw.Draw(strip)
    labels = short_numbers([largest * share for share in SAMPLES])
    for number, share in enumerate(shares):
        half = _thickness(abs(share), thick) / 2
        left, right = (number + 0.2) * cell, (number + 0.8) * cell
        box = [left, height / 2 - half, right, height / 2 + half]
        pen.rectangle(box, _colour(share, colours))
        label = labels[SAMPLES.index(abs(share))]
        sign = MINUS if share < 0 else "+"
        middle = at[0] + (number + 0.5) * cell, at[1] + height
        page.write(font, middle, f"{sign}{label}", INK, "ma")
    page.paste(strip, at)
    if not largest:
        page.write(font, (at[0] + width / 2, at[1]), "all are zero", INK, "ma")


def _thickness(share: float, thick: float) -> float:
    return max(THINNEST, share * thick)


def _colour(value: float, colours: Palette) -> tuple[int, int, int]:
    return colours.positive if value > 0 else colours.negative


def _described(name: str, pairs: Pairs, colours: Palette) -> AltText:
    """Describes the drawing, and names the strongest pairs."""
    strongest: Sequence[str] = [
        f"{one} and {other}: {label}"
        for (one, other), label in zip(
            pairs.regions[:5].tolist(), short_numbers(pairs.values[:5].tolist()), strict=True
        )
    ]
    told = f" The strongest, by numbers of regions: {'; '.join(strongest)}." if strongest else ""
    return AltText(
        f"Which regions act together for {join_names([name])}",
        f"The picture in grey, and lines between the centres of regions: {colours.positive_name} "
        f"where two add more to the score of {name} together than each without the other, "
        f"{colours.negative_name} where less, the wider the stronger.{told}",
    )
