"""The colour bar, which maps colours to numbers."""

import numpy as np
from matplotlib.ticker import MaxNLocator
from PIL import Image, ImageDraw

from service.render.colours import Scale
from service.render.layout import Layout
from service.render.text import INK, Font, format_numbers

TICK_INK, OUTLINE = (140, 140, 140), (205, 205, 205)


def draw_colour_bar(page: Image.Image, layout: Layout, scale: Scale, caption: str) -> None:
    """Draws a gradient from -bound to +bound, round numbers below it, the caption under them."""
    width, line = layout.bar_width, layout.small_font.line_height
    left, bottom = (layout.width - width) // 2, layout.bar_top + layout.bar_thickness
    row = np.linspace(-scale.bound, scale.bound, width)[None, :]  # (1, width)
    colours = scale.paint(row).resize((width, layout.bar_thickness))
    bar = Image.new("RGB", colours.size, "white")
    bar.paste(colours.convert("RGB"), mask=colours.getchannel("A"))
    edges = [0, 0, width - 1, layout.bar_thickness - 1]
    ImageDraw.Draw(bar).rectangle(edges, outline=OUTLINE)
    page.paste(bar, (left, layout.bar_top))
    pen = ImageDraw.Draw(page)
    for share, label in ticks(scale.bound, width, layout.small_font):
        x = left + round((share + 1) / 2 * (width - 1))
        pen.line([(x, bottom), (x, bottom + line // 4)], fill=TICK_INK)
        layout.small_font.write(pen, (x, bottom + line // 3), label, INK, "ma")
    below = caption if scale.bound else f"{caption} (all are zero)"
    layout.small_font.write(pen, (layout.width / 2, bottom + 1.5 * line), below, INK, "ma")


def ticks(bound: float, width: int, font: Font) -> list[tuple[float, str]]:
    """Returns as many round numbers as fit, symmetric about zero: share of the bound, label."""
    for intervals in range(8, 1, -1) if bound else ():
        locator = MaxNLocator(intervals, symmetric=True, steps=[1, 2, 2.5, 5, 10])
        numbers = [float(tick) for tick in locator.tick_values(-bound, bound) if abs(tick) <= bound]
        labels = format_numbers(numbers)
        spacing = width / 2 * max(numbers) / bound / (len(numbers) // 2 or 1)
        if len(numbers) > 1 and 1.2 * max(map(font.width, labels)) <= spacing:
            return [(number / bound, label) for number, label in zip(numbers, labels, strict=True)]
    return [(0.0, "0")]
