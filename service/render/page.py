"""The figure: pictures, a panel for each output, one colour bar, like shap's image plot.

Drawn with Pillow on whole pixels. Picture, ghost and colours share one grid, so they are aligned
by construction; a figure takes milliseconds, without a lock or a font cache.
"""

from collections.abc import Sequence

from PIL import Image, ImageDraw

from service.render import alt_text
from service.render.colour_bar import draw_colour_bar
from service.render.colours import Scale, channel_sums, limit
from service.render.errors import InvalidOptionError
from service.render.layout import Block, Heading, Layout, plan
from service.render.palettes import PaletteName, find_palette
from service.render.raster import ghost, png, resized, rgb_picture
from service.render.row import Row
from service.render.text import FAINT_INK, INK

MIN_WIDTH, MAX_WIDTH = 100, 4096  # pixels


def figure(
    *rows: Row,
    percentile: float = 99.9,
    alpha: float = 0.15,
    width_px: int | None = None,
    caption: str = "SHAP value",
    palette: PaletteName = "red_blue",
) -> bytes:
    """Draws each picture, then its outputs over its grey ghost at `alpha`, on one colour scale.

    Rows may differ in their outputs and in the sizes of their pictures. `width_px` scales the whole
    figure to that width. Raises InvalidOptionError.
    """
    if not rows:
        raise InvalidOptionError("a figure shows one picture or more; received none")
    if not 0 <= alpha <= 1:
        raise InvalidOptionError(f"alpha must be in 0..1; received {alpha}")
    if width_px is not None and not MIN_WIDTH <= width_px <= MAX_WIDTH:
        raise InvalidOptionError(
            f"width_px must be in {MIN_WIDTH}..{MAX_WIDTH}; received {width_px}"
        )
    layout = plan([row.size for row in rows], [row.headings for row in rows], width_px=width_px)
    sums = [channel_sums(row.attributions.values) for row in rows]
    scale = Scale(limit(*sums, percentile=percentile), find_palette(palette))
    page = Image.new("RGB", (layout.width, layout.height), "white")
    for row, block, credit in zip(rows, layout.blocks, sums, strict=True):
        _draw_headings(page, layout, block, row.headings)
        data, box = row.attributions.data, Image.Resampling.BOX
        page.paste(rgb_picture(data).resize(block.panel, box), layout.corner(block, 0))
        backdrop = Image.fromarray(ghost(data, alpha)).resize(block.panel, box).convert("RGB")
        for output in range(credit.shape[2]):
            colours = scale.paint(resized(credit[..., output], block.panel))
            panel = backdrop.copy()
            panel.paste(colours.convert("RGB"), mask=colours.getchannel("A"))
            page.paste(panel, layout.corner(block, output + 1))
    draw_colour_bar(page, layout, scale, caption)
    return png(page, alt_text.of_figure(rows, sums, scale))


def _draw_headings(
    page: Image.Image, layout: Layout, block: Block, headings: Sequence[Heading]
) -> None:
    """Writes names and notes above their panels, aligned at the bottom."""
    pen = ImageDraw.Draw(page)
    for cell, heading in enumerate(headings):
        left, top = layout.corner(block, cell)
        middle, bottom = left + block.panel[0] / 2, top - layout.gap // 4
        if heading.note:
            layout.small_font.write(pen, (middle, bottom), heading.note, FAINT_INK, "md")
            bottom -= layout.small_font.line_height
        for line in reversed(block.names[cell]):
            layout.title_font.write(pen, (middle, bottom), line, INK, "md")
            bottom -= layout.title_font.line_height
