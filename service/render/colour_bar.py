"""The colour bar: what a colour means, in numbers."""

import numpy as np
from matplotlib.ticker import MaxNLocator
from PIL import Image, ImageDraw

from service.render.colours import paint
from service.render.layout import Layout

INK, TICK_INK = (25, 25, 25), (140, 140, 140)
MINUS = "\N{MINUS SIGN}"


def draw_colour_bar(page: Image.Image, layout: Layout, limit: float, caption: str) -> None:
    """A gradient from -limit to +limit, round numbers below it, the caption under them."""
    width, line = layout.bar_width, layout.small_font.line_height
    left, bottom = (layout.width - width) // 2, layout.bar_top + layout.bar_thickness
    page.paste(_gradient((width, layout.bar_thickness), limit), (left, layout.bar_top))
    pen = ImageDraw.Draw(page)
    for number, label in _ticks(limit, width // (4 * line)):
        share = (number / limit + 1) / 2 if limit else 0.5
        x = left + round(share * (width - 1))
        pen.line([(x, bottom), (x, bottom + line // 4)], fill=TICK_INK)
        pen.text((x, bottom + line // 3), label, INK, layout.small_font.face, anchor="ma")
    middle = layout.width / 2
    pen.text((middle, bottom + 1.5 * line), caption, INK, layout.small_font.face, anchor="ma")


def _gradient(size: tuple[int, int], limit: float) -> Image.Image:
    row = np.linspace(-limit, limit, size[0])[None, :]  # (1, width)
    bar = Image.new("RGBA", size, "white")
    bar.alpha_composite(Image.fromarray(paint(row, limit)).resize(size))
    return bar.convert("RGB")


def _ticks(limit: float, intervals: int) -> list[tuple[float, str]]:
    """Round numbers within ±limit, symmetric about zero, and how they are written."""
    locator = MaxNLocator(max(2, min(8, intervals)), symmetric=True, steps=[1, 2, 2.5, 5, 10])
    candidates = locator.tick_values(-limit, limit) if limit else [0.0]
    numbers = [float(number) for number in candidates if abs(number) <= limit]
    return list(zip(numbers, _written(numbers), strict=True))


def _written(numbers: list[float]) -> list[str]:
    """All with the same number of decimals, unless the exponents are extreme."""
    labels = [f"{number:g}" for number in numbers]
    if not any("e" in label for label in labels):
        decimals = max(len(label.partition(".")[2]) for label in labels)
        labels = [f"{number:.{decimals}f}" if number else "0" for number in numbers]
    return [label.replace("-", MINUS) for label in labels]
