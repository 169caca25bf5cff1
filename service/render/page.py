"""The figure: the picture, a panel for each output, one colour bar; read like shap's image plot.

Drawn with Pillow on whole pixels: picture, ghost and heat share one grid, so they are aligned by
construction, and a figure takes milliseconds, no lock and no font cache.
"""

from collections.abc import Sequence

from PIL import Image, ImageDraw

from service.render.attributions import Attributions, BadOption
from service.render.colour_bar import MINUS, draw_colour_bar
from service.render.colours import channel_sums, limit, paint
from service.render.layout import Layout, plan
from service.render.raster import ghost, png, resized, rgb_picture

MIN_WIDTH, MAX_WIDTH = 100, 4096  # pixels
INK, FAINT_INK = (25, 25, 25), (105, 105, 105)
ALL_ZERO = "all are zero"


def figure(
    attributions: Attributions,
    *,
    scores: Sequence[float] | None = None,
    percentile: float = 99.9,
    alpha: float = 0.15,
    width_px: int | None = None,
    caption: str = "SHAP value",
) -> bytes:
    """The picture, then each output over a grey ghost of it at `alpha`, all on one colour scale.

    `scores`, one for each output, stand under the names; `width_px` scales the whole figure to
    that width. Raises BadOption.
    """
    _check(attributions, scores, alpha, width_px)
    height, width = attributions.data.shape[:2]
    names = attributions.output_names
    layout = plan(names, (width, height), scored=scores is not None, width_px=width_px)
    bound = limit(attributions.values, percentile)
    page = Image.new("RGB", (layout.width, layout.height), "white")
    _draw_panels(page, layout, attributions, bound, alpha)
    _draw_titles(page, layout, scores)
    draw_colour_bar(page, layout, bound, caption if bound else f"{caption} ({ALL_ZERO})")
    return png(page, _description(names, scores, bound))


def _check(
    attributions: Attributions,
    scores: Sequence[float] | None,
    alpha: float,
    width_px: int | None,
) -> None:
    outputs = len(attributions.output_names)
    if scores is not None and len(scores) != outputs:
        raise BadOption(f"scores must be one for each of {outputs} outputs; received {len(scores)}")
    if not 0 <= alpha <= 1:
        raise BadOption(f"alpha must be in 0..1; received {alpha}")
    if width_px is not None and not MIN_WIDTH <= width_px <= MAX_WIDTH:
        raise BadOption(f"width_px must be in {MIN_WIDTH}..{MAX_WIDTH}; received {width_px}")


def _draw_panels(
    page: Image.Image, layout: Layout, attributions: Attributions, bound: float, alpha: float
) -> None:
    picture = rgb_picture(attributions.data).resize(layout.panel, Image.Resampling.BOX)
    page.paste(picture, layout.corner(0))
    backdrop = Image.fromarray(ghost(attributions.data, alpha)).resize(
        layout.panel, Image.Resampling.BOX
    )
    sums = channel_sums(attributions.values)
    for output in range(sums.shape[2]):
        colours = Image.fromarray(paint(resized(sums[..., output], layout.panel), bound))
        panel = backdrop.convert("RGB")
        panel.paste(colours.convert("RGB"), mask=colours.getchannel("A"))
        page.paste(panel, layout.corner(output + 1))


def _draw_titles(page: Image.Image, layout: Layout, scores: Sequence[float] | None) -> None:
    """Names and scores above their panels, the last line next to the panel."""
    pen = ImageDraw.Draw(page)
    for output, lines in enumerate(layout.titles):
        left, top = layout.corner(output + 1)
        middle, bottom = left + layout.panel[0] / 2, top - layout.gap // 4
        if scores is not None:
            score = f"{scores[output]:.3g}".replace("-", MINUS)
            pen.text((middle, bottom), score, FAINT_INK, layout.small_font.face, anchor="md")
            bottom -= layout.small_font.line_height
        for line in reversed(lines):
            pen.text((middle, bottom), line, INK, layout.title_font.face, anchor="md")
            bottom -= layout.title_font.line_height


def _description(names: Sequence[str], scores: Sequence[float] | None, bound: float) -> str:
    """Alternative text for those who do not see the figure."""
    shown = list(names)
    if scores is not None:
        shown = [f"{name} ({score:.3g})" for name, score in zip(names, scores, strict=True)]
    remark = "" if bound else f" ({ALL_ZERO})"
    return (
        f"A picture, and what in it speaks for (red) or against (blue){remark}: {', '.join(shown)}."
    )
