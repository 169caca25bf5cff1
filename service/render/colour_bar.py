"""Colour bars, which map colours to numbers."""

from dataclasses import dataclass

import numpy as np
from matplotlib.ticker import MaxNLocator
from PIL import Image, ImageDraw

from service.render.colours import Scale
from service.render.drawing import Drawing
from service.render.text import INK, Font, format_numbers, short_numbers, truncate

ZERO = "all are zero"
TICK_INK, OUTLINE = (140, 140, 140), (205, 205, 205)


@dataclass(frozen=True)
class ColourBar:
    """A gradient from -bound to +bound, with its corner and size in pixels."""

    scale: Scale
    left: int
    top: int
    width: int
    thickness: int

    def draw(self, page: Drawing, font: Font, caption: str) -> None:
        """Draws the gradient, round numbers below it, the caption under them."""
        line, bottom, bound = font.line_height, self._draw_gradient(page), self.scale.bound
        for share, label in ticks(bound, self.width, font):
            x = self.left + round((share + 1) / 2 * (self.width - 1))
            page.line([(x, bottom), (x, bottom + line // 4)], TICK_INK)
            page.write(font, (x, bottom + line // 3), label, INK, "ma")
        below = caption if bound or caption == ZERO else f"{caption} ({ZERO})"
        middle = page.size[0] / 2
        page.write(
            font, (middle, bottom + 1.5 * line), truncate(below, font, page.size[0]), INK, "ma"
        )

    def draw_small(self, page: Drawing, font: Font) -> None:
        """Draws the gradient, with its limits below it."""
        bottom = self._draw_gradient(page)
        label = limits(self.scale)
        middle = self.left + self.width / 2, bottom + font.line_height // 6
        page.write(font, middle, truncate(label, font, self.width), INK, "ma")

    def _draw_gradient(self, page: Drawing) -> int:
        """Returns the y below the gradient."""
        row = np.linspace(-self.scale.bound, self.scale.bound, self.width)[None, :]  # (1, width)
        colours = self.scale.paint(row).resize((self.width, self.thickness))
        bar = Image.new("RGB", colours.size, "white")
        bar.paste(colours.convert("RGB"), mask=colours.getchannel("A"))
        edges = [0, 0, self.width - 1, self.thickness - 1]
        ImageDraw.Draw(bar).rectangle(edges, outline=OUTLINE)
        page.paste(bar, (self.left, self.top))
        return self.top + self.thickness


def limits(scale: Scale) -> str:
    """Returns where the colours end, in words."""
    return f"±{short_numbers([scale.bound])[0]}" if scale.bound else ZERO


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
