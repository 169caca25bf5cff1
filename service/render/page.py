"""The figure: pictures, a panel for each output, colour bars, like shap's image plot.

Picture, ghost and colours share one grid of whole pixels, so they are aligned by construction; a
figure takes milliseconds, without a lock or a font cache.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from service.render import alt_text, provenance
from service.render.attributions import Unit
from service.render.colour_bar import ColourBar, limits
from service.render.colours import Scale, Sums, limit
from service.render.drawing import Drawing
from service.render.errors import InvalidOptionError
from service.render.formats import Format, written
from service.render.layout import Block, Heading, Layout, plan
from service.render.palettes import PaletteName, find_palette
from service.render.raster import ghost, resized, rgb_picture
from service.render.row import SIDES, Row
from service.render.text import FAINT_INK, INK

MIN_WIDTH, MAX_WIDTH = 100, 4096  # pixels

ScaleBy = Literal["shared", "row", "panel"]


def figure(
    *rows: Row,
    percentile: float = 99.9,
    alpha: float = 0.15,
    width_px: int | None = None,
    caption: str = "SHAP value",
    palette: PaletteName = "red_blue",
    scale: ScaleBy = "shared",
    unit: Unit = "pixel",
    legend: bool = False,
    form: Format = "png",
) -> bytes:
    """Draws each picture, then its outputs over its grey ghost at `alpha`.

    Rows may differ in their outputs and in the sizes of their pictures. One colour `scale` is
    shared by all, or each row or panel has its own beside it; differences of two models have a
    scale apart, and the three outputs of a class share a line. Titles tell how rows with an
    `origin` differ, and a note what they have in common; `legend` adds the note to a single row.
    `width_px` scales the whole figure to that width. Raises InvalidOptionError.
    """
    if not rows:
        raise InvalidOptionError("a figure shows one picture or more; received none")
    if not 0 <= alpha <= 1:
        raise InvalidOptionError(f"alpha must be in 0..1; received {alpha}")
    if width_px is not None and not MIN_WIDTH <= width_px <= MAX_WIDTH:
        raise InvalidOptionError(
            f"width_px must be in {MIN_WIDTH}..{MAX_WIDTH}; received {width_px}"
        )
    origins = [row.origin for row in rows if row.origin]
    titled = len(origins) == len(rows) > 1
    titles = provenance.titles(origins) if titled else [""] * len(rows)
    ids = [origin.id if titled else "" for origin in origins] or [""] * len(rows)
    notes = []
    if scale != "shared":
        notes.append(f"{caption}; each {scale} has a colour scale of its own")
    if titled:
        notes.append(f"In common: {provenance.common(origins)}")
    elif legend and origins:
        notes.append(provenance.SEPARATOR.join([origins[0].id, provenance.common(origins)]))
    in_threes = all(row.in_threes for row in rows)
    cells = [_cells(row, in_threes=in_threes) for row in rows]
    headings = [_headings(row, own) for row, own in zip(rows, cells, strict=True)]
    layout = plan(
        [row.size for row in rows],
        headings,
        width_px=width_px,
        titles=list(zip(titles, ids, strict=True)),
        notes=notes,
        scale_by=scale,
        columns=1 + len(SIDES) if in_threes else None,
        bars=2 if any(row.differences.any() for row in rows) else 1,
    )
    sums = [row.attributions.sums(unit) for row in rows]
    differences = [row.differences for row in rows]
    scales = _scales(sums, differences, scale, percentile, palette)
    page = Drawing((layout.width, layout.height))
    parts = zip(rows, layout.blocks, sums, scales, cells, headings, strict=True)
    for row, block, credit, own, places, texts in parts:
        _draw_titles(page, layout, block)
        _draw_headings(page, layout, block, texts)
        data, box = row.attributions.data, Image.Resampling.BOX
        page.paste(rgb_picture(data).resize(block.panel, box), layout.corner(block, 0))
        backdrop = Image.fromarray(ghost(data, alpha)).resize(block.panel, box).convert("RGB")
        for output, (colour_scale, cell) in enumerate(zip(own, places, strict=True)):
            colours = colour_scale.paint(resized(credit[..., output], block.panel))
            panel = backdrop.copy()
            panel.paste(colours.convert("RGB"), mask=colours.getchannel("A"))
            left, top = layout.corner(block, cell)
            page.paste(panel, (left, top))
            if scale == "panel":
                below = top + block.panel[1] + layout.gap // 4
                bar = ColourBar(colour_scale, left, below, block.panel[0], layout.bar_thickness)
                bar.draw_small(page, layout.small_font)
        if scale == "row":
            top = block.bottom - layout.bars * layout.row_bar_height
            for each, minus in _kinds([row], [own]):
                said = ", ".join(filter(None, [limits(each), minus]))
                layout.bar(each, top).draw(page, layout.small_font, said)
                top += layout.row_bar_height
    if scale == "shared":
        for number, (each, minus) in enumerate(_kinds(rows, scales)):
            said = ", ".join(filter(None, [caption, minus]))
            top = layout.bar_top + number * layout.row_bar_height
            layout.bar(each, top).draw(page, layout.small_font, said)
    for number, line in enumerate(layout.notes):
        y = layout.note_top + number * layout.small_font.line_height
        page.write(layout.small_font, (layout.width / 2, y), line, FAINT_INK, "ma")
    by_pixel = sums if unit == "pixel" else [row.attributions.sums("pixel") for row in rows]
    one_scale = scale == "shared" and len(_kinds(rows, scales)) == 1
    text = alt_text.of_figure(rows, by_pixel, scales[0][0] if one_scale else None)
    return written(page, replace(text, metadata=provenance.metadata(origins)), form)


def _cells(row: Row, *, in_threes: bool) -> list[int]:
    """Returns the cell of each output; in threes, those below the first line leave one empty."""
    outputs = range(len(row.attributions.output_names))
    return [k + 1 + (k // len(SIDES) if in_threes else 0) for k in outputs]


def _headings(row: Row, cells: Sequence[int]) -> list[Heading]:
    """Returns the heading of each cell, up to the last."""
    picture, *outputs = row.headings
    found = [picture] + [Heading()] * cells[-1]
    for cell, heading in zip(cells, outputs, strict=True):
        found[cell] = heading
    return found


def _scales(
    sums: Sequence[Sums],
    differences: Sequence[NDArray[np.bool_]],
    by: ScaleBy,
    percentile: float,
    palette: PaletteName,
) -> list[list[Scale]]:
    """Returns the scale of each output of each row; differences: which outputs have one apart."""
    colours = find_palette(palette)

    def scale(parts: Sequence[Sums]) -> Scale:
        return Scale(limit(*parts, percentile=percentile), colours)

    def of_kinds(number: slice) -> dict[bool, Scale]:
        found = {}
        for kind in (False, True):
            pairs = zip(sums[number], differences[number], strict=True)
            parts = [one[..., which == kind] for one, which in pairs]
            if any(part.size for part in parts):
                found[kind] = scale([part for part in parts if part.size])
        return found

    if by == "panel":
        return [[scale([one[..., k]]) for k in range(one.shape[2])] for one in sums]
    shared = of_kinds(slice(None)) if by == "shared" else None
    return [
        [(shared or own)[bool(kind)] for kind in which]
        for number, which in enumerate(differences)
        for own in [shared or of_kinds(slice(number, number + 1))]
    ]


def _kinds(rows: Sequence[Row], scales: Sequence[Sequence[Scale]]) -> list[tuple[Scale, str]]:
    """Returns the scale of outputs, and that of differences with what they are, where shown."""
    found: dict[bool, tuple[Scale, str]] = {}
    minus = list(dict.fromkeys(row.minus for row in rows if row.differences.any()))
    named = minus[0] if len(minus) == 1 else "one model minus another"
    for row, own in zip(rows, scales, strict=True):
        for kind, scale in zip(row.differences.tolist(), own, strict=True):
            found.setdefault(kind, (scale, named if kind else ""))
    return [found[kind] for kind in sorted(found)]


def _draw_titles(page: Drawing, layout: Layout, block: Block) -> None:
    """Writes how the row differs from others, then its id, above its headings."""
    top = block.top
    for line in block.title:
        page.write(layout.title_font, (layout.margin, top), line, INK)
        top += layout.title_font.line_height
    for line in block.id:
        page.write(layout.small_font, (layout.margin, top), line, FAINT_INK)
        top += layout.small_font.line_height


def _draw_headings(
    page: Drawing, layout: Layout, block: Block, headings: Sequence[Heading]
) -> None:
    """Writes names and notes above their panels, aligned at the bottom."""
    for cell, heading in enumerate(headings):
        left, top = layout.corner(block, cell)
        middle, bottom = left + block.panel[0] / 2, top - layout.gap // 4
        if heading.note:
            page.write(layout.small_font, (middle, bottom), heading.note, FAINT_INK, "md")
            bottom -= layout.small_font.line_height
        for line in reversed(block.names[cell]):
            page.write(layout.title_font, (middle, bottom), line, INK, "md")
            bottom -= layout.title_font.line_height
