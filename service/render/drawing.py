"""A page as a list of pictures, texts and strokes, from which PNG, SVG and PDF are written."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from service.render.palettes import Colour
from service.render.text import Anchor, Font, Ink

Size = tuple[int, int]  # width, height
Point = tuple[float, float]
Points = NDArray[np.float64]  # (P, 2), x and y in pixels


@dataclass(frozen=True)
class Picture:
    """An image; `at` is its upper left corner."""

    at: tuple[int, int]
    image: Image.Image


@dataclass(frozen=True)
class Text:
    """One line of text; `anchor` in Pillow's notation."""

    at: Point
    text: str
    font: Font
    ink: Ink
    anchor: Anchor


@dataclass(frozen=True, eq=False)
class Stroke:
    """A line along points or, with a colour inside, a polygon."""

    points: Points
    colour: Colour
    width: float  # pixels
    dashed: bool = False
    inside: Colour | None = None

    @property
    def dashes(self) -> tuple[float, float]:
        """The lengths of a dash and of a gap, in pixels."""
        return 4 * self.width, 3 * self.width


@dataclass(frozen=True)
class Strokes:
    """Strokes in a box of their own; a PNG draws them antialiased."""

    at: tuple[int, int]
    size: Size
    strokes: Sequence[Stroke]


Item = Picture | Text | Stroke | Strokes


@dataclass(frozen=True)
class Drawing:
    """A white page, or a transparent one, and its items from back to front."""

    size: Size
    transparent: bool = False
    items: list[Item] = field(default_factory=list)

    def paste(self, image: Image.Image, at: tuple[int, int]) -> None:
        self.items.append(Picture(at, image))

    def write(self, font: Font, at: Point, text: str, ink: Ink, anchor: Anchor = "la") -> None:
        if text:
            self.items.append(Text(at, text, font, ink, anchor))

    def line(self, points: Sequence[Point], colour: Colour) -> None:
        """Draws a line one pixel wide."""
        self.items.append(Stroke(np.array(points, float), colour, 1))

    def plot(self, strokes: Sequence[Stroke], at: tuple[int, int], size: Size) -> None:
        self.items.append(Strokes(at, size, strokes))
